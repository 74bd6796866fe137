//! Every seeded bug of the reference store, against real processes: with it on, the wrong
//! thing really happens, and the store otherwise goes on; with it off, the very same look
//! finds nothing.
//!
//! `KEYQUAKE_BUG=name` looks at one bug alone.

#[path = "../node/cluster/mod.rs"]
#[expect(dead_code, reason = "other tests use more of it")]
mod cluster;
#[path = "../stage6/kit/mod.rs"]
#[expect(dead_code, unused_imports, reason = "other tests use more of it")]
mod kit;

mod barrier;
mod capability;
mod failover;
mod gates;
mod guards;
mod halts;
mod inspect;
mod life;
mod page;
mod rotations;
mod run;
mod snapshots;
mod starts;
mod symptom;
mod syncs;
mod table;
mod tracer;
mod window;
