//! Encryption entries of the logs, beside the calls that may have made them.

use std::collections::BTreeMap;

use keyquake_formats::Purpose;
use keyquake_formats::node_id::node_id;

use super::Judge;
use crate::disk::key_entry::KeyEntry;
use crate::finding::{Invariant, Place, Spot};
use crate::past::{CallKind, Past};

/// A committed encryption entry.
struct Committed {
    index: u64,
    term: u64,
    entry: KeyEntry,
    on: String,
}

impl Judge<'_> {
    /// Judges the entries that a majority of the nodes had in their logs.
    pub(super) fn entries(&mut self, past: &Past) {
        let majority = self.subject.nodes.len() / 2 + 1;
        let committed: Vec<Committed> = self
            .facts
            .entries
            .iter()
            .filter(|(_, (_, nodes))| nodes.len() >= majority)
            .map(|((index, term), (entry, nodes))| Committed {
                index: *index,
                term: *term,
                entry: *entry,
                on: nodes.first().cloned().unwrap_or_default(),
            })
            .collect();
        self.inert(past, &committed);
        for kind in [
            CallKind::Bootstrap,
            CallKind::EnableStorage,
            CallKind::EnableRaft,
        ] {
            let made: Vec<_> = committed
                .iter()
                .filter(|one| kind_of(&one.entry) == Some(kind))
                .collect();
            let may = past.may_have_made(kind);
            for one in made.iter().skip(may as usize) {
                self.not_granted(past, one, may);
            }
        }
        for kind in [CallKind::RotateStorage, CallKind::RotateRaft] {
            self.rotations(past, kind, &committed);
        }
    }

    fn entry_spot(&self, one: &Committed) -> Spot {
        let disks = self.subject.nodes.iter().find(|node| node.name == one.on);
        let folder = disks.map(|node| node.data_dir.clone()).unwrap_or_default();
        Spot::new(&one.on, Place::Log, &folder).index(one.index)
    }

    /// Where nobody can make an entry, there is none.
    fn inert(&mut self, past: &Past, committed: &[Committed]) {
        let nobody_can = !past.loads.is_empty() && past.loads.iter().all(|load| load.inert);
        let is_6a = past.loads.iter().all(|load| load.early);
        if !nobody_can {
            return;
        }
        let (invariant, anomaly) = match is_6a {
            true => (Invariant::RolInert, "entry-in-an-inert-cluster"),
            false => (Invariant::RolGate, "entry-behind-shut-gates"),
        };
        for one in committed {
            let text = format!(
                "{:?} was committed, and no node was ever able to make it",
                one.entry
            );
            let spot = self.entry_spot(one);
            self.findings.add(invariant, anomaly, spot, text);
        }
    }

    fn not_granted(&mut self, past: &Past, one: &Committed, may: u32) {
        // Said already, and better.
        if past.loads.iter().all(|load| load.inert) {
            return;
        }
        let text = format!(
            "{:?} was committed; calls that were accepted, or of which nobody knows, can have made \
             {may} of its kind",
            one.entry
        );
        let spot = self.entry_spot(one);
        self.findings
            .add(Invariant::RolGate, "committed-though-refused", spot, text);
    }

    /// Rotations are of calls, or of nodes that were asked to rotate at their start.
    fn rotations(&mut self, past: &Past, kind: CallKind, committed: &[Committed]) {
        let calls = past.calls.iter().filter(|call| call.kind == kind);
        let answered: Vec<u64> = calls.clone().filter_map(|call| call.index).collect();
        let may = past.may_have_made(kind);
        let spare = may.saturating_sub(answered.len() as u32);
        let unexplained: Vec<_> = committed
            .iter()
            .filter(|one| kind_of(&one.entry) == Some(kind) && !answered.contains(&one.index))
            .collect();
        let startups = past.loads.iter().any(|load| load.rotates_on_startup);
        if !startups {
            for one in unexplained.iter().skip(spare as usize) {
                self.not_granted(past, one, may);
            }
            return;
        }
        let mut by_leadership: BTreeMap<(u64, u64), u32> = BTreeMap::new();
        for one in &unexplained {
            let KeyEntry::Rotate { proposer, .. } = one.entry else {
                continue;
            };
            self.startup_rotations += 1;
            let times = by_leadership.entry((proposer, one.term)).or_default();
            *times += 1;
            let leader = self.facts.leaders.get(&one.term).copied();
            let spot = self.entry_spot(one);
            if leader.is_some_and(|leader| leader != node_id(proposer)) && spare == 0 {
                let text = format!(
                    "a rotation that no call asked for was proposed by {:04x}, and {:04x} led in term {}",
                    node_id(proposer),
                    leader.unwrap_or_default(),
                    one.term
                );
                self.findings
                    .add(Invariant::RolStartupRotate, "follower-rotated", spot, text);
            } else if *times > 1 + spare {
                let text = format!(
                    "{:04x} rotated {times} times in its leadership of term {}, and no call asked for it",
                    node_id(proposer),
                    one.term
                );
                self.findings
                    .add(Invariant::RolStartupRotate, "rotated-again", spot, text);
            }
        }
    }
}

impl Past {
    /// How many entries of a kind its calls may have made.
    fn may_have_made(&self, kind: CallKind) -> u32 {
        let made_by = |call: &&crate::past::CallMade| {
            // Phase 1's cutover makes the first keys, if there are none.
            call.kind == kind
                || (kind == CallKind::Bootstrap && call.kind == CallKind::EnableStorage)
        };
        let calls = self.calls.iter().filter(made_by);
        calls.map(|call| call.entries_max).sum()
    }
}

fn kind_of(entry: &KeyEntry) -> Option<CallKind> {
    Some(match entry {
        KeyEntry::Bootstrap { .. } => CallKind::Bootstrap,
        KeyEntry::EnableStorage => CallKind::EnableStorage,
        KeyEntry::EnableRaft => CallKind::EnableRaft,
        KeyEntry::Rotate { purpose, .. } => match purpose {
            Purpose::Storage => CallKind::RotateStorage,
            Purpose::Raft => CallKind::RotateRaft,
        },
        KeyEntry::Register | KeyEntry::Other => return None,
    })
}
