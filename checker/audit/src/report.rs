//! What an audit says, as data and for a person.

use std::collections::BTreeMap;
use std::fmt;

use keyquake_judge::Verdict;
use serde::Serialize;

use crate::finding::{Finding, Invariant, Place};

/// How many findings of an invariant a person is shown.
const SHOWN_MAX: usize = 5;

/// What was counted in one kind of place of one node.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Envelopes seen.
    pub envelopes: u64,
    /// Of these: opened, with the key and the binding of their place.
    pub opened: u64,
    /// Those that did not open, by why.
    pub failed: BTreeMap<&'static str, u64>,
    /// Values and proposals in the clear that may be: from before the cutover of their place.
    pub clear_by_right: u64,
    /// Values and proposals in the clear that must not be.
    pub clear_by_wrong: u64,
    /// Deleted keys, the store's own bookkeeping, membership changes: always in the clear.
    pub bare: u64,
}

impl Counts {
    fn add(&mut self, other: &Counts) {
        self.envelopes += other.envelopes;
        self.opened += other.opened;
        for (why, count) in &other.failed {
            *self.failed.entry(why).or_default() += count;
        }
        self.clear_by_right += other.clear_by_right;
        self.clear_by_wrong += other.clear_by_wrong;
        self.bare += other.bare;
    }
}

/// One node in numbers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct NodeAudit {
    /// Its name.
    pub node: String,
    /// By kind of place.
    pub places: BTreeMap<Place, Counts>,
}

/// What became of the canaries, over all nodes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct CanaryCounts {
    /// How many the run planted, or may have.
    pub planted: u64,
    /// Of these: read back at the end, so that they must be on the disks.
    pub living: u64,
    /// Of the living: seen, in the clear or in an envelope that opened.
    pub living_seen: u64,
    /// Seen in the clear by the scan of all bytes.
    pub seen_in_bytes: u64,
    /// Seen in the clear in rows and entries as the engine gives them.
    pub seen_in_rows: u64,
    /// Seen in envelopes that opened.
    pub seen_sealed: u64,
    /// Seen in the clear where they must not be.
    pub seen_by_wrong: u64,
}

/// What the scan of all bytes went through.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Scanned {
    /// Files.
    pub files: u64,
    /// Bytes in them, without holes.
    pub bytes: u64,
}

/// What was looked at of what was collected on the way.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct PastCounts {
    /// Copies of a node's files.
    pub copies: u64,
    /// Envelopes seen in them, each as often as it was seen.
    pub envelopes: u64,
    /// Of these: opened.
    pub opened: u64,
    /// States of sidecars.
    pub sidecars: u64,
    /// Answers of nodes.
    pub answers: u64,
    /// Processes of nodes.
    pub processes: u64,
    /// Different encryption entries in logs.
    pub key_entries: u64,
    /// Different rows of the registry.
    pub registry_rows: u64,
}

/// The verdict on one invariant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Audited {
    /// Which.
    pub id: Invariant,
    /// The verdict.
    pub verdict: Verdict,
    /// What it rests on.
    pub reason: String,
    /// How many findings break it.
    pub findings_total: u64,
    /// The first of them.
    pub findings: Vec<Finding>,
}

/// All that an audit says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Audit {
    /// Violated if any invariant is, else inconclusive if any is, else valid.
    pub verdict: Verdict,
    /// One per invariant that these disks are about.
    pub invariants: Vec<Audited>,
    /// The nodes in numbers.
    pub nodes: Vec<NodeAudit>,
    /// What became of the canaries; `None` if none are known.
    pub canaries: Option<CanaryCounts>,
    /// Different pairs of key and nonce among the envelopes that opened.
    pub nonces: u64,
    /// What the scan of all bytes went through.
    pub scanned: Scanned,
    /// Where a file ends in the middle of something, as a kill or a power loss leaves it. What
    /// stands behind is no part of the state.
    pub cuts: Vec<String>,
    /// What could not be looked at, and why.
    pub gaps: Vec<String>,
    /// What was collected on the way; `None` if nothing was.
    pub past: Option<PastCounts>,
}

impl Audit {
    /// The verdict on one invariant, if these disks are about it.
    pub fn invariant(&self, id: Invariant) -> Option<&Audited> {
        self.invariants.iter().find(|audited| audited.id == id)
    }

    /// What was counted in a kind of place, over all nodes.
    pub fn total(&self, place: Place) -> Counts {
        let mut total = Counts::default();
        for counts in self.nodes.iter().filter_map(|node| node.places.get(&place)) {
            total.add(counts);
        }
        total
    }
}

/// A table of numbers, a line per invariant with its first findings, the verdict.
impl fmt::Display for Audit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "node  place       envelopes   opened   failed  clear: by right  by wrong    bare"
        )?;
        for node in &self.nodes {
            for (place, counts) in &node.places {
                let failed: u64 = counts.failed.values().sum();
                writeln!(
                    f,
                    "{:<5} {place:<10} {:>10} {:>8} {failed:>8} {:>16} {:>9} {:>7}",
                    node.node,
                    counts.envelopes,
                    counts.opened,
                    counts.clear_by_right,
                    counts.clear_by_wrong,
                    counts.bare
                )?;
            }
        }
        if let Some(canaries) = &self.canaries {
            writeln!(
                f,
                "canaries: {} planted; seen sealed {}, in the clear {}, of these where they must not be {}",
                canaries.planted,
                canaries.seen_sealed,
                canaries.seen_in_bytes.max(canaries.seen_in_rows),
                canaries.seen_by_wrong
            )?;
        }
        writeln!(
            f,
            "scanned: {} files, {} bytes; {} nonces",
            self.scanned.files, self.scanned.bytes, self.nonces
        )?;
        for cut in &self.cuts {
            writeln!(f, "cut: {cut}")?;
        }
        if let Some(past) = &self.past {
            writeln!(
                f,
                "on the way: {} copies of disks with {} envelopes, {} sidecars, {} answers, {} processes",
                past.copies, past.envelopes, past.sidecars, past.answers, past.processes
            )?;
        }
        for gap in &self.gaps {
            writeln!(f, "not looked at: {gap}")?;
        }
        for audited in &self.invariants {
            let id = audited.id.id();
            writeln!(f, "{id:<19} {:<12} {}", audited.verdict, audited.reason)?;
            for finding in audited.findings.iter().take(SHOWN_MAX) {
                writeln!(f, "  {finding}")?;
            }
            let shown = audited.findings.len().min(SHOWN_MAX) as u64;
            if audited.findings_total > shown {
                writeln!(f, "  and {} more", audited.findings_total - shown)?;
            }
        }
        write!(f, "{}", self.verdict)
    }
}
