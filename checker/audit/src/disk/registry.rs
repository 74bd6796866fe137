//! The writer registry's rows among those of the state: `!encryption|writers|` key id BE32 `|`
//! node id BE16 → full node id BE64, first and last seen epoch BE16 (section 5.4 of the contract).

use super::Row;

const PREFIX: &[u8] = b"!encryption|writers|";

/// What the registry says of one writer under one key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Registered {
    pub(crate) key_id: u32,
    pub(crate) node_id: u16,
    pub(crate) full_node_id: u64,
    pub(crate) first_seen: u16,
    pub(crate) last_seen: u16,
}

/// The row's meaning, if it is one of the registry's.
pub(crate) fn registered(row: &Row) -> Option<Registered> {
    let key: &[u8; 7] = row.key.strip_prefix(PREFIX)?.try_into().ok()?;
    let value: &[u8; 12] = row.value.as_slice().try_into().ok()?;
    let [k0, k1, k2, k3, b'|', n0, n1] = *key else {
        return None;
    };
    let (id, epochs) = value.split_first_chunk::<8>()?;
    Some(Registered {
        key_id: u32::from_be_bytes([k0, k1, k2, k3]),
        node_id: u16::from_be_bytes([n0, n1]),
        full_node_id: u64::from_be_bytes(*id),
        first_seen: u16::from_be_bytes([epochs[0], epochs[1]]),
        last_seen: u16::from_be_bytes([epochs[2], epochs[3]]),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_of_the_registry_are_read_and_others_are_not() {
        let row = |key: &[u8], value: &[u8]| Row {
            key: key.to_vec(),
            value: value.to_vec(),
            offset: None,
        };
        let key = b"!encryption|writers|\0\0\x01\x02|\xd4\xc0";
        let value = [0, 0, 0, 0, 0, 0, 0xd4, 0xc0, 0, 1, 0, 9];
        assert_eq!(
            registered(&row(key, &value)),
            Some(Registered {
                key_id: 0x102,
                node_id: 0xd4c0,
                full_node_id: 0xd4c0,
                first_seen: 1,
                last_seen: 9,
            })
        );
        assert_eq!(registered(&row(key, &value[1..])), None);
        assert_eq!(registered(&row(&key[..26], &value)), None);
        assert_eq!(registered(&row(b"!encryption|state", &value)), None);
    }
}
