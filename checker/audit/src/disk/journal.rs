//! The journal of a fjall database, `*.jnl`: what was written, batch by batch, whether or not something
//! newer took its place. As in fjall's `journal/entry.rs`. The engine verifies the checksums when it opens it.

use super::bytes::{Cursor, Read};
use super::database::KeyValue;

const START: u8 = 1;
const ITEM: u8 = 2;
const END: u8 = 3;
const CLEAR: u8 = 4;
/// Behind the checksum at a batch's end.
const TRAILER: &[u8] = b"FJL\x03";
/// An item's kind, and that it is not compressed.
const VALUE: u8 = 0;
const PLAIN: u8 = 0;
const CHECKSUM_BYTES: usize = 8;
const KEYSPACE_BYTES: usize = 8;

/// Everything that whole batches set, oldest first, up to where a batch is not whole or not understood.
pub(super) fn sets(journal: &[u8]) -> Vec<KeyValue> {
    let mut cursor = Cursor::new(journal);
    let mut all = Vec::new();
    while let Ok(mut batch) = batch(&mut cursor) {
        all.append(&mut batch);
    }
    all
}

fn batch(cursor: &mut Cursor<'_>) -> Read<Vec<KeyValue>> {
    if cursor.byte()? != START {
        return Err("no batch begins here".to_owned());
    }
    cursor.u32_little()?;
    cursor.u64_little()?;
    let mut sets = Vec::new();
    loop {
        match cursor.byte()? {
            ITEM => sets.extend(item(cursor)?),
            CLEAR => _ = cursor.take(KEYSPACE_BYTES)?,
            END => {
                cursor.take(CHECKSUM_BYTES)?;
                return match cursor.take(TRAILER.len())? == TRAILER {
                    true => Ok(sets),
                    false => Err("the batch has no end".to_owned()),
                };
            }
            tag => return Err(format!("a record of kind {tag}")),
        }
    }
}

fn item(cursor: &mut Cursor<'_>) -> Read<Option<KeyValue>> {
    let (kind, compression) = (cursor.byte()?, cursor.byte()?);
    cursor.take(KEYSPACE_BYTES)?;
    let key = usize::from(cursor.u16_little()?);
    cursor.u32_little()?;
    let value = cursor.u32_little()? as usize;
    let (key, value) = (cursor.take(key)?, cursor.take(value)?);
    if compression != PLAIN {
        return Err("a value is compressed".to_owned());
    }
    Ok((kind == VALUE).then(|| (key.to_vec(), value.to_vec())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use fjall::{Database, KeyspaceCreateOptions, PersistMode};

    #[test]
    fn what_the_engine_wrote_is_read_up_to_where_it_is_torn() {
        let dir = tempfile::tempdir().unwrap();
        let database = Database::builder(dir.path())
            .worker_threads(1)
            .open()
            .unwrap();
        let rows = database
            .keyspace("main", KeyspaceCreateOptions::default)
            .unwrap();
        rows.insert("k", "first").unwrap();
        rows.insert("k", "second").unwrap();
        let mut batch = database.batch();
        batch.insert(&rows, "a", "in a batch");
        batch.remove(&rows, "k");
        batch.commit().unwrap();
        rows.insert("k", "third").unwrap();
        database.persist(PersistMode::SyncAll).unwrap();
        let journal = std::fs::read_dir(dir.path()).unwrap();
        let mut journal = journal.map(|entry| entry.unwrap().path());
        let journal = journal.find(|path| path.extension().is_some_and(|e| e == "jnl"));
        let bytes = std::fs::read(journal.unwrap()).unwrap();
        let said = |bytes: &[u8]| {
            let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
            let of_rows = sets(bytes)
                .into_iter()
                .map(|(key, value)| (text(key), text(value)));
            Vec::from_iter(of_rows.filter(|(key, _)| ["a", "k"].contains(&key.as_str())))
        };
        let all = [
            ("k", "first"),
            ("k", "second"),
            ("a", "in a batch"),
            ("k", "third"),
        ]
        .map(|(key, value)| (key.to_owned(), value.to_owned()));
        assert_eq!(said(&bytes), all);
        let end = bytes
            .windows(TRAILER.len())
            .rposition(|at| at == TRAILER)
            .unwrap();
        for length in 0..=end {
            let torn = said(&bytes[..length]);
            assert!(torn.len() < all.len() && all.starts_with(&torn), "{length}");
        }
    }
}
