//! `keyquake audit`: what the disks of a cluster say. Writes nothing but the nonce registry, if
//! one is named.

mod past;
pub mod subject;
pub mod words;

use std::path::Path;

use keyquake_audit::nonces::{NonceRegistry, NonceSet};
use keyquake_results::Runs;

use self::words::AuditArgs;
use crate::exit::{Done, Failure, input};

/// Audits the disks of a run, or of a folder.
pub fn audit(args: AuditArgs) -> Result<Done, Failure> {
    let run = Runs::at(&args.results.root).find(&args.subject);
    let (name, subject) = match run {
        Ok(run) => {
            subject::refuse_folder_words(&args).map_err(input)?;
            (run.id().to_owned(), subject::of_run(&run).map_err(input)?)
        }
        Err(_) if Path::new(&args.subject).is_dir() => {
            let folder = Path::new(&args.subject).canonicalize().map_err(input)?;
            let name = folder.display().to_string();
            let subject = subject::of_folder(Path::new(&args.subject), &args);
            (name, subject.map_err(input)?)
        }
        Err(error) => return Err(input(error)),
    };
    // First, since an audit may take long, and this may fail at once.
    let registry = args.nonces.as_deref().map(NonceRegistry::open);
    let registry = registry.transpose().map_err(input)?;
    let mut nonces = NonceSet::default();
    let audited = keyquake_audit::audit_remembering(&subject, &mut nonces);
    let mut audit = audited.map_err(input)?;
    if let Some(mut registry) = registry {
        audit.add_to(&mut registry, &name, &nonces)?;
    }
    if args.json {
        println!("{}", serde_json::to_string_pretty(&audit)?);
    } else {
        println!("{audit}");
    }
    Ok(Done::Judged(audit.verdict))
}
