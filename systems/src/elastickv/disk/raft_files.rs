//! The files of elastickv's Raft log, byte for byte: its segments (`wal/*.wal`) and its snapshots
//! (`snap`, `fsm-snap`). Its tables are not among them: they are written anew by being opened.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

/// Folders of a data directory, and how the names of files in them end.
const KEPT: [(&str, &str); 3] = [("wal", "wal"), ("snap", "snap"), ("fsm-snap", "fsm")];
/// In a segment each record stands behind its length, 8 bytes of it.
const HEAD_BYTES: usize = 8;
/// A disk writes so much at once: a record with a sector of nothing was not written whole.
const SECTOR_BYTES: usize = 512;

/// How many bytes of each file say something, and their digest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RaftFiles {
    data: PathBuf,
    files: BTreeMap<PathBuf, (usize, [u8; 32])>,
}

impl RaftFiles {
    /// Those below a data directory, at whatever depth (a group has a folder of its own).
    ///
    /// # Errors
    /// When one can't be read.
    pub fn of(data: &Path) -> Result<Self, String> {
        let mut files = BTreeMap::new();
        for path in paths(data)? {
            let bytes = read(&path)?;
            let length = match is_segment(&path) {
                true => whole_records(&bytes),
                false => bytes.len(),
            };
            files.insert(path, (length, digest(&bytes[..length])));
        }
        let data = data.to_owned();
        Ok(Self { data, files })
    }

    /// What is not as it was; `None` if all is. That a log has grown at its end is no change: what
    /// was there still is.
    ///
    /// # Errors
    /// When a file can't be read.
    pub fn changed(&self) -> Result<Option<String>, String> {
        for (path, (length, was)) in &self.files {
            let shown = path.display();
            if !path.exists() {
                return Ok(Some(format!("{shown} is gone")));
            }
            let bytes = read(path)?;
            let kept = bytes.get(..*length);
            let whole = is_segment(path) || bytes.len() == *length;
            if !whole || kept.is_none_or(|kept| digest(kept) != *was) {
                return Ok(Some(format!("{shown} has other bytes")));
            }
        }
        let is_new = |path: &PathBuf| !self.files.contains_key(path) && !is_segment(path);
        let new = paths(&self.data)?.into_iter().find(is_new);
        Ok(new.map(|path| format!("{} was not there before", path.display())))
    }
}

impl fmt::Display for RaftFiles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes: usize = self.files.values().map(|(length, _)| length).sum();
        let files = self.files.len();
        write!(f, "{bytes} bytes in {files} files of log and snapshots")
    }
}

fn read(path: &Path) -> Result<Vec<u8>, String> {
    fs::read(path).map_err(|error| format!("{}: {error}", path.display()))
}

fn digest(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

fn is_segment(path: &Path) -> bool {
    path.extension().is_some_and(|ending| ending == "wal")
}

fn paths(folder: &Path) -> Result<Vec<PathBuf>, String> {
    let fail = |error: io::Error| format!("{}: {error}", folder.display());
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(fail(error)),
    };
    let name = folder.file_name().and_then(|name| name.to_str());
    let mut found = Vec::new();
    for entry in entries {
        let path = entry.map_err(fail)?.path();
        if path.is_dir() && !path.is_symlink() {
            found.append(&mut paths(&path)?);
        } else if KEPT.iter().any(|(of, ending)| {
            name == Some(of) && path.extension().is_some_and(|other| other == *ending)
        }) {
            found.push(path);
        }
    }
    Ok(found)
}

