//! The verdicts on history files, one a line, as `scripts/peers.sh` asks for them of every checker:
//!
//! ```text
//! judge MODEL LEVEL FILE...
//! ```
//!
//! The level of models of single operations is `linearizable`. With `ELLE_CERTIFICATE=FILE` the
//! certificate of the last verdict is written there; with `ELLE_VERIFY=1` each is verified, and a
//! verdict whose certificate does not hold is `refuted`.

use std::error::Error;
use std::path::Path;

use elle_rs::certificate::Certificate;
use elle_rs::history::stream::Reader;
use elle_rs::linear::{ModelName, Options, Outcome};
use elle_rs::txn::Decision;
use elle_rs::{linear, transactions, verify};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [model, level, files @ ..] = &arguments[..] else {
        return Err("judge MODEL LEVEL FILE...".into());
    };
    let verifies = std::env::var_os("ELLE_VERIFY").is_some();
    let wanted = std::env::var_os("ELLE_CERTIFICATE");
    for name in files {
        let file = Path::new(name);
        let (mut verdict, certificate) = match level.as_str() {
            "linearizable" => single(file, model)?,
            level => several(file, model, level)?,
        };
        if let (true, Some(certificate)) = (verifies, &certificate)
            && verify::verify(certificate, Reader::open(file, None)?).is_err()
        {
            verdict = "refuted";
        }
        println!("{name} {verdict}");
        if let (Some(path), Some(certificate)) = (&wanted, certificate) {
            std::fs::write(path, certificate.text())?;
        }
    }
    Ok(())
}

type Judged = (&'static str, Option<Certificate>);

fn single(file: &Path, model: &str) -> Result<Judged, Box<dyn Error>> {
    let model: ModelName = model.parse()?;
    let options = Options {
        // As Knossos' one history of it says.
        initial: (model == ModelName::MultiRegister).then_some(0),
        ..Options::new(model)
    };
    let report = linear::check(Reader::open(file, None)?, &options)?;
    let any = |is: fn(&Outcome) -> bool| report.parts.iter().any(|part| is(&part.outcome));
    let verdict = if any(|outcome| matches!(outcome, Outcome::Violated { .. })) {
        "violated"
    } else if report.torn.is_some() || any(|outcome| matches!(outcome, Outcome::Undecided { .. })) {
        "undecided"
    } else {
        "valid"
    };
    Ok((verdict, report.certificate()))
}

fn several(file: &Path, model: &str, level: &str) -> Result<Judged, Box<dyn Error>> {
    let report = transactions::check(file, None, model.parse()?, level.parse()?)?;
    let verdict = match report.outcome.decision {
        Decision::Valid => "valid",
        Decision::Violated { .. } => "violated",
        Decision::Undecided { .. } => "undecided",
    };
    Ok((verdict, report.certificate))
}
