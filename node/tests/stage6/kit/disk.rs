//! What a stopped node left on its disk, read as the formats say (from a copy: opening a
//! database rewrites some of it), and entries put into its log by hand.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use fjall::{Database, Keyspace, KeyspaceCreateOptions, PersistMode};
use protobuf::Message as _;
use raft::eraftpb::{Entry, EntryType};

use super::keys::{self, ENVELOPE_HEADER, Key};
use super::sidecar::copy_folder;

/// A stored version of a user's key.
#[derive(Clone, Debug)]
pub struct Row {
    /// User key and inverted timestamp.
    pub key: Vec<u8>,
    pub value: Vec<u8>,
}

/// A row of the writer registry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Writer {
    pub full_node_id: u64,
    pub first_seen: u16,
    pub last_seen: u16,
}

const WRITERS: &[u8] = b"!encryption|writers|";

fn open(path: &Path) -> (Database, Keyspace) {
    let database = Database::builder(path).open().expect("a database");
    let rows = database.keyspace("main", KeyspaceCreateOptions::default);
    let rows = rows.expect("its keyspace");
    (database, rows)
}

fn all(path: &Path) -> Vec<(Vec<u8>, Vec<u8>)> {
    let copy = tempfile::tempdir().expect("a temporary folder");
    copy_folder(path, copy.path());
    let (_database, rows) = open(copy.path());
    let pair = |item: fjall::Guard| {
        let (key, value) = item.into_inner().expect("a row");
        (key.to_vec(), value.to_vec())
    };
    rows.iter().map(pair).collect()
}

fn newest_log(data_dir: &Path) -> PathBuf {
    let entries = std::fs::read_dir(data_dir.join("wal")).expect("a log");
    let paths = entries.map(|entry| entry.expect("an entry").path());
    paths.max().expect("a generation")
}

/// Values of users' keys; bookkeeping is left out.
pub fn values(data_dir: &Path) -> Vec<Row> {
    let rows = all(&data_dir.join("fsm.db")).into_iter();
    let users = rows.filter(|(key, _)| !key.starts_with(b"_meta_") && !key.starts_with(b"!enc"));
    users.map(|(key, value)| Row { key, value }).collect()
}

/// The writer registry: (dek id, 16-bit node id) → row.
pub fn writers(data_dir: &Path) -> BTreeMap<(u32, u16), Writer> {
    let be = |bytes: &[u8]| bytes.iter().fold(0_u64, |n, b| n << 8 | u64::from(*b));
    let mut found = BTreeMap::new();
    for (key, value) in all(&data_dir.join("fsm.db")) {
        let Some(id) = key.strip_prefix(WRITERS) else {
            continue;
        };
        assert_eq!((id.len(), id[4], value.len()), (7, b'|', 12), "{key:x?}");
        let writer = Writer {
            full_node_id: be(&value[..8]),
            first_seen: be(&value[8..10]) as u16,
            last_seen: be(&value[10..]) as u16,
        };
        found.insert((be(&id[..4]) as u32, be(&id[5..]) as u16), writer);
    }
    found
}

/// The index the state was applied to, as its database says.
pub fn applied(data_dir: &Path) -> u64 {
    let rows = all(&data_dir.join("fsm.db"));
    let meta = rows.iter().find(|(key, _)| key == b"_meta_applied_index");
    meta.map_or(0, |(_, value)| {
        u64::from_le_bytes(value[..8].try_into().expect("8 bytes"))
    })
}

/// Index and payload (behind version and proposal id) of every entry of the log that
/// carries one, oldest first.
pub fn payloads(data_dir: &Path) -> Vec<(u64, Vec<u8>)> {
    let mut found = Vec::new();
    for (key, value) in all(&newest_log(data_dir)) {
        if key.first() != Some(&b'e') {
            continue;
        }
        let entry = Entry::parse_from_bytes(&value).expect("an entry");
        if entry.get_entry_type() == EntryType::EntryNormal && !entry.data.is_empty() {
            found.push((entry.index, entry.data[9..].to_vec()));
        }
    }
    found
}

