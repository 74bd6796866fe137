//! What was collected on the way: every copy is looked at as the final disks are, with every key
//! that there ever was; what is on record is judged over time.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use keyquake_formats::keys::Kek;
use keyquake_formats::node_id::{full_node_id, node_id};

use super::overtime::Chains;
use super::{Judge, Node, place_of};
use crate::disk::{self, Data, Found};
use crate::finding::{Invariant, Place};
use crate::keyring::Keyring;
use crate::past::{DiskCopy, Past};
use crate::report::{Audited, PastCounts};

/// So much of logs is kept from where their times are taken in to where they are judged.
const KEPT_BYTES_MAX: usize = 256 << 20;
/// The invariants that need more than one look.
const OVER_TIME: [Invariant; 6] = [
    Invariant::Order,
    Invariant::SidecarMono,
    Invariant::Epoch,
    Invariant::Registry,
    Invariant::Retire,
    Invariant::OneWay,
];

/// Every key of these sidecars.
pub(super) fn every_key(chains: &Chains, kek: Option<&Kek>) -> Keyring {
    let mut ring = Keyring::default();
    if let Some(kek) = kek {
        for (_, sidecar) in chains.all() {
            ring.add(sidecar, kek);
        }
    }
    ring
}

/// A copy whose log was read.
enum Begun {
    /// It is as the one before.
    Unchanged,
    Kept(Box<Found>),
    /// The log is read again, rather than that so much is kept.
    Dropped,
}

/// Bytes of the entries of a log.
fn bytes_of_logs(found: &Found) -> usize {
    let entries = found.logs.iter().flat_map(|log| &log.entries);
    let bytes = entries.map(|entry| match &entry.data {
        Data::Payload(payload) => payload.len(),
        Data::Bare => 0,
    });
    bytes.sum()
}

