//! Encryption entries of the log, as far as it matters who made which key: `0x03` registration,
//! `0x04` bootstrap, `0x05` the rotation family (section 5.5 of the contract). Big endian.

use keyquake_formats::Purpose;

const VERSION: u8 = 0x01;
/// Bytes of a registry row: key id, full node id, epoch.
const ROW_BYTES: usize = 14;

/// What an encryption entry does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum KeyEntry {
    /// A writer registers.
    Register,
    /// The first keys: storage and raft.
    Bootstrap { storage: u32, raft: u32 },
    /// A new key, and who proposed it.
    Rotate {
        purpose: Purpose,
        key_id: u32,
        proposer: u64,
    },
    /// Phase 1's cutover.
    EnableStorage,
    /// Phase 2's cutover.
    EnableRaft,
    /// Of the family, and of a kind not known here.
    Other,
}

/// Reads a payload; `None` if it is no encryption entry.
pub(crate) fn parse(payload: &[u8]) -> Option<KeyEntry> {
    let (&opcode, rest) = payload.split_first()?;
    if !(0x03..=0x05).contains(&opcode) {
        return None;
    }
    let read = match rest.split_first()? {
        (&VERSION, rest) => match opcode {
            0x03 if rest.len() == ROW_BYTES => Some(KeyEntry::Register),
            0x04 => bootstrap(rest),
            0x05 => rotation(rest),
            _ => None,
        },
        _ => None,
    };
    Some(read.unwrap_or(KeyEntry::Other))
}

fn bootstrap(bytes: &[u8]) -> Option<KeyEntry> {
    let (storage, rest) = number(bytes)?;
    let (raft, _) = number(counted(rest)?)?;
    Some(KeyEntry::Bootstrap { storage, raft })
}

fn rotation(bytes: &[u8]) -> Option<KeyEntry> {
    let (&tag, rest) = bytes.split_first()?;
    let (key_id, rest) = number(rest)?;
    let (&purpose, rest) = rest.split_first()?;
    let purpose = match purpose {
        1 => Purpose::Storage,
        2 => Purpose::Raft,
        _ => return None,
    };
    let row = counted(rest)?;
    if row.len() != ROW_BYTES {
        return None;
    }
    let proposer = u64::from_be_bytes(row.get(4..12)?.try_into().ok()?);
    Some(match tag {
        0x01 => KeyEntry::Rotate {
            purpose,
            key_id,
            proposer,
        },
        0x04 => KeyEntry::EnableStorage,
        0x05 => KeyEntry::EnableRaft,
        _ => return None,
    })
}

fn number(bytes: &[u8]) -> Option<(u32, &[u8])> {
    let (number, rest) = bytes.split_first_chunk::<4>()?;
    Some((u32::from_be_bytes(*number), rest))
}

/// What stands behind a byte string with its length before it.
fn counted(bytes: &[u8]) -> Option<&[u8]> {
    let (length, rest) = number(bytes)?;
    rest.get(length as usize..)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_read_and_told_from_users() {
        let row = [&7u32.to_be_bytes()[..], &9u64.to_be_bytes(), &[0, 3]].concat();
        let wrapped = [&[0, 0, 0, 2][..], b"ab"].concat();
        let rotation = |tag: u8, purpose: u8| {
            let head = [&[5, 1, tag][..], &7u32.to_be_bytes(), &[purpose]].concat();
            [&head[..], &wrapped, &row].concat()
        };
        assert_eq!(
            parse(&rotation(1, 2)),
            Some(KeyEntry::Rotate {
                purpose: Purpose::Raft,
                key_id: 7,
                proposer: 9
            })
        );
        assert_eq!(parse(&rotation(4, 1)), Some(KeyEntry::EnableStorage));
        assert_eq!(parse(&rotation(5, 2)), Some(KeyEntry::EnableRaft));
        assert_eq!(parse(&rotation(2, 1)), Some(KeyEntry::Other));
        assert_eq!(parse(&rotation(1, 2)[..20]), Some(KeyEntry::Other));
        let first = [&[4, 1][..], &5u32.to_be_bytes(), &wrapped].concat();
        let first = [&first[..], &6u32.to_be_bytes(), &wrapped, &[0; 4]].concat();
        assert_eq!(
            parse(&first),
            Some(KeyEntry::Bootstrap {
                storage: 5,
                raft: 6
            })
        );
        assert_eq!(
            parse(&[&[3, 1][..], &row].concat()),
            Some(KeyEntry::Register)
        );
        assert_eq!(parse(b"\x00user"), None);
        assert_eq!(parse(b""), None);
    }
}
