//! The bytes of a log entry: `0x01 ‖ proposal id BE64 ‖ payload`, payload[0] = opcode.
//!
//! The payload is where the raft envelope will go; everything else in the node
//! handles entries only through this file.

use bytes::{BufMut, Bytes, BytesMut};
use prost::Message as _;
use thiserror::Error;

use crate::wire::Command;

const VERSION: u8 = 0x01;
const HEADER: usize = 9;
const OPCODE_COMMAND: u8 = 0x00;

/// Opcodes later releases use; a release that does not know one must not pass it.
const RESERVED: std::ops::RangeInclusive<u8> = 0x03..=0x07;

/// What an entry says, once its bytes are understood.
#[derive(Debug)]
pub enum Payload {
    /// A client's command.
    Command(Command),
    /// An opcode of a release this one does not know: apply must halt.
    Reserved(u8),
}

/// An entry's data that is not of a known form.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum EntryError {
    /// Shorter than its header, or another version.
    #[error("entry data has no known header ({0} bytes)")]
    Header(usize),
    /// An opcode that is neither known nor reserved.
    #[error("entry has unknown opcode 0x{0:02x}")]
    Opcode(u8),
    /// The command's protobuf does not decode.
    #[error("entry's command does not decode: {0}")]
    Command(String),
}

/// The bytes to propose for a command.
pub fn encode(proposal_id: u64, command: &Command) -> Vec<u8> {
    let mut data = BytesMut::with_capacity(HEADER + 1 + command.encoded_len());
    data.put_u8(VERSION);
    data.put_u64(proposal_id);
    data.put_u8(OPCODE_COMMAND);
    data.extend_from_slice(&command.encode_to_vec());
    data.into()
}

/// Takes an entry's data apart into proposal id and payload.
///
/// # Errors
/// [`EntryError`] for bytes of no known form.
pub fn decode(data: &Bytes) -> Result<(u64, Payload), EntryError> {
    if data.len() <= HEADER || data[0] != VERSION {
        return Err(EntryError::Header(data.len()));
    }
    let mut id = [0; 8];
    id.copy_from_slice(&data[1..HEADER]);
    let payload = match data[HEADER] {
        OPCODE_COMMAND => Payload::Command(
            Command::decode(data.slice(HEADER + 1..))
                .map_err(|error| EntryError::Command(error.to_string()))?,
        ),
        opcode if RESERVED.contains(&opcode) => Payload::Reserved(opcode),
        opcode => return Err(EntryError::Opcode(opcode)),
    };
    Ok((u64::from_be_bytes(id), payload))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_round_trips() {
        let command = Command { body: None };
        let data = Bytes::from(encode(7, &command));
        assert!(matches!(decode(&data), Ok((7, Payload::Command(c))) if c == command));
    }

    #[test]
    fn reserved_and_unknown_opcodes_are_told_apart() {
        let with = |opcode| Bytes::from([vec![1; 9], vec![opcode]].concat());
        assert!(matches!(decode(&with(4)), Ok((_, Payload::Reserved(4)))));
        assert_eq!(decode(&with(9)).err(), Some(EntryError::Opcode(9)));
        assert_eq!(decode(&Bytes::new()).err(), Some(EntryError::Header(0)));
    }
}
