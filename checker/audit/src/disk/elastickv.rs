//! How elastickv's data directory is laid out (section 1.4 of the contract): Pebble databases,
//! the Raft log and pointers to snapshots in etcd's files, snapshots in files of its own.

use std::path::Path;

use super::etcd::{snap, wal};
use super::{Entry, Found, Log, Stamps, entries, entry, pebble, read_file};
use crate::finding::Place;

/// Says which Raft library wrote a data directory; the reference store says the same.
const ENGINE: &str = "raft-engine";
/// The database; copies of it on their way have names that go on behind this.
const STATE: &str = "fsm.db";
/// Where a node of several groups keeps each.
const GROUP: &str = "group-";
/// What the reference store's engine has in its folder, and Pebble has not.
const KEYSPACES: &str = "keyspaces";
/// A snapshot that is being received.
const SPOOL: &str = "elastickv-etcd-snapshot-";

/// Whether this is a data directory of elastickv. The reference store's has the same names, and is
/// told by its databases: folders in its log, keyspaces in its state.
pub(super) fn is_its(data_dir: &Path) -> bool {
    let logs = entries(&data_dir.join("wal")).unwrap_or_default();
    if logs.iter().any(|path| path.is_dir()) || data_dir.join(STATE).join(KEYSPACES).is_dir() {
        return false;
    }
    let in_folder = |folder: &Path, is: fn(&str) -> bool| {
        let paths = entries(folder).unwrap_or_default();
        let mut names = paths.iter().filter_map(|path| path.file_name()?.to_str());
        names.any(is)
    };
    data_dir.join(ENGINE).is_file()
        || in_folder(data_dir, |name| name.starts_with(GROUP))
        || in_folder(&data_dir.join("wal"), |name| name.ends_with(".wal"))
        || in_folder(&data_dir.join(STATE), |name| name.starts_with("MANIFEST-"))
}

/// What of a folder is read.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    /// The Raft log.
    Logs,
    /// All else.
    Rest,
}

/// Reads only the Raft log of a node. What can't be read becomes a gap.
pub(super) fn read_logs(data_dir: &Path) -> Found {
    let mut found = Found {
        stamps: Stamps::Clock,
        ..Found::default()
    };
    found.folder(data_dir, Part::Logs);
    found
}

/// Reads all but the log, which was.
pub(super) fn read_rest(data_dir: &Path, mut found: Found) -> Found {
    found.folder(data_dir, Part::Rest);
    found
}

impl Found {
    fn folder(&mut self, data_dir: &Path, part: Part) {
        let paths = match entries(data_dir) {
            Ok(paths) => paths,
            // It is said once.
            Err(_) if part == Part::Logs => return,
            Err(error) => return self.gaps.push(error),
        };
        for path in &paths {
            let name = path.file_name().and_then(|name| name.to_str());
            let name = name.unwrap_or_default();
            match (name, part) {
                (_, _) if name.starts_with(GROUP) && path.is_dir() => self.folder(path, part),
                ("wal", Part::Logs) if path.is_dir() => self.segments(path),
                (_, Part::Logs) => {}
                // Checkpoints, restores and tables on their way as well.
                _ if name.starts_with(STATE) && path.is_dir() => {
                    pebble::read(path, name == STATE, self);
                }
                ("fsm-snap", _) if path.is_dir() => self.snapshots(path),
                ("snap", _) if path.is_dir() => self.pointers(path),
                _ if name.starts_with(SPOOL) && path.is_file() => self.half_snapshot(path),
                _ => {}
            }
        }
    }

