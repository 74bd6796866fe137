//! Envelopes: `0x01 ‖ flag ‖ key_id BE32 ‖ nonce(12) ‖ ciphertext ‖ tag(16)`, and what is
//! authenticated beside them (sections 5.2 and 5.3 of the contract).

use std::fmt;

/// Bytes that an envelope adds to what it seals.
pub(crate) const OVERHEAD_BYTES: usize = HEADER_BYTES + NONCE_BYTES + TAG_BYTES;
/// Bytes before a row value's body.
pub(crate) const VALUE_HEADER_BYTES: usize = 9;
pub(crate) const HEADER_BYTES: usize = 6;
pub(crate) const NONCE_BYTES: usize = 12;
pub(crate) const TAG_BYTES: usize = 16;

const VERSION: u8 = 0x01;
/// Bit 0 would say that the content is compressed; nobody sets it.
const FLAG: u8 = 0x00;
/// Stands before a raft envelope's AAD, so that no storage envelope can take its place.
const RAFT: u8 = b'R';

/// The twelve bytes that must never be used twice under one key.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Nonce(pub(crate) [u8; NONCE_BYTES]);

impl Nonce {
    /// The low 16 bits of the id of who sealed it.
    pub(crate) fn node_id(self) -> u16 {
        u16::from_be_bytes([self.0[0], self.0[1]])
    }

    /// Which of that node's process loads sealed it.
    pub(crate) fn epoch(self) -> u16 {
        u16::from_be_bytes([self.0[2], self.0[3]])
    }

    /// The how-manieth that process load sealed.
    pub(crate) fn count(self) -> u64 {
        let [_, _, _, _, count @ ..] = self.0;
        u64::from_be_bytes(count)
    }
}

impl fmt::Display for Nonce {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (node, epoch, count) = (self.node_id(), self.epoch(), self.count());
        write!(f, "node {node:04x}, epoch {epoch}, count {count}")
    }
}

/// An envelope's parts, not opened yet.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Envelope {
    pub(crate) version: u8,
    pub(crate) flag: u8,
    pub(crate) key_id: u32,
    pub(crate) nonce: Nonce,
    /// Ciphertext and tag.
    pub(crate) sealed: Vec<u8>,
}

impl Envelope {
    /// The parts of these bytes; `None` if they are too few. Nothing is believed of them yet.
    pub(crate) fn of(bytes: &[u8]) -> Option<Envelope> {
        let (header, rest) = bytes.split_first_chunk::<HEADER_BYTES>()?;
        let (nonce, sealed) = rest.split_first_chunk::<NONCE_BYTES>()?;
        let [version, flag, key_id @ ..] = *header;
        (sealed.len() >= TAG_BYTES).then(|| Envelope {
            version,
            flag,
            key_id: u32::from_be_bytes(key_id),
            nonce: Nonce(*nonce),
            sealed: sealed.to_vec(),
        })
    }

    /// Whether its first two bytes are those of the only form there is.
    pub(crate) fn has_known_form(&self) -> bool {
        (self.version, self.flag) == (VERSION, FLAG)
    }

    /// The same with the first two bytes that it should have.
    pub(crate) fn in_known_form(&self) -> Envelope {
        Envelope {
            version: VERSION,
            flag: FLAG,
            ..self.clone()
        }
    }

    /// What tells two ciphertexts under the same key and nonce apart: GCM's tag.
    pub(crate) fn tag(&self) -> [u8; TAG_BYTES] {
        *self.sealed.last_chunk().unwrap_or(&[0; TAG_BYTES])
    }

    /// What a storage envelope is bound to: its header, the value's, and the row's key.
    pub(crate) fn storage_aad(&self, value_header: &[u8], row_key: &[u8]) -> Vec<u8> {
        let id = self.key_id.to_be_bytes();
        [&[self.version, self.flag], &id[..], value_header, row_key].concat()
    }

    /// What a raft envelope is bound to: the purpose, its version and its key.
    pub(crate) fn raft_aad(&self) -> Vec<u8> {
        let id = self.key_id.to_be_bytes();
        [&[RAFT, self.version], &id[..]].concat()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_and_what_they_are_bound_to() {
        let bytes: Vec<u8> = (1..=OVERHEAD_BYTES as u8).collect();
        let envelope = Envelope::of(&bytes).unwrap();
        assert_eq!((envelope.version, envelope.flag), (1, 2));
        assert_eq!(envelope.key_id, 0x0304_0506);
        assert_eq!(envelope.nonce.node_id(), 0x0708);
        assert_eq!(envelope.nonce.epoch(), 0x090a);
        assert_eq!(envelope.nonce.count(), 0x0b0c_0d0e_0f10_1112);
        assert_eq!(envelope.tag(), bytes[18..]);
        assert!(!envelope.has_known_form() && envelope.in_known_form().has_known_form());
        let aad = envelope.storage_aad(&[2; VALUE_HEADER_BYTES], b"key");
        assert_eq!(
            aad,
            b"\x01\x02\x03\x04\x05\x06\x02\x02\x02\x02\x02\x02\x02\x02\x02key"
        );
        assert_eq!(envelope.raft_aad(), b"R\x01\x03\x04\x05\x06");
        assert!(Envelope::of(&bytes[..OVERHEAD_BYTES - 1]).is_none());
    }
}
