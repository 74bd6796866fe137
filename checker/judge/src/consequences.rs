//! What operators' steps do to clients: anomalies that a rule of the rollout forbids by its own name.
//!
//! Nothing is looked for here: what LIN, SSER, DUR, ERR and AVAIL found is set beside what was being
//! done to the cluster at that moment. ROL-BARRIER is about operations under way while phase 2 is turned on, and
//! about writes never succeeding again after it; ROL-HALT about what a member answers that has
//! halted.

use elle_rs::Finding;
use elle_rs::history::{Event, FaultStep, OutcomeEvent, words};
use keyquake_rollout::Outcome;
use rustc_hash::FxHashMap;

use crate::judgement::{InvariantVerdict, Verdict};
use crate::rollout::outcomes;
use crate::run::{Operation, Run, count, violated};

const BARRIER: &str = "ROL-BARRIER";
const HALT: &str = "ROL-HALT";
/// The call that turns phase 2 on, as outcomes name it.
const PHASE_2: &str = "enable-raft-envelope";
/// What clients can see to be broken.
const OF_CLIENTS: [&str; 4] = ["LIN", "SSER", "DUR", "ERR"];
const AVAIL: &str = "AVAIL";

/// Adds what the others' findings say of the rollout to its invariants.
pub(crate) fn add(run: &Run<'_>, invariants: &mut Vec<InvariantVerdict>) {
    let operations: FxHashMap<u64, Operation<'_>> = run
        .operations()
        .map(|operation| (operation.asked.index, operation))
        .collect();
    let barriers = barriers(run);
    let halts = halts(run);
    let (mut at_barriers, mut of_halted) = (Vec::new(), Vec::new());
    for finding in broken(invariants, &OF_CLIENTS) {
        let of_finding = || finding.ops.iter().filter_map(|op| operations.get(op));
        let met = |barrier: &&Barrier| of_finding().any(|op| barrier.met(run, op));
        if let Some(barrier) = barriers.iter().find(met) {
            at_barriers.push(because(finding, &barrier.words()));
        }
        let answered = |halt: &&Halt| of_finding().any(|op| halt.answered(op));
        if let Some(halt) = halts.iter().find(answered) {
            of_halted.push(because(finding, &halt.words()));
        }
    }
    for finding in broken(invariants, &[AVAIL]) {
        let first = finding.ops.first().and_then(|op| operations.get(op));
        let since = first.map(|operation| operation.asked.time_ns);
        let shut = |barrier: &&Barrier| since.is_some_and(|at| barrier.shut(run, at));
        if let Some(barrier) = barriers.iter().find(shut) {
            at_barriers.push(because(finding, &barrier.words()));
        }
    }
    break_with(invariants, BARRIER, at_barriers);
    break_with(invariants, HALT, of_halted);
}

/// The findings under these invariants.
fn broken<'a>(
    invariants: &'a [InvariantVerdict],
    ids: &'a [&str],
) -> impl Iterator<Item = &'a Finding> {
    let named = invariants.iter().filter(|one| ids.contains(&&*one.id));
    named.flat_map(|one| &one.findings)
}

fn because(finding: &Finding, when: &str) -> Finding {
    Finding {
        explanation: format!("{when}: {}", finding.explanation),
        ..finding.clone()
    }
}

/// Adds findings to an invariant, which may not have been judged so far.
fn break_with(invariants: &mut Vec<InvariantVerdict>, id: &str, mut findings: Vec<Finding>) {
    if findings.is_empty() {
        return;
    }
    let reason = format!("clients met with {}", count(findings.len(), "finding"));
    match invariants.iter_mut().find(|one| one.id == id) {
        None => invariants.push(violated(id, reason, findings)),
        Some(judged) => {
            judged.reason = match judged.verdict {
                Verdict::Violated => format!("{}; {reason}", judged.reason),
                _ => reason,
            };
            judged.verdict = Verdict::Violated;
            judged.findings.append(&mut findings);
        }
    }
}

