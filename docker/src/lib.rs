//! Nodes as containers: images from nothing, networks, limits, and their undoing.
