//! A cluster's disks, laid out as the reference store does, through a whole life: values in
//! the clear, phase 1, phase 2.

use std::fs;
use std::path::{Path, PathBuf};

use aes_gcm::aead::{Aead, KeyInit, Payload};
use aes_gcm::{Aes256Gcm, Nonce};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use fjall::{Database, Keyspace, KeyspaceCreateOptions, PersistMode};
use keyquake_audit::{Answered, Audit, Canaries, Canary, MayStand, NodeDisks, Subject, audit};
use keyquake_formats::keys::{Dek, Kek};
use prost::Message;
use serde_json::json;
use tempfile::TempDir;

pub const NODES: [&str; 3] = ["n1", "n2", "n3"];
/// 16-bit ids of n1, n2, n3: FNV-1a of their names.
pub const NODE_IDS: [u16; 3] = [0xd4c0, 0xd9d9, 0xd826];
pub const STORAGE_KEY: u32 = 7;
pub const RAFT_KEY: u32 = 9;
/// A key that was rotated away from storage.
pub const OLD_KEY: u32 = 5;
pub const STORAGE_CUTOVER: u64 = 30;
pub const RAFT_CUTOVER: u64 = 60;
/// Values 0 .. 90 are written at log indexes 1 .. 91, all under key 1.
pub const VALUES: u64 = 90;
pub const EPOCH: u16 = 3;
/// Of a row's value that is an envelope without expiry.
pub const HEADER: [u8; 9] = [2, 0, 0, 0, 0, 0, 0, 0, 0];

