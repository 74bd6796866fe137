//! Snapshot files, `fsm-snap/%016x.fsm` (section 5.3 of the contract): a header of version 1
//! or 2 (or none, in early releases), the rows or a bundle of tables, and a CRC-32C over all that.

use std::path::Path;

use super::bytes::{Cursor, Read};
use super::{DiskError, Found, Inflated, Row, Snapshot, Table, bundle, entries, read_file};

const HEADER_1: &[u8; 8] = b"EKVTHLC1";
const HEADER_2: &[u8; 8] = b"EKVTHLC2";
const STREAM: &[u8; 8] = b"EKVPBBL1";
const CRC_BYTES: usize = 4;
/// What version 2's header may be long, behind its length.
const HEADER_2_BYTES: std::ops::RangeInclusive<usize> = 16..=1024;

/// What a snapshot file holds.
#[derive(Default)]
pub(super) struct Content {
    /// Version of its header; 0 if it has none.
    pub(super) version: u8,
    /// The raft cutover index its header names; 0 before version 2.
    pub(super) cutover: u64,
    /// Its rows, with the byte where each value begins.
    pub(super) rows: Vec<Row>,
    /// Whether the checksum at its end is that of its bytes.
    pub(super) checksum_fits: bool,
    /// Blocks of its tables that lie compressed.
    pub(super) inflated: Vec<Inflated>,
    /// Deletions in its tables.
    pub(super) deletions: u64,
    /// What of its tables is not as it was written, and where.
    pub(super) damage: Vec<(u64, String)>,
    /// What of its tables is of a kind that is not read.
    pub(super) unread: Vec<String>,
}

/// Takes a snapshot file apart.
///
/// # Errors
/// What does not fit. A wrong checksum alone is no error, so that its rows are still judged.
pub(super) fn parse(file: &[u8]) -> Read<Content> {
    let body_bytes = file.len().checked_sub(CRC_BYTES).ok_or("it is too short")?;
    let (body, crc) = file.split_at(body_bytes);
    let checksum_fits = crc == crc32c::crc32c(body).to_be_bytes();
    let (mut content, cut) = stream(body)?;
    content.checksum_fits = checksum_fits;
    match cut {
        // Of damaged bytes some rows can be read, some not.
        Some(what) if checksum_fits => Err(what),
        _ => Ok(content),
    }
}

/// The state as it is streamed, up to where it is cut off.
///
/// # Errors
/// What does not fit before the first row.
pub(super) fn stream(body: &[u8]) -> Read<(Content, Option<String>)> {
    let mut cursor = Cursor::new(body);
    let mut content = header(body, &mut cursor)?;
    let kind = cursor.take(STREAM.len())?;
    if kind == bundle::MAGIC {
        let cut = bundle::parse(&mut cursor, &mut content).err();
        return Ok((content, cut));
    }
    if kind != STREAM {
        return Err("its rows are of no known kind".to_owned());
    }
    cursor.take(8)?;
    while !cursor.is_done() {
        let row = item(&mut cursor).and_then(|key| Ok((key, item(&mut cursor)?)));
        let (key, value) = match row {
            Ok((key, value)) => (key.to_vec(), value.to_vec()),
            Err(what) => return Ok((content, Some(what))),
        };
        let offset = Some((cursor.at() - value.len()) as u64);
        content.rows.push(Row {
            key,
            value,
            offset,
            seq: 0,
        });
    }
    Ok((content, None))
}

fn header(body: &[u8], cursor: &mut Cursor<'_>) -> Read<Content> {
    let (version, cutover) = match body.get(..8) {
        Some(magic) if magic == HEADER_1 => {
            cursor.take(16)?;
            (1, 0)
        }
        Some(magic) if magic == HEADER_2 => {
            cursor.take(8)?;
            let length = usize::from(cursor.u16_big()?);
            if !HEADER_2_BYTES.contains(&length) {
                return Err(format!("its header says to be {length} bytes long"));
            }
            let mut fields = Cursor::new(cursor.take(length)?);
            fields.u64_big()?;
            (2, fields.u64_big()?)
        }
        Some(magic) if magic == STREAM || magic == bundle::MAGIC => (0, 0),
        _ => return Err("its header is of no known version".to_owned()),
    };
    Ok(Content {
        version,
        cutover,
        ..Content::default()
    })
}

fn item<'a>(cursor: &mut Cursor<'a>) -> Read<&'a [u8]> {
    let length = usize::try_from(cursor.u64_little()?);
    cursor.take(length.map_err(|_| format!("an item before byte {} has no end", cursor.at()))?)
}

impl Found {
    /// Every snapshot in a folder. A temporary of a node that was killed is torn by right: as
    /// much of it is read as there is.
    pub(super) fn snapshots(&mut self, folder: &Path) {
        let paths = match entries(folder) {
            Ok(paths) => paths,
            Err(error) => return self.gaps.push(error),
        };
        for path in paths.iter().filter(|path| path.is_file()) {
            match path.extension().and_then(|ending| ending.to_str()) {
                Some("fsm") => match read(path) {
                    Ok((snapshot, unread)) => {
                        self.snapshots.push(snapshot);
                        unread.into_iter().for_each(|what| self.form(path, what));
                    }
                    Err(error) => self.gaps.push(error),
                },
                _ => self.half_snapshot(path),
            }
        }
    }

