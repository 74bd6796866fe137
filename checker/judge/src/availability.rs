//! AVAIL: when nothing is broken (any more), operations succeed within the recovery bound.
//!
//! Looked at are the beginning of the run and every moment at which the last active fault was
//! healed. If the next fault comes before the bound is over, or the history ends, and nothing
//! has succeeded by then, that moment says nothing. While the cluster can't serve by design
//! (a majority must not apply what is committed), nothing is asked of it; the verdict says so.

use elle_rs::Finding;
use elle_rs::history::{Event, FaultStep, Kind, words};
use std::collections::BTreeSet;

use crate::expectations::Expectations;
use crate::judgement::InvariantVerdict;
use crate::run::{Run, Workload, count, inconclusive, valid, violated};

const ID: &str = "AVAIL";

pub(crate) fn judge(run: &Run<'_>, expectations: &Expectations) -> Option<InvariantVerdict> {
    if run.stats.workloads.is_empty() {
        return None;
    }
    let calms = calms(run.events);
    let mut findings = Vec::new();
    let mut judged = 0;
    let mut longest = 0;
    for calm in &calms {
        for workload in Workload::ALL.into_iter().filter(|&w| run.has(w)) {
            match recovery(run, calm, workload, expectations.recovery_bound_ns) {
                Recovery::After(ns) => {
                    judged += 1;
                    longest = longest.max(ns);
                }
                Recovery::Untold => {}
                Recovery::Never { tried } => {
                    judged += 1;
                    findings.push(unavailable(calm, workload, &tried, expectations));
                }
            }
        }
    }
    let bound = words::time(expectations.recovery_bound_ns);
    let moments = count(calms.len(), "moment");
    Some(if !findings.is_empty() {
        let reason = format!(
            "{} of {judged} times, a workload did not recover within {bound}",
            findings.len()
        );
        violated(ID, reason, findings)
    } else if judged == 0 {
        let reason = format!("none of {moments} without a fault lasted long enough to tell");
        inconclusive(ID, reason)
    } else {
        let longest = words::time(longest);
        let outages = outages(run.events);
        let reason = format!(
            "at {moments} when nothing was broken (any more), operations succeeded within {longest} \
             at the longest; the bound is {bound}{outages}"
        );
        valid(ID, reason)
    })
}

/// What the verdict leaves out, for its reason.
fn outages(events: &[Event]) -> String {
    let mut reasons = events.iter().filter_map(|event| match event {
        Event::Outage(outage) if outage.begins => Some(outage),
        _ => None,
    });
    match (reasons.next(), reasons.count()) {
        (None, _) => String::new(),
        (Some(first), others) => format!(
            "; nothing was asked of it during {} by design (at {}: {})",
            count(1 + others, "outage"),
            words::time(first.time_ns),
            first.reason
        ),
    }
}

/// A time without any fault.
struct Calm {
    /// Position of the event it begins with, and what that was.
    from: usize,
    since_ns: u64,
    what: String,
    /// When the next fault is armed.
    until_ns: Option<u64>,
}

/// Why operations may fail.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Trouble {
    Fault(u32),
    Outage,
}

fn calms(events: &[Event]) -> Vec<Calm> {
    let mut active: BTreeSet<Trouble> = BTreeSet::new();
    let first = events
        .iter()
        .position(|event| matches!(event, Event::Op(_)));
    let mut calms: Vec<Calm> = first
        .map(|from| Calm {
            from,
            since_ns: events[from].time_ns(),
            what: "the first operation".to_owned(),
            until_ns: None,
        })
        .into_iter()
        .collect();
    for (position, event) in events.iter().enumerate() {
        if let Event::Outage(outage) = event {
            if !outage.begins {
                if active.remove(&Trouble::Outage) && active.is_empty() {
                    calms.push(Calm {
                        from: position,
                        since_ns: outage.time_ns,
                        what: "the outage by design was over".to_owned(),
                        until_ns: None,
                    });
                }
            } else if active.insert(Trouble::Outage)
                && active.len() == 1
                && let Some(calm) = calms.last_mut()
            {
                calm.until_ns.get_or_insert(outage.time_ns);
            }
            continue;
        }
        let Event::Fault(fault) = event else { continue };
        match fault.step {
            FaultStep::Armed | FaultStep::Effective | FaultStep::HealFailed => {
                if active.insert(Trouble::Fault(fault.fault))
                    && active.len() == 1
                    && let Some(calm) = calms.last_mut()
                {
                    calm.until_ns.get_or_insert(fault.time_ns);
                }
            }
            FaultStep::Ineffective => {}
            FaultStep::Healed => {
                if active.remove(&Trouble::Fault(fault.fault)) && active.is_empty() {
                    calms.push(Calm {
                        from: position,
                        since_ns: fault.time_ns,
                        what: format!("fault {} ({}) was healed", fault.fault, fault.name),
                        until_ns: None,
                    });
                }
            }
        }
    }
    calms
}

enum Recovery {
    /// Something succeeded after this many nanoseconds.
    After(u64),
    /// The calm was too short, or nobody tried.
    Untold,
    /// The bound went by; these were tried, by the index of their invocations.
    Never { tried: Vec<u64> },
}

fn recovery(run: &Run<'_>, calm: &Calm, workload: Workload, bound_ns: u64) -> Recovery {
    let deadline = calm.since_ns.saturating_add(bound_ns);
    let mut tried = Vec::new();
    for event in &run.events[calm.from..] {
        let now = event.time_ns();
        if calm.until_ns.is_some_and(|until| now > until) {
            return Recovery::Untold;
        }
        if now > deadline {
            return if tried.is_empty() {
                Recovery::Untold
            } else {
                Recovery::Never { tried }
            };
        }
        let Event::Op(op) = event else { continue };
        if Workload::of(&op.action) != workload {
            continue;
        }
        match op.kind {
            Kind::Ok => return Recovery::After(now - calm.since_ns.min(now)),
            Kind::Invoke => tried.push(op.index),
            Kind::Fail | Kind::Info => {}
        }
    }
    Recovery::Untold
}

fn unavailable(
    calm: &Calm,
    workload: Workload,
    tried: &[u64],
    expectations: &Expectations,
) -> Finding {
    const SHOWN: usize = 4;
    Finding {
        anomaly: "unavailable".to_owned(),
        key: None,
        ops: tried.iter().copied().take(SHOWN).collect(),
        explanation: format!(
            "after {} at {}, no {} operation succeeded for {}, though no fault was active; {} were \
             tried",
            calm.what,
            words::time(calm.since_ns),
            workload.name(),
            words::time(expectations.recovery_bound_ns),
            tried.len(),
        ),
    }
}