pub struct Disks {
    pub dir: TempDir,
    pub kek: Kek,
    pub deks: [(u32, &'static str, Dek); 3],
    pub canary: Canary,
}

/// raft-rs' `Entry`, written down once more.
#[derive(Clone, PartialEq, Message)]
struct Entry {
    #[prost(int32, tag = "1")]
    entry_type: i32,
    #[prost(uint64, tag = "2")]
    term: u64,
    #[prost(uint64, tag = "3")]
    index: u64,
    #[prost(bytes = "vec", tag = "4")]
    data: Vec<u8>,
}

/// A row's key: the user's, and the inverted timestamp.
pub fn row_key(index: u64) -> Vec<u8> {
    [
        format!("!redis|str|k{index}").as_bytes(),
        &(!index).to_be_bytes(),
    ]
    .concat()
}

pub fn nonce(node_id: u16, epoch: u16, count: u64) -> [u8; 12] {
    let bytes = [
        &node_id.to_be_bytes()[..],
        &epoch.to_be_bytes(),
        &count.to_be_bytes(),
    ];
    bytes.concat().try_into().unwrap()
}

fn seal(dek: &Dek, key_id: u32, nonce: [u8; 12], aad: &[u8], plain: &[u8]) -> Vec<u8> {
    let cipher = Aes256Gcm::new(&(*dek.expose()).into());
    let payload = Payload { msg: plain, aad };
    let sealed = cipher.encrypt(&Nonce::from(nonce), payload).unwrap();
    [&[1, 0], &key_id.to_be_bytes()[..], &nonce, &sealed].concat()
}

impl Disks {
    /// Three whole nodes, nothing wrong with them.
    pub fn whole() -> Disks {
        let disks = Disks {
            dir: tempfile::tempdir().unwrap(),
            kek: Kek::generate().unwrap(),
            deks: [
                (OLD_KEY, "storage", Dek::generate().unwrap()),
                (STORAGE_KEY, "storage", Dek::generate().unwrap()),
                (RAFT_KEY, "raft", Dek::generate().unwrap()),
            ],
            canary: Canary::of_seed(11),
        };
        disks.kek.store_new(&disks.dir.path().join("kek")).unwrap();
        let sidecar = disks.sidecar();
        for (place, node) in NODES.iter().enumerate() {
            fs::create_dir_all(disks.data_dir(node).join("fsm-snap")).unwrap();
            fs::create_dir_all(disks.sidecar_path(node).parent().unwrap()).unwrap();
            disks.write_sidecar(node, &sidecar);
            disks.make_table(node, NODE_IDS[place]);
            disks.make_log(node);
            disks.make_snapshot(node, NODE_IDS[place]);
        }
        disks
    }

    pub fn data_dir(&self, node: &str) -> PathBuf {
        self.dir.path().join("nodes").join(node)
    }

    pub fn sidecar_path(&self, node: &str) -> PathBuf {
        let folder = format!("{node}.keys");
        self.dir
            .path()
            .join("nodes")
            .join(folder)
            .join("sidecar.json")
    }

    pub fn snapshot_path(&self, node: &str) -> PathBuf {
        let name = format!("{:016x}.fsm", VALUES);
        self.data_dir(node).join("fsm-snap").join(name)
    }

    pub fn dek(&self, id: u32) -> &Dek {
        &self.deks.iter().find(|(of, ..)| *of == id).unwrap().2
    }

    pub fn sidecar(&self) -> serde_json::Value {
        let key = |(id, purpose, dek): &(u32, &str, Dek)| {
            let wrapped = STANDARD.encode(self.kek.wrap(dek).unwrap().as_bytes());
            let created = "2026-08-22T00:00:00Z";
            let fields = json!({"purpose": purpose, "wrapped": wrapped, "created": created,
                "local_epoch": EPOCH});
            (id.to_string(), fields)
        };
        let keys: serde_json::Map<_, _> = self.deks.iter().map(key).collect();
        json!({"version": 2, "raft_applied_index": 70, "storage_envelope_active": true,
            "storage_envelope_cutover_index": STORAGE_CUTOVER,
            "raft_envelope_cutover_index": RAFT_CUTOVER,
            "active": {"storage": STORAGE_KEY, "raft": RAFT_KEY}, "keys": keys})
    }

    pub fn write_sidecar(&self, node: &str, sidecar: &serde_json::Value) {
        let text = serde_json::to_string_pretty(sidecar).unwrap();
        fs::write(self.sidecar_path(node), text).unwrap();
    }

    /// The text of the value written at a log index.
    pub fn text(&self, index: u64) -> String {
        self.canary.text(1, index - 1)
    }

    pub fn clear_row(&self, index: u64) -> Vec<u8> {
        [&[0; 9], self.text(index).as_bytes()].concat()
    }

    /// The row value of an index, sealed by a node for a row key.
    pub fn sealed_row(&self, index: u64, row_key: &[u8], nonce: [u8; 12]) -> Vec<u8> {
        let key_id = if index < 50 { OLD_KEY } else { STORAGE_KEY };
        let bound = [&HEADER[..], row_key].concat();
        self.sealed_with(index, key_id, key_id, &bound, nonce)
    }

    /// The row value of an index, sealed with the bytes of one key under the id of another,
    /// and bound to anything.
    pub fn sealed_with(
        &self,
        index: u64,
        bytes_of: u32,
        key_id: u32,
        bound: &[u8],
        nonce: [u8; 12],
    ) -> Vec<u8> {
        let aad = [&[1, 0], &key_id.to_be_bytes()[..], bound].concat();
        let text = self.text(index);
        let envelope = seal(self.dek(bytes_of), key_id, nonce, &aad, text.as_bytes());
        [&HEADER[..], &envelope].concat()
    }

    fn row(&self, node_id: u16, index: u64) -> Vec<u8> {
        match index > STORAGE_CUTOVER {
            true => self.sealed_row(index, &row_key(index), nonce(node_id, EPOCH, index)),
            false => self.clear_row(index),
        }
    }

    /// A proposal's payload, sealed for the log.
    pub fn sealed_payload(&self, payload: &[u8], nonce: [u8; 12]) -> Vec<u8> {
        let aad = [&b"R\x01"[..], &RAFT_KEY.to_be_bytes()].concat();
        seal(self.dek(RAFT_KEY), RAFT_KEY, nonce, &aad, payload)
    }

    pub fn clear_payload(&self, index: u64) -> Vec<u8> {
        [&b"\x00SET "[..], self.text(index).as_bytes()].concat()
    }

    /// A log row's bytes around a payload.
    pub fn entry(&self, index: u64, payload: &[u8]) -> Vec<u8> {
        let data = [&[1], &index.to_be_bytes()[..], payload].concat();
        let (entry_type, term) = (0, 2);
        Entry {
            entry_type,
            term,
            index,
            data,
        }
        .encode_to_vec()
    }

    fn make_table(&self, node: &str, node_id: u16) {
        self.edit_table(node, |rows| {
            for index in 1..=VALUES {
                rows.insert(row_key(index), self.row(node_id, index))
                    .unwrap();
            }
            let deleted = [&b"gone"[..], &(!80_u64).to_be_bytes()].concat();
            rows.insert(deleted, [1, 0, 0, 0, 0, 0, 0, 0, 0]).unwrap();
            rows.insert("_meta_applied_index", 91_u64.to_le_bytes())
                .unwrap();
            rows.insert("!encryption|writers|....|..", [0; 12]).unwrap();
        });
    }

    fn make_log(&self, node: &str) {
        self.edit_log(node, |rows| {
            rows.insert("m/hard_state", "no entry").unwrap();
            for index in 40..=VALUES {
                // The leader sealed it; every node has the same bytes.
                let clear = self.clear_payload(index);
                let sealed = || self.sealed_payload(&clear, nonce(NODE_IDS[1], EPOCH, index));
                let payload = if index > RAFT_CUTOVER {
                    sealed()
                } else {
                    clear.clone()
                };
                rows.insert(log_key(index), self.entry(index, &payload))
                    .unwrap();
            }
            let (entry_type, term, index) = (1, 2, VALUES + 1);
            let data = b"a change of members".to_vec();
            let change = Entry {
                entry_type,
                term,
                index,
                data,
            };
            rows.insert(log_key(index), change.encode_to_vec()).unwrap();
        });
    }

    fn make_snapshot(&self, node: &str, node_id: u16) {
        let rows = (1..=VALUES).map(|index| (row_key(index), self.row(node_id, index)));
        self.write_snapshot(node, &version_2(RAFT_CUTOVER), rows);
    }

    pub fn write_snapshot(
        &self,
        node: &str,
        header: &[u8],
        rows: impl Iterator<Item = (Vec<u8>, Vec<u8>)>,
    ) {
        let mut file = [header, b"EKVPBBL1", &VALUES.to_le_bytes()].concat();
        for item in rows.flat_map(|(key, value)| [key, value]) {
            file.extend_from_slice(&(item.len() as u64).to_le_bytes());
            file.extend_from_slice(&item);
        }
        let crc = crc32c::crc32c(&file);
        file.extend_from_slice(&crc.to_be_bytes());
        fs::write(self.snapshot_path(node), file).unwrap();
    }

    /// Changes rows of a node's table with the engine itself.
    pub fn edit_table(&self, node: &str, edit: impl FnOnce(&Keyspace)) {
        edit_database(&self.data_dir(node).join("fsm.db"), edit);
    }

    /// A node's table as it is, without what its journal holds of rows that are gone.
    pub fn table_anew(&self, node: &str) {
        let mut all = Vec::new();
        self.edit_table(node, |rows| {
            let items = rows.iter().map(|item| item.into_inner().unwrap());
            all.extend(items);
        });
        fs::remove_dir_all(self.data_dir(node).join("fsm.db")).unwrap();
        self.edit_table(node, |rows| {
            for (key, value) in all {
                rows.insert(key, value).unwrap();
            }
        });
    }

    /// Changes rows of a node's log with the engine itself.
    pub fn edit_log(&self, node: &str, edit: impl FnOnce(&Keyspace)) {
        let generation = format!("{:016x}", 4);
        edit_database(&self.data_dir(node).join("wal").join(generation), edit);
    }

    /// What the run knows: every value, when it was written, and that all are still there.
    pub fn canaries(&self) -> Canaries {
        let mut canaries = Canaries::new(self.canary.clone());
        for index in 1..=VALUES {
            let may_stand = match (index > STORAGE_CUTOVER, index > RAFT_CUTOVER) {
                (false, _) => MayStand::Anywhere,
                (true, false) => MayStand::InLog,
                (true, true) => MayStand::Nowhere,
            };
            canaries.plant(1, index - 1, may_stand);
            canaries.must_be_there(1, index - 1);
        }
        canaries
    }

    pub fn subject(&self) -> Subject {
        let node = |name: &&str| NodeDisks {
            name: (*name).to_owned(),
            data_dir: self.data_dir(name),
            sidecar: Some(self.sidecar_path(name)),
            logs: Vec::new(),
        };
        Subject {
            kek: Some(self.dir.path().join("kek")),
            nodes: NODES.iter().map(node).collect(),
            former_members: Vec::new(),
            answered: Answered::default(),
            canaries: Some(self.canaries()),
            past: None,
        }
    }

    pub fn audit(&self) -> Audit {
        audit(&self.subject()).unwrap()
    }
}

pub fn log_key(index: u64) -> Vec<u8> {
    [&b"e"[..], &index.to_be_bytes()].concat()
}

pub fn version_2(cutover: u64) -> Vec<u8> {
    let length = 16_u16.to_be_bytes();
    [&b"EKVTHLC2"[..], &length, &[0; 8], &cutover.to_be_bytes()].concat()
}

pub fn version_1() -> Vec<u8> {
    [&b"EKVTHLC1"[..], &[0; 8]].concat()
}

fn edit_database(path: &Path, edit: impl FnOnce(&Keyspace)) {
    fs::create_dir_all(path).unwrap();
    let database = Database::builder(path).worker_threads(1).open().unwrap();
    let rows = database
        .keyspace("main", KeyspaceCreateOptions::default)
        .unwrap();
    edit(&rows);
    database.persist(PersistMode::SyncAll).unwrap();
}

/// Every file below a folder, with its bytes.
pub fn bytes_below(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => found.append(&mut bytes_below(&path)),
            false => found.push((path.clone(), fs::read(&path).unwrap())),
        }
    }
    found.sort();
    found
}
