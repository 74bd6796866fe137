//! `keyquake audit`: what the disks of a cluster say. Writes nothing.

mod past;
pub mod subject;
pub mod words;

use std::path::Path;

use keyquake_audit::AuditError;
use keyquake_results::Runs;

use self::words::AuditArgs;
use crate::exit::{Done, Failure, input};

/// Audits the disks of a run, or of a folder.
pub fn audit(args: AuditArgs) -> Result<Done, Failure> {
    let run = Runs::at(&args.results.root).find(&args.subject);
    let subject = match run {
        Ok(run) => {
            subject::refuse_folder_words(&args).map_err(input)?;
            subject::of_run(&run).map_err(input)?
        }
        Err(_) if Path::new(&args.subject).is_dir() => {
            subject::of_folder(Path::new(&args.subject), &args).map_err(input)?
        }
        Err(error) => return Err(input(error)),
    };
    let audit = keyquake_audit::audit(&subject).map_err(|error| match error {
        AuditError::Search { .. } => Failure::Suite(error.into()),
        _ => input(error),
    })?;
    if args.json {
        println!("{}", serde_json::to_string_pretty(&audit)?);
    } else {
        println!("{audit}");
    }
    Ok(Done::Judged(audit.verdict))
}
