//! What encryption entries say in the log: `0x03` registration, `0x04` bootstrap, `0x05`
//! the rotation family; big endian throughout (elastickv's layouts).

use bytes::{Buf, BufMut, Bytes};
use thiserror::Error;

use crate::release::Release;

/// Opcode of a registration.
pub const REGISTER: u8 = 0x03;
/// Opcode of a bootstrap.
pub const BOOTSTRAP: u8 = 0x04;
/// Opcode of the rotation family.
pub const ROTATION: u8 = 0x05;

const VERSION: u8 = 0x01;
const ROTATE_DEK: u8 = 0x01;
const ENABLE_STORAGE: u8 = 0x04;
const ENABLE_RAFT: u8 = 0x05;
/// A bootstrap has at most this many registry rows.
pub const ROWS_MAX: usize = 16_384;

/// What a DEK seals.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Purpose {
    /// Values in the LSM.
    Storage,
    /// Proposal payloads in the Raft log.
    Raft,
}

/// A writer registry row as an entry carries it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WriterRow {
    /// The key it is about.
    pub dek_id: u32,
    /// FNV-1a 64 of the writer's raft id.
    pub full_node_id: u64,
    /// The epoch the writer seals under.
    pub local_epoch: u16,
}

/// An encryption entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyEntry {
    /// A writer says under which epoch it will seal.
    Register(WriterRow),
    /// Both first DEKs, and rows for every member.
    Bootstrap {
        /// The storage key's id and wrapped bytes.
        storage: (u32, Bytes),
        /// The raft key's id and wrapped bytes.
        raft: (u32, Bytes),
        /// Rows of all members.
        rows: Vec<WriterRow>,
    },
    /// A new active DEK.
    Rotate {
        /// What it seals.
        purpose: Purpose,
        /// Its wrapped bytes; its id is the row's.
        wrapped: Bytes,
        /// The proposer's row under it.
        row: WriterRow,
    },
    /// Phase 1: values are sealed from here on.
    EnableStorage {
        /// The proposer's row under the active storage key.
        row: WriterRow,
    },
    /// Phase 2: entries above this one are sealed.
    EnableRaft {
        /// The proposer's row under the active raft key.
        row: WriterRow,
    },
}

/// Bytes that are no encryption entry this store knows.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum KeyEntryError {
    /// Cut short, or longer than it says.
    #[error("entry 0x{0:02x} is cut short or too long")]
    Length(u8),
    /// A version, sub-tag or purpose of a later release.
    #[error("entry 0x{opcode:02x} has unknown {what} 0x{value:02x}")]
    Unknown {
        /// The entry's opcode.
        opcode: u8,
        /// What is unknown.
        what: &'static str,
        /// What it says.
        value: u8,
    },
}

impl KeyEntry {
    /// The first release that can apply it.
    pub fn stage(&self) -> Release {
        match self {
            KeyEntry::Register(_) => Release::Stage6A,
            KeyEntry::Bootstrap { .. } | KeyEntry::Rotate { .. } => Release::Stage6B,
            KeyEntry::EnableStorage { .. } => Release::Stage6D,
            KeyEntry::EnableRaft { .. } => Release::Stage6E,
        }
    }

    /// The payload to put into the log, opcode first.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        match self {
            KeyEntry::Register(row) => {
                out.extend_from_slice(&[REGISTER, VERSION]);
                put_row(&mut out, row);
            }
            KeyEntry::Bootstrap {
                storage,
                raft,
                rows,
            } => {
                out.extend_from_slice(&[BOOTSTRAP, VERSION]);
                for (id, wrapped) in [storage, raft] {
                    out.put_u32(*id);
                    put_bytes(&mut out, wrapped);
                }
                out.put_u32(rows.len() as u32);
                for row in rows {
                    put_row(&mut out, row);
                }
            }
            KeyEntry::Rotate {
                purpose,
                wrapped,
                row,
            } => put_rotation(&mut out, ROTATE_DEK, *purpose, wrapped, row),
            KeyEntry::EnableStorage { row } => {
                put_rotation(&mut out, ENABLE_STORAGE, Purpose::Storage, &[], row);
            }
            KeyEntry::EnableRaft { row } => {
                put_rotation(&mut out, ENABLE_RAFT, Purpose::Raft, &[], row);
            }
        }
        out
    }

    /// Reads a payload whose opcode is one of the three.
    ///
    /// # Errors
    /// [`KeyEntryError`].
    pub fn decode(payload: &[u8]) -> Result<Self, KeyEntryError> {
        let opcode = payload.first().copied().unwrap_or(0);
        let mut reader = Reader {
            opcode,
            rest: payload.get(1..).unwrap_or_default(),
        };
        let unknown = |what, value| KeyEntryError::Unknown {
            opcode,
            what,
            value,
        };
        match reader.u8()? {
            VERSION => {}
            version => return Err(unknown("version", version)),
        }
        let entry = match opcode {
            REGISTER => KeyEntry::Register(reader.row()?),
            BOOTSTRAP => reader.bootstrap()?,
            ROTATION => {
                let tag = reader.u8()?;
                let dek_id = reader.u32()?;
                let purpose = match reader.u8()? {
                    1 => Purpose::Storage,
                    2 => Purpose::Raft,
                    other => return Err(unknown("purpose", other)),
                };
                let wrapped = reader.bytes()?;
                let row = reader.row()?;
                if row.dek_id != dek_id {
                    return Err(KeyEntryError::Length(opcode));
                }
                match tag {
                    ROTATE_DEK => KeyEntry::Rotate {
                        purpose,
                        wrapped,
                        row,
                    },
                    ENABLE_STORAGE => KeyEntry::EnableStorage { row },
                    ENABLE_RAFT => KeyEntry::EnableRaft { row },
                    other => return Err(unknown("sub-tag", other)),
                }
            }
            other => return Err(unknown("opcode", other)),
        };
        if reader.rest.is_empty() {
            Ok(entry)
        } else {
            Err(KeyEntryError::Length(opcode))
        }
    }
}

