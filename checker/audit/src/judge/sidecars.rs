//! Sidecars: what each says, and whether they agree.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::Path;

use keyquake_formats::Purpose;
use keyquake_formats::sidecar::{Sidecar, SidecarError};

use crate::finding::{Findings, Invariant, Place, Spot};
use crate::subject::{Answered, NodeDisks};

/// What the cluster as a whole has come to, by its nodes' sidecars.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct ClusterState {
    /// Log index of phase 1's cutover; 0 before it.
    pub(super) storage_cutover: u64,
    /// Log index of phase 2's cutover; 0 before it.
    pub(super) raft_cutover: u64,
}

/// A node's sidecar; `None` if there is none yet, or none that can be believed.
pub(super) fn read(
    node: &NodeDisks,
    findings: &mut Findings,
    gaps: &mut Vec<String>,
) -> Option<Sidecar> {
    let path = node.sidecar.as_deref()?;
    match Sidecar::read(path) {
        Ok(sidecar) => Some(sidecar),
        Err(SidecarError::Read { source, .. }) if source.kind() == ErrorKind::NotFound => None,
        Err(error @ SidecarError::Read { .. }) => {
            gaps.push(error.to_string());
            None
        }
        Err(error) => {
            let spot = Spot::new(&node.name, Place::Sidecar, path);
            let text = error.to_string();
            findings.add(Invariant::SidecarDurable, "sidecar-not-whole", spot, text);
            None
        }
    }
}

/// Compares sidecars, and says what they come to together.
pub(super) fn agree(
    sidecars: &[(&NodeDisks, &Sidecar)],
    answered: Answered,
    findings: &mut Findings,
) -> ClusterState {
    let mut first_at: BTreeMap<u64, (&str, Agreed)> = BTreeMap::new();
    for (node, sidecar) in sidecars {
        let agreed = Agreed::of(sidecar);
        let index = sidecar.raft_applied_index;
        let (first, expected) = first_at
            .entry(index)
            .or_insert_with(|| (&node.name, agreed.clone()));
        if let Some(difference) = expected.difference(&agreed) {
            let text = format!(
                "both are at applied index {index}, and {} differ from those of {first}",
                difference
            );
            let spot = spot(node);
            findings.add(Invariant::Agree, "sidecars-differ", spot, text);
        }
    }
    keys_agree(sidecars, findings);
    answers_kept(sidecars, answered, findings);
    let storage = |sidecar: &Sidecar| sidecar.storage_envelope_cutover_index;
    let raft = |sidecar: &Sidecar| sidecar.raft_envelope_cutover_index;
    ClusterState {
        storage_cutover: one_index(sidecars, "storage", storage, Invariant::Agree, findings),
        raft_cutover: one_index(sidecars, "raft", raft, Invariant::Boundary, findings),
    }
}

fn spot(node: &NodeDisks) -> Spot {
    let path = node.sidecar.as_deref().unwrap_or(Path::new(""));
    Spot::new(&node.name, Place::Sidecar, path)
}

/// An id has the same bytes on every node that knows it, wherever each node is.
fn keys_agree(sidecars: &[(&NodeDisks, &Sidecar)], findings: &mut Findings) {
    let mut first_of: BTreeMap<u32, (&str, &[u8])> = BTreeMap::new();
    for (node, sidecar) in sidecars {
        for (id, key) in &sidecar.keys {
            let bytes = key.wrapped.as_bytes();
            let (first, expected) = *first_of.entry(*id).or_insert((&node.name, bytes));
            if expected != bytes {
                let text = format!("key {id} has other wrapped bytes than on {first}");
                findings.add(Invariant::Agree, "keys-differ", spot(node), text);
            }
        }
    }
}

/// A cutover is where the store said that it is.
fn answers_kept(sidecars: &[(&NodeDisks, &Sidecar)], answered: Answered, findings: &mut Findings) {
    for (node, sidecar) in sidecars {
        let pairs = [
            (
                "storage",
                answered.storage,
                sidecar.storage_envelope_cutover_index,
            ),
            ("raft", answered.raft, sidecar.raft_envelope_cutover_index),
        ];
        for (what, answered, named) in pairs {
            if let Some(index) = answered.filter(|index| named != 0 && *index != named) {
                let text = format!(
                    "it names {named} as the {what} cutover, and the store answered {index}"
                );
                findings.add(
                    Invariant::Boundary,
                    "cutover-not-as-answered",
                    spot(node),
                    text,
                );
            }
        }
    }
}

/// The cutover index that the sidecars name: a node that is behind names none, the others
/// name one.
fn one_index(
    sidecars: &[(&NodeDisks, &Sidecar)],
    what: &str,
    index: impl Fn(&Sidecar) -> u64,
    broken: Invariant,
    findings: &mut Findings,
) -> u64 {
    let mut named = 0;
    for (node, sidecar) in sidecars {
        match index(sidecar) {
            0 => {}
            index if named == 0 => named = index,
            index if index != named => {
                let text = format!("it names {index} as the {what} cutover, and others {named}");
                findings.add(broken, "cutovers-differ", spot(node), text);
            }
            _ => {}
        }
    }
    named
}

/// What must be the same at the same applied index.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Agreed {
    active: (u32, u32),
    storage_active: bool,
    cutovers: (u64, u64),
    keys: BTreeMap<u32, (&'static str, Vec<u8>)>,
}

impl Agreed {
    pub(super) fn of(sidecar: &Sidecar) -> Agreed {
        let purpose = |purpose| match purpose {
            Purpose::Storage => "storage",
            Purpose::Raft => "raft",
        };
        Agreed {
            active: (sidecar.active.storage, sidecar.active.raft),
            storage_active: sidecar.storage_envelope_active,
            cutovers: (
                sidecar.storage_envelope_cutover_index,
                sidecar.raft_envelope_cutover_index,
            ),
            keys: sidecar
                .keys
                .iter()
                .map(|(id, key)| (*id, (purpose(key.purpose), key.wrapped.as_bytes().to_vec())))
                .collect(),
        }
    }

    pub(super) fn difference(&self, other: &Agreed) -> Option<&'static str> {
        [
            (self.active != other.active, "active keys"),
            (self.storage_active != other.storage_active, "flags"),
            (self.cutovers != other.cutovers, "cutover indexes"),
            (self.keys != other.keys, "keys"),
        ]
        .into_iter()
        .find_map(|(differs, what)| differs.then_some(what))
    }
}