    /// A snapshot that is not finished: its rows count, its header does not.
    pub(super) fn half_snapshot(&mut self, path: &Path) {
        let file = match read_file(path) {
            Ok(file) => file,
            Err(error) => return self.gaps.push(error),
        };
        match stream(&file) {
            Ok((content, cut)) => {
                let at = file.len() as u64;
                self.cut(
                    path,
                    cut.map(|what| (at, format!("a snapshot left unfinished: {what}"))),
                );
                self.half_snapshots.push(content.table(path));
            }
            Err(what) => self.cut(
                path,
                Some((0, format!("a snapshot left unfinished: {what}"))),
            ),
        }
    }
}

impl Content {
    fn table(self, path: &Path) -> Table {
        Table {
            rows: self.rows,
            bare: self.deletions,
            inflated: self.inflated,
            ..Table::at(path, false)
        }
    }
}

fn read(path: &Path) -> Result<(Snapshot, Vec<String>), DiskError> {
    let form = |what| DiskError::Form {
        path: path.to_owned(),
        what,
    };
    let stem = path.file_stem().and_then(|stem| stem.to_str());
    let index = u64::from_str_radix(stem.unwrap_or_default(), 16)
        .map_err(|_| form("its name is not a log index".to_owned()))?;
    let mut content = parse(&read_file(path)?).map_err(form)?;
    let unread = std::mem::take(&mut content.unread);
    let snapshot = Snapshot {
        index,
        version: content.version,
        cutover: content.cutover,
        checksum_fits: content.checksum_fits,
        damage: std::mem::take(&mut content.damage),
        table: content.table(path),
    };
    Ok((snapshot, unread))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whole(head: &[u8], rows: &[(&[u8], &[u8])]) -> Vec<u8> {
        let mut file = [head, &STREAM[..], &[0; 8]].concat();
        for item in rows.iter().flat_map(|(key, value)| [*key, *value]) {
            file.extend_from_slice(&(item.len() as u64).to_le_bytes());
            file.extend_from_slice(item);
        }
        let crc = crc32c::crc32c(&file);
        file.extend_from_slice(&crc.to_be_bytes());
        file
    }

    fn version_2(cutover: u64, more: usize) -> Vec<u8> {
        let length = (16 + more) as u16;
        let more = vec![0xee; more];
        [
            &HEADER_2[..],
            &length.to_be_bytes(),
            &[0; 8],
            &cutover.to_be_bytes(),
            &more,
        ]
        .concat()
    }

    #[test]
    fn both_versions_are_read() {
        let rows: &[(&[u8], &[u8])] = &[(b"k1", b"v"), (b"k2", b"")];
        let old = parse(&whole(&[&HEADER_1[..], &[0; 8]].concat(), rows)).unwrap();
        assert_eq!((old.version, old.cutover, old.checksum_fits), (1, 0, true));
        for more in [0, 10, 1008] {
            let file = whole(&version_2(77, more), rows);
            let new = parse(&file).unwrap();
            assert_eq!((new.version, new.cutover), (2, 77));
            let found: Vec<_> = new
                .rows
                .iter()
                .map(|row| (&row.key[..], &row.value[..]))
                .collect();
            assert_eq!(found, rows);
            let at = new.rows[0].offset.unwrap() as usize;
            assert_eq!(file[at], b'v');
        }
    }

    #[test]
    fn damage_is_said() {
        let file = whole(&version_2(77, 0), &[(b"key", b"value")]);
        for length in 0..file.len() - 4 {
            let cut = parse(&file[..length]);
            assert!(
                cut.map_or(true, |content| !content.checksum_fits),
                "{length}"
            );
        }
        let mut flipped = file.clone();
        let last = flipped.len() - 6;
        flipped[last] ^= 1;
        assert!(!parse(&flipped).unwrap().checksum_fits);
        assert!(parse(&whole(&version_2(1, 1009), &[])).is_err());
        assert!(parse(&whole(b"EKVTHLC3........", &[])).is_err());
        let mut endless = whole(&version_2(1, 0), &[(b"key", b"value")]);
        let at = endless.len() - 4 - 5 - 8;
        endless[at..at + 8].fill(0xff);
        assert!(
            parse(&endless).is_ok_and(|content| content.rows.is_empty() && !content.checksum_fits)
        );
        let crc = crc32c::crc32c(&endless[..endless.len() - 4]).to_be_bytes();
        let end = endless.len() - 4;
        endless[end..].copy_from_slice(&crc);
        assert!(
            parse(&endless).is_err(),
            "nothing but the checksum says that it is whole"
        );
    }
}
