//! `keyquake faults`, `bugs` and `invariants`: what there is.

use keyquake_results::INVARIANTS;
use serde_json::json;

use crate::cli::CatalogueArgs;
use crate::exit::{Done, Failure};

/// Every fault: what it does, needs and proves.
pub fn faults(args: CatalogueArgs) -> Result<Done, Failure> {
    let faults = keyquake_nemesis::catalogue();
    if args.json {
        println!("{}", serde_json::to_string_pretty(&faults)?);
        return Ok(Done::Fine);
    }
    for fault in faults {
        println!(
            "{}\n  does    {}\n  needs   {}\n  proves  {}",
            fault.name, fault.does, fault.needs, fault.proves
        );
    }
    Ok(Done::Fine)
}

/// Every seeded bug of the reference store.
pub fn bugs(args: CatalogueArgs) -> Result<Done, Failure> {
    let bugs = keyquake_node::bugs::catalogue();
    if args.json {
        let list: Vec<_> = bugs
            .iter()
            .map(|bug| json!({"name": bug.name, "does": bug.does, "breaks": bug.breaks}))
            .collect();
        println!("{}", serde_json::to_string_pretty(&list)?);
        return Ok(Done::Fine);
    }
    for bug in bugs {
        println!(
            "{}\n  does    {}\n  breaks  {}",
            bug.name, bug.does, bug.breaks
        );
    }
    Ok(Done::Fine)
}

/// Every invariant that a run is judged by.
pub fn invariants(args: CatalogueArgs) -> Result<Done, Failure> {
    if args.json {
        println!("{}", serde_json::to_string_pretty(INVARIANTS)?);
        return Ok(Done::Fine);
    }
    for invariant in INVARIANTS {
        println!("{:<14} {}", invariant.id, invariant.meaning);
    }
    Ok(Done::Fine)
}
