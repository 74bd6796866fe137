//! `snap/<term>-<index>.snap`: a checksum, and in it what etcd knows of a snapshot, whose data
//! is elastickv's pointer to the file that holds the state.

use prost::Message;

use crate::disk::bytes::{Cursor, Read};

const POINTER_BYTES: usize = 17;
const MAGIC: &[u8; 4] = b"EKVT";
const VERSION: u8 = 1;

/// `snappb.snapshot`.
#[derive(Clone, PartialEq, Message)]
struct Sealed {
    #[prost(uint32, tag = "1")]
    crc: u32,
    #[prost(bytes = "vec", tag = "2")]
    data: Vec<u8>,
}

/// `raftpb.Snapshot`.
#[derive(Clone, PartialEq, Message)]
struct SnapshotMessage {
    #[prost(bytes = "vec", tag = "1")]
    data: Vec<u8>,
    #[prost(message, optional, tag = "2")]
    metadata: Option<Metadata>,
}

#[derive(Clone, PartialEq, Message)]
struct Metadata {
    #[prost(uint64, tag = "2")]
    index: u64,
    #[prost(uint64, tag = "3")]
    term: u64,
}

/// Which snapshot a file points to.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Pointer {
    pub(crate) term: u64,
    pub(crate) index: u64,
    pub(crate) state: State,
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// In `fsm-snap`, with this checksum.
    Elsewhere { crc: u32 },
    /// In the file itself, as early releases wrote it.
    Here(Vec<u8>),
}

/// Takes a pointer apart.
///
/// # Errors
/// What is not as it was written.
pub(crate) fn parse(file: &[u8]) -> Read<Pointer> {
    let sealed = Sealed::decode(file).map_err(|error| format!("it does not decode: {error}"))?;
    if sealed.data.is_empty() {
        return Err("it is empty".to_owned());
    }
    if crc32c::crc32c(&sealed.data) != sealed.crc {
        return Err("its checksum is not that of its bytes".to_owned());
    }
    let snapshot = SnapshotMessage::decode(&sealed.data[..])
        .map_err(|error| format!("what it seals does not decode: {error}"))?;
    let Metadata { index, term } = snapshot.metadata.unwrap_or_default();
    let data = snapshot.data;
    let state = match data.len() == POINTER_BYTES && data.starts_with(MAGIC) {
        false => State::Here(data),
        true => {
            let mut cursor = Cursor::new(&data[MAGIC.len()..]);
            let (version, of) = (cursor.byte()?, cursor.u64_big()?);
            if version != VERSION {
                return Err(format!(
                    "its pointer is of version {version}, which is not known"
                ));
            }
            if of != index {
                return Err(format!(
                    "it is for index {index}, and points to that of {of}"
                ));
            }
            let crc = cursor.u32_big()?;
            State::Elsewhere { crc }
        }
    };
    Ok(Pointer { term, index, state })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(index: u64, of: u64) -> Vec<u8> {
        let data = [
            &MAGIC[..],
            &[VERSION],
            &of.to_be_bytes(),
            &7_u32.to_be_bytes(),
        ]
        .concat();
        let metadata = Some(Metadata { index, term: 3 });
        let data = SnapshotMessage { data, metadata }.encode_to_vec();
        let crc = crc32c::crc32c(&data);
        Sealed { crc, data }.encode_to_vec()
    }

    #[test]
    fn pointers_are_read_and_every_flip_is_noticed() {
        let whole = file(9, 9);
        let state = State::Elsewhere { crc: 7 };
        let expected = Pointer {
            term: 3,
            index: 9,
            state,
        };
        assert_eq!(parse(&whole), Ok(expected));
        assert!(parse(&file(9, 8)).is_err());
        for at in 0..whole.len() {
            let mut flipped = whole.clone();
            flipped[at] ^= 1;
            assert_ne!(parse(&flipped), parse(&whole), "{at}");
            assert!(parse(&whole[..at]).is_err(), "{at}");
        }
    }
}