/// How many bytes of a segment are whole records: what a process that was killed had half written
/// is cut off by whoever opens it next, and by right.
fn whole_records(segment: &[u8]) -> usize {
    let mut end = 0;
    while let Some(head) = segment.get(end..end + HEAD_BYTES) {
        let mut length = [0; 8];
        length.copy_from_slice(head);
        let field = u64::from_le_bytes(length);
        // With the highest bit set, the three lowest bits of that byte say how much was filled up.
        let filled = match field >> 63 {
            0 => 0,
            _ => (field >> 56) & 0b111,
        };
        let record = (field & ((1 << 56) - 1)) + filled;
        let begin = end + HEAD_BYTES;
        let next = usize::try_from(record)
            .ok()
            .and_then(|record| begin.checked_add(record));
        let Some(next) = next.filter(|&next| next > begin && next <= segment.len()) else {
            break;
        };
        if is_torn(segment, begin, next) {
            break;
        }
        end = next;
    }
    end
}

fn is_torn(segment: &[u8], begin: usize, end: usize) -> bool {
    let mut at = begin;
    while at < end {
        let sector_end = (at / SECTOR_BYTES + 1) * SECTOR_BYTES;
        let upto = sector_end.min(end);
        // What is filled up is nothing anyway, and less than a sector.
        if upto - at >= HEAD_BYTES && segment[at..upto].iter().all(|&byte| byte == 0) {
            return true;
        }
        at = upto;
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(data: &[u8]) -> Vec<u8> {
        let filled = (8 - data.len() % 8) % 8;
        let mut field = data.len() as u64;
        if filled > 0 {
            field |= (0x80 | filled as u64) << 56;
        }
        let zeros = vec![0; filled];
        [&field.to_le_bytes()[..], data, &zeros].concat()
    }

    fn segment(records: &[Vec<u8>]) -> Vec<u8> {
        let mut bytes = records.concat();
        bytes.resize(bytes.len() + 4096, 0);
        bytes
    }

    #[test]
    fn a_segment_ends_behind_its_last_whole_record() {
        let (one, two) = (record(b"twelve bytes"), record(&[7; 1000]));
        let whole = segment(&[one.clone(), two.clone()]);
        assert_eq!(whole_records(&whole), one.len() + two.len());
        let mut torn = whole;
        torn[one.len() + 600..].fill(0);
        assert_eq!(whole_records(&torn), one.len());
        assert_eq!(whole_records(&one[..10]), 0);
        assert_eq!(whole_records(&[0xff; 64]), 0);
    }

    #[test]
    fn only_a_log_may_grow() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join("group-1").join(name);
        for folder in ["wal", "snap", "fsm-snap", "fsm.db"] {
            fs::create_dir_all(at(folder)).unwrap();
        }
        let records = [record(b"first"), record(b"second")];
        let wal = at("wal/0-0.wal");
        let write = |path: &Path, bytes: &[u8]| fs::write(path, bytes).unwrap();
        write(&wal, &segment(&records[..1]));
        write(&at("fsm-snap/3.fsm"), b"a snapshot");
        let before = RaftFiles::of(dir.path()).unwrap();
        let changed = || before.changed().unwrap();
        assert_eq!(changed(), None);
        write(&wal, &segment(&records));
        write(&at("wal/1-9.wal"), &segment(&records));
        write(&at("fsm.db/000007.sst"), b"rewritten by being opened");
        write(&at("wal/0.tmp"), &[0; 64]);
        assert_eq!(changed(), None);
        write(&wal, &segment(&records[1..]));
        assert!(changed().unwrap().ends_with("0-0.wal has other bytes"));
        write(&wal, &segment(&records));
        for snapshot in [&b"a snapshox"[..], b"a snapshot, longer"] {
            write(&at("fsm-snap/3.fsm"), snapshot);
            assert!(changed().unwrap().ends_with("3.fsm has other bytes"));
        }
        write(&at("fsm-snap/3.fsm"), b"a snapshot");
        write(&at("snap/1-4.snap"), b"new");
        assert!(
            changed()
                .unwrap()
                .ends_with("1-4.snap was not there before")
        );
        fs::remove_file(at("snap/1-4.snap")).unwrap();
        fs::remove_file(&wal).unwrap();
        assert!(changed().unwrap().ends_with("0-0.wal is gone"));
    }
}
