//! Runs to report on: histories as a three-node cluster under faults would leave
//! them, made from a fixed seed.

use elle_rs::Finding;
use elle_rs::history::{Action, Event, FaultEvent, FaultStep, Kind, Op, Phase, PhaseEvent, Step};
use jiff::Timestamp;
use keyquake_judge::{InvariantVerdict, Judgement, Stats, Verdict};
use keyquake_results::{
    BinaryInfo, HostInfo, NetworkInfo, NodeInfo, PhaseTiming, RUN_FORMAT, RunInfo,
};

const MS: u64 = 1_000_000;

/// Faults of a sample: name, nodes, armed, effective and healed in milliseconds.
const FAULTS: [(&str, &[u16], u64, u64, u64); 6] = [
    ("kill", &[0], 2100, 2160, 4700),
    ("partition-halves", &[1, 2], 6200, 6450, 9100),
    ("pause", &[1], 10_400, 10_410, 13_300),
    (
        "partition-majority-ring",
        &[0, 1, 2],
        14_900,
        15_100,
        17_500,
    ),
    ("partition-one-way", &[2], 19_300, 19_500, 22_000),
    ("kill", &[1], 24_000, 24_050, 26_900),
];

/// What a run says about itself.
pub fn run_info(seed: u64) -> RunInfo {
    RunInfo {
        format: RUN_FORMAT,
        id: format!("20261124T154835.481Z-s{seed}"),
        seed,
        command: format!(
            "keyquake run --seed {seed} --time 30s --nodes 3 --workload register,append --faults kill,pause,partition"
        ),
        system: "reference".to_owned(),
        nodes: (1..=3)
            .map(|n| NodeInfo {
                id: format!("n{n}"),
                release: "6f".to_owned(),
            })
            .collect(),
        runtime: "process".to_owned(),
        network: NetworkInfo {
            kind: "namespace".to_owned(),
            cost: None,
        },
        host: HostInfo {
            kernel: "6.1.0-40-amd64".to_owned(),
            cores: 2,
            memory_bytes: 8 << 30,
            user: "nobody".to_owned(),
        },
        binaries: vec![BinaryInfo {
            path: "target/release/keyquake".to_owned(),
            digest: format!("sha256:{}", "9f86d081884c7d65".repeat(4)),
            releases: vec!["6f".to_owned()],
        }],
        images: Vec::new(),
        encryption: None,
        started: Timestamp::from_millisecond(1_795_535_315_481).expect("a moment in 2026"),
        phases: ["start", "main", "final", "judge"]
            .into_iter()
            .zip([812, 30_004, 951, 144])
            .map(|(name, ms)| PhaseTiming {
                name: name.to_owned(),
                ms,
            })
            .collect(),
        ended_early: None,
        suite_version: "0.1.0".to_owned(),
    }
}

/// The plan of a sample, as text.
pub fn plan() -> String {
    let mut text = String::from("version = 1\nseed = 42\ntime = \"30s\"\nnodes = 3\n");
    for (name, _, armed, _, healed) in FAULTS {
        let held = healed - armed;
        text.push_str(&format!("\n[[faults]]\nat = \"{armed}ms\"\nfor = \"{held}ms\"\nfault = \"{name}\"\ntarget = \"leader\"\n"));
    }
    text
}

/// A run that keeps its promises, with faults, over 32 s; `per_second` operations.
pub fn history(per_second: u64) -> Vec<Event> {
    let mut made = Made {
        random: 0x9e37_79b9_7f4a_7c15,
        ..Made::default()
    };
    let gap = 1_000_000_000 / per_second;
    for count in 0..(32_000 * MS / gap) {
        made.operation(count * gap, count);
    }
    made.faults();
    for (phase, ms) in [
        (Phase::Main, 0),
        (Phase::Final, 30_000),
        (Phase::End, 33_500),
    ] {
        made.at(
            ms * MS,
            Event::Phase(PhaseEvent {
                index: 0,
                time_ns: ms * MS,
                phase,
            }),
        );
    }
    made.finished()
}

