//! The state as one command sees it: rows at one moment, with the command's own
//! writes on top. A command's writes reach the store in one batch, or not at all.

use std::collections::BTreeMap;

use fjall::{Keyspace, OwnedWriteBatch, Readable, Snapshot};

use super::{FsmError, Row, rows};

/// Bodies by user key; `None` = deleted.
pub type Writes = BTreeMap<Vec<u8>, Option<Vec<u8>>>;

/// Reads at a moment, own writes included.
pub struct View<'a> {
    rows: &'a Keyspace,
    moment: Snapshot,
    writes: Writes,
}

impl<'a> View<'a> {
    /// A view of `rows` at `moment`, with no writes yet.
    pub fn new(rows: &'a Keyspace, moment: Snapshot) -> Self {
        Self::with_writes(rows, moment, Writes::new())
    }

    /// A view of `rows` at `moment` with writes on top.
    pub fn with_writes(rows: &'a Keyspace, moment: Snapshot, writes: Writes) -> Self {
        Self {
            rows,
            moment,
            writes,
        }
    }

    /// The writes alone.
    pub fn into_writes(self) -> Writes {
        self.writes
    }

    /// The row key and value stored for a user key.
    fn stored(&self, user_key: &[u8]) -> Result<Option<Row>, FsmError> {
        for item in self.moment.range(self.rows, rows::row_range(user_key)) {
            let (key, value) = item.into_inner()?;
            if key.len() == user_key.len() + rows::STAMP {
                return Ok(Some((key.to_vec(), value.to_vec())));
            }
        }
        Ok(None)
    }

    /// The body of a user key, or `None` when there is none.
    ///
    /// # Errors
    /// A failing disk, or a row this release cannot read.
    pub fn get(&self, user_key: &[u8]) -> Result<Option<Vec<u8>>, FsmError> {
        if let Some(written) = self.writes.get(user_key) {
            return Ok(written.clone());
        }
        match self.stored(user_key)? {
            Some((_, value)) => Ok(rows::body(&value)
                .map_err(FsmError::Row)?
                .map(<[u8]>::to_vec)),
            None => Ok(None),
        }
    }

    /// Bodies of all user keys of one length from `first` to `last`, in order.
    ///
    /// # Errors
    /// As [`View::get`].
    pub fn scan(&self, first: &[u8], last: &[u8]) -> Result<Vec<Vec<u8>>, FsmError> {
        let mut found: BTreeMap<Vec<u8>, Vec<u8>> = BTreeMap::new();
        let range = rows::row_range(first).start().clone()..=rows::row_range(last).end().clone();
        for item in self.moment.range(self.rows, range) {
            let (key, value) = item.into_inner()?;
            let Some(user_key) = rows::user_key(&key).filter(|k| k.len() == first.len()) else {
                continue;
            };
            if let Some(body) = rows::body(&value).map_err(FsmError::Row)? {
                found
                    .entry(user_key.to_vec())
                    .or_insert_with(|| body.to_vec());
            }
        }
        for (key, written) in self.writes.range(first.to_vec()..=last.to_vec()) {
            if key.len() != first.len() {
                continue;
            }
            match written {
                Some(body) => found.insert(key.clone(), body.clone()),
                None => found.remove(key),
            };
        }
        Ok(found.into_values().collect())
    }

    /// Sets a user key's body.
    pub fn put(&mut self, user_key: Vec<u8>, body: Vec<u8>) {
        self.writes.insert(user_key, Some(body));
    }

    /// Deletes a user key.
    pub fn remove(&mut self, user_key: Vec<u8>) {
        self.writes.insert(user_key, None);
    }

    /// Forgets all writes: the command failed as a whole.
    pub fn discard(&mut self) {
        self.writes.clear();
    }

    /// Moves the writes into `batch`, stamped `ts`; a key's older row goes in the same batch.
    ///
    /// # Errors
    /// A failing disk.
    pub fn into_batch(self, batch: &mut OwnedWriteBatch, ts: u64) -> Result<(), FsmError> {
        for (user_key, body) in &self.writes {
            if let Some((older, _)) = self.stored(user_key)? {
                batch.remove(self.rows, older);
            }
            if let Some(body) = body {
                batch.insert(self.rows, rows::row_key(user_key, ts), rows::value(body));
            }
        }
        Ok(())
    }
}
