//! Blocks of rows: `shared ‖ unshared ‖ length ‖ rest of the key ‖ value`, behind them the
//! places where a key stands whole.

use std::ops::Range;

use crate::disk::bytes::{Cursor, Read};

/// The top bit of a restart point says something of the keys before it.
const RESTART: u32 = !(1 << 31);

/// A key, and where its value stands in the block.
pub(super) type RowAt = (Vec<u8>, Range<usize>);

/// Every row of a block.
///
/// # Errors
/// What does not fit, with the rows before it.
pub(super) fn parse(block: &[u8]) -> Result<Vec<RowAt>, (Vec<RowAt>, String)> {
    let mut rows = Vec::new();
    let restarts = match restarts(block) {
        Ok(restarts) => restarts,
        Err(what) => return Err((rows, what)),
    };
    let body = &block[..restarts.at];
    let mut cursor = Cursor::new(body);
    let mut key = Vec::new();
    let mut begins = Vec::new();
    while !cursor.is_done() {
        begins.push(cursor.at());
        match row(&mut cursor, &mut key) {
            Ok(value) => rows.push((key.clone(), value)),
            Err(what) => return Err((rows, what)),
        }
    }
    let is_known = |at: &usize| begins.binary_search(at).is_ok() || (*at == 0 && body.is_empty());
    match restarts.points.iter().find(|at| !is_known(at)) {
        Some(at) => Err((rows, format!("no row begins at the restart point {at}"))),
        None => Ok(rows),
    }
}

struct Restarts {
    /// Where they begin.
    at: usize,
    points: Vec<usize>,
}

fn restarts(block: &[u8]) -> Read<Restarts> {
    let count = block.last_chunk::<4>().ok_or("it is too short for rows")?;
    let count = u32::from_le_bytes(*count) as usize;
    if count == 0 {
        return Err("it has no restart point".to_owned());
    }
    let bytes = count.checked_add(1).and_then(|words| words.checked_mul(4));
    let at = bytes.and_then(|bytes| block.len().checked_sub(bytes));
    let at = at.ok_or_else(|| format!("it has no room for its {count} restart points"))?;
    let mut cursor = Cursor::new(&block[at..]);
    let points = (0..count).map(|_| Ok((cursor.u32_little()? & RESTART) as usize));
    let points = points.collect::<Read<_>>()?;
    Ok(Restarts { at, points })
}

fn row(cursor: &mut Cursor<'_>, key: &mut Vec<u8>) -> Read<Range<usize>> {
    let begin = cursor.at();
    let (shared, unshared, value) = (cursor.length()?, cursor.length()?, cursor.length()?);
    if shared > key.len() {
        return Err(format!(
            "the row at byte {begin} shares {shared} bytes with a key of {}",
            key.len()
        ));
    }
    key.truncate(shared);
    key.extend_from_slice(cursor.take(unshared)?);
    let at = cursor.at();
    cursor.take(value)?;
    Ok(at..cursor.at())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// "apple" → "1", "apricot" → "", "banana" → "33", restart points at the first and third.
    const BLOCK: &[u8] = b"\0\x05\x01apple1\x02\x05\0ricot\0\x06\x02banana33\
        \0\0\0\0\x11\0\0\0\x02\0\0\0";

    #[test]
    fn keys_are_put_together() {
        let rows = parse(BLOCK).unwrap();
        let found: Vec<_> = rows
            .iter()
            .map(|(key, value)| (&key[..], &BLOCK[value.clone()]))
            .collect();
        let expected: [(&[u8], &[u8]); 3] =
            [(b"apple", b"1"), (b"apricot", b""), (b"banana", b"33")];
        assert_eq!(found, expected);
        assert_eq!(
            parse(&[0, 0, 0, 0, 1, 0, 0, 0]).unwrap(),
            [],
            "an empty one"
        );
    }

    #[test]
    fn damage_is_an_error_and_never_a_panic() {
        assert!(parse(b"").is_err() && parse(&[0xff; 40]).is_err());
        let (rows, _) = parse(&[&BLOCK[..9], &[0x09], &BLOCK[10..]].concat()).unwrap_err();
        assert_eq!(rows.len(), 1, "what stands before the damage is given");
        let mut restart = BLOCK.to_vec();
        restart[BLOCK.len() - 8] ^= 1;
        assert!(parse(&restart).is_err());
        for length in 0..BLOCK.len() {
            assert!(parse(&BLOCK[..length]).is_err() || length == 0, "{length}");
        }
    }
}
