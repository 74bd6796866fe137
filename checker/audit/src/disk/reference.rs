//! How the reference store's data directory is laid out: tables and log are fjall databases,
//! snapshots are files.

use std::path::Path;

use prost::Message;

use super::{DiskError, Entry, Found, Gone, Log, Row, Table, database, entries, entry::parse};

/// The first byte of a log row that is an entry; the others are the node's own notes.
const ENTRY_ROW: u8 = b'e';
/// The note of the snapshot that the log goes on behind.
const SNAPSHOT: &[u8] = b"m/snapshot";

/// `eraftpb.SnapshotMetadata`, as far as it matters.
#[derive(Clone, PartialEq, Message)]
struct SnapshotMetadata {
    #[prost(uint64, tag = "2")]
    index: u64,
}

/// Reads everything of a node that can be read. What can't be read becomes a gap.
pub(super) fn read(data_dir: &Path) -> Found {
    let mut found = Found::default();
    match entries(data_dir) {
        Ok(paths) => paths.iter().for_each(|path| {
            let name = path.file_name().and_then(|name| name.to_str());
            match name.unwrap_or_default() {
                // Set aside or half gone ones as well: what lies there, lies on the disk.
                name if name.starts_with("fsm.db") && path.is_dir() => found.database(path),
                "wal" => found.generations(path),
                "fsm-snap" => found.snapshots(path),
                _ => {}
            }
        }),
        Err(error) => found.gaps.push(error),
    }
    found
}

impl Found {
    fn database(&mut self, path: &Path) {
        let rows = database::rows(path);
        self.gone(path, false, rows.as_deref().unwrap_or_default());
        match rows {
            Ok(rows) => self.tables.push(Table {
                rows: rows
                    .into_iter()
                    .map(|(key, value)| Row {
                        key,
                        value,
                        offset: None,
                        seq: 0,
                    })
                    .collect(),
                // One that was set aside is no state any more.
                ..Table::at(path, path.ends_with("fsm.db"))
            }),
            Err(error) => self.gap(path, error),
        }
    }

    /// What is no row any more, of a database that need not open.
    fn gone(&mut self, path: &Path, of_log: bool, rows: &[database::KeyValue]) {
        match database::gone(path, rows) {
            Ok(rows) => self.gone.push(Gone {
                path: path.to_owned(),
                of_log,
                rows,
            }),
            Err(error) => self.gap(path, error),
        }
    }

    /// What a node that was killed had half made or half removed need not open; its bytes are
    /// scanned all the same.
    fn gap(&mut self, path: &Path, error: DiskError) {
        let name = path.to_string_lossy();
        if !name.ends_with(".tmp") && !name.ends_with("-aside") {
            self.gaps.push(error);
        }
    }

    fn generations(&mut self, wal: &Path) {
        let paths = match entries(wal) {
            Ok(paths) => paths,
            Err(error) => return self.gaps.push(error),
        };
        for path in paths.iter().filter(|path| path.is_dir()) {
            let rows = database::rows(path);
            self.gone(path, true, rows.as_deref().unwrap_or_default());
            match rows {
                Ok(rows) => self.log(path, rows),
                Err(error) => self.gap(path, error),
            }
        }
    }

    fn log(&mut self, path: &Path, rows: Vec<database::KeyValue>) {
        let mut log = Log {
            path: path.to_owned(),
            entries: Vec::new(),
        };
        for (key, value) in rows {
            if key == SNAPSHOT
                && let Ok(snapshot) = SnapshotMetadata::decode(&value[..])
            {
                self.log_begins_behind = self.log_begins_behind.max(snapshot.index);
            }
            let Some(entry) = entry(&key, &value) else {
                continue;
            };
            match entry {
                Ok(entry) => log.entries.push(entry),
                Err(what) => self.gaps.push(DiskError::Form {
                    path: path.to_owned(),
                    what,
                }),
            }
        }
        self.logs.push(log);
    }
}

/// The entry of a row of the log; `None` if it is one of the node's own notes.
///
/// # Errors
/// What does not fit.
pub(crate) fn entry(key: &[u8], value: &[u8]) -> Option<Result<Entry, String>> {
    let (&ENTRY_ROW, index) = key.split_first()? else {
        return None;
    };
    let index = <[u8; 8]>::try_from(index).map(u64::from_be_bytes);
    let index = index.map_err(|_| format!("the row {key:02x?} is no entry's"));
    Some(index.and_then(|index| parse(index, value)))
}
