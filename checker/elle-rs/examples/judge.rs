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

use elle_rs::history::stream::Reader;
use elle_rs::linear::{ModelName, Options, Outcome};
use elle_rs::txn::Decision;
use elle_rs::{linear, proof, transactions, verify};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [model, level, files @ ..] = &arguments[..] else {
        return Err("judge MODEL LEVEL FILE...".into());
    };
    let verifies = std::env::var_os("ELLE_VERIFY").is_some();
    let wanted = std::env::var_os("ELLE_CERTIFICATE");
    for name in files {
        let file = Path::new(name);
        let (verdict, text, held) = match level.as_str() {
            "linearizable" => single(file, model, verifies)?,
            level => several(file, model, level, verifies)?,
        };
        println!("{name} {}", if held { verdict } else { "refuted" });
        if let (Some(path), Some(text)) = (&wanted, text) {
            std::fs::write(path, text)?;
        }
    }
    Ok(())
}

type Judged = (&'static str, Option<String>, bool);

fn single(file: &Path, model: &str, verifies: bool) -> Result<Judged, Box<dyn Error>> {
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
    let certificate = report.certificate();
    let mut held = true;
    if let (true, Some(certificate)) = (verifies, &certificate) {
        held = verify::verify(certificate, Reader::open(file, None)?).is_ok();
    }
    Ok((verdict, certificate.map(|it| it.text()), held))
}

fn several(
    file: &Path,
    model: &str,
    level: &str,
    verifies: bool,
) -> Result<Judged, Box<dyn Error>> {
    let report = transactions::check(file, None, model.parse()?, level.parse()?)?;
    let verdict = match report.outcome.decision {
        Decision::Valid => "valid",
        Decision::Violated { .. } => "violated",
        Decision::Undecided { .. } => "undecided",
    };
    let mut held = true;
    if let (true, Some(certificate)) = (verifies, &report.certificate) {
        held = proof::verify_from(certificate, Reader::open(file, None)?).is_ok();
    }
    Ok((verdict, report.certificate.map(|it| it.text()), held))
}
