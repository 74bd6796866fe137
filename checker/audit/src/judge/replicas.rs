//! CONV: replicas that have applied the same log have the same state.
//!
//! Rows are compared by what they say: a value is opened first, since every replica seals under
//! nonces of its own. Nodes need not stand at the same index: a row's timestamp is the index of the
//! entry that wrote it, so of two nodes the rows are compared that were written at or below what
//! both have applied. Of a key that only the one behind has nothing is said then: it may have been
//! deleted since. Where a clock stamps them (elastickv), only nodes at the same index are compared, in
//! the newest version of each key, which a node keeps whatever becomes of the others.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::PathBuf;

use keyquake_formats::Purpose;

use crate::disk::{Found, Stamps};
use crate::envelope::{Envelope, VALUE_HEADER_BYTES};
use crate::finding::{Findings, Invariant, Place, Spot};

use super::Node;
use super::state::{Newest, State};
use super::tables::{CLEAR, ENVELOPED, STATE, shown_user};

/// What stands under a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Version {
    /// The index of the entry that wrote it, or the time.
    index: u64,
    /// Of what was written; `None` if it does not open, which is another invariant's matter.
    digest: Option<u64>,
}

/// The state of one node.
struct Replica {
    node: String,
    path: PathBuf,
    applied: u64,
    stamps: Stamps,
    rows: BTreeMap<Vec<u8>, Version>,
}

/// The states of all nodes.
#[derive(Default)]
pub(super) struct Replicas {
    all: Vec<Replica>,
    /// Nodes whose state can't be compared, and why.
    apart: Vec<String>,
}

impl Replicas {
    /// Takes in what lies on a node's disk.
    pub(super) fn see(&mut self, node: &Node<'_>, found: &Found) {
        let state = match State::of(found) {
            Ok(state) => state,
            Err(why) if found.stamps == Stamps::Indexes => {
                self.apart.push(format!("{} {why}", node.name));
                return;
            }
            Err(_) => return,
        };
        let version = |(key, newest): (&&[u8], &Newest<'_>)| {
            let (index, row) = (newest.stamp, newest.row);
            let digest = content(node, &row.key, &row.value);
            (key.to_vec(), Version { index, digest })
        };
        self.all.push(Replica {
            node: node.name.to_owned(),
            applied: state.applied,
            stamps: found.stamps,
            rows: state.rows.iter().map(version).collect(),
            path: state.path,
        });
    }

    /// Whether there is more than one state that could be the same. Where a clock stamps rows, two have to be
    /// at the same index.
    pub(super) fn several(&self) -> bool {
        let mut states = self.all.iter().enumerate();
        let is_comparable = states.any(|(at, one)| {
            let clock = one.stamps == Stamps::Clock;
            !clock
                || self.all[at + 1..]
                    .iter()
                    .any(|other| other.applied == one.applied)
        });
        is_comparable && self.all.len() + self.apart.len() > 1
    }

    /// The one that the others are held against: the furthest, and where a clock stamps rows one of those that
    /// most are beside.
    fn first(&self) -> Option<&Replica> {
        let beside = |applied| self.all.iter().filter(move |one| one.applied == applied);
        self.all.iter().max_by_key(|one| match one.stamps {
            Stamps::Indexes => (0, one.applied),
            Stamps::Clock => (beside(one.applied).count(), one.applied),
        })
    }

    /// Compares every node with the one that is furthest.
    ///
    /// # Errors
    /// Why nothing, or not enough, could be compared.
    pub(super) fn compare(&self, findings: &mut Findings) -> Result<String, String> {
        let Some(furthest) = self.first() else {
            return Err(self.apart.join("; "));
        };
        let (mut told, mut alone) = (Vec::new(), self.apart.clone());
        for behind in self.all.iter().filter(|one| one.node != furthest.node) {
            let (node, applied) = (&behind.node, behind.applied);
            if behind.stamps == Stamps::Clock && applied != furthest.applied {
                let (other, at) = (&furthest.node, furthest.applied);
                alone.push(format!("{node} stands at {applied}, and {other} at {at}"));
                continue;
            }
            let pair = Pair { behind, furthest };
            match pair.compare(findings) {
                0 => alone.push(format!(
                    "{node} stands at {applied}, and has no row in common with {} at {}",
                    furthest.node, furthest.applied
                )),
                rows => told.push(format!("{rows} rows of {node} (at {applied})")),
            }
        }
        let beside = format!("{} (at {})", furthest.node, furthest.applied);
        match (told.is_empty(), alone.is_empty()) {
            (true, _) => Err(match alone.is_empty() {
                true => format!("there is no other state than that of {beside}"),
                false => alone.join("; "),
            }),
            (false, true) => Ok(format!("{} are those of {beside}", told.join(", "))),
            (false, false) => Ok(format!(
                "{} are those of {beside}; not compared: {}",
                told.join(", "),
                alone.join("; ")
            )),
        }
    }
}

