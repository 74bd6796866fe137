//! From the history of a run to one verdict per invariant
