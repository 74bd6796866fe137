//! Linearizability by the names of models, and the certificates of the verdicts.

mod appends;
mod budget;
mod exact;
mod minimal;
mod random;
mod textbook;
mod verifier;

use std::io::Cursor;
use std::path::Path;

use elle_rs::certificate::Certificate;
use elle_rs::history::stream::{Format, Reader};
use elle_rs::linear::{ModelName, Options, Outcome, Report, check};
use elle_rs::verify::{Verified, VerifyError, verify};

fn reader(edn: &str) -> Reader {
    let input = Cursor::new(edn.as_bytes().to_vec());
    Reader::from_read(input, Path::new("h"), Some(Format::Edn)).unwrap()
}

fn checked(edn: &str, model: ModelName) -> Report {
    check(reader(edn), &Options::new(model)).unwrap()
}

/// The verdict, if every part is decided.
fn is_valid(report: &Report) -> bool {
    report.parts.iter().all(|part| match &part.outcome {
        Outcome::Valid { .. } => true,
        Outcome::Violated { .. } => false,
        Outcome::Undecided { reason } => panic!("{reason}"),
    })
}

fn verified(certificate: &Certificate, edn: &str) -> Result<Verified, VerifyError> {
    verify(certificate, reader(edn))
}
