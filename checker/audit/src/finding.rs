//! What an audit finds: one broken invariant in one place, with its evidence.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use serde::Serialize;

/// Of one kind of finding under one invariant, this many are kept whole; all are counted.
const KEPT_MAX: usize = 20;

/// The invariants that disks can break, by their ids.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub enum Invariant {
    /// Replicas that have applied the same log have the same state.
    #[serde(rename = "CONV")]
    Converged,
    /// Nothing written after a cutover stands in the clear where it must not.
    #[serde(rename = "ENC-PLAIN")]
    Plain,
    /// No key and nonce seal two different things.
    #[serde(rename = "ENC-NONCE")]
    Nonce,
    /// Nonces are made of their writer's id, a persisted epoch and a count.
    #[serde(rename = "ENC-NONCE-FORM")]
    NonceForm,
    /// Every envelope opens, with the key and the binding of its place.
    #[serde(rename = "ENC-OPEN")]
    Open,
    /// Envelopes stand in the log above the cutover, and only there; all agree on it.
    #[serde(rename = "ENC-BOUNDARY")]
    Boundary,
    /// Sidecars of the same applied index say the same.
    #[serde(rename = "ENC-AGREE")]
    Agree,
    /// A sidecar is whole.
    #[serde(rename = "ENC-SIDECAR-DURABLE")]
    SidecarDurable,
    /// No bare key stands anywhere.
    #[serde(rename = "ENC-KEYS-SECRET")]
    KeysSecret,
    /// Keys come before what is done with them, and are never replaced.
    #[serde(rename = "ENC-ORDER")]
    Order,
    /// What a sidecar says never goes back.
    #[serde(rename = "ENC-SIDECAR-MONO")]
    SidecarMono,
    /// Every process seals under an epoch of its own, which is registered.
    #[serde(rename = "ENC-EPOCH")]
    Epoch,
    /// The writer registry has one writer per row, and its epochs only grow.
    #[serde(rename = "ENC-REGISTRY")]
    Registry,
    /// No key is dropped while something is sealed under it.
    #[serde(rename = "ENC-RETIRE")]
    Retire,
    /// Once on, no phase goes off.
    #[serde(rename = "ENC-ONEWAY")]
    OneWay,
    /// What was refused is in no log.
    #[serde(rename = "ROL-GATE")]
    RolGate,
    /// A cluster of 6A nodes commits no change of keys.
    #[serde(rename = "ROL-6A-INERT")]
    RolInert,
    /// A cutover that is repeated stays where it is.
    #[serde(rename = "ROL-IDEMPOTENT")]
    RolIdempotent,
    /// Starts rotate once for each leadership, and only leaders'.
    #[serde(rename = "ROL-STARTUP-ROTATE")]
    RolStartupRotate,
    /// No write is proposed twice behind the barrier.
    #[serde(rename = "ROL-BARRIER")]
    RolBarrier,
    /// The audit saw enough for its word to mean something.
    #[serde(rename = "SELF-NONEMPTY")]
    SelfNonempty,
}

impl Invariant {
    /// The id, as everywhere in the suite.
    pub fn id(self) -> &'static str {
        match self {
            Invariant::Converged => "CONV",
            Invariant::Plain => "ENC-PLAIN",
            Invariant::Nonce => "ENC-NONCE",
            Invariant::NonceForm => "ENC-NONCE-FORM",
            Invariant::Open => "ENC-OPEN",
            Invariant::Boundary => "ENC-BOUNDARY",
            Invariant::Agree => "ENC-AGREE",
            Invariant::SidecarDurable => "ENC-SIDECAR-DURABLE",
            Invariant::KeysSecret => "ENC-KEYS-SECRET",
            Invariant::Order => "ENC-ORDER",
            Invariant::SidecarMono => "ENC-SIDECAR-MONO",
            Invariant::Epoch => "ENC-EPOCH",
            Invariant::Registry => "ENC-REGISTRY",
            Invariant::Retire => "ENC-RETIRE",
            Invariant::OneWay => "ENC-ONEWAY",
            Invariant::RolGate => "ROL-GATE",
            Invariant::RolInert => "ROL-6A-INERT",
            Invariant::RolIdempotent => "ROL-IDEMPOTENT",
            Invariant::RolStartupRotate => "ROL-STARTUP-ROTATE",
            Invariant::RolBarrier => "ROL-BARRIER",
            Invariant::SelfNonempty => "SELF-NONEMPTY",
        }
    }
}

