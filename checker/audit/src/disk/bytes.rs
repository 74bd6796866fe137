//! Reading bytes that may be damaged: every step is checked, none panics.

/// What a reader of damaged bytes gets instead of a value: what does not fit, for a person.
pub(super) type Read<T> = Result<T, String>;

/// A place in bytes that moves forward.
pub(super) struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Cursor<'a> {
        Cursor { bytes, at: 0 }
    }

    /// How many bytes were taken.
    pub(super) fn at(&self) -> usize {
        self.at
    }

    pub(super) fn is_done(&self) -> bool {
        self.at >= self.bytes.len()
    }

    pub(super) fn rest(&self) -> &'a [u8] {
        self.bytes.get(self.at..).unwrap_or_default()
    }

    pub(super) fn take(&mut self, bytes: usize) -> Read<&'a [u8]> {
        let end = self.at.checked_add(bytes);
        let taken = end.and_then(|end| self.bytes.get(self.at..end));
        let taken = taken.ok_or_else(|| format!("it is cut short at byte {}", self.at))?;
        self.at += bytes;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Read<[u8; N]> {
        let mut array = [0; N];
        array.copy_from_slice(self.take(N)?);
        Ok(array)
    }

    pub(super) fn byte(&mut self) -> Read<u8> {
        self.array::<1>().map(|[byte]| byte)
    }

    pub(super) fn u16_big(&mut self) -> Read<u16> {
        self.array().map(u16::from_be_bytes)
    }

    pub(super) fn u32_big(&mut self) -> Read<u32> {
        self.array().map(u32::from_be_bytes)
    }

    pub(super) fn u64_big(&mut self) -> Read<u64> {
        self.array().map(u64::from_be_bytes)
    }

    pub(super) fn u16_little(&mut self) -> Read<u16> {
        self.array().map(u16::from_le_bytes)
    }

    pub(super) fn u32_little(&mut self) -> Read<u32> {
        self.array().map(u32::from_le_bytes)
    }

    pub(super) fn u64_little(&mut self) -> Read<u64> {
        self.array().map(u64::from_le_bytes)
    }

    /// A number in base 128, the lowest seven bits first.
    pub(super) fn varint(&mut self) -> Read<u64> {
        let begin = self.at;
        let mut value = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(format!("the number at byte {begin} has no end"))
    }

    /// A number in base 128 that counts bytes in memory.
    pub(super) fn length(&mut self) -> Read<usize> {
        let begin = self.at;
        let length = usize::try_from(self.varint()?);
        length.map_err(|_| format!("the length at byte {begin} is beyond all bounds"))
    }

    /// Bytes behind their length.
    pub(super) fn prefixed(&mut self) -> Read<&'a [u8]> {
        let length = self.length()?;
        self.take(length)
    }
}

/// What a power loss or a kill leaves of a record that was being written: a sector of it, or
/// its part in one, was never written. `offset` is where the bytes begin in their file. The
/// criterion is etcd's own (`isTornEntry`).
pub(super) fn is_torn(bytes: &[u8], offset: usize) -> bool {
    const SECTOR_BYTES: usize = 512;
    let mut at = 0;
    while at < bytes.len() {
        let end = (at + SECTOR_BYTES - (offset + at) % SECTOR_BYTES).min(bytes.len());
        if bytes[at..end].iter().all(|byte| *byte == 0) {
            return true;
        }
        at = end;
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_their_ends() {
        let mut cursor = Cursor::new(&[0xac, 0x02, 3, b'a', b'b', b'c', 0x80]);
        assert_eq!(cursor.varint(), Ok(300));
        assert_eq!(cursor.prefixed(), Ok(&b"abc"[..]));
        assert!(cursor.varint().is_err() && cursor.is_done());
        assert!(Cursor::new(&[0xff; 11]).varint().is_err());
        assert!(
            Cursor::new(&[0xff, 0xff, 0xff, 0xff, 0xff, 1])
                .prefixed()
                .is_err()
        );
        assert!(Cursor::new(&[1, 2]).u32_big().is_err());
    }

    #[test]
    fn a_sector_that_was_never_written_tells_a_torn_record() {
        let mut record = vec![7; 1500];
        assert!(!is_torn(&record, 100));
        record[412..924].fill(0);
        assert!(is_torn(&record, 100), "a whole sector in the middle");
        assert!(!is_torn(&record, 0), "parts of two sectors are no sector");
        let mut tail = vec![7; 600];
        tail[512..].fill(0);
        assert!(is_torn(&tail, 0));
    }
}
