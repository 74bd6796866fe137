//! Nonces: none twice under a key for different things, and each of the form that the design
//! gives it.

use std::collections::BTreeMap;

use keyquake_formats::node_id::{full_node_id, node_id};

use crate::envelope::Envelope;
use crate::finding::{Findings, Invariant, Spot};
use crate::nonces::{KeyPrint, NonceSet, Pair, SetReuse};

/// All pairs of key and nonce seen so far, over all nodes and all audits of the cluster.
pub(super) struct Nonces<'a> {
    seen: &'a mut NonceSet,
    /// Names of members by the 16 bits that stand in nonces.
    members: BTreeMap<u16, String>,
    /// The last epoch that a member has in its sidecar, by member and key.
    persisted: BTreeMap<(u16, u32), u16>,
}

impl<'a> Nonces<'a> {
    /// What earlier audits of the cluster found is found in this one too.
    pub(super) fn new<'b>(
        seen: &'a mut NonceSet,
        members: impl IntoIterator<Item = &'b str>,
        findings: &mut Findings,
    ) -> Nonces<'a> {
        for reuse in seen.reuses() {
            report(reuse, findings);
        }
        let name = |name: &str| (node_id(full_node_id(name)), name.to_owned());
        Nonces {
            seen,
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
        self.seen.len()
    }

    /// Takes in an envelope that opened, and the key that opened it.
    pub(super) fn see(
        &mut self,
        envelope: &Envelope,
        key: KeyPrint,
        spot: Spot,
        findings: &mut Findings,
    ) {
        self.check_form(envelope, &spot, findings);
        let pair = Pair {
            key,
            key_id: envelope.key_id,
            nonce: envelope.nonce.0,
        };
        if let Some(reuse) = self.seen.see(pair, envelope.tag(), &spot) {
            report(reuse, findings);
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

fn report(reuse: SetReuse, findings: &mut Findings) {
    let (pair, first) = (reuse.pair, reuse.first);
    let text = format!(
        "key {} sealed two different things under one nonce ({}): here, and {first}",
        pair.key_id,
        pair.nonce()
    );
    findings.add(Invariant::Nonce, "nonce-reused", reuse.again, text);
}
