//! Exit codes: 0 valid, 1 violated or refused, 2 wrong input, 3 inconclusive, 4 the suite failed.

use std::process::ExitCode;

use keyquake_judge::Verdict;

/// How a command ended, when it did not fail.
pub enum Done {
    /// It did what was asked; there was nothing to judge.
    Fine,
    /// A store refused what was asked, and that was said.
    Refused,
    /// A store gave no answer that settles it, and that was said.
    Failed,
    /// It judged something.
    Judged(Verdict),
}

/// Why a command could not do its work.
#[derive(Debug)]
pub enum Failure {
    /// The words or files given were wrong: exit 2.
    Input(anyhow::Error),
    /// The suite or its surroundings failed: exit 4.
    Suite(anyhow::Error),
}

impl<E: Into<anyhow::Error>> From<E> for Failure {
    fn from(error: E) -> Self {
        Failure::Suite(error.into())
    }
}

/// Marks an error as the user's to mend.
pub fn input(error: impl Into<anyhow::Error>) -> Failure {
    Failure::Input(error.into())
}

/// Prints a failure, if it is one, and gives the process its code.
pub fn code_of(outcome: Result<Done, Failure>) -> ExitCode {
    match outcome {
        Ok(Done::Fine) => ExitCode::SUCCESS,
        Ok(Done::Refused) => ExitCode::from(1),
        Ok(Done::Failed) => ExitCode::from(4),
        Ok(Done::Judged(verdict)) => ExitCode::from(verdict.exit_code()),
        Err(Failure::Input(error)) => complain(&error, 2),
        Err(Failure::Suite(error)) => complain(&error, 4),
    }
}

fn complain(error: &anyhow::Error, code: u8) -> ExitCode {
    eprintln!("keyquake: {error:#}");
    ExitCode::from(code)
}
