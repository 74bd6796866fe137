//! Snapshot files, `fsm-snap/%016x.fsm`: `EKVTHLC1 ‖ ceiling BE64`, or once entries are
//! sealed `EKVTHLC2 ‖ length BE16 ‖ ceiling BE64 ‖ cutover BE64`, then the stream `EKVPBBL1 ‖ lastCommitTS LE64 ‖ (klen LE64, key, vlen LE64, value)*`, and CRC-32C
//! (BE32) of all that at the end. Written to a temporary, synced, renamed, and the
//! folder synced, so that a file under its final name is always whole.

use std::fs::{self, File};
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use thiserror::Error;

use super::Row;

const HEADER_1: &[u8; 8] = b"EKVTHLC1";
const HEADER_2: &[u8; 8] = b"EKVTHLC2";
/// Bytes behind the length of a second-version header that this store writes, and takes.
const HEADER_2_BYTES: std::ops::RangeInclusive<u16> = 16..=1_024;
const STREAM: &[u8; 8] = b"EKVPBBL1";
/// Bytes of the shortest header with the stream's own.
const HEAD_BYTES: u64 = 32;
const CRC_BYTES: u64 = 4;
/// Snapshot files kept: enough that one being sent is not deleted under its reader.
const KEEP: usize = 3;
/// No key or value is longer; a longer length is damage.
const ITEM_LIMIT: u64 = 512 << 20;

/// Why a snapshot file could not be used.
#[derive(Debug, Error)]
pub enum SnapshotError {
    /// The disk said no.
    #[error("snapshot file {path}: {source}")]
    Io {
        /// Which file.
        path: PathBuf,
        /// What the disk said.
        source: io::Error,
    },
    /// The bytes are not those of a whole snapshot.
    #[error("snapshot file {path} is damaged: {what}; restore it or remove this node's data")]
    Damaged {
        /// Which file.
        path: PathBuf,
        /// What does not fit.
        what: &'static str,
    },
}

fn io_error(path: &Path) -> impl Fn(io::Error) -> SnapshotError + '_ {
    move |source| SnapshotError::Io {
        path: path.to_owned(),
        source,
    }
}

/// The folder of a node's snapshot files.
#[derive(Clone, Debug)]
pub struct SnapshotFiles {
    dir: PathBuf,
}

impl SnapshotFiles {
    /// Opens the folder, making it if needed; temporaries of a crashed process go.
    ///
    /// # Errors
    /// The disk said no.
    pub fn open(node_dir: &Path) -> Result<Self, SnapshotError> {
        let dir = node_dir.join("fsm-snap");
        fs::create_dir_all(&dir).map_err(io_error(&dir))?;
        for entry in fs::read_dir(&dir).map_err(io_error(&dir))? {
            let path = entry.map_err(io_error(&dir))?.path();
            if path.extension().is_some_and(|e| e == "tmp") {
                fs::remove_file(&path).map_err(io_error(&path))?;
            }
        }
        Ok(Self { dir })
    }

    /// The file of a log index.
    pub fn path(&self, index: u64) -> PathBuf {
        self.dir.join(format!("{index:016x}.fsm"))
    }

    /// The length of the file of `index`, its checksum verified.
    pub(super) fn verified_bytes(&self, index: u64) -> Result<u64, SnapshotError> {
        verify(&self.path(index))
    }

    /// Starts the file of `index`; `cutover` = 0 while entries are in the clear.
    pub(super) fn create(&self, index: u64, cutover: u64) -> Result<RowWriter, SnapshotError> {
        let mut out = self.receive(index)?;
        if cutover == 0 {
            out.write(HEADER_1)?;
            out.write(&0_u64.to_be_bytes())?;
        } else {
            out.write(HEADER_2)?;
            out.write(&HEADER_2_BYTES.start().to_be_bytes())?;
            out.write(&0_u64.to_be_bytes())?;
            out.write(&cutover.to_be_bytes())?;
        }
        out.write(STREAM)?;
        out.write(&index.to_le_bytes())?;
        Ok(RowWriter { out })
    }

    /// Starts the file of `index` from bytes another node sends, as they come.
    ///
    /// # Errors
    /// The disk said no.
    pub fn receive(&self, index: u64) -> Result<Incoming, SnapshotError> {
        let path = self.path(index);
        // Two senders at once (an old leader's and a new one's) must not share a temporary.
        let unique = format!("fsm.{:08x}.tmp", rand::random::<u32>());
        let temporary = path.with_extension(unique);
        let file = File::create(&temporary).map_err(io_error(&temporary))?;
        Ok(Incoming {
            out: BufWriter::with_capacity(1 << 18, file),
            crc: 0,
            temporary,
            path,
            dir: self.dir.clone(),
            finished: false,
        })
    }

