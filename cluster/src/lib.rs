//! Nodes as processes in network namespaces, their links, and the heal journal
