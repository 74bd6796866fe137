//! Envelopes among what a journal still holds of rows and entries that are gone. They are opened as the
//! living are, and their nonces count; what became of them says nothing of the state, so nothing else is asked.

use std::hash::{Hash, Hasher};

use rustc_hash::FxHasher;

use crate::disk::{Data, Found, Gone, parse_entry};
use crate::envelope::VALUE_HEADER_BYTES;
use crate::finding::{Place, Spot};

use super::diagnose::{LogBinding, RowBinding};
use super::log::FORM;
use super::tables::{BOOKKEEPING, ENVELOPED, STAMP_BYTES, STATE, TOMBSTONE};
use super::{Judge, Node};

impl Judge<'_> {
    /// Opens every one. Copies hold the same for long: on the way each is opened once.
    pub(super) fn gone(&mut self, node: &Node<'_>, found: &Found) {
        for gone in &found.gone {
            for (key, value) in &gone.rows {
                if self.on_the_way && !self.gone_opened.insert(print(node.name, key, value)) {
                    continue;
                }
                match gone.of_log {
                    true => self.gone_entry(node, gone, key, value),
                    false => self.gone_row(node, gone, key, value),
                }
            }
        }
    }

    fn gone_row(&mut self, node: &Node<'_>, gone: &Gone, key: &[u8], value: &[u8]) {
        let is_own = BOOKKEEPING.iter().any(|prefix| key.starts_with(prefix));
        let Some((header, body)) = value.split_at_checked(VALUE_HEADER_BYTES) else {
            return;
        };
        let is_sealed = header[0] & STATE == ENVELOPED && header[0] & TOMBSTONE == 0;
        if is_own || !is_sealed {
            return;
        }
        let Some(stamp) = key.last_chunk::<STAMP_BYTES>() else {
            return;
        };
        let spot = Spot::new(node.name, Place::Gone, &gone.path);
        let spot = spot.index(!u64::from_be_bytes(*stamp));
        let among = &[];
        let binding = RowBinding { key, header, among };
        let _ = self.envelope(node, Place::Gone, body, &binding, spot);
    }

    fn gone_entry(&mut self, node: &Node<'_>, gone: &Gone, key: &[u8], value: &[u8]) {
        let Some(Ok(entry)) = parse_entry(key, value) else {
            return;
        };
        if let Data::Payload(payload) = &entry.data
            && payload.starts_with(&FORM)
        {
            let spot = Spot::new(node.name, Place::Gone, &gone.path).index(entry.index);
            let _ = self.envelope(node, Place::Gone, payload, &LogBinding, spot);
        }
    }
}

fn print(node: &str, key: &[u8], value: &[u8]) -> u64 {
    let mut hasher = FxHasher::default();
    (node, key, value).hash(&mut hasher);
    hasher.finish()
}
