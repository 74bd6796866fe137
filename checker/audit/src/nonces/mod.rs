//! Nonces for as long as keys live: which pair of key and nonce sealed what, over all nodes,
//! restarts, restores and nights.
//!
//! A [`NonceSet`] remembers what the audits of one cluster met, so that a pair that a compaction
//! takes away between two of them is not forgotten. A [`NonceRegistry`] is a file that outlives
//! runs. A pair is a key's own bytes (as a digest: two clusters may share an id) and a nonce;
//! what it sealed is told by GCM's tag. The same pair with the same tag is one envelope in two
//! places, which is legal; with two tags it is a reuse.

mod block;
mod campaign;
mod names;
mod pair;
mod registry;
mod set;
mod sighting;

pub use pair::{KeyPrint, Pair, TAG_BYTES};
pub use registry::{NonceRegistry, RegistryError};
pub use set::{NonceSet, SetReuse};
pub use sighting::{Added, Reuse, Sighting};
