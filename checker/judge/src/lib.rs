//! From the history of a run to one verdict per invariant.
//!
//! [`judge`] looks at a whole history and gives a [`Judgement`]: for each invariant a verdict,
//! what it rests on, and the findings that break it. One file per invariant; each takes the
//! `run::Run` and answers for itself. An invariant about something the run did not do (a
//! workload that was not in it, errors that nobody got) is left out; one that had too little to
//! look at is inconclusive, never valid.

mod availability;
mod consequences;
mod definite_errors;
mod durability;
mod expectations;
mod isolation;
mod judgement;
mod linearizability;
mod nonempty;
mod restart;
mod rollout;
mod run;
mod stats;
mod wellformed;

use elle_rs::history::Event;
use elle_rs::history::file::TornTail;

pub use expectations::Expectations;
pub use judgement::{FaultStats, InvariantVerdict, Judgement, Stats, Verdict, WorkloadStats};
pub use rollout::is_unmet;

use run::Run;

/// Judges a history. `torn` is what [`elle_rs::history::file::Reader::torn`] said at its end.
pub fn judge(events: &[Event], torn: Option<&TornTail>, expectations: &Expectations) -> Judgement {
    let stats = stats::stats(events, torn, expectations);
    let run = Run::new(events, &stats);
    let mut invariants: Vec<InvariantVerdict> = [
        linearizability::judge(&run),
        isolation::judge(&run),
        durability::judge(&run),
        availability::judge(&run, expectations),
        definite_errors::judge(&run),
        restart::judge(&run),
    ]
    .into_iter()
    .flatten()
    .chain(rollout::judge(&run))
    .chain([wellformed::judge(&run), nonempty::judge(&run, expectations)])
    .collect();
    consequences::add(&run, &mut invariants);
    Judgement {
        // In the order of `Verdict`: violated outweighs inconclusive outweighs valid.
        verdict: invariants
            .iter()
            .map(|invariant| invariant.verdict)
            .max()
            .unwrap_or(Verdict::Inconclusive),
        invariants,
        stats,
    }
}
