//! SSER: the list-append transactions are strict serializable.

use elle_rs::list_append::{Decision, Level, check};

use crate::judgement::InvariantVerdict;
use crate::run::{Run, Workload, anomalies, inconclusive, valid, violated};

const ID: &str = "SSER";

pub(crate) fn judge(run: &Run<'_>) -> Option<InvariantVerdict> {
    if !run.has(Workload::Append) {
        return None;
    }
    // What can't be paired is no history of transactions either.
    if run.pairs.is_err() {
        return run.malformed(ID);
    }
    let outcome = match check(run.events, Level::StrictSerializable) {
        Ok(outcome) => outcome,
        Err(_) => return run.malformed(ID),
    };
    let counts = outcome.counts;
    if counts.committed == 0 {
        return Some(inconclusive(
            ID,
            "no transaction was acknowledged".to_owned(),
        ));
    }
    let rests_on = format!(
        "{} transactions on {} keys, {} reads and {} appends ({} of them never read), and {} \
         pending transactions ({} of them seen)",
        counts.committed,
        counts.keys,
        counts.reads,
        counts.appends,
        counts.unread,
        counts.indeterminate,
        counts.seen,
    );
    Some(match outcome.decision {
        Decision::Valid => valid(
            ID,
            format!("one order in real time explains all; it rests on {rests_on}"),
        ),
        Decision::Undecided { reason } => {
            inconclusive(ID, format!("undecided: {reason}; looked at {rests_on}"))
        }
        Decision::Violated { findings } => {
            let reason = format!(
                "not strict serializable ({}); looked at {rests_on}",
                anomalies(&findings)
            );
            violated(ID, reason, findings)
        }
    })
}