impl Judge<'_> {
    /// Looks at every copy, oldest first, before the final disks are looked at.
    pub(super) fn past(&mut self, past: &Past, ring: &Keyring, chains: &Chains) {
        // Their counts are their own: the numbers of nodes are those of the final disks.
        let final_nodes = std::mem::take(&mut self.nodes);
        let (mut before, gaps) = (BTreeMap::new(), std::mem::take(&mut self.gaps));
        let copies = || {
            let tampered = |copy: &&DiskCopy| past.is_tampered(&copy.disks.name, copy.time_ns);
            past.copies.iter().filter(move |copy| !tampered(copy))
        };
        self.on_the_way = true;
        // A log that is cut off later says now which entries made which rows, also of another node.
        let mut begun = Vec::new();
        let mut kept_bytes = 0;
        for copy in copies() {
            let name = &copy.disks.name;
            let signature = signature(&copy.disks.data_dir);
            let unchanged = before.get(name) == Some(&signature);
            before.insert(name.clone(), signature);
            if unchanged {
                begun.push(Begun::Unchanged);
                continue;
            }
            let found = disk::begin(&copy.disks.data_dir);
            self.clock.read(&found.logs, ring);
            kept_bytes += bytes_of_logs(&found);
            begun.push(match kept_bytes <= KEPT_BYTES_MAX {
                true => Begun::Kept(Box::new(found)),
                false => Begun::Dropped,
            });
        }
        for (copy, begun) in copies().zip(begun) {
            let name = &copy.disks.name;
            let node = Node {
                name,
                disks: &copy.disks,
                ring,
                others: Vec::new(),
                dropped: chains.dropped(name, copy.time_ns),
            };
            self.past_counts.copies += 1;
            let begun = match begun {
                Begun::Unchanged => None,
                Begun::Kept(found) => Some(*found),
                Begun::Dropped => Some(disk::begin(&copy.disks.data_dir)),
            };
            if let Some(begun) = begun {
                self.facts.begin(name, node_id(full_node_id(name)));
                let found = self.rows_and_entries(&node, begun);
                self.put_back(&node, copy.time_ns, &found);
                self.facts.end(copy.down, &mut self.findings);
            }
            self.bytes_once(&node, copy.deleted.as_deref());
        }
        self.on_the_way = false;
        for answer in &past.answers {
            let disks = self.subject.nodes.iter();
            let Some(disks) = disks.into_iter().find(|node| node.name == answer.node) else {
                continue;
            };
            let node = Node {
                name: &answer.node,
                disks,
                ring,
                others: Vec::new(),
                dropped: BTreeSet::new(),
            };
            self.past_counts.answers += 1;
            self.file(&node, Place::Answer, &answer.file);
        }
        for node in std::mem::replace(&mut self.nodes, final_nodes) {
            for counts in node.places.values() {
                self.past_counts.envelopes += counts.envelopes;
                self.past_counts.opened += counts.opened;
            }
        }
        // Where files ended then says nothing of how they end.
        self.cuts.clear();
        let gaps = std::mem::replace(&mut self.gaps, gaps);
        self.past_gaps.extend(gaps);
        self.past_gaps.extend(past.lost.iter().cloned());
    }

    /// All bytes of a copy that were not looked through in an earlier one.
    fn bytes_once(&mut self, node: &Node<'_>, deleted: Option<&Path>) {
        let data_dir = &node.disks.data_dir;
        let keys = node.disks.sidecar.as_deref().and_then(Path::parent);
        for folder in [Some(data_dir.as_path()), keys, deleted]
            .into_iter()
            .flatten()
            .filter(|folder| folder.is_dir())
        {
            let files = match disk::files(folder) {
                Ok(files) => files,
                Err(error) => {
                    self.gap(node, &error);
                    continue;
                }
            };
            for path in files {
                if self.looked_through.insert(identity(&path)) {
                    let place = match folder == data_dir {
                        true => place_of(data_dir, &path),
                        false if Some(folder) == keys => Place::Sidecar,
                        false => Place::Other,
                    };
                    self.file(node, place, &path);
                }
            }
        }
    }

    /// Judges what is on record over time, once all disks were looked at.
    pub(super) fn over_time(&mut self, past: &Past, chains: &mut Chains) {
        chains.judge(past, &mut self.findings);
        let names = self.subject.nodes.iter().map(|node| {
            let id = node_id(full_node_id(&node.name));
            (id, node.name.clone())
        });
        self.facts.conclude(&names.collect(), &mut self.findings);
        self.entries(past);
    }

    /// The verdicts on what needs more than one look.
    pub(super) fn past_verdicts(&self, past: &Past, chains: &Chains) -> Vec<Audited> {
        let states: usize = chains.by_node.values().map(Vec::len).sum();
        let (keys, sealing) = chains.all().fold((0, false), |(keys, on), (_, sidecar)| {
            (
                keys.max(sidecar.keys.len()),
                on || sidecar.storage_envelope_active || sidecar.raft_envelope_cutover_index > 0,
            )
        });
        let counts = &self.past_counts;
        let copies = format!("{} copies of disks", counts.copies);
        let sealers = self.facts.sealed.len();
        let judged = [
            (
                keys > 0,
                format!("in {states} states of sidecars no key was replaced, and keys came first"),
            ),
            (
                states > 1,
                format!("in {states} states of sidecars nothing went back"),
            ),
            (
                sealers > 0,
                format!(
                    "{sealers} writers (node, key, epoch) in {copies}, each registered, none under \
                     an epoch of an earlier process"
                ),
            ),
            (
                !self.facts.registered.is_empty(),
                format!(
                    "{} rows, each of one writer, none going back, in {copies}",
                    self.facts.registered.len()
                ),
            ),
            (
                keys > 2,
                format!("{keys} keys, none dropped while something was sealed under it"),
            ),
            (
                sealing,
                format!("once on, no phase went off in {states} states of sidecars"),
            ),
        ];
        let mut all: Vec<Audited> = OVER_TIME
            .into_iter()
            .zip(judged)
            .filter_map(|(id, (about, reason))| {
                let audited = self.over_time_verdict(id, reason);
                (about || audited.findings_total > 0).then_some(audited)
            })
            .collect();
        let durable = format!(
            "{} acknowledged changes were in a sidecar before their answer; what only a loss of \
             power shows was not looked at",
            chains.acknowledged
        );
        let durable = self.over_time_verdict(Invariant::SidecarDurable, durable);
        if chains.acknowledged > 0 || durable.findings_total > 0 {
            all.push(durable);
        }
        let rotations = format!(
            "{} rotations at starts, each of a leader, once in its leadership",
            self.startup_rotations
        );
        let startup = self.over_time_verdict(Invariant::RolStartupRotate, rotations);
        let asked = past.loads.iter().any(|load| load.rotates_on_startup);
        if asked || startup.findings_total > 0 {
            all.push(startup);
        }
        for id in [
            Invariant::RolGate,
            Invariant::RolInert,
            Invariant::RolIdempotent,
            Invariant::RolBarrier,
        ] {
            let audited = self.over_time_verdict(id, String::new());
            if audited.findings_total > 0 {
                all.push(audited);
            }
        }
        all
    }

    fn over_time_verdict(&self, id: Invariant, reason: String) -> Audited {
        let looked = match self.past_gaps.first() {
            None => Ok(reason),
            Some(first) => Err(format!(
                "{} things could not be looked at over time: {first}",
                self.past_gaps.len()
            )),
        };
        self.verdict(id, looked)
    }

    /// What was looked at on the way, in numbers.
    pub(super) fn past_counts(&self, past: Option<&Past>, chains: &Chains) -> Option<PastCounts> {
        let past = past?;
        Some(PastCounts {
            sidecars: chains
                .by_node
                .values()
                .map(|chain| chain.len() as u64)
                .sum(),
            processes: past.loads.len() as u64,
            key_entries: self.facts.entries.len() as u64,
            registry_rows: self.facts.registered.len() as u64,
            ..self.past_counts.clone()
        })
    }
}

/// What tells one version of a folder from another: copies share what has not changed.
fn signature(folder: &Path) -> Vec<(PathBuf, (u64, u64))> {
    let files = disk::files(folder).unwrap_or_default();
    let named = files.into_iter().map(|path| {
        let name = path.strip_prefix(folder).unwrap_or(&path).to_owned();
        let identity = identity(&path);
        (name, identity)
    });
    named.collect()
}

fn identity(path: &Path) -> (u64, u64) {
    std::fs::metadata(path).map_or((0, 0), |about| (about.dev(), about.ino()))
}
