//! `keyquake list`: the stored runs, newest first.

use keyquake_results::{ListedRun, Runs};

use crate::cli::ListArgs;
use crate::exit::{Done, Failure};

/// Prints one line per run.
pub fn list(args: ListArgs) -> Result<Done, Failure> {
    let runs = Runs::at(&args.results.root).list()?;
    if args.json {
        println!("{}", serde_json::to_string_pretty(&runs)?);
        return Ok(Done::Fine);
    }
    if runs.is_empty() {
        println!(
            "no runs in {}; `keyquake run` makes one",
            args.results.root.display()
        );
    }
    for run in &runs {
        println!("{}", line(run));
    }
    Ok(Done::Fine)
}

fn line(run: &ListedRun) -> String {
    let verdict = match (&run.verdict, run.violated.as_slice()) {
        (None, _) => "not judged".to_owned(),
        (Some(verdict), []) => verdict.to_string(),
        (Some(verdict), violated) => format!("{verdict}: {}", violated.join(", ")),
    };
    let system = run.run.as_ref().map_or_else(String::new, |info| {
        format!("{} {}", info.system, info.releases())
    });
    let trouble = run
        .trouble
        .as_ref()
        .map_or_else(String::new, |trouble| format!("  ({trouble})"));
    format!("{}  {verdict:<14}  {system}{trouble}", run.id)
}
