//! What is gathered from all disks at all times, to be judged together at the end: who sealed
//! under which epochs, the registry's rows, and the encryption entries of the logs.

use std::collections::{BTreeMap, BTreeSet};

use rustc_hash::FxHashMap;

use crate::disk::key_entry::{self, KeyEntry};
use crate::disk::registry::Registered;
use crate::envelope::Nonce;
use crate::finding::{Findings, Invariant, Place, Spot};

/// So many entries behind phase 2's cutover are looked at for proposals that stand twice.
const BEHIND_CUTOVER: u64 = 4096;

/// Who sealed: node id, key, epoch.
pub(super) type Sealer = (u16, u32, u16);

/// How an entry stands in a log.
pub(super) struct Stands {
    /// Its index and term.
    pub(super) at: (u64, u64),
    /// Who sealed it.
    pub(super) sealer: Option<Nonce>,
    /// Whether a value of a client stands in it.
    pub(super) is_planted: bool,
    /// Where phase 2's cutover is; 0 before it.
    pub(super) cutover: u64,
}

/// All facts.
#[derive(Default)]
pub(super) struct Facts {
    /// Where something of each sealer was seen first.
    pub(super) sealed: BTreeMap<Sealer, Spot>,
    /// By key and node id: the last epochs of the registry that were ever seen.
    pub(super) registered: BTreeMap<(u32, u16), Registered>,
    /// By index and term: what an encryption entry does, and on whose logs it was seen.
    pub(super) entries: BTreeMap<(u64, u64), (KeyEntry, BTreeSet<String>)>,
    /// The node id of who sealed the entries of a term: its leader.
    pub(super) leaders: BTreeMap<u64, u16>,
    /// Users' proposals right behind the cutover, and where each stands.
    behind: FxHashMap<Vec<u8>, u64>,
    nodes: BTreeMap<String, NodeFacts>,
    looking_at: String,
}

/// What is known of one node so far.
#[derive(Default)]
struct NodeFacts {
    node_id: u16,
    /// The last epochs in the registry on its disk, and the index that its state had not passed
    /// when each was seen first.
    registry: BTreeMap<(u32, u16), (u16, u64)>,
    /// The registry at this look.
    rows: Vec<(Registered, Spot)>,
    /// Where its files ended when a process of it had ended, and under which epochs it had sealed.
    death: Option<Life>,
    now: Life,
}

/// How far a node has come.
#[derive(Clone, Default)]
struct Life {
    rows_end: u64,
    log_end: u64,
    /// The highest term in its log.
    log_term: u64,
    /// The term of the entry that is looked at.
    term: u64,
    /// By key: the last epoch.
    epochs: BTreeMap<u32, u16>,
    /// By key, epoch and place: what was sealed so at the highest index.
    own: BTreeMap<(u32, u16, Place), Latest>,
}

/// An envelope of a row, or of an entry.
#[derive(Clone, Default)]
struct Latest {
    index: u64,
    /// The entry's term.
    term: u64,
    spot: Option<Spot>,
}

impl NodeFacts {
    /// Last epochs only grow, as the state does. A node that was killed begins again further back.
    fn compare_registry(&mut self, findings: &mut Findings) {
        let end = self.now.rows_end.max(self.now.log_end);
        for (row, spot) in std::mem::take(&mut self.rows) {
            let slot = (row.key_id, row.node_id);
            let (last, by) = self.registry.entry(slot).or_insert((row.last_seen, end));
            if row.last_seen > *last {
                (*last, *by) = (row.last_seen, end);
            } else if row.last_seen < *last && self.now.rows_end >= *by {
                let text = format!(
                    "the last epoch of writer {:04x} under key {} went back from {last} to {}, though \
                     nothing before index {by} is missing",
                    row.node_id, row.key_id, row.last_seen
                );
                findings.add(Invariant::Registry, "last-seen-goes-back", spot, text);
            }
        }
    }
}

impl Facts {
    /// The files of a node are looked at from here on.
    pub(super) fn begin(&mut self, node: &str, node_id: u16) {
        self.looking_at = node.to_owned();
        let facts = self.nodes.entry(node.to_owned()).or_default();
        facts.node_id = node_id;
        facts.now = Life::default();
        facts.rows.clear();
    }

    fn at(&mut self) -> &mut NodeFacts {
        self.nodes.entry(self.looking_at.clone()).or_default()
    }

    /// They have been looked at; `down` says that the process that left them had ended.
    pub(super) fn end(&mut self, down: bool, findings: &mut Findings) {
        let node = self.looking_at.clone();
        let facts = self.at();
        facts.compare_registry(findings);
        if let Some(death) = &facts.death {
            for ((key_id, epoch, place), Latest { index, term, spot }) in &facts.now.own {
                // A leader may have sent out entries that were not yet in its own log when it
                // ended, and get them back: those are of no later term.
                let (ended, may_be_of_it) = match place {
                    Place::Log => (death.log_end, *term <= death.log_term),
                    _ => (death.rows_end, false),
                };
                let last = death.epochs.get(key_id);
                let (Some(last), Some(spot)) = (last, spot) else {
                    continue;
                };
                if *index > ended && !may_be_of_it && epoch <= last {
                    let text = format!(
                        "{node} sealed index {index} under epoch {epoch} of key {key_id}, and a process \
                         of it that had ended at index {ended} had sealed under epoch {last}"
                    );
                    findings.add(Invariant::Epoch, "epoch-used-again", spot.clone(), text);
                }
            }
        }
        if down {
            let mut life = std::mem::take(&mut facts.now);
            let before = facts.death.take().unwrap_or_default();
            life.rows_end = life.rows_end.max(before.rows_end);
            life.log_end = life.log_end.max(before.log_end);
            life.log_term = life.log_term.max(before.log_term);
            for (key, epoch) in before.epochs {
                let last = life.epochs.entry(key).or_default();
                *last = (*last).max(epoch);
            }
            facts.death = Some(life);
        }
    }

