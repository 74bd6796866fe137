//! SELF-NONEMPTY: enough happened for a verdict to mean anything: operations of every kind
//! succeeded, some of them met on a key, and every planned fault took effect and was healed.

use std::collections::BTreeMap;

use elle_rs::history::{Event, FaultStep};

use crate::expectations::Expectations;
use crate::judgement::InvariantVerdict;
use crate::run::{Run, few, inconclusive, valid};

const ID: &str = "SELF-NONEMPTY";

pub(crate) fn judge(run: &Run<'_>, expectations: &Expectations) -> InvariantVerdict {
    let mut lacks = Vec::new();
    if run.stats.workloads.is_empty() {
        lacks.push("there is no operation in the history".to_owned());
    }
    for (name, workload) in &run.stats.workloads {
        let wanted = expectations.min_ok_per_workload;
        let of_kind = wanted.div_ceil(10);
        let mut want = |had: u64, wanted: u64, what: &str| {
            if had < wanted {
                lacks.push(format!("{name}: {had} {what}, of at least {wanted}"));
            }
        };
        want(workload.ok, wanted, "operations succeeded");
        want(workload.ok_reads, of_kind, "reads succeeded");
        want(workload.ok_writes, of_kind, "writes succeeded");
        let contended = expectations.min_contended_per_workload;
        want(
            workload.contended,
            contended,
            "operations met another on their key",
        );
    }
    faults(run, expectations, &mut lacks);
    if !lacks.is_empty() {
        return inconclusive(ID, lacks.join("; "));
    }
    let workloads: Vec<String> = run
        .stats
        .workloads
        .iter()
        .map(|(name, workload)| {
            format!(
                "{name}: {} of {} operations succeeded, {} met another on their key",
                workload.ok, workload.invoked, workload.contended
            )
        })
        .collect();
    let faults = run.stats.faults.effective;
    let reason = format!(
        "{}; {faults} faults took effect and were healed",
        workloads.join("; ")
    );
    valid(ID, reason)
}

fn faults(run: &Run<'_>, expectations: &Expectations, lacks: &mut Vec<String>) {
    let mut faults: BTreeMap<u32, (&str, Vec<FaultStep>)> = BTreeMap::new();
    for event in run.events {
        if let Event::Fault(fault) = event {
            let (_, steps) = faults
                .entry(fault.fault)
                .or_insert_with(|| (&fault.name, Vec::new()));
            steps.push(fault.step);
        }
    }
    let mut blame = |is_so: &dyn Fn(&[FaultStep]) -> bool, what: &str| {
        let names: Vec<String> = faults
            .iter()
            .filter(|(_, (_, taken))| is_so(taken))
            .map(|(number, (name, _))| format!("{number} ({name})"))
            .collect();
        if !names.is_empty() {
            lacks.push(format!("fault {} {what}", few(&names)));
        }
    };
    let (effective, lost) = (FaultStep::Effective, FaultStep::Ineffective);
    let not_effective = |taken: &[FaultStep]| !taken.contains(&effective);
    blame(&not_effective, "was not seen to take effect");
    // Effective first, and then no longer, or not as long as it had to be.
    let was_lost = |taken: &[FaultStep]| taken.contains(&effective) && taken.contains(&lost);
    blame(&was_lost, "lost its effect, or was held for too short");
    blame(
        &|taken| !taken.contains(&FaultStep::Healed),
        "was not healed",
    );
    if let Some(planned) = expectations.planned_faults {
        let missing: Vec<u32> = (0..planned)
            .filter(|fault| !faults.contains_key(fault))
            .collect();
        if !missing.is_empty() {
            lacks.push(format!("planned fault {} never came", few(&missing)));
        }
    }
}