/// One operation alone: a read that came back.
pub fn one_operation() -> Vec<Event> {
    let read = |value| Action::Read { key: 1, value };
    vec![
        op(0, 5 * MS, 0, Kind::Invoke, read(None), None),
        op(1, 7 * MS, 0, Kind::Ok, read(Some(7)), None),
    ]
}

/// An operation event on the first node.
pub fn op(
    index: u64,
    time_ns: u64,
    process: u32,
    kind: Kind,
    action: Action,
    error: Option<&str>,
) -> Event {
    let error = error.map(str::to_owned);
    Event::Op(Op {
        index,
        time_ns,
        process,
        kind,
        action,
        node: Some(0),
        error,
    })
}

/// A judgement that all invariants hold.
pub fn valid() -> Judgement {
    let invariants = [
        (
            "LIN",
            "5412 operations on 8 keys linearize; 31 of them pending",
        ),
        (
            "SSER",
            "2604 transactions on 46 lists, no cycle; 18 pending",
        ),
        (
            "DUR",
            "all 4016 acknowledged writes were read back after healing",
        ),
        (
            "AVAIL",
            "each workload succeeded within 5 s of each of 6 healings; slowest 1.21 s",
        ),
        (
            "ERR",
            "none of 212 failed operations was seen to take effect",
        ),
        ("SELF-HISTORY", "18632 events, well-formed and complete"),
        (
            "SELF-NONEMPTY",
            "8016 successful operations, 6 of 6 faults effective and healed",
        ),
    ];
    judgement(
        Verdict::Valid,
        invariants
            .into_iter()
            .map(|(id, reason)| invariant(id, Verdict::Valid, reason, vec![]))
            .collect(),
    )
}

/// A judgement with these findings on LIN, the rest valid.
pub fn violated(findings: Vec<Finding>) -> Judgement {
    let mut all = valid();
    all.verdict = Verdict::Violated;
    let reason = format!("{} findings on 1 of 8 keys", findings.len());
    all.invariants[0] = invariant("LIN", Verdict::Violated, &reason, findings);
    all
}

/// A judgement that could not be reached.
pub fn inconclusive() -> Judgement {
    let mut all = valid();
    all.verdict = Verdict::Inconclusive;
    let reason = "fault 2 (pause n2) was armed, but nothing shows that it took effect";
    all.invariants[6] = invariant("SELF-NONEMPTY", Verdict::Inconclusive, reason, vec![]);
    all
}

/// Any judgement of some invariants.
pub fn judgement(verdict: Verdict, invariants: Vec<InvariantVerdict>) -> Judgement {
    Judgement {
        verdict,
        invariants,
        stats: Stats::default(),
    }
}

/// One invariant, judged.
pub fn invariant(
    id: &str,
    verdict: Verdict,
    reason: &str,
    findings: Vec<Finding>,
) -> InvariantVerdict {
    InvariantVerdict {
        id: id.to_owned(),
        verdict,
        reason: reason.to_owned(),
        findings,
    }
}

/// A finding.
pub fn finding(anomaly: &str, ops: Vec<u64>, explanation: &str) -> Finding {
    Finding {
        anomaly: anomaly.to_owned(),
        key: Some(3),
        ops,
        explanation: explanation.to_owned(),
    }
}

#[derive(Default)]
struct Made {
    events: Vec<(u64, Event)>,
    random: u64,
    fresh: u32,
    free_at: [u64; 20],
    process: [u32; 20],
}