/// What kind of place on a disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Place {
    /// The state's tables, and their journals where the engine reads both.
    Tables,
    /// The journals of tables, where they are read on their own.
    TableLogs,
    /// The Raft log.
    Log,
    /// Snapshot files.
    Snapshots,
    /// What a journal holds of rows and entries that are gone, or that newer ones took the place of.
    Gone,
    /// A sidecar, and what lies beside it.
    Sidecar,
    /// What a node said while it ran.
    ProcessLog,
    /// What a node answered to a question of the administration.
    Answer,
    /// Anything else under a data directory.
    Other,
}

impl Place {
    /// All kinds.
    pub(crate) const ALL: [Place; 7] = [
        Place::Tables,
        Place::Log,
        Place::Snapshots,
        Place::Gone,
        Place::Sidecar,
        Place::ProcessLog,
        Place::Other,
    ];
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Place::Tables => "tables",
            Place::TableLogs => "table-logs",
            Place::Log => "log",
            Place::Snapshots => "snapshots",
            Place::Gone => "gone",
            Place::Sidecar => "sidecar",
            Place::ProcessLog => "process-log",
            Place::Answer => "answer",
            Place::Other => "other",
        })
    }
}

/// Where something stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Spot {
    /// The node's name.
    pub node: String,
    /// What kind of place.
    pub place: Place,
    /// The file, or the folder of a database whose engine gave the row.
    pub path: PathBuf,
    /// The byte in the file, where the file is plain.
    pub offset: Option<u64>,
    /// The log index of the entry, or of the write that made the row.
    pub index: Option<u64>,
}

impl Spot {
    pub(crate) fn new(node: &str, place: Place, path: &Path) -> Spot {
        Spot {
            node: node.to_owned(),
            place,
            path: path.to_owned(),
            offset: None,
            index: None,
        }
    }

    pub(crate) fn offset(self, offset: Option<u64>) -> Spot {
        Spot { offset, ..self }
    }

    pub(crate) fn index(self, index: u64) -> Spot {
        let index = Some(index);
        Spot { index, ..self }
    }
}

impl fmt::Display for Spot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.node, self.path.display())?;
        if let Some(offset) = self.offset {
            write!(f, " at byte {offset}")?;
        }
        if let Some(index) = self.index {
            write!(f, ", log index {index}")?;
        }
        Ok(())
    }
}

/// One broken invariant in one place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Which.
    pub invariant: Invariant,
    /// The way in which it is broken, in a word that stays: `moved`, `canary-in-the-clear`, ….
    pub anomaly: &'static str,
    /// Where.
    pub spot: Spot,
    /// What is wrong, for a person.
    pub explanation: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} ({})", self.anomaly, self.explanation, self.spot)
    }
}

/// Findings as they come. Of many of a kind the first are kept.
#[derive(Default)]
pub(crate) struct Findings {
    kinds: BTreeMap<(Invariant, &'static str), (u64, Vec<Finding>)>,
}

impl Findings {
    pub(crate) fn add(
        &mut self,
        invariant: Invariant,
        anomaly: &'static str,
        spot: Spot,
        explanation: impl Into<String>,
    ) {
        let (count, kept) = self.kinds.entry((invariant, anomaly)).or_default();
        *count += 1;
        if kept.len() < KEPT_MAX {
            kept.push(Finding {
                invariant,
                anomaly,
                spot,
                explanation: explanation.into(),
            });
        }
    }

    /// How many there are of an invariant, and those that were kept.
    pub(crate) fn of(&self, invariant: Invariant) -> (u64, Vec<Finding>) {
        let mut total = 0;
        let mut findings = Vec::new();
        for ((of, _), (count, kept)) in &self.kinds {
            if *of == invariant {
                total += count;
                findings.extend(kept.iter().cloned());
            }
        }
        (total, findings)
    }
}
