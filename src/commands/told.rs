//! What `keyquake check --model` keeps and tells of a verdict, by whichever kind of model.

use std::path::Path;

use anyhow::{Context, anyhow};
use elle_rs::certificate::Certificate;
use elle_rs::history::stream::{Format, Reader};
use elle_rs::picture::{self, PictureError};
use keyquake_judge::InvariantVerdict;
use serde_json::{Map, Value, json};

use crate::cli::HistoryArgs;
use crate::exit::{Done, Failure, input};

/// What was written, of what was asked for.
pub struct Kept<'a> {
    certificate: Option<&'a Path>,
    picture: Option<&'a Path>,
    /// Why the rest was not.
    without: Vec<String>,
}

/// Writes the certificate and the picture that were asked for.
pub fn keep<'a>(
    path: &Path,
    format: Option<Format>,
    args: &'a HistoryArgs,
    certificate: Result<&Certificate, &str>,
) -> Result<Kept<'a>, Failure> {
    let mut kept = Kept {
        certificate: None,
        picture: None,
        without: Vec::new(),
    };
    if let Some(file) = &args.certificate {
        match certificate {
            Ok(certificate) => {
                std::fs::write(file, certificate.text()).with_context(|| {
                    format!("failed to write the certificate {}", file.display())
                })?;
                kept.certificate = Some(file);
            }
            Err(reason) => kept.without.push(format!("no certificate: {reason}")),
        }
    }
    if let Some(file) = &args.picture {
        match certificate.map(|certificate| draw(path, format, certificate)) {
            Ok(drawn) => match drawn? {
                Ok(picture) => {
                    std::fs::write(file, picture).with_context(|| {
                        format!("failed to write the picture {}", file.display())
                    })?;
                    kept.picture = Some(file);
                }
                Err(reason) => kept.without.push(format!("no picture: {reason}")),
            },
            Err(reason) => kept.without.push(format!("no picture: {reason}")),
        }
    }
    Ok(kept)
}

/// The inner error: there is nothing to draw.
fn draw(
    path: &Path,
    format: Option<Format>,
    certificate: &Certificate,
) -> Result<Result<String, String>, Failure> {
    let reader = Reader::open(path, format).map_err(input)?;
    match picture::draw(certificate, reader) {
        Ok(picture) => Ok(Ok(picture)),
        Err(PictureError::Nothing { verdict }) => Ok(Err(format!(
            "the verdict is {verdict}, so there is no counterexample"
        ))),
        Err(PictureError::Read(error)) => Err(input(error)),
        Err(error) => Err(input(anyhow!("{}: {error}", path.display()))),
    }
}

/// Prints a verdict; `more` stands beside it as JSON, `lines` below its findings.
pub fn tell(
    judged: &InvariantVerdict,
    kept: &Kept<'_>,
    more: Map<String, Value>,
    lines: &[String],
    as_json: bool,
) -> Result<Done, Failure> {
    if as_json {
        let mut told = json!({
            "verdict": judged.verdict,
            "certificate": kept.certificate,
            "picture": kept.picture,
            "without": kept.without,
            "invariants": [judged],
        });
        if let Some(told) = told.as_object_mut() {
            told.extend(more);
        }
        println!("{}", serde_json::to_string_pretty(&told)?);
        return Ok(Done::Judged(judged.verdict));
    }
    println!("{judged}");
    for finding in &judged.findings {
        println!("  {}: {}", finding.anomaly, finding.explanation);
    }
    for line in lines {
        println!("{line}");
    }
    for (what, file) in [("certificate", kept.certificate), ("picture", kept.picture)] {
        if let Some(file) = file {
            println!("{what}: {}", file.display());
        }
    }
    for reason in &kept.without {
        println!("{reason}");
    }
    println!("{}", judged.verdict);
    Ok(Done::Judged(judged.verdict))
}