    /// Opens the file of `index` for its rows, its checksum verified first. A second-version
    /// header is damage to a release that does not know it (`second` = false).
    pub(super) fn read(&self, index: u64, second: bool) -> Result<RowReader, SnapshotError> {
        let path = self.path(index);
        let bytes = verify(&path)?;
        let file = File::open(&path).map_err(io_error(&path))?;
        let mut reader = RowReader {
            input: BufReader::with_capacity(1 << 18, file),
            left: bytes - CRC_BYTES,
            path,
            cutover: 0,
        };
        reader.header(second)?;
        Ok(reader)
    }

    /// The cutover index in the header of the file of `index`; 0 without file or cutover.
    ///
    /// # Errors
    /// The disk said no.
    pub fn cutover_of(&self, index: u64) -> Result<u64, SnapshotError> {
        let path = self.path(index);
        if !path.exists() {
            return Ok(0);
        }
        let mut head = [0; 26];
        let mut file = File::open(&path).map_err(io_error(&path))?;
        file.read_exact(&mut head).map_err(io_error(&path))?;
        let (header, rest) = head.split_at(18);
        let mut cutover = [0; 8];
        cutover.copy_from_slice(rest);
        Ok(match &header[..8] == HEADER_2 {
            true => u64::from_be_bytes(cutover),
            false => 0,
        })
    }

    /// `value-in-temporary`: a value is left beside the snapshot files, in the clear.
    pub(super) fn keep_value(&self, body: Option<&[u8]>) {
        if let Some(body) = body {
            // A seeded bug's own failures are nobody's business.
            let _ = fs::write(self.dir.join("value.part"), body);
        }
    }

    /// The indices of all files.
    fn indices(&self) -> Result<Vec<u64>, SnapshotError> {
        let entries = fs::read_dir(&self.dir).map_err(io_error(&self.dir))?;
        Ok(entries
            .filter_map(|entry| {
                let path = entry.ok()?.path();
                let is_snapshot = path.extension().is_some_and(|e| e == "fsm");
                let stem = path.file_stem()?.to_str()?;
                is_snapshot.then(|| u64::from_str_radix(stem, 16).ok())?
            })
            .collect())
    }

    /// Deletes all but the newest few files, never that of `needed` or newer ones.
    ///
    /// # Errors
    /// The disk said no.
    pub fn prune(&self, needed: u64) -> Result<(), SnapshotError> {
        let mut old = self.indices()?;
        old.retain(|&index| index < needed);
        old.sort_unstable_by(|a, b| b.cmp(a));
        for index in old.into_iter().skip(KEEP - 1) {
            let path = self.path(index);
            fs::remove_file(&path).map_err(io_error(&path))?;
        }
        Ok(())
    }
}

/// Checks a file's checksum; its length in bytes.
fn verify(path: &Path) -> Result<u64, SnapshotError> {
    let damaged = |what| SnapshotError::Damaged {
        path: path.to_owned(),
        what,
    };
    let file = File::open(path).map_err(io_error(path))?;
    let bytes = file.metadata().map_err(io_error(path))?.len();
    if bytes < HEAD_BYTES + CRC_BYTES {
        return Err(damaged("it is too short"));
    }
    let mut input = BufReader::with_capacity(1 << 18, file);
    let mut body = input.by_ref().take(bytes - CRC_BYTES);
    let mut crc = 0;
    let mut chunk = vec![0; 1 << 16];
    loop {
        let n = body.read(&mut chunk).map_err(io_error(path))?;
        if n == 0 {
            break;
        }
        crc = crc32c::crc32c_append(crc, &chunk[..n]);
    }
    let mut stored = [0; CRC_BYTES as usize];
    input.read_exact(&mut stored).map_err(io_error(path))?;
    if u32::from_be_bytes(stored) != crc {
        return Err(damaged("its checksum does not match"));
    }
    Ok(bytes)
}

/// A snapshot file being written: a temporary until [`Incoming::finish`].
pub struct Incoming {
    out: BufWriter<File>,
    crc: u32,
    temporary: PathBuf,
    path: PathBuf,
    dir: PathBuf,
    finished: bool,
}