    /// A row of this index is in the state.
    pub(super) fn reached_in_state(&mut self, index: u64) {
        let now = &mut self.at().now;
        now.rows_end = now.rows_end.max(index);
    }

    /// An entry of this index and term is in the log; what is said next is about it.
    pub(super) fn reached_in_log(&mut self, index: u64, term: u64) {
        let now = &mut self.at().now;
        now.log_end = now.log_end.max(index);
        now.log_term = now.log_term.max(term);
        now.term = term;
    }

    /// An envelope that opened, of a row or an entry of this index.
    pub(super) fn sealed(&mut self, key_id: u32, nonce: Nonce, place: Place, spot: &Spot) {
        let (node_id, epoch) = (nonce.node_id(), nonce.epoch());
        self.sealed
            .entry((node_id, key_id, epoch))
            .or_insert_with(|| spot.clone());
        let Some(index) = spot.index else { return };
        let facts = self.at();
        // What a snapshot holds was sealed before it, by whoever sent it.
        if facts.node_id != node_id || place == Place::Snapshots {
            return;
        }
        let last = facts.now.epochs.entry(key_id).or_default();
        *last = (*last).max(epoch);
        let term = facts.now.term;
        let own = facts.now.own.entry((key_id, epoch, place)).or_default();
        if index >= own.index {
            *own = Latest {
                index,
                term,
                spot: Some(spot.clone()),
            };
        }
    }

    /// A row of the registry in the tables of the node that is looked at.
    pub(super) fn registered(&mut self, row: Registered, spot: &Spot, findings: &mut Findings) {
        let slot = (row.key_id, row.node_id);
        let name = format!("writer {:04x} under key {}", row.node_id, row.key_id);
        if row.full_node_id as u16 != row.node_id || row.first_seen > row.last_seen {
            let text = format!("the row of {name} is in itself not right: {row:?}");
            findings.add(Invariant::Registry, "row-not-right", spot.clone(), text);
        }
        let known = self.registered.entry(slot).or_insert(row);
        if known.full_node_id != row.full_node_id {
            let text = format!(
                "{name} is {:#x} here, and was {:#x}",
                row.full_node_id, known.full_node_id
            );
            findings.add(Invariant::Registry, "two-writers", spot.clone(), text);
        }
        known.last_seen = known.last_seen.max(row.last_seen);
        known.first_seen = known.first_seen.min(row.first_seen);
        self.at().rows.push((row, spot.clone()));
    }

    /// The payload of a log entry, in the clear.
    pub(super) fn entry(
        &mut self,
        stands: Stands,
        payload: &[u8],
        spot: &Spot,
        findings: &mut Findings,
    ) {
        let Stands {
            at: (index, term),
            sealer,
            is_planted,
            cutover,
        } = stands;
        if let Some(nonce) = sealer.filter(|_| term != 0) {
            self.leaders.entry(term).or_insert(nonce.node_id());
        }
        if let Some(entry) = key_entry::parse(payload) {
            let node = self.looking_at.clone();
            let seen = self.entries.entry((index, term));
            let (_, nodes) = seen.or_insert_with(|| (entry, BTreeSet::new()));
            nodes.insert(node);
            return;
        }
        let right_behind = cutover != 0 && index > cutover && index - cutover <= BEHIND_CUTOVER;
        if !right_behind || !is_planted {
            return;
        }
        let first = *self.behind.entry(payload.to_vec()).or_insert(index);
        if first != index {
            let text = format!(
                "one write of a client stands in the log twice behind the cutover at {cutover}: at \
                 index {first}, and here"
            );
            findings.add(Invariant::RolBarrier, "proposed-twice", spot.clone(), text);
        }
    }

    /// Judges what only all disks together can tell: that whoever sealed had registered. `names`
    /// are the members by node id.
    pub(super) fn conclude(&self, names: &BTreeMap<u16, String>, findings: &mut Findings) {
        for ((node_id, key_id, epoch), spot) in &self.sealed {
            let Some(name) = names.get(node_id) else {
                continue;
            };
            match self.registered.get(&(*key_id, *node_id)) {
                None => {
                    let text = format!(
                        "{name} sealed under key {key_id}, and no registry ever had a row of it under that key"
                    );
                    let add = [
                        (Invariant::Registry, "writer-without-row"),
                        (Invariant::Epoch, "sealed-unregistered"),
                    ];
                    for (invariant, anomaly) in add {
                        findings.add(invariant, anomaly, spot.clone(), text.clone());
                    }
                }
                Some(row) if *epoch > row.last_seen => {
                    let text = format!(
                        "{name} sealed under epoch {epoch} of key {key_id}, and never registered \
                         more than epoch {} there",
                        row.last_seen
                    );
                    findings.add(Invariant::Epoch, "sealed-unregistered", spot.clone(), text);
                }
                Some(_) => {}
            }
        }
    }
}