/// Phase 2 being turned on.
struct Barrier {
    /// From the moment when the call was about to be made …
    from_ns: u64,
    /// … until its answer was there.
    until_ns: u64,
}

fn barriers(run: &Run<'_>) -> Vec<Barrier> {
    let calls = outcomes(run).filter(|event| {
        let observed = event.observed.parse::<Outcome>();
        event.subject.starts_with(PHASE_2)
            && matches!(observed, Ok(Outcome::Accepted | Outcome::Indeterminate))
    });
    let barrier = |event: &OutcomeEvent| Barrier {
        from_ns: armed(run, event.fault).unwrap_or(event.time_ns),
        until_ns: event.time_ns,
    };
    calls.map(barrier).collect()
}

fn armed(run: &Run<'_>, number: u32) -> Option<u64> {
    run.events.iter().find_map(|event| match event {
        Event::Fault(fault) if fault.fault == number && fault.step == FaultStep::Armed => {
            Some(fault.time_ns)
        }
        _ => None,
    })
}

impl Barrier {
    /// Whether an operation was under way while it stood.
    fn met(&self, run: &Run<'_>, operation: &Operation<'_>) -> bool {
        let ended = operation.pair.complete.map(|at| run.time_at(at));
        operation.asked.time_ns <= self.until_ns
            && ended.is_none_or(|ended| ended >= self.from_ns)
            && changes(operation)
    }

    /// Whether it never ended, for all that clients know: what failed from a moment on came after it,
    /// and no write has succeeded since.
    fn shut(&self, run: &Run<'_>, since_ns: u64) -> bool {
        let succeeded = |operation: &Operation<'_>| {
            let answer = operation.answer.map(|answer| answer.time_ns);
            changes(operation) && answer.is_some_and(|at| at > self.until_ns)
        };
        since_ns >= self.from_ns && !run.operations().any(|operation| succeeded(&operation))
    }

    fn words(&self) -> String {
        format!(
            "phase 2 was turned on between {} and {}",
            words::time(self.from_ns),
            words::time(self.until_ns)
        )
    }
}

fn changes(operation: &Operation<'_>) -> bool {
    use elle_rs::history::{Action, Step};
    match &operation.asked.action {
        Action::Read { .. } => false,
        Action::Write { .. } | Action::Swap { .. } | Action::Cas { .. } => true,
        Action::Txn { steps } => steps.iter().any(|step| matches!(step, Step::Append { .. })),
    }
}

/// The time in which a member has halted, and was not started anew.
struct Halt {
    node: u16,
    from_ns: u64,
    until_ns: Option<u64>,
}

fn halts(run: &Run<'_>) -> Vec<Halt> {
    let mut halts: Vec<Halt> = Vec::new();
    for event in outcomes(run) {
        let (Some(node), Ok(observed)) = (event.node, event.observed.parse::<Outcome>()) else {
            continue;
        };
        // What was found of its files or keys says nothing of its process.
        if matches!(observed, Outcome::Changed | Outcome::Unchanged) {
            continue;
        }
        // Any other outcome of a node ends what was before: it was started, or has halted again.
        for halt in halts.iter_mut().filter(|halt| halt.node == node) {
            halt.until_ns.get_or_insert(event.time_ns);
        }
        if matches!(observed, Outcome::Halts(_)) {
            let from_ns = event.time_ns;
            let until_ns = None;
            halts.push(Halt {
                node,
                from_ns,
                until_ns,
            });
        }
    }
    halts
}

impl Halt {
    /// Whether it is this member that answered a read, after it had halted. A write it may send on.
    fn answered(&self, operation: &Operation<'_>) -> bool {
        let Some(answer) = operation.answer else {
            return false;
        };
        operation.asked.node == Some(self.node)
            && !changes(operation)
            && operation.asked.time_ns >= self.from_ns
            && self.until_ns.is_none_or(|until| answer.time_ns <= until)
    }

    fn words(&self) -> String {
        format!(
            "{} had halted at {}, and answered",
            words::node(self.node),
            words::time(self.from_ns)
        )
    }
}