impl Incoming {
    /// Appends bytes.
    ///
    /// # Errors
    /// The disk said no.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), SnapshotError> {
        self.crc = crc32c::crc32c_append(self.crc, bytes);
        self.out.write_all(bytes).map_err(io_error(&self.temporary))
    }

    /// Makes the file durable under its final name. `whole` = the bytes already end in their
    /// checksum, which is verified before the rename.
    ///
    /// # Errors
    /// A disk that fails, bytes that are damaged.
    pub fn finish(mut self, whole: bool) -> Result<(), SnapshotError> {
        if !whole {
            let crc = self.crc.to_be_bytes();
            self.out
                .write_all(&crc)
                .map_err(io_error(&self.temporary))?;
        }
        self.out.flush().map_err(io_error(&self.temporary))?;
        self.out
            .get_ref()
            .sync_all()
            .map_err(io_error(&self.temporary))?;
        if whole {
            verify(&self.temporary)?;
        }
        fs::rename(&self.temporary, &self.path).map_err(io_error(&self.path))?;
        self.finished = true;
        File::open(&self.dir)
            .and_then(|dir| dir.sync_all())
            .map_err(io_error(&self.dir))
    }
}

impl Drop for Incoming {
    fn drop(&mut self) {
        if !self.finished {
            // Best effort: the next start removes what stays.
            let _ = fs::remove_file(&self.temporary);
        }
    }
}

/// Writes rows into a snapshot file of this node's own making.
pub(super) struct RowWriter {
    out: Incoming,
}

impl RowWriter {
    pub(super) fn row(&mut self, key: &[u8], value: &[u8]) -> Result<(), SnapshotError> {
        self.out.write(&(key.len() as u64).to_le_bytes())?;
        self.out.write(key)?;
        self.out.write(&(value.len() as u64).to_le_bytes())?;
        self.out.write(value)
    }

    pub(super) fn finish(self) -> Result<(), SnapshotError> {
        self.out.finish(false)
    }
}

/// Reads a verified snapshot file's rows.
pub(super) struct RowReader {
    input: BufReader<File>,
    left: u64,
    path: PathBuf,
    cutover: u64,
}

impl RowReader {
    fn header(&mut self, second: bool) -> Result<(), SnapshotError> {
        let magic = self.array::<8>()?;
        if &magic == HEADER_1 {
            self.array::<8>()?;
        } else if &magic == HEADER_2 && second {
            let length = u16::from_be_bytes(self.array()?);
            if !HEADER_2_BYTES.contains(&length) {
                return Err(self.damaged("its header has an impossible length"));
            }
            self.array::<8>()?;
            self.cutover = u64::from_be_bytes(self.array()?);
            let more = length - HEADER_2_BYTES.start();
            for _ in 0..more {
                self.array::<1>()?;
            }
        } else {
            return Err(self.damaged("its header is of no kind this release knows"));
        }
        if &self.array::<8>()? != STREAM {
            return Err(self.damaged("its rows are of no kind this release knows"));
        }
        self.array::<8>().map(drop)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], SnapshotError> {
        let mut bytes = [0; N];
        let Some(left) = self.left.checked_sub(N as u64) else {
            return Err(self.damaged("it is cut short"));
        };
        self.left = left;
        self.exact(&mut bytes)?;
        Ok(bytes)
    }

    /// The cutover index of its header; 0 = none.
    pub(super) fn cutover(&self) -> u64 {
        self.cutover
    }

    fn damaged(&self, what: &'static str) -> SnapshotError {
        SnapshotError::Damaged {
            path: self.path.clone(),
            what,
        }
    }

    fn exact(&mut self, buffer: &mut [u8]) -> Result<(), SnapshotError> {
        self.input.read_exact(buffer).map_err(io_error(&self.path))
    }

    fn item(&mut self) -> Result<Vec<u8>, SnapshotError> {
        let mut length = [0; 8];
        if self.left < 8 {
            return Err(self.damaged("a row is cut short"));
        }
        self.exact(&mut length)?;
        let length = u64::from_le_bytes(length);
        self.left -= 8;
        if length > self.left.min(ITEM_LIMIT) {
            return Err(self.damaged("a row is longer than the file"));
        }
        self.left -= length;
        let mut item = vec![0; length as usize];
        self.exact(&mut item)?;
        Ok(item)
    }

    /// The next row, or `None` at the end.
    pub(super) fn next_row(&mut self) -> Result<Option<Row>, SnapshotError> {
        if self.left == 0 {
            return Ok(None);
        }
        Ok(Some((self.item()?, self.item()?)))
    }
}
