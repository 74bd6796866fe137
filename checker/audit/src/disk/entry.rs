//! A log entry: raft-rs' and etcd's protobuf around `0x01 ‖ proposal id BE64 ‖ payload` (section 5.3 of
//! the contract).

use prost::Message;

use super::Entry;

/// The first byte of an entry's data.
const VERSION: u8 = 0x01;
/// What stands before the payload.
const HEADER_BYTES: usize = 9;
/// `entry_type` of what a client or an operator proposed.
const NORMAL: i32 = 0;

/// `eraftpb.Entry`, and `raftpb.Entry`.
#[derive(Clone, PartialEq, Message)]
struct EntryMessage {
    #[prost(int32, tag = "1")]
    entry_type: i32,
    #[prost(uint64, tag = "2")]
    term: u64,
    #[prost(uint64, tag = "3")]
    index: u64,
    #[prost(bytes = "vec", tag = "4")]
    data: Vec<u8>,
}

/// What the bytes of an entry are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Data {
    /// A change of members, or a new leader's empty entry: in the clear always.
    Bare,
    /// A proposal's payload.
    Payload(Vec<u8>),
}

/// Reads the row of an entry.
///
/// # Errors
/// What does not fit.
pub(crate) fn parse(key_index: u64, bytes: &[u8]) -> Result<Entry, String> {
    let entry = decode(bytes).map_err(|what| format!("index {key_index}: {what}"))?;
    if entry.index != key_index {
        return Err(format!(
            "the entry at index {key_index} says to be that of {}",
            entry.index
        ));
    }
    Ok(entry)
}

/// Reads an entry that says itself which it is.
///
/// # Errors
/// What does not fit.
pub(crate) fn decode(bytes: &[u8]) -> Result<Entry, String> {
    let message = EntryMessage::decode(bytes)
        .map_err(|error| format!("an entry does not decode: {error}"))?;
    let data = match message.data.as_slice() {
        [] => Data::Bare,
        _ if message.entry_type != NORMAL => Data::Bare,
        [VERSION, rest @ ..] if rest.len() > HEADER_BYTES - 1 => {
            Data::Payload(rest[HEADER_BYTES - 1..].to_vec())
        }
        data => {
            return Err(format!(
                "the data of entry {} ({} bytes, the first 0x{:02x}) has no known header",
                message.index,
                data.len(),
                data[0]
            ));
        }
    };
    Ok(Entry {
        index: message.index,
        term: message.term,
        data,
        offset: None,
        overwritten: false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(entry_type: i32, index: u64, data: &[u8]) -> Vec<u8> {
        let data = data.to_vec();
        let term = 3;
        EntryMessage {
            entry_type,
            term,
            index,
            data,
        }
        .encode_to_vec()
    }

    #[test]
    fn entries_are_told_apart() {
        let proposal = [&[1, 0, 0, 0, 0, 0, 0, 0, 9][..], b"\x00payload"].concat();
        let data = |bytes: &[u8]| parse(5, bytes).map(|entry| entry.data);
        assert_eq!(
            data(&message(0, 5, &proposal)),
            Ok(Data::Payload(b"\x00payload".to_vec()))
        );
        assert_eq!(data(&message(0, 5, &[])), Ok(Data::Bare));
        assert_eq!(data(&message(1, 5, b"a change of members")), Ok(Data::Bare));
        assert_eq!(data(&message(2, 5, &[])), Ok(Data::Bare));
        assert!(data(&message(0, 6, &proposal)).is_err(), "another index");
        assert!(data(&message(0, 5, &proposal[..9])).is_err(), "no payload");
        assert!(data(&message(0, 5, b"\x02somethingelse")).is_err());
        assert!(data(b"\xff\xff\xff").is_err());
    }

    #[test]
    fn the_bytes_are_raft_rs_own() {
        // entry_type 0 is left out; term 2, index 300, data "\x01" + 8 bytes + "\x02".
        let by_hand = [
            &[0x10, 0x02, 0x18, 0xac, 0x02, 0x22, 0x0a, 0x01][..],
            &[0; 8],
            &[0x02],
        ]
        .concat();
        let entry = parse(300, &by_hand).unwrap();
        assert_eq!(entry.data, Data::Payload(vec![0x02]));
    }
}
