//! The writer registry: replicated rows `(dek_id, node_id16) → {full_node_id,
//! first_seen_local_epoch, last_seen_local_epoch}`, kept among the state's rows.

use super::payload::WriterRow;

/// First bytes of every registry row's key.
pub const PREFIX: &[u8] = b"!encryption|writers|";

/// A registry row's value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Writer {
    /// Who writes.
    pub full_node_id: u64,
    /// The epoch it was first registered with.
    pub first_seen: u16,
    /// The epoch it was last registered with.
    pub last_seen: u16,
}

/// A registry row's key: what the row is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Slot {
    /// The key.
    pub dek_id: u32,
    /// Low 16 bits of the writer's full id.
    pub node_id: u16,
}

/// The 16 bits of a full id that nonces and rows carry.
pub fn node_id(full_node_id: u64) -> u16 {
    full_node_id as u16
}

impl Slot {
    /// The slot a row goes into.
    pub fn of(row: &WriterRow) -> Self {
        Self {
            dek_id: row.dek_id,
            node_id: node_id(row.full_node_id),
        }
    }

    /// The slot's key among the state's rows.
    pub fn key(self) -> Vec<u8> {
        let mut key = PREFIX.to_vec();
        key.extend_from_slice(&self.dek_id.to_be_bytes());
        key.push(b'|');
        key.extend_from_slice(&self.node_id.to_be_bytes());
        key
    }
}

impl Writer {
    /// The value as stored.
    pub fn encode(self) -> [u8; 12] {
        let mut value = [0; 12];
        value[..8].copy_from_slice(&self.full_node_id.to_be_bytes());
        value[8..10].copy_from_slice(&self.first_seen.to_be_bytes());
        value[10..].copy_from_slice(&self.last_seen.to_be_bytes());
        value
    }

    /// The value from what is stored; `None` for other bytes.
    pub fn decode(value: &[u8]) -> Option<Self> {
        let value: &[u8; 12] = value.try_into().ok()?;
        let (id, epochs) = value.split_first_chunk::<8>()?;
        Some(Self {
            full_node_id: u64::from_be_bytes(*id),
            first_seen: u16::from_be_bytes([epochs[0], epochs[1]]),
            last_seen: u16::from_be_bytes([epochs[2], epochs[3]]),
        })
    }
}

/// What a row does to its slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Registration {
    /// First of its slot.
    Insert(Writer),
    /// A greater epoch than any before.
    Advance(Writer),
    /// The epoch is the one already there.
    Same,
    /// The epoch is below the one already there.
    Behind(Writer),
    /// Another node has these 16 bits.
    Collision(Writer),
}

/// The cases of a registration.
pub fn register(before: Option<Writer>, row: &WriterRow) -> Registration {
    let Some(writer) = before else {
        return Registration::Insert(Writer {
            full_node_id: row.full_node_id,
            first_seen: row.local_epoch,
            last_seen: row.local_epoch,
        });
    };
    if writer.full_node_id != row.full_node_id {
        return Registration::Collision(writer);
    }
    match row.local_epoch.cmp(&writer.last_seen) {
        std::cmp::Ordering::Greater => Registration::Advance(Writer {
            last_seen: row.local_epoch,
            ..writer
        }),
        std::cmp::Ordering::Equal => Registration::Same,
        std::cmp::Ordering::Less => Registration::Behind(writer),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_lie_as_documented_and_the_cases_are_told_apart() {
        let row = |full_node_id, local_epoch| WriterRow {
            dek_id: 7,
            full_node_id,
            local_epoch,
        };
        let slot = Slot::of(&row(0x00ab_0102, 3));
        assert_eq!(slot.key(), b"!encryption|writers|\0\0\0\x07|\x01\x02");
        let Registration::Insert(writer) = register(None, &row(0x00ab_0102, 3)) else {
            panic!("an empty slot takes a row");
        };
        assert_eq!(Writer::decode(&writer.encode()), Some(writer));
        assert_eq!(Writer::decode(&[0; 11]), None);
        let again = |id, epoch| register(Some(writer), &row(id, epoch));
        assert_eq!(again(0x00ab_0102, 3), Registration::Same);
        assert!(matches!(again(0x00ab_0102, 4), Registration::Advance(w) if w.last_seen == 4));
        assert!(matches!(again(0x00ab_0102, 2), Registration::Behind(_)));
        assert!(matches!(again(0x00ac_0102, 9), Registration::Collision(_)));
    }
}