impl Made {
    fn draw(&mut self, below: u64) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.random % below
    }

    fn at(&mut self, time_ns: u64, event: Event) {
        self.events.push((time_ns, event));
    }

    fn operation(&mut self, time_ns: u64, count: u64) {
        let Some(client) = (0..20).find(|client| self.free_at[*client] <= time_ns) else {
            return;
        };
        let process = self.process[client] * 20 + client as u32;
        let (asked, answered) = self.action(client, count);
        let ms = time_ns / MS;
        let troubled = FAULTS
            .iter()
            .any(|fault| (fault.3..fault.3 + 900).contains(&ms));
        let (kind, took, error) = match self.draw(100) {
            0..6 if troubled => (Kind::Info, 3000 * MS, Some("timeout: no answer within 3s")),
            6..16 if troubled => (
                Kind::Fail,
                2 * MS,
                Some("not-leader: NOTLEADER leader not found"),
            ),
            16..60 if troubled => (Kind::Ok, (200 + self.draw(700)) * MS, None),
            0 => (Kind::Ok, (18 + self.draw(60)) * MS, None),
            _ => (Kind::Ok, 900_000 + self.draw(2_400_000), None),
        };
        let action = if kind == Kind::Ok {
            answered
        } else {
            asked.clone()
        };
        let node = Some(self.draw(3) as u16);
        let end = time_ns + took;
        let event = |time_ns, kind, action, error: Option<&str>| {
            Event::Op(Op {
                index: 0,
                time_ns,
                process,
                kind,
                action,
                node,
                error: error.map(str::to_owned),
            })
        };
        self.at(time_ns, event(time_ns, Kind::Invoke, asked, None));
        self.at(end, event(end, kind, action, error));
        self.free_at[client] = end + 1;
        if kind == Kind::Info {
            self.fresh += 1;
            self.process[client] = self.fresh;
        }
    }

    fn action(&mut self, client: usize, count: u64) -> (Action, Action) {
        let key = self.draw(8);
        if client >= 12 || count % 3 == 2 {
            let append = Step::Append { key, value: count };
            let read = |list| Step::Read { key: key + 1, list };
            let asked = Action::Txn {
                steps: vec![append.clone(), read(None)],
            };
            return (
                asked,
                Action::Txn {
                    steps: vec![append, read(Some((1..30).collect()))],
                },
            );
        }
        match self.draw(3) {
            0 => (
                Action::Read { key, value: None },
                Action::Read {
                    key,
                    value: Some(count / 2),
                },
            ),
            1 => (
                Action::Write { key, value: count },
                Action::Write { key, value: count },
            ),
            _ => (
                Action::Swap {
                    key,
                    value: count,
                    old: None,
                },
                Action::Swap {
                    key,
                    value: count,
                    old: Some(count / 2),
                },
            ),
        }
    }

    fn faults(&mut self) {
        for (fault, (name, nodes, armed, effective, healed)) in FAULTS.into_iter().enumerate() {
            let steps = [
                (
                    FaultStep::Armed,
                    armed,
                    "leader is n1 (term 4, asked 3 nodes)",
                ),
                (
                    FaultStep::Effective,
                    effective,
                    "pid 4711 ran before; exit status: signal 9, by us",
                ),
                (
                    FaultStep::Healed,
                    healed,
                    "restarted as pid 4790, ready after 211 ms",
                ),
            ];
            for (step, ms, evidence) in steps {
                let event = FaultEvent {
                    index: 0,
                    time_ns: ms * MS,
                    fault: fault as u32,
                    name: name.to_owned(),
                    nodes: nodes.to_vec(),
                    step,
                    evidence: evidence.to_owned(),
                };
                self.at(ms * MS, Event::Fault(event));
            }
        }
    }

    fn finished(mut self) -> Vec<Event> {
        self.events.sort_by_key(|(time, _)| *time);
        let numbered = self
            .events
            .into_iter()
            .enumerate()
            .map(|(index, (_, mut event))| {
                match &mut event {
                    Event::Op(op) => op.index = index as u64,
                    Event::Fault(fault) => fault.index = index as u64,
                    Event::Phase(phase) => phase.index = index as u64,
                    Event::Exit(exit) => exit.index = index as u64,
                    Event::Outcome(outcome) => outcome.index = index as u64,
                    Event::Outage(outage) => outage.index = index as u64,
                }
                event
            });
        numbered.collect()
    }
}
