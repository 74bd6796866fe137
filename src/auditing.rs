//! The audit of a run's disks, in the same verdict as its history.
//!
//! A run with keys is audited whole: the disks as they lie at its end, and what was collected on
//! the way. A run without keys has nothing sealed; on it the scan for canaries is shown to see.

use elle_rs::Finding;
use keyquake_audit::{Audit, Audited};
use keyquake_judge::{InvariantVerdict, Judgement, Verdict};
use keyquake_results::RunFolder;
use keyquake_systems::SystemName;

use crate::commands::audit::subject;
use crate::judging::History;
use crate::plan::Plan;

/// Every verdict about the suite itself begins so; those come last.
const OWN: &str = "SELF-";
/// What is inconclusive when there was no disk to look at.
const NONEMPTY: &str = "SELF-NONEMPTY";

/// Audits a run's disks and puts what that says into the judgement of its history. Disks that
/// can't be read make a run with keys inconclusive; what was never encrypted is judged by its
/// history alone then.
pub fn audit_into(
    judgement: &mut Judgement,
    run: &RunFolder,
    plan: &Plan,
    history: &History,
) -> Option<Audit> {
    if !plan.needs_keys() && plan.cluster.system != SystemName::Reference {
        return None;
    }
    let audited = subject::of_plan(run, plan, history)
        .map_err(|error| format!("{error:#}"))
        .and_then(|subject| keyquake_audit::audit(&subject).map_err(|error| error.to_string()));
    match audited {
        Ok(audit) => {
            fold(judgement, &audit.invariants);
            Some(audit)
        }
        Err(_) if !plan.needs_keys() => None,
        Err(reason) => {
            let reason = format!("the disks could not be audited: {reason}");
            put(
                judgement,
                InvariantVerdict {
                    id: NONEMPTY.to_owned(),
                    verdict: Verdict::Inconclusive,
                    reason,
                    findings: Vec::new(),
                },
            );
            total(judgement);
            None
        }
    }
}

/// Puts the audit's verdicts among those of the history. Where both speak of one invariant, the
/// worse of them holds.
fn fold(judgement: &mut Judgement, audited: &[Audited]) {
    for one in audited {
        put(judgement, as_verdict(one));
    }
    total(judgement);
}

fn put(judgement: &mut Judgement, new: InvariantVerdict) {
    let all = &mut judgement.invariants;
    if let Some(old) = all.iter_mut().find(|old| old.id == new.id) {
        let (worse, other) = match new.verdict > old.verdict {
            true => (&new.reason, None),
            false if new.verdict == old.verdict => (&old.reason, Some(&new.reason)),
            false => (&old.reason, None),
        };
        let reason = match other {
            Some(other) => format!("{worse}; on the disks: {other}"),
            None => worse.clone(),
        };
        old.reason = reason;
        old.verdict = old.verdict.max(new.verdict);
        old.findings.extend(new.findings);
        return;
    }
    let own = all.iter().position(|one| one.id.starts_with(OWN));
    all.insert(own.unwrap_or(all.len()), new);
}

fn total(judgement: &mut Judgement) {
    let verdicts = judgement.invariants.iter().map(|one| one.verdict);
    judgement.verdict = verdicts.max().unwrap_or(Verdict::Inconclusive);
}

fn as_verdict(audited: &Audited) -> InvariantVerdict {
    let finding = |one: &keyquake_audit::Finding| Finding {
        anomaly: one.anomaly.to_owned(),
        key: None,
        ops: Vec::new(),
        explanation: format!("{} ({})", one.explanation, one.spot),
    };
    InvariantVerdict {
        id: audited.id.id().to_owned(),
        verdict: audited.verdict,
        reason: audited.reason.clone(),
        findings: audited.findings.iter().map(finding).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(id: &str, verdict: Verdict, reason: &str) -> InvariantVerdict {
        InvariantVerdict {
            id: id.to_owned(),
            verdict,
            reason: reason.to_owned(),
            findings: Vec::new(),
        }
    }

    #[test]
    fn the_worse_word_holds_and_the_suite_s_own_come_last() {
        let mut judgement = Judgement {
            verdict: Verdict::Valid,
            invariants: vec![
                verdict("LIN", Verdict::Valid, "all"),
                verdict(NONEMPTY, Verdict::Valid, "many"),
            ],
            stats: Default::default(),
        };
        put(
            &mut judgement,
            verdict("ENC-OPEN", Verdict::Valid, "9 of 9"),
        );
        put(&mut judgement, verdict(NONEMPTY, Verdict::Valid, "99 seen"));
        total(&mut judgement);
        let ids: Vec<_> = judgement.invariants.iter().map(|one| &*one.id).collect();
        assert_eq!(ids, ["LIN", "ENC-OPEN", NONEMPTY]);
        assert_eq!(judgement.verdict, Verdict::Valid);
        assert_eq!(
            judgement.invariants[2].reason,
            "many; on the disks: 99 seen"
        );
        put(
            &mut judgement,
            verdict(NONEMPTY, Verdict::Inconclusive, "void"),
        );
        total(&mut judgement);
        assert_eq!(judgement.verdict, Verdict::Inconclusive);
        assert_eq!(judgement.invariants[2].reason, "void");
        put(&mut judgement, verdict("LIN", Verdict::Violated, "broken"));
        put(&mut judgement, verdict("LIN", Verdict::Valid, "fine"));
        total(&mut judgement);
        assert_eq!(judgement.verdict, Verdict::Violated);
        assert_eq!(judgement.invariants[0].reason, "broken");
    }
}