    /// All segments in their order, as one log: what a later entry took the place of is marked.
    fn segments(&mut self, folder: &Path) {
        let paths = match entries(folder) {
            Ok(paths) => paths,
            Err(error) => return self.gaps.push(error),
        };
        let mut segments = wal::Segments::default();
        let mut logs = Vec::new();
        let mut last = None;
        let ends_in = |ending: &'static str| {
            let paths = paths.iter();
            paths.filter(move |path| path.extension().is_some_and(|is| is == ending))
        };
        // The next segment gets its name only when its head is written.
        for path in ends_in("wal").chain(ends_in("tmp")) {
            let file = match read_file(path) {
                Ok(file) => file,
                Err(error) => {
                    self.gaps.push(error);
                    continue;
                }
            };
            let segment = segments.parse(&file);
            for (at, what) in segment.damage {
                self.damage(Place::Log, path, at, what);
            }
            self.cut(path, segment.cut);
            let mut log = Log {
                path: path.clone(),
                entries: Vec::new(),
            };
            for (at, item) in segment.items {
                match item {
                    wal::Item::Snapshot { index } => {
                        // The log goes on behind a snapshot that came from another node.
                        last = last.map(|last: u64| last.max(index));
                        self.log_begins_behind = self.log_begins_behind.max(index);
                    }
                    wal::Item::Entry { bytes, fits } => match entry::decode(&bytes) {
                        Ok(entry) => {
                            let jumps = last.is_some_and(|last| entry.index > last + 1);
                            if jumps && fits {
                                let what =
                                    format!("entries before index {} are missing", entry.index);
                                self.damage(Place::Log, path, at, what);
                            }
                            last = Some(entry.index);
                            let offset = Some(at);
                            log.entries.push(Entry { offset, ..entry });
                        }
                        Err(what) if fits => self.form(path, format!("at byte {at}: {what}")),
                        // Damage was said already.
                        Err(_) => {}
                    },
                }
            }
            logs.push(log);
        }
        mark_overwritten(&mut logs);
        self.logs.append(&mut logs);
    }

    /// Pointers to snapshots, against the files that they point to.
    fn pointers(&mut self, folder: &Path) {
        let paths = match entries(folder) {
            Ok(paths) => paths,
            Err(error) => return self.gaps.push(error),
        };
        let is_pointer = |path: &&std::path::PathBuf| path.extension().is_some_and(|e| e == "snap");
        for path in paths.iter().filter(is_pointer) {
            let file = match read_file(path) {
                Ok(file) => file,
                Err(error) => {
                    self.gaps.push(error);
                    continue;
                }
            };
            let pointer = match snap::parse(&file) {
                Ok(pointer) => pointer,
                Err(what) => {
                    self.damage(Place::Snapshots, path, 0, what);
                    continue;
                }
            };
            let name = format!("{:016x}-{:016x}", pointer.term, pointer.index);
            if path.file_stem().is_some_and(|stem| stem != name.as_str()) {
                let what = format!("its name is not that of the snapshot it is for, {name}");
                self.damage(Place::Snapshots, path, 0, what);
            }
            match pointer.state {
                snap::State::Here(bytes) if bytes.is_empty() => {}
                snap::State::Here(_) => {
                    self.form(
                        path,
                        "it holds the state itself, which is not read".to_owned(),
                    );
                }
                snap::State::Elsewhere { crc } => self.points_to(path, pointer.index, crc),
            }
        }
    }

    fn points_to(&mut self, pointer: &Path, index: u64, crc: u32) {
        let Some(data_dir) = pointer.parent().and_then(Path::parent) else {
            return;
        };
        let state = data_dir.join("fsm-snap").join(format!("{index:016x}.fsm"));
        // An old pointer outlives the file for a moment.
        let Ok(file) = read_file(&state) else { return };
        if file.last_chunk::<4>() != Some(&crc.to_be_bytes()) {
            let what = format!(
                "it points to {}, which has another checksum",
                state.display()
            );
            self.damage(Place::Snapshots, pointer, 0, what);
        }
    }
}

fn mark_overwritten(logs: &mut [Log]) {
    let mut first_behind = u64::MAX;
    for entry in logs
        .iter_mut()
        .rev()
        .flat_map(|log| log.entries.iter_mut().rev())
    {
        entry.overwritten = entry.index >= first_behind;
        first_behind = first_behind.min(entry.index);
    }
}

#[cfg(test)]
mod tests {
    use super::super::Data;
    use super::*;

    /// Key, writer, last epoch: as in the fixture's sidecar.
    const REGISTERED: [(u32, u16, u16); 4] = [
        (790_942_205, 0xd4c0, 2),
        (887_240_941, 0xd4c0, 0),
        (2_179_647_424, 0xd4c0, 1),
        (3_555_221_489, 0xd4c0, 0),
    ];

    /// What `tests/fixtures` holds of a real node, unpacked.
    fn unpack(packed: &Path, target: &Path) {
        std::fs::create_dir_all(target).unwrap();
        for path in entries(packed).unwrap() {
            let to = target.join(path.file_stem().unwrap());
            match path.is_dir() {
                true => unpack(&path, &target.join(path.file_name().unwrap())),
                false => {
                    let bytes = std::fs::read(&path).unwrap();
                    std::fs::write(to, zstd::stream::decode_all(&bytes[..]).unwrap()).unwrap();
                }
            }
        }
    }

    #[test]
    fn a_real_node_is_known_by_its_files_and_its_registry_is_read() {
        let dir = tempfile::tempdir().unwrap();
        let packed = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/elastickv/n1");
        unpack(&packed, dir.path());
        for file in ["", ENGINE, "wal/0000000000000000-0000000000000000.wal"] {
            // Each of its marks is enough.
            _ = std::fs::remove_file(dir.path().join(file));
            assert!(is_its(dir.path()), "without {file}");
        }
        unpack(&packed, dir.path());
        let found = super::super::read(dir.path());
        assert!(found.gaps.is_empty() && found.damage.is_empty() && found.cuts.is_empty());
        assert_eq!(found.stamps, Stamps::Clock);
        let writers = found.registry.iter().map(|row| {
            assert_eq!(row.full_node_id as u16, row.node_id);
            assert!(row.first_seen <= row.last_seen);
            (row.key_id, row.node_id, row.last_seen)
        });
        let writers = Vec::from_iter(writers);
        assert_eq!(writers, REGISTERED);
    }

    #[test]
    fn what_a_later_entry_takes_the_place_of_is_marked() {
        let log = |indexes: &[u64]| Log {
            path: "wal".into(),
            entries: Vec::from_iter(indexes.iter().map(|index| Entry {
                index: *index,
                term: 1,
                data: Data::Bare,
                offset: None,
                overwritten: false,
            })),
        };
        let mut logs = [log(&[1, 2, 3, 4]), log(&[3, 4, 5])];
        mark_overwritten(&mut logs);
        let marked = |log: &Log| Vec::from_iter(log.entries.iter().map(|entry| entry.overwritten));
        assert_eq!(marked(&logs[0]), [false, false, true, true]);
        assert_eq!(marked(&logs[1]), [false; 3]);
    }
}
