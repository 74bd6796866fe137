//! What each invariant means, in one line: for reports, tables and `--help`.

use serde::Serialize;

/// An invariant that a run can be judged by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Invariant {
    /// Its id, as in `verdict.json`.
    pub id: &'static str,
    /// What holds when it holds, in one line.
    pub meaning: &'static str,
}

/// The invariants that are judged now, in the order a report shows them.
pub const INVARIANTS: &[Invariant] = &[
    Invariant {
        id: "LIN",
        meaning: "every register behaves as if its operations ran one at a time, in real-time order",
    },
    Invariant {
        id: "SSER",
        meaning: "list-append transactions behave as if they ran one at a time, in real-time order",
    },
    Invariant {
        id: "DUR",
        meaning: "every acknowledged write is still there after all faults are healed",
    },
    Invariant {
        id: "AVAIL",
        meaning: "once a fault is healed, operations succeed again within the recovery bound",
    },
    Invariant {
        id: "ERR",
        meaning: "an operation answered with a definite error took no effect",
    },
    Invariant {
        id: "ROL-RESTART",
        meaning: "nodes stay up unless a fault ends them, and a killed node serves again after its restart",
    },
    Invariant {
        id: "SELF-HISTORY",
        meaning: "the suite's own record is whole and well-formed",
    },
    Invariant {
        id: "SELF-NONEMPTY",
        meaning: "enough operations succeeded and the planned faults took effect, so a verdict means something",
    },
];

/// The one-line meaning of an invariant, or `None` for an id not known here.
pub fn meaning(id: &str) -> Option<&'static str> {
    INVARIANTS
        .iter()
        .find(|invariant| invariant.id == id)
        .map(|invariant| invariant.meaning)
}
