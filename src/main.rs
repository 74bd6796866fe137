//! The command line of keyquake: reads the words, runs one command, exits with
//! the code that `docs/verdicts.md` lists.
//!
//! Nothing here may start a thread before `enter_own_network` was called: the
//! kernel lets only a single-threaded process make a user namespace.

mod auditing;
mod cli;
mod commands;
mod exit;
mod host;
mod judging;
mod keys;
mod plan;
mod progress;
mod wiring;

use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;

use clap::Parser;

use crate::cli::{Cli, Command};

fn main() -> ExitCode {
    // The store's flags are elastickv's, in Go's style, which clap can't read.
    let mut words = std::env::args_os();
    if let Some(release) = words.next().and_then(release_of_name) {
        return keyquake_node::main(std::iter::once(release).chain(words));
    }
    match words.next() {
        Some(word) if word == "node" => return keyquake_node::main(words),
        Some(word) if word == "agent" => return keyquake_docker::agent::main(words),
        _ => {}
    }
    let cli = Cli::parse();
    if !matches!(cli.command, Command::Run(_) | Command::Matrix(_)) {
        end_with_the_reader();
    }
    let outcome = match cli.command {
        Command::Run(args) => commands::run::run(args),
        Command::Plan(args) => commands::plan::print(args),
        Command::Check(args) => commands::check::check(args),
        Command::Verify(args) => commands::history::verify(args),
        Command::Audit(args) => commands::audit::audit(args),
        Command::Report(args) => commands::report::report(args),
        Command::List(args) => commands::list::list(args),
        Command::Heal(args) => commands::heal::heal(args),
        Command::Faults(args) => commands::catalogue::faults(args),
        Command::Bugs(args) => commands::catalogue::bugs(args),
        Command::Invariants(args) => commands::catalogue::invariants(args),
        Command::Matrix(args) => commands::matrix::matrix(args),
        Command::Admin(args) => commands::admin::admin(args),
        // Only for the help text: both were taken above.
        Command::Node | Command::Agent => {
            unreachable!("the first words `node` and `agent` are handled before clap")
        }
    };
    exit::code_of(outcome)
}

/// Called by the name `keyquake-node-6b`, this is a node of that release: what a program of a
/// store that is not part of the suite looks like.
fn release_of_name(program: OsString) -> Option<OsString> {
    let name = Path::new(&program).file_name()?.to_str()?;
    let release = name.strip_prefix("keyquake-node-")?;
    Some(format!("--release={release}").into())
}

/// Lets `keyquake bugs | head` end in silence, as other programs do. A run goes on instead, and a
/// matrix of them: it has a cluster to take down.
fn end_with_the_reader() {
    use nix::sys::signal::{SigHandler, Signal, signal};
    // SAFETY: the default action runs no code of this process.
    let set = unsafe { signal(Signal::SIGPIPE, SigHandler::SigDfl) };
    debug_assert!(set.is_ok(), "SIGPIPE can always be reset");
}
