//! The bytes of a log entry: `0x01 ‖ proposal id BE64 ‖ payload`, payload[0] = opcode.
//!
//! Above the cutover the payload is a raft envelope around what it would have been.

use bytes::{BufMut, Bytes, BytesMut};
use prost::Message as _;
use thiserror::Error;

use crate::encryption::{KeyEntry, KeyEntryError};
use crate::wire::Command;

const VERSION: u8 = 0x01;
const HEADER: usize = 9;
const OPCODE_COMMAND: u8 = 0x00;

/// Opcodes of encryption entries.
const KEYS: std::ops::RangeInclusive<u8> = 0x03..=0x05;
/// Opcodes kept for later releases; none must pass one.
const RESERVED: std::ops::RangeInclusive<u8> = 0x06..=0x07;

/// What an entry says, once its bytes are understood.
#[derive(Debug)]
pub enum Payload {
    /// A client's command.
    Command(Command),
    /// An encryption entry.
    Keys(KeyEntry),
}

/// An entry's data that is not of a known form.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum EntryError {
    /// Shorter than its header, or another version.
    #[error("entry data has no known header ({0} bytes)")]
    Header(usize),
    /// An opcode that is not known.
    #[error("entry has unknown opcode 0x{0:02x}")]
    Opcode(u8),
    /// An opcode of a later release.
    #[error("opcode 0x{0:02x} is of a later release")]
    Reserved(u8),
    /// The command's protobuf does not decode.
    #[error("entry's command does not decode: {0}")]
    Command(String),
    /// The encryption entry does not decode.
    #[error(transparent)]
    Keys(#[from] KeyEntryError),
}

/// The payload of a command.
pub fn command(command: &Command) -> Vec<u8> {
    let mut payload = Vec::with_capacity(1 + command.encoded_len());
    payload.push(OPCODE_COMMAND);
    payload.extend_from_slice(&command.encode_to_vec());
    payload
}

/// The bytes to propose: a payload, sealed or not, under its proposal's id.
pub fn frame(proposal_id: u64, payload: &[u8]) -> Vec<u8> {
    let mut data = BytesMut::with_capacity(HEADER + payload.len());
    data.put_u8(VERSION);
    data.put_u64(proposal_id);
    data.extend_from_slice(payload);
    data.into()
}

/// Takes an entry's data apart into proposal id and payload as it lies there.
///
/// # Errors
/// [`EntryError::Header`].
pub fn unframe(data: &Bytes) -> Result<(u64, Bytes), EntryError> {
    if data.len() <= HEADER || data[0] != VERSION {
        return Err(EntryError::Header(data.len()));
    }
    let mut id = [0; 8];
    id.copy_from_slice(&data[1..HEADER]);
    Ok((u64::from_be_bytes(id), data.slice(HEADER..)))
}

/// Understands a payload in the clear.
///
/// # Errors
/// [`EntryError`] for bytes of no known form.
pub fn parse(payload: &Bytes) -> Result<Payload, EntryError> {
    match payload.first().copied() {
        None => Err(EntryError::Header(0)),
        Some(OPCODE_COMMAND) => Command::decode(payload.slice(1..))
            .map(Payload::Command)
            .map_err(|error| EntryError::Command(error.to_string())),
        Some(opcode) if KEYS.contains(&opcode) => Ok(Payload::Keys(KeyEntry::decode(payload)?)),
        Some(opcode) if RESERVED.contains(&opcode) => Err(EntryError::Reserved(opcode)),
        Some(opcode) => Err(EntryError::Opcode(opcode)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_round_trips() -> Result<(), EntryError> {
        let sent = Command { body: None };
        let data = Bytes::from(frame(7, &command(&sent)));
        let (id, payload) = unframe(&data)?;
        assert_eq!(id, 7);
        assert!(matches!(parse(&payload)?, Payload::Command(read) if read == sent));
        Ok(())
    }

    #[test]
    fn reserved_and_unknown_opcodes_are_told_apart() {
        let parsed = |opcode: u8| parse(&Bytes::from(vec![opcode])).err();
        assert_eq!(parsed(6), Some(EntryError::Reserved(6)));
        assert_eq!(parsed(9), Some(EntryError::Opcode(9)));
        assert!(matches!(parsed(4), Some(EntryError::Keys(_))));
        assert_eq!(unframe(&Bytes::new()).err(), Some(EntryError::Header(0)));
    }
}
