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
        id: "CONV",
        meaning: "all replicas have the same state at the end, as far as they have applied the log",
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
        id: "ROL-GATE",
        meaning: "a change of keys on a node that lacks flag, KEK or sidecar path is refused by name, and nothing is changed",
    },
    Invariant {
        id: "ROL-6A-INERT",
        meaning: "no flag makes a cluster of 6a nodes commit a change of keys",
    },
    Invariant {
        id: "ROL-HALT",
        meaning: "a node that can't apply a change of keys halts at its index, and again on every start of the same release",
    },
    Invariant {
        id: "ROL-RECOVER",
        meaning: "a halted node, started on a release and with flags that can, catches up and serves",
    },
    Invariant {
        id: "ROL-CAPABLE",
        meaning: "a cutover with a member that is not capable or can't be asked is refused by name, and nothing is changed",
    },
    Invariant {
        id: "ROL-REFUSE",
        meaning: "a startup guard trips exactly on its trigger, with its name, and changes nothing that a later start reads",
    },
    Invariant {
        id: "ROL-BARRIER",
        meaning: "during the raft cutover accepted writes are kept, refused ones leave nothing, and it always ends",
    },
    Invariant {
        id: "ROL-IDEMPOTENT",
        meaning: "a change of keys that is repeated leaves one set of keys and loses nothing",
    },
    Invariant {
        id: "ROL-STARTUP-ROTATE",
        meaning: "rotate-on-startup rotates at most once for each leadership, and never keeps a node from starting",
    },
    Invariant {
        id: "ROL-MEMBER",
        meaning: "a newcomer that is not capable or not registered is refused, and a capable one joins",
    },
    Invariant {
        id: "ROL-DOWNGRADE",
        meaning: "an unsafe downgrade is refused by the store or reported here",
    },
    Invariant {
        id: "ENC-PLAIN",
        meaning: "no value written after a cutover stands in the clear where it reaches, in any byte of any file",
    },
    Invariant {
        id: "ENC-NONCE",
        meaning: "no key and nonce seal two different things, on all nodes and at all times that were looked at",
    },
    Invariant {
        id: "ENC-NONCE-FORM",
        meaning: "every nonce is of its writer's id, an epoch that was persisted, and a count",
    },
    Invariant {
        id: "ENC-OPEN",
        meaning: "every envelope opens with the key that it names and the binding of its place",
    },
    Invariant {
        id: "ENC-BOUNDARY",
        meaning: "entries of the log are envelopes above the cutover and only there, and all agree on it",
    },
    Invariant {
        id: "ENC-ORDER",
        meaning: "keys come before what is done with them, and a second bootstrap never replaces them",
    },
    Invariant {
        id: "ENC-AGREE",
        meaning: "sidecars of the same applied index say the same, whenever that was",
    },
    Invariant {
        id: "ENC-SIDECAR-DURABLE",
        meaning: "an acknowledged change of keys is in a sidecar by then, and a sidecar is always whole",
    },
    Invariant {
        id: "ENC-SIDECAR-MONO",
        meaning: "what a sidecar says never goes back",
    },
    Invariant {
        id: "ENC-EPOCH",
        meaning: "a process seals under an epoch above those of earlier ones, and registers it",
    },
    Invariant {
        id: "ENC-REGISTRY",
        meaning: "the registry has one writer per row, of every member that seals, and its epochs only grow",
    },
    Invariant {
        id: "ENC-KEYS-SECRET",
        meaning: "no bare key stands in any file, log or answer",
    },
    Invariant {
        id: "ENC-RETIRE",
        meaning: "no key is dropped while something is sealed under it",
    },
    Invariant {
        id: "ENC-ONEWAY",
        meaning: "once on, no phase goes off again",
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
