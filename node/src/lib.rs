//! The reference store: a replicated key-value store with elastickv's flags and
//! wire, and with seeded bugs to be found.
//!
//! `flags` → `start` (wiring) → `api`/`resp` (clients) → `consensus` (one thread, the
//! log, raft-rs) → `fsm` (the state); `transport` carries Raft between nodes.

mod api;
pub mod bugs;
mod command;
mod consensus;
mod database;
mod encryption;
mod entry;
mod flags;
mod fsm;
mod peers;
pub mod release;
mod resp;
mod start;
mod transport;
mod wire;

use std::ffi::OsString;
use std::process::ExitCode;

/// Runs a node until it fails or is ended. `args` are the words behind the program's
/// (or subcommand's) name.
///
/// Exit codes: 0 after `--help`, 1 for whatever ends a node, 2 for a wrong command line.
pub fn main(args: impl Iterator<Item = OsString>) -> ExitCode {
    let flags = match flags::Flags::parse_go(args) {
        Ok(flags) => flags,
        Err(error) => {
            // Nothing to be done about a closed stderr.
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    bugs::switch_on(&flags.bugs);
    start::log_to_stderr();
    match start::run(flags) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{error}");
            ExitCode::FAILURE
        }
    }
}
