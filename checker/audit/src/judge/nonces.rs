//! Nonces: none twice under a key for different things, and each of the form that the design
//! gives it.

use std::collections::BTreeMap;

use keyquake_formats::node_id::{full_node_id, node_id};
use rustc_hash::{FxHashMap, FxHashSet};

use crate::envelope::{Envelope, Nonce, TAG_BYTES};
use crate::finding::{Findings, Invariant, Spot};

/// Where a pair of key and nonce was seen first.
struct First {
    tag: [u8; TAG_BYTES],
    spot: Spot,
}

/// A key, a nonce under it, and the tag of what the two sealed.
type Reused = (u32, Nonce, [u8; TAG_BYTES]);

/// All pairs of key and nonce seen so far, over all nodes.
pub(super) struct Nonces {
    seen: FxHashMap<(u32, Nonce), First>,
    /// What was said already: the same envelope lies in many places.
    said: FxHashSet<Reused>,
    /// Names of members by the 16 bits that stand in nonces.
    members: BTreeMap<u16, String>,
    /// The last epoch that a member has in its sidecar, by member and key.
    persisted: BTreeMap<(u16, u32), u16>,
}

impl Nonces {
    pub(super) fn new<'a>(members: impl IntoIterator<Item = &'a str>) -> Nonces {
        let name = |name: &str| (node_id(full_node_id(name)), name.to_owned());
        Nonces {
            seen: FxHashMap::default(),
            said: FxHashSet::default(),
            members: members.into_iter().map(name).collect(),
            persisted: BTreeMap::new(),
        }
    }

    /// Notes the epoch that a member's sidecar has, or had, for a key.
    pub(super) fn persisted(&mut self, member: &str, key_id: u32, epoch: u16) {
        let node = node_id(full_node_id(member));
        let last = self.persisted.entry((node, key_id)).or_insert(epoch);
        *last = epoch.max(*last);
    }

    /// How many different pairs there are.
    pub(super) fn len(&self) -> u64 {
        self.seen.len() as u64
    }

    /// Takes in an envelope that opened.
    pub(super) fn see(&mut self, envelope: &Envelope, spot: Spot, findings: &mut Findings) {
        self.check_form(envelope, &spot, findings);
        let (key_id, nonce, tag) = (envelope.key_id, envelope.nonce, envelope.tag());
        let first = self.seen.entry((key_id, nonce)).or_insert_with(|| First {
            tag,
            spot: spot.clone(),
        });
        if first.tag != tag && self.said.insert((key_id, nonce, tag)) {
            let text = format!(
                "key {key_id} sealed two different things under one nonce ({nonce}): here, and {}",
                first.spot
            );
            findings.add(Invariant::Nonce, "nonce-reused", spot, text);
        }
    }

    fn check_form(&self, envelope: &Envelope, spot: &Spot, findings: &mut Findings) {
        let (key_id, nonce) = (envelope.key_id, envelope.nonce);
        let mut add = |anomaly, text| {
            findings.add(Invariant::NonceForm, anomaly, spot.clone(), text);
        };
        let Some(member) = self.members.get(&nonce.node_id()) else {
            let text = format!("no member has the node id in this nonce ({nonce})");
            return add("node-id-unknown", text);
        };
        if nonce.count() == 0 {
            add("count-zero", format!("the count begins at 1 ({nonce})"));
        }
        let persisted = self.persisted.get(&(nonce.node_id(), key_id));
        if let Some(last) = persisted.filter(|last| nonce.epoch() > **last) {
            let text = format!(
                "{member} sealed this under an epoch that it has not persisted: its sidecar \
                 is at {last} for key {key_id} ({nonce})"
            );
            add("epoch-not-persisted", text);
        }
    }
}