/// Appends an entry with this payload to a stopped node's log; its index.
pub fn append(data_dir: &Path, payload: &[u8]) -> u64 {
    let (database, rows) = open(&newest_log(data_dir));
    let last = rows.range([b'e'].to_vec()..[b'f'].to_vec()).next_back();
    let last = last.expect("an entry").value().expect("its value");
    let mut entry = Entry::parse_from_bytes(&last).expect("an entry");
    entry.set_entry_type(EntryType::EntryNormal);
    entry.context = Default::default();
    entry.index += 1;
    entry.data = [&[1_u8; 9][..], payload].concat().into();
    let key = [&b"e"[..], &entry.index.to_be_bytes()].concat();
    let bytes = entry.write_to_bytes().expect("bytes");
    rows.insert(key, bytes).expect("a row");
    database.persist(PersistMode::SyncAll).expect("a sync");
    entry.index
}

/// Opens an enveloped value: the AAD is envelope header, value header, whole row key.
pub fn open_value(row: &Row, deks: &BTreeMap<u32, Key>) -> Option<Vec<u8>> {
    let (header, body) = row.value.split_at_checked(9)?;
    let key = deks.get(&keys::envelope_key(body)?)?;
    let aad = [&body[..ENVELOPE_HEADER], header, &row.key].concat();
    keys::open(key, &body[ENVELOPE_HEADER..], &aad)
}

/// Opens an enveloped entry: the AAD is 'R', version, key id.
pub fn open_entry(payload: &[u8], deks: &BTreeMap<u32, Key>) -> Option<Vec<u8>> {
    let key = deks.get(&keys::envelope_key(payload)?)?;
    let aad = [&[0x52, payload[0]][..], &payload[2..ENVELOPE_HEADER]].concat();
    keys::open(key, &payload[ENVELOPE_HEADER..], &aad)
}

/// The key that a raft rotation (0x05, sub-tag 1, purpose 2) brings.
pub fn raft_rotation(content: &[u8]) -> Option<u32> {
    let rest = content.strip_prefix(&[0x05, 0x01, 0x01])?;
    let (id, rest) = rest.split_first_chunk::<4>()?;
    (rest.first() == Some(&2)).then(|| u32::from_be_bytes(*id))
}

/// The payload of a registration (0x03).
pub fn registration(dek_id: u32, full_node_id: u64, epoch: u16) -> Vec<u8> {
    [
        &[0x03, 0x01][..],
        &dek_id.to_be_bytes(),
        &full_node_id.to_be_bytes(),
        &epoch.to_be_bytes(),
    ]
    .concat()
}

/// The payload of a bootstrap (0x04) of one member.
pub fn bootstrap(storage: (u32, &[u8]), raft: (u32, &[u8]), full_node_id: u64) -> Vec<u8> {
    let mut payload = vec![0x04, 0x01];
    for (id, wrapped) in [storage, raft] {
        payload.extend_from_slice(&id.to_be_bytes());
        payload.extend_from_slice(&(wrapped.len() as u32).to_be_bytes());
        payload.extend_from_slice(wrapped);
    }
    payload.extend_from_slice(&2_u32.to_be_bytes());
    for id in [storage.0, raft.0] {
        payload.extend_from_slice(&id.to_be_bytes());
        payload.extend_from_slice(&full_node_id.to_be_bytes());
        payload.extend_from_slice(&[0, 0]);
    }
    payload
}

/// The payload of a rotation (0x05, sub-tag 1) of the storage key.
pub fn rotation(dek_id: u32, wrapped: &[u8], full_node_id: u64) -> Vec<u8> {
    let mut payload = vec![0x05, 0x01, 0x01];
    payload.extend_from_slice(&dek_id.to_be_bytes());
    payload.push(1);
    payload.extend_from_slice(&(wrapped.len() as u32).to_be_bytes());
    payload.extend_from_slice(wrapped);
    payload.extend_from_slice(&dek_id.to_be_bytes());
    payload.extend_from_slice(&full_node_id.to_be_bytes());
    payload.extend_from_slice(&[0, 0]);
    payload
}
