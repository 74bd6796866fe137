//! The reference store: replicated, elastickv's flags and wire, seeded bugs
