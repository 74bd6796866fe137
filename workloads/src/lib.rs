//! Seeded generators, the client loop and the recorder of histories
