//! `keyquake heal`: undo what dead runs left behind.

use keyquake_cluster::journal;

use crate::cli::HealArgs;
use crate::exit::{Done, Failure};
use crate::wiring;

/// Undoes and says what was undone.
pub fn heal(args: HealArgs) -> Result<Done, Failure> {
    let report = journal::heal(&wiring::journal_dir(&args.results.root))?;
    if args.json {
        println!("{}", serde_json::to_string_pretty(&report)?);
    } else {
        print!("{report}");
    }
    Ok(Done::Fine)
}
