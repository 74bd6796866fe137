//! Snapshot files, `fsm-snap/%016x.fsm` (section 5.3 of the contract): a header of version 1
//! or 2, the rows, and a CRC-32C over all that.

use super::Row;

const HEADER_1: &[u8; 8] = b"EKVTHLC1";
const HEADER_2: &[u8; 8] = b"EKVTHLC2";
const STREAM: &[u8; 8] = b"EKVPBBL1";
const CRC_BYTES: usize = 4;
/// What version 2's header may be long, behind its length.
const HEADER_2_BYTES: std::ops::RangeInclusive<usize> = 16..=1024;

/// What a snapshot file holds.
pub(crate) struct Content {
    /// Version of its header.
    pub(crate) version: u8,
    /// The raft cutover index its header names; 0 in version 1.
    pub(crate) cutover: u64,
    /// Its rows, with the byte where each value begins.
    pub(crate) rows: Vec<Row>,
    /// Whether the checksum at its end is that of its bytes.
    pub(crate) checksum_fits: bool,
}

/// Takes a snapshot file apart.
///
/// # Errors
/// What does not fit. A wrong checksum alone is no error, so that its rows are still judged.
pub(crate) fn parse(file: &[u8]) -> Result<Content, String> {
    let body_bytes = file.len().checked_sub(CRC_BYTES).ok_or("it is too short")?;
    let (body, crc) = file.split_at(body_bytes);
    let checksum_fits = crc == crc32c::crc32c(body).to_be_bytes();
    let mut reader = Reader { body, at: 0 };
    let (version, cutover) = header(&mut reader)?;
    if reader.take(STREAM.len())? != STREAM {
        return Err("its rows are of no known kind".to_owned());
    }
    reader.take(8)?;
    let mut rows = Vec::new();
    while reader.at < body.len() {
        let key = reader.item()?.to_vec();
        let value = reader.item()?.to_vec();
        let offset = Some((reader.at - value.len()) as u64);
        rows.push(Row { key, value, offset });
    }
    Ok(Content {
        version,
        cutover,
        rows,
        checksum_fits,
    })
}

fn header(reader: &mut Reader<'_>) -> Result<(u8, u64), String> {
    match reader.take(8)? {
        magic if magic == HEADER_1 => {
            reader.take(8)?;
            Ok((1, 0))
        }
        magic if magic == HEADER_2 => {
            let length = reader.take(2)?;
            let length = usize::from(u16::from_be_bytes([length[0], length[1]]));
            if !HEADER_2_BYTES.contains(&length) {
                return Err(format!("its header says to be {length} bytes long"));
            }
            let fields = reader.take(length)?;
            let mut cutover = [0; 8];
            cutover.copy_from_slice(&fields[8..16]);
            Ok((2, u64::from_be_bytes(cutover)))
        }
        _ => Err("its header is of no known version".to_owned()),
    }
}

struct Reader<'a> {
    body: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    fn take(&mut self, bytes: usize) -> Result<&'a [u8], String> {
        let end = self.at.checked_add(bytes);
        let taken = end.and_then(|end| self.body.get(self.at..end));
        let taken = taken.ok_or_else(|| format!("it is cut short at byte {}", self.at))?;
        self.at += bytes;
        Ok(taken)
    }

    fn item(&mut self) -> Result<&'a [u8], String> {
        let mut length = [0; 8];
        length.copy_from_slice(self.take(8)?);
        let length = usize::try_from(u64::from_le_bytes(length));
        self.take(length.map_err(|_| format!("an item before byte {} has no end", self.at))?)
    }
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
        assert!(parse(&endless).is_err());
    }
}
