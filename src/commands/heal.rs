//! `keyquake heal`: undo what dead runs left behind.

use anyhow::anyhow;
use keyquake_cluster::journal;
use keyquake_docker::ContainerUndoer;

use crate::cli::HealArgs;
use crate::exit::{Done, Failure};
use crate::wiring;

/// Undoes and says what was undone.
pub fn heal(args: HealArgs) -> Result<Done, Failure> {
    let report = journal::heal(
        &wiring::journal_dir(&args.results.root),
        &[&ContainerUndoer],
    )?;
    if args.json {
        println!("{}", serde_json::to_string_pretty(&report)?);
    } else {
        print!("{report}");
    }
    if !report.is_clean() {
        return Err(Failure::Suite(anyhow!(
            "not everything could be undone; the journals stay, so try again once what is named above is mended"
        )));
    }
    Ok(Done::Fine)
}
