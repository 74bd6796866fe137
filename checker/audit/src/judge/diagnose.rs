//! Why an envelope does not open: which part of it is not what it was.
//!
//! The tag says only that something is wrong. What it was is found by trying what it may have
//! been: another first byte, another key id, another row's key, one bit flipped back. A repair
//! that makes the tag fit leaves no doubt.

use keyquake_formats::Purpose;

use crate::disk::Table;
use crate::envelope::{Envelope, NONCE_BYTES, TAG_BYTES, VALUE_HEADER_BYTES};
use crate::keyring::{Keyring, Shut};

/// Longer ones are not repaired bit by bit: every bit costs one opening of the whole.
const REPAIR_BYTES_MAX: usize = 4096;

/// What is wrong, in a word that stays and in words.
pub(super) struct Diagnosis {
    pub(super) anomaly: &'static str,
    pub(super) text: String,
}

fn found(anomaly: &'static str, text: impl Into<String>) -> Diagnosis {
    let text = text.into();
    Diagnosis { anomaly, text }
}

/// A place that an envelope stands in, and what that place binds it to.
pub(super) trait Binding {
    /// The purpose of keys that belong here.
    const PURPOSE: Purpose;
    /// The associated data of an envelope here.
    fn aad(&self, envelope: &Envelope) -> Vec<u8>;
    /// Looks for an explanation in what this place binds to.
    fn explain(&self, envelope: &Envelope, ring: &Keyring) -> Option<Diagnosis>;
}

/// What is wrong with an envelope that is `shut`. `others` are the other nodes' keys.
pub(super) fn diagnose<B: Binding>(
    envelope: &Envelope,
    shut: Shut,
    binding: &B,
    ring: &Keyring,
    others: &[(&str, &Keyring)],
) -> Diagnosis {
    if shut == Shut::OtherPurpose {
        return other_purpose(envelope, B::PURPOSE);
    }
    let opens = |envelope: &Envelope| {
        let aad = binding.aad(envelope);
        ring.open(envelope, B::PURPOSE, &aad).is_ok()
    };
    if shut == Shut::Form {
        let (version, flag) = (envelope.version, envelope.flag);
        let text = format!("its first bytes are {version:02x} {flag:02x} in place of 01 00");
        let repaired = envelope.in_known_form();
        return match opens(&repaired) {
            true => found("header-changed", format!("{text}; with those it opens")),
            false => found(
                "header-changed",
                format!("{text}, and with those it does not open"),
            ),
        };
    }
    let key_id = envelope.key_id;
    let under_another_id = ring.keys().find(|(id, _)| {
        let key_id = *id;
        key_id != envelope.key_id
            && opens(&Envelope {
                key_id,
                ..envelope.clone()
            })
    });
    if let Some((right, _)) = under_another_id {
        let text = format!("its key id is {key_id}, and it was sealed under key {right}");
        return found("key-id-changed", text);
    }
    // The tag may be right in all but the key that made it.
    let aad = binding.aad(envelope);
    let maker = ring
        .keys()
        .find(|(_, key)| key.open(envelope, &aad).is_some());
    if let Some((maker, _)) = maker {
        let text = format!("it says key {key_id}, and was sealed with the bytes of key {maker}");
        return found("sealed-under-another-key", text);
    }
    if shut == Shut::KeyUnknown {
        return key_unknown(envelope, binding, others);
    }
    binding
        .explain(envelope, ring)
        .or_else(|| flipped_bit(envelope, opens))
        .unwrap_or_else(|| {
            let text = format!(
                "key {key_id} is the right one by its id, and the tag does not fit; no single \
                 change explains it"
            );
            found("does-not-open", text)
        })
}

fn other_purpose(envelope: &Envelope, belongs: Purpose) -> Diagnosis {
    let (key_id, place) = (envelope.key_id, belongs);
    match belongs {
        Purpose::Storage => found(
            "raft-envelope-in-storage",
            format!("key {key_id} is a raft key, and a {place} envelope belongs here"),
        ),
        Purpose::Raft => found(
            "storage-envelope-in-log",
            format!("key {key_id} is a storage key, and a {place} envelope belongs here"),
        ),
    }
}

