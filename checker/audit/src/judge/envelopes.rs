//! One envelope: opened, counted, its nonce remembered; or told why it does not open.

use zeroize::Zeroizing;

use crate::envelope::{Envelope, Nonce};
use crate::finding::{Invariant, Place, Spot};
use crate::keyring::{Keyring, Shut};
use crate::scan::Hit;

use super::diagnose::{self, Binding};
use super::{Judge, Node};

/// After this many envelopes that do not open, why is not looked for any more.
const DIAGNOSED_MAX: u32 = 50;

/// What was in an envelope that opened.
pub(super) struct Opened {
    pub(super) plain: Zeroizing<Vec<u8>>,
    pub(super) nonce: Nonce,
    /// Whether a value of a client stands in it.
    pub(super) is_planted: bool,
}

impl Judge<'_> {
    /// An envelope, or what stands where one belongs. Gives what was in it, if it opened.
    pub(super) fn envelope<B: Binding>(
        &mut self,
        node: &Node<'_>,
        place: Place,
        bytes: &[u8],
        binding: &B,
        spot: Spot,
    ) -> Option<Opened> {
        self.counts(node, place).envelopes += 1;
        let Some(envelope) = Envelope::of(bytes) else {
            *self
                .counts(node, place)
                .failed
                .entry("too-short")
                .or_default() += 1;
            let text = format!("{} bytes are too few for an envelope", bytes.len());
            self.findings.add(Invariant::Open, "too-short", spot, text);
            return None;
        };
        if !self.has_kek {
            *self.counts(node, place).failed.entry("no-kek").or_default() += 1;
            return None;
        }
        let aad = binding.aad(&envelope);
        let is_gone = place == Place::Gone;
        // What is gone may have been sealed under a key that is too.
        let ever = self.ever.filter(|_| is_gone);
        let opened = match (node.ring.open(&envelope, B::PURPOSE, &aad), ever) {
            (Err(Shut::KeyUnknown), Some(ever)) => ever.open(&envelope, B::PURPOSE, &aad),
            (opened, _) => opened,
        };
        match opened {
            Ok(plain) => {
                self.counts(node, place).opened += 1;
                let mut is_planted = false;
                self.needles.each_in(&plain, |hit, _| {
                    if let Hit::Canary(at, _) = hit {
                        self.sightings[at].sealed |= !is_gone;
                        is_planted = true;
                    }
                });
                let (key_id, nonce) = (envelope.key_id, envelope.nonce);
                if !is_gone {
                    self.facts.sealed(key_id, nonce, place, &spot);
                    if node.dropped.contains(&key_id) {
                        self.dropped_key(key_id, spot.clone());
                    }
                }
                let print = |ring: &Keyring| ring.print(key_id);
                if let Some(key) = print(node.ring).or_else(|| ever.and_then(print)) {
                    self.nonces.see(&envelope, key, spot, &mut self.findings);
                }
                Some(Opened {
                    plain,
                    nonce,
                    is_planted,
                })
            }
            Err(shut) => {
                self.stays_shut(node, place, &envelope, shut, binding, spot);
                None
            }
        }
    }

    fn dropped_key(&mut self, key_id: u32, spot: Spot) {
        let text = format!("key {key_id} is not in this node's sidecar any more, and seals this");
        self.findings
            .add(Invariant::Retire, "dropped-key-in-use", spot, text);
    }

    fn stays_shut<B: Binding>(
        &mut self,
        node: &Node<'_>,
        place: Place,
        envelope: &Envelope,
        shut: Shut,
        binding: &B,
        spot: Spot,
    ) {
        let key_id = envelope.key_id;
        let known = |ring: &&Keyring| ring.keys().any(|(id, _)| id == key_id);
        if shut == Shut::KeyUnknown && self.ever.as_ref().is_some_and(known) {
            self.dropped_key(key_id, spot.clone());
        }
        self.diagnosed += 1;
        let (anomaly, text) = if self.diagnosed <= DIAGNOSED_MAX {
            let diagnosis = diagnose::diagnose(envelope, shut, binding, node.ring, &node.others);
            (diagnosis.anomaly, diagnosis.text)
        } else {
            (
                "undiagnosed",
                "why was not looked for: there are too many".to_owned(),
            )
        };
        *self.counts(node, place).failed.entry(anomaly).or_default() += 1;
        self.findings.add(Invariant::Open, anomaly, spot, text);
    }
}