fn put_row(out: &mut Vec<u8>, row: &WriterRow) {
    out.put_u32(row.dek_id);
    out.put_u64(row.full_node_id);
    out.put_u16(row.local_epoch);
}

fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    out.put_u32(bytes.len() as u32);
    out.extend_from_slice(bytes);
}

fn put_rotation(out: &mut Vec<u8>, tag: u8, purpose: Purpose, wrapped: &[u8], row: &WriterRow) {
    out.extend_from_slice(&[ROTATION, VERSION, tag]);
    out.put_u32(row.dek_id);
    out.put_u8(match purpose {
        Purpose::Storage => 1,
        Purpose::Raft => 2,
    });
    put_bytes(out, wrapped);
    put_row(out, row);
}

struct Reader<'a> {
    opcode: u8,
    rest: &'a [u8],
}

impl Reader<'_> {
    fn need(&self, bytes: usize) -> Result<(), KeyEntryError> {
        if self.rest.len() < bytes {
            return Err(KeyEntryError::Length(self.opcode));
        }
        Ok(())
    }

    fn u8(&mut self) -> Result<u8, KeyEntryError> {
        self.need(1)?;
        Ok(self.rest.get_u8())
    }

    fn u32(&mut self) -> Result<u32, KeyEntryError> {
        self.need(4)?;
        Ok(self.rest.get_u32())
    }

    fn bytes(&mut self) -> Result<Bytes, KeyEntryError> {
        let length = self.u32()? as usize;
        self.need(length)?;
        Ok(self.rest.copy_to_bytes(length))
    }

    fn row(&mut self) -> Result<WriterRow, KeyEntryError> {
        self.need(14)?;
        Ok(WriterRow {
            dek_id: self.rest.get_u32(),
            full_node_id: self.rest.get_u64(),
            local_epoch: self.rest.get_u16(),
        })
    }

    fn bootstrap(&mut self) -> Result<KeyEntry, KeyEntryError> {
        let storage = (self.u32()?, self.bytes()?);
        let raft = (self.u32()?, self.bytes()?);
        let count = self.u32()? as usize;
        if count > ROWS_MAX {
            return Err(KeyEntryError::Length(self.opcode));
        }
        let rows = (0..count).map(|_| self.row()).collect::<Result<_, _>>()?;
        Ok(KeyEntry::Bootstrap {
            storage,
            raft,
            rows,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROW: WriterRow = WriterRow {
        dek_id: 0x0102_0304,
        full_node_id: 0x1112_1314_1516_1718,
        local_epoch: 0x2122,
    };

    #[test]
    fn entries_round_trip_and_nothing_else_is_read() {
        let wrapped = Bytes::from_static(&[5; 60]);
        let entries = [
            KeyEntry::Register(ROW),
            KeyEntry::Bootstrap {
                storage: (1, wrapped.clone()),
                raft: (2, wrapped.clone()),
                rows: vec![ROW, ROW],
            },
            KeyEntry::Rotate {
                purpose: Purpose::Raft,
                wrapped,
                row: ROW,
            },
            KeyEntry::EnableStorage { row: ROW },
            KeyEntry::EnableRaft { row: ROW },
        ];
        for entry in entries {
            let bytes = entry.encode();
            assert_eq!(KeyEntry::decode(&bytes).as_ref(), Ok(&entry));
            for end in 0..bytes.len() {
                assert!(KeyEntry::decode(&bytes[..end]).is_err());
            }
            assert!(KeyEntry::decode(&[&bytes[..], &[0]].concat()).is_err());
        }
    }

    #[test]
    fn a_registration_lies_as_documented() {
        let bytes = KeyEntry::Register(ROW).encode();
        assert_eq!(bytes.len(), 16);
        assert_eq!(bytes[..6], [3, 1, 1, 2, 3, 4]);
        assert_eq!(bytes[14..], [0x21, 0x22]);
    }
}