fn key_unknown<B: Binding>(
    envelope: &Envelope,
    binding: &B,
    others: &[(&str, &Keyring)],
) -> Diagnosis {
    let key_id = envelope.key_id;
    let aad = binding.aad(envelope);
    let owner = others
        .iter()
        .find(|(_, ring)| ring.open(envelope, B::PURPOSE, &aad).is_ok());
    match owner {
        Some((node, _)) => found(
            "key-missing-here",
            format!("key {key_id} is not in this node's sidecar; with that of {node} it opens"),
        ),
        None => found(
            "key-unknown",
            format!("no sidecar has a key {key_id}, and no other key opens it"),
        ),
    }
}

/// The one bit of nonce, ciphertext or tag that, flipped back, makes it open.
fn flipped_bit(envelope: &Envelope, opens: impl Fn(&Envelope) -> bool) -> Option<Diagnosis> {
    let mut trial = envelope.clone();
    for bit in 0..NONCE_BYTES * 8 {
        trial.nonce.0[bit / 8] ^= 1 << (bit % 8);
        if opens(&trial) {
            let text = format!("one bit of its nonce was changed: it was {}", trial.nonce);
            return Some(found("nonce-changed", text));
        }
        trial.nonce = envelope.nonce;
    }
    if envelope.sealed.len() > REPAIR_BYTES_MAX {
        return None;
    }
    let tag_at = envelope.sealed.len() - TAG_BYTES;
    for bit in 0..envelope.sealed.len() * 8 {
        let byte = bit / 8;
        trial.sealed[byte] ^= 1 << (bit % 8);
        if opens(&trial) {
            return Some(match byte.checked_sub(tag_at) {
                Some(at) => found(
                    "tag-changed",
                    format!("one bit of its tag was changed, byte {at}"),
                ),
                None => found(
                    "ciphertext-changed",
                    format!("one bit of its ciphertext was changed, byte {byte}"),
                ),
            });
        }
        trial.sealed[byte] = envelope.sealed[byte];
    }
    None
}

/// A row of the state, among the others of its node.
pub(super) struct RowBinding<'a> {
    pub(super) key: &'a [u8],
    pub(super) header: &'a [u8],
    pub(super) among: &'a [&'a Table],
}

impl Binding for RowBinding<'_> {
    const PURPOSE: Purpose = Purpose::Storage;

    fn aad(&self, envelope: &Envelope) -> Vec<u8> {
        envelope.storage_aad(self.header, self.key)
    }

    fn explain(&self, envelope: &Envelope, ring: &Keyring) -> Option<Diagnosis> {
        let opens = |header: &[u8], key: &[u8]| {
            let aad = envelope.storage_aad(header, key);
            ring.open(envelope, Self::PURPOSE, &aad).is_ok()
        };
        let mut rows = self.among.iter().flat_map(|table| &table.rows);
        if let Some(from) = rows.find(|row| opens(self.header, &row.key)) {
            let key = String::from_utf8_lossy(&from.key).into_owned();
            return Some(found("moved", format!("it was sealed for the row {key:?}")));
        }
        for (header, key, lacks) in [
            (self.header, &[][..], "the row's key"),
            (&[][..], self.key, "the value's header"),
            (&[][..], &[][..], "the row's key and the value's header"),
        ] {
            if opens(header, key) {
                let text = format!("it was sealed without {lacks} in what it is bound to");
                return Some(found("binding-incomplete", text));
            }
        }
        let mut header = self.header.to_vec();
        for bit in 0..VALUE_HEADER_BYTES * 8 {
            header[bit / 8] ^= 1 << (bit % 8);
            if opens(&header, self.key) {
                let text = format!(
                    "one bit of the value's header was changed, byte {}",
                    bit / 8
                );
                return Some(found("value-header-changed", text));
            }
            header[bit / 8] = self.header[bit / 8];
        }
        let mut key = self.key.to_vec();
        for bit in 0..key.len() * 8 {
            key[bit / 8] ^= 1 << (bit % 8);
            if opens(self.header, &key) {
                let text = format!("one bit of the row's key was changed, byte {}", bit / 8);
                return Some(found("row-key-changed", text));
            }
            key[bit / 8] = self.key[bit / 8];
        }
        None
    }
}

/// An entry of the Raft log: nothing of its place is bound but its purpose.
pub(super) struct LogBinding;

impl Binding for LogBinding {
    const PURPOSE: Purpose = Purpose::Raft;

    fn aad(&self, envelope: &Envelope) -> Vec<u8> {
        envelope.raft_aad()
    }

    fn explain(&self, _: &Envelope, _: &Keyring) -> Option<Diagnosis> {
        None
    }
}
