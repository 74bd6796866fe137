//! A key and a nonce under it.

use sha2::{Digest, Sha256};

use crate::envelope::Nonce;

/// Bytes of GCM's tag, which tells apart what one pair sealed.
pub const TAG_BYTES: usize = crate::envelope::TAG_BYTES;
/// Bytes of a key's digest: no two keys of a campaign share them by chance.
pub(super) const PRINT_BYTES: usize = 16;
/// Keeps this digest apart from all others of the same bytes.
const DOMAIN: &[u8] = b"keyquake: key of a nonce registry (v1)\0";

/// Which key, whatever id it goes by: a digest of its bytes. Useless to whoever looks for
/// the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyPrint(pub(super) [u8; PRINT_BYTES]);

impl KeyPrint {
    /// That of a key's bare bytes.
    pub fn of(key: &[u8; 32]) -> KeyPrint {
        let digest = Sha256::new().chain_update(DOMAIN).chain_update(key);
        let digest: [u8; 32] = digest.finalize().into();
        let mut print = [0; PRINT_BYTES];
        print.copy_from_slice(&digest[..PRINT_BYTES]);
        KeyPrint(print)
    }
}

/// A pair of key and nonce, and the id that the key goes by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Pair {
    /// The key.
    pub key: KeyPrint,
    /// Its id where the pair was seen first.
    pub key_id: u32,
    /// The nonce.
    pub nonce: [u8; 12],
}

impl Pair {
    /// The nonce's parts, for a person.
    pub(crate) fn nonce(&self) -> Nonce {
        Nonce(self.nonce)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_print_is_of_the_bytes_and_of_all_of_them() {
        let print = |bytes: [u8; 32]| KeyPrint::of(&bytes);
        let mut bytes = [7; 32];
        assert_eq!(print(bytes), print([7; 32]));
        for at in 0..32 {
            bytes[at] ^= 1;
            assert_ne!(print(bytes), print([7; 32]), "byte {at}");
            bytes[at] ^= 1;
        }
        // By Python's hashlib.
        assert_eq!(print([7; 32]).0, KNOWN);
    }

    const KNOWN: [u8; PRINT_BYTES] = [
        0x89, 0x7e, 0x20, 0xff, 0x95, 0xaf, 0x27, 0x9e, 0x40, 0x46, 0x01, 0x9b, 0x68, 0x9b, 0x82,
        0xc9,
    ];
}
