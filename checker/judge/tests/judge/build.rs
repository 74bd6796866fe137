//! Histories for tests, written event by event.

use elle_rs::history::{
    Action, Event, ExitEvent, FaultEvent, FaultStep, Key, Kind, Op, OutageEvent, OutcomeEvent,
    Phase, PhaseEvent, Step, Value,
};
use keyquake_judge::{Expectations, InvariantVerdict, Judgement, Verdict, judge};

/// A history in the making; each event comes a millisecond after the one before.
#[derive(Default)]
pub struct History {
    pub events: Vec<Event>,
    next_index: u64,
    now_ns: u64,
    processes: u32,
}

/// An operation that has begun.
#[derive(Clone)]
pub struct Begun {
    process: u32,
    action: Action,
}

pub const MILLISECOND: u64 = 1_000_000;

impl History {
    pub fn new() -> Self {
        let mut history = History::default();
        history.phase(Phase::Main);
        history
    }

    fn tick(&mut self) -> (u64, u64) {
        self.now_ns += MILLISECOND;
        self.next_index += 1;
        (self.next_index - 1, self.now_ns)
    }

    /// Lets time go by.
    pub fn wait(&mut self, milliseconds: u64) -> &mut Self {
        self.now_ns += milliseconds * MILLISECOND;
        self
    }

    pub fn phase(&mut self, phase: Phase) -> &mut Self {
        let (index, time_ns) = self.tick();
        self.events.push(Event::Phase(PhaseEvent {
            index,
            time_ns,
            phase,
        }));
        self
    }

    pub fn exit(&mut self, node: u16, ending: &str) -> &mut Self {
        let (index, time_ns) = self.tick();
        self.events.push(Event::Exit(ExitEvent {
            index,
            time_ns,
            node,
            ending: ending.to_owned(),
        }));
        self
    }

    /// What came of a step, beside what must.
    pub fn outcome(&mut self, invariant: &str, expected: &[&str], observed: &str) -> &mut Self {
        let (index, time_ns) = self.tick();
        self.events.push(Event::Outcome(OutcomeEvent {
            index,
            time_ns,
            fault: 3,
            invariant: invariant.to_owned(),
            subject: "admin bootstrap".to_owned(),
            node: None,
            expected: expected.iter().map(|word| (*word).to_owned()).collect(),
            because: "the table says so".to_owned(),
            observed: observed.to_owned(),
            evidence: "it answered".to_owned(),
        }));
        self
    }

    /// The cluster can't serve by design, or can again.
    pub fn outage(&mut self, begins: bool) -> &mut Self {
        let (index, time_ns) = self.tick();
        self.events.push(Event::Outage(OutageEvent {
            index,
            time_ns,
            begins,
            reason: "2 of 3 members have halted".to_owned(),
        }));
        self
    }

    pub fn fault(&mut self, fault: u32, step: FaultStep) -> &mut Self {
        self.fault_of("kill", fault, step)
    }

    pub fn fault_of(&mut self, name: &str, fault: u32, step: FaultStep) -> &mut Self {
        let (index, time_ns) = self.tick();
        self.events.push(Event::Fault(FaultEvent {
            index,
            time_ns,
            fault,
            name: name.to_owned(),
            nodes: vec![0],
            step,
            evidence: "pid 7 was killed by signal 9".to_owned(),
        }));
        self
    }

    fn op(&mut self, process: u32, kind: Kind, action: Action, error: Option<&str>) -> &mut Self {
        let (index, time_ns) = self.tick();
        self.events.push(Event::Op(Op {
            index,
            time_ns,
            process,
            kind,
            action,
            node: Some(process as u16 % 3),
            error: error.map(str::to_owned),
        }));
        self
    }

    /// Begins an operation by a process of its own.
    pub fn begin(&mut self, action: Action) -> Begun {
        self.processes += 1;
        let process = self.processes;
        self.op(process, Kind::Invoke, action.clone(), None);
        Begun { process, action }
    }

    pub fn end(&mut self, begun: &Begun, kind: Kind) -> &mut Self {
        let error = (kind != Kind::Ok).then_some("unavailable: no leader");
        self.op(begun.process, kind, begun.action.clone(), error)
    }

    /// An operation from beginning to end.
    pub fn run(&mut self, action: Action, kind: Kind) -> &mut Self {
        let begun = self.begin(action);
        self.end(&begun, kind)
    }

    pub fn ok(&mut self, action: Action) -> &mut Self {
        self.run(action, Kind::Ok)
    }

    /// Adds the end, and judges by bounds that few operations satisfy.
    pub fn judged(&mut self) -> Judgement {
        self.phase(Phase::End);
        self.judged_as_is()
    }

    pub fn judged_as_is(&self) -> Judgement {
        judge(&self.events, None, &modest())
    }
}

/// Bounds for histories of a few operations.
pub fn modest() -> Expectations {
    Expectations {
        min_ok_per_workload: 2,
        min_contended_per_workload: 0,
        recovery_bound_ns: 100 * MILLISECOND,
        planned_faults: None,
    }
}

pub fn read(key: Key, value: Option<Value>) -> Action {
    Action::Read { key, value }
}

pub fn write(key: Key, value: Value) -> Action {
    Action::Write { key, value }
}

pub fn append(key: Key, value: Value) -> Action {
    Action::Txn {
        steps: vec![Step::Append { key, value }],
    }
}

pub fn list(key: Key, list: &[Value]) -> Action {
    Action::Txn {
        steps: vec![Step::Read {
            key,
            list: Some(list.to_vec()),
        }],
    }
}

/// The verdict on one invariant, which must be there.
pub fn on<'a>(judgement: &'a Judgement, id: &str) -> &'a InvariantVerdict {
    let invariant = judgement.invariant(id);
    let invariant = invariant.unwrap_or_else(|| panic!("{id} is not in {judgement}"));
    assert!(!invariant.reason.is_empty());
    assert_eq!(
        invariant.findings.is_empty(),
        invariant.verdict != Verdict::Violated,
        "{invariant}"
    );
    invariant
}

pub fn assert_valid(judgement: &Judgement, id: &str) {
    let invariant = on(judgement, id);
    assert_eq!(invariant.verdict, Verdict::Valid, "{invariant}");
}

/// Violated, with these anomalies in this order.
pub fn assert_violated(judgement: &Judgement, id: &str, anomalies: &[&str]) {
    let invariant = on(judgement, id);
    let found: Vec<&str> = invariant
        .findings
        .iter()
        .map(|f| f.anomaly.as_str())
        .collect();
    assert_eq!(found, anomalies, "{invariant} {:#?}", invariant.findings);
    assert_eq!(judgement.verdict, Verdict::Violated);
}

/// Inconclusive, for a reason with these words in it.
pub fn assert_inconclusive(judgement: &Judgement, id: &str, words: &str) {
    let invariant = on(judgement, id);
    assert_eq!(invariant.verdict, Verdict::Inconclusive, "{invariant}");
    assert!(invariant.reason.contains(words), "{invariant}");
    assert_ne!(judgement.verdict, Verdict::Valid);
}
