//! Entries of the Raft log: envelopes above the cutover, and only there.

use keyquake_formats::Purpose;

use crate::disk::{Data, Entry, Log};
use crate::envelope::Envelope;
use crate::finding::{Invariant, Place, Spot};
use crate::judge::diagnose::LogBinding;
use crate::judge::facts::Stands;
use crate::judge::{Judge, Node};

/// An envelope's first byte is also the opcode of a batch; its second is no tag that a batch
/// could begin with.
pub(super) const FORM: [u8; 2] = [0x01, 0x00];
/// Opcodes that may stand in the clear below the cutover.
const OPCODES: [u8; 6] = [0x00, 0x01, 0x02, 0x03, 0x04, 0x05];
/// From here on early releases began a proposal without an opcode.
const LEGACY_MIN: u8 = 0x08;

/// What a payload turns out to be.
enum Kind {
    /// An envelope, or what was one.
    Envelope,
    /// A proposal in the clear.
    Clear,
}

impl Judge<'_> {
    pub(super) fn log(&mut self, node: &Node<'_>, log: &Log) {
        for entry in &log.entries {
            let spot = Spot::new(node.name, Place::Log, &log.path)
                .offset(entry.offset)
                .index(entry.index);
            self.facts.reached_in_log(entry.index, entry.term);
            match &entry.data {
                Data::Bare => {
                    self.counts(node, Place::Log).bare += 1;
                    self.put_back.entry(entry.index, Some(&[]));
                }
                Data::Payload(payload) => self.payload(node, entry, payload, spot),
            }
        }
    }

    fn payload(&mut self, node: &Node<'_>, entry: &Entry, payload: &[u8], spot: Spot) {
        let at = (entry.index, entry.term);
        let cutover = self.cluster.raft_cutover;
        let above = cutover != 0 && entry.index > cutover;
        match kind(node, payload, above) {
            Kind::Envelope => {
                let opened = self.envelope(node, Place::Log, payload, &LogBinding, spot.clone());
                if !entry.overwritten {
                    let plain = opened.as_ref().map(|opened| &opened.plain[..]);
                    self.put_back.entry(entry.index, plain);
                }
                let Some(opened) = opened else { return };
                let (sealer, is_planted) = (Some(opened.nonce), opened.is_planted);
                if !entry.overwritten {
                    self.facts.entry(
                        Stands {
                            at,
                            sealer,
                            is_planted,
                            cutover,
                        },
                        &opened.plain,
                        &spot,
                        &mut self.findings,
                    );
                }
                if !above {
                    let text = format!("it is an envelope, and the cutover is at {cutover}");
                    self.findings
                        .add(Invariant::Boundary, "envelope-below-cutover", spot, text);
                }
            }
            Kind::Clear => {
                let is_planted = self.see_clear(payload);
                if !entry.overwritten {
                    self.put_back.entry(entry.index, Some(payload));
                }
                // A leader that knew nothing of the cutover proposed it, and lost it: it was
                // never committed.
                let was_lost = entry.overwritten
                    && self
                        .clock
                        .cutover_term(cutover)
                        .is_none_or(|term| entry.term < term);
                if !entry.overwritten {
                    self.facts.entry(
                        Stands {
                            at,
                            sealer: None,
                            is_planted,
                            cutover,
                        },
                        payload,
                        &spot,
                        &mut self.findings,
                    );
                }
                if !above || was_lost {
                    self.counts(node, Place::Log).clear_by_right += 1;
                    return;
                }
                self.counts(node, Place::Log).clear_by_wrong += 1;
                let text = format!("it is in the clear, above the cutover at {cutover}");
                self.findings
                    .add(Invariant::Boundary, "clear-above-cutover", spot, text);
            }
        }
    }
}

/// An envelope whose first bytes were changed may look like a proposal: it is one only if it
/// does not open with them put right.
fn kind(node: &Node<'_>, payload: &[u8], above: bool) -> Kind {
    if payload.starts_with(&FORM) {
        return Kind::Envelope;
    }
    let opens = Envelope::of(payload).is_some_and(|envelope| {
        let envelope = envelope.in_known_form();
        let aad = envelope.raft_aad();
        node.ring.open(&envelope, Purpose::Raft, &aad).is_ok()
    });
    let known = payload
        .first()
        .is_some_and(|opcode| OPCODES.contains(opcode) || !above && *opcode >= LEGACY_MIN);
    match opens || !known {
        true => Kind::Envelope,
        false => Kind::Clear,
    }
}
