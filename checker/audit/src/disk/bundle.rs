//! A snapshot as a bundle of tables, `EKVSSTI1 ‖ length BE64 ‖ SHA-256 ‖ contents as JSON`,
//! then the tables themselves: what elastickv writes under
//! `ELASTICKV_PEBBLE_SST_INGEST_SNAPSHOT`.

use serde::Deserialize;

use super::bytes::{Cursor, Read};
use super::snapshot::Content;
use super::{Row, pebble};

pub(super) const MAGIC: &[u8; 8] = b"EKVSSTI1";
const DIGEST_BYTES: usize = 32;

#[derive(Deserialize)]
struct Contents {
    files: Vec<File>,
}

#[derive(Deserialize)]
struct File {
    name: String,
    size: u64,
}

/// Reads a bundle from behind its magic up to its end.
///
/// # Errors
/// Where it is cut off, or what does not fit. The tables before that are in `content`.
pub(super) fn parse(cursor: &mut Cursor<'_>, content: &mut Content) -> Read<()> {
    let length = usize::try_from(cursor.u64_big()?).map_err(|error| error.to_string())?;
    cursor.take(DIGEST_BYTES)?;
    let contents: Contents = serde_json::from_slice(cursor.take(length)?)
        .map_err(|error| format!("its list of tables does not decode: {error}"))?;
    for File { name, size } in contents.files {
        let size = usize::try_from(size).map_err(|error| error.to_string())?;
        let begin = cursor.at() as u64;
        let table = pebble::table::parse(cursor.take(size)?)
            .map_err(|what| format!("its table {name}: {what}"))?;
        content.rows.extend(table.rows.into_iter().map(|row| Row {
            offset: row.offset.map(|offset| begin + offset),
            ..row
        }));
        content.deletions += table.deletions;
        for mut block in table.inflated {
            block.offset += begin;
            content.inflated.push(block);
        }
        for (at, what) in table.damage {
            content.damage.push((begin + at, what));
        }
        content.unread.extend(table.unread);
    }
    Ok(())
}