/// Two states, of which the second is at least as far.
struct Pair<'a> {
    behind: &'a Replica,
    furthest: &'a Replica,
}

impl Pair<'_> {
    /// The number of keys that could be compared.
    fn compare(&self, findings: &mut Findings) -> u64 {
        let mut compared = 0;
        let (behind, furthest) = (&self.behind.rows, &self.furthest.rows);
        for (key, &there) in furthest {
            // Written after what the other has applied: what stood there at that index is gone.
            let by_index = self.behind.stamps == Stamps::Indexes;
            if by_index && there.index > self.behind.applied {
                continue;
            }
            match behind.get(key) {
                None => self.differs(findings, "row-missing", key, None, Some(there)),
                Some(&here) if here.index != there.index => {
                    self.differs(findings, "row-differs", key, Some(here), Some(there));
                }
                Some(&here) => match (here.digest, there.digest) {
                    (Some(one), Some(other)) if one != other => {
                        self.differs(findings, "row-differs", key, Some(here), Some(there));
                    }
                    (Some(_), Some(_)) => {}
                    _ => continue,
                },
            }
            compared += 1;
        }
        // Deleted on the one that is further, unless nothing can have happened between the two.
        if self.behind.applied == self.furthest.applied {
            for (key, &here) in behind
                .iter()
                .filter(|(key, _)| !furthest.contains_key(*key))
            {
                self.differs(findings, "row-missing", key, Some(here), None);
                compared += 1;
            }
        }
        compared
    }

    fn differs(
        &self,
        findings: &mut Findings,
        anomaly: &'static str,
        key: &[u8],
        here: Option<Version>,
        there: Option<Version>,
    ) {
        let (behind, furthest) = (self.behind, self.furthest);
        let has = |replica: &Replica, version: Option<Version>| {
            let (node, applied) = (&replica.node, replica.applied);
            match version {
                Some(Version { index, .. }) => {
                    format!("{node}, at applied index {applied}, has that of {index}")
                }
                None => format!("{node}, at applied index {applied}, has none"),
            }
        };
        let same = here.map(|one| one.index) == there.map(|one| one.index);
        let text = format!(
            "of {} {}; {}{}",
            shown_user(key),
            has(behind, here),
            has(furthest, there),
            if same { ", with another value" } else { "" }
        );
        let index = here.or(there).map_or(0, |version| version.index);
        let spot = Spot::new(&behind.node, Place::Tables, &behind.path);
        let spot = match behind.stamps {
            Stamps::Indexes => spot.index(index),
            Stamps::Clock => spot,
        };
        findings.add(Invariant::Converged, anomaly, spot, text);
    }
}

/// A digest of what a row says, whoever sealed it: its marks, its expiry and its value.
fn content(node: &Node<'_>, key: &[u8], value: &[u8]) -> Option<u64> {
    let (header, body) = value.split_at_checked(VALUE_HEADER_BYTES)?;
    let opened;
    let plain = match header[0] & STATE {
        CLEAR => body,
        ENVELOPED => {
            let envelope = Envelope::of(body)?;
            let aad = envelope.storage_aad(header, key);
            opened = node.ring.open(&envelope, Purpose::Storage, &aad).ok()?;
            &opened[..]
        }
        _ => return None,
    };
    let mut hasher = DefaultHasher::new();
    (header[0] & !STATE, &header[1..], plain).hash(&mut hasher);
    Some(hasher.finish())
}

#[cfg(test)]
#[path = "replicas/tests.rs"]
mod tests;
