//! The state as one command sees it: rows at one moment, with the command's own
//! writes on top. A command's writes reach the store in one batch, or not at all.

use std::collections::BTreeMap;

use fjall::{Keyspace, OwnedWriteBatch, Readable, Snapshot};

use super::{FsmError, Row, rows};
use crate::bugs::{self, Bug};
use crate::encryption::Encryption;
use crate::release::Release;

/// Bodies by user key; `None` = deleted.
pub type Writes = BTreeMap<Vec<u8>, Option<Vec<u8>>>;

/// Reads at a moment, own writes included.
pub struct View<'a> {
    rows: &'a Keyspace,
    encryption: &'a Encryption,
    moment: Snapshot,
    writes: Writes,
}

impl<'a> View<'a> {
    /// A view of `rows` at `moment`, with no writes yet.
    pub fn new(rows: &'a Keyspace, encryption: &'a Encryption, moment: Snapshot) -> Self {
        Self::with_writes(rows, encryption, moment, Writes::new())
    }

    /// A view of `rows` at `moment` with writes on top.
    pub fn with_writes(
        rows: &'a Keyspace,
        encryption: &'a Encryption,
        moment: Snapshot,
        writes: Writes,
    ) -> Self {
        Self {
            rows,
            encryption,
            moment,
            writes,
        }
    }

    /// The longest of the bodies written, if any was: a value, not bookkeeping.
    pub fn longest_body(&self) -> Option<&[u8]> {
        let bodies = self.writes.values().filter_map(Option::as_deref);
        bodies.max_by_key(|body| body.len())
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
            Some((key, value)) => self.body(&key, &value),
            None => Ok(None),
        }
    }

    /// The body of a row, opened if it is sealed.
    fn body(&self, row_key: &[u8], value: &[u8]) -> Result<Option<Vec<u8>>, FsmError> {
        if self.encryption.release() == Release::Stage5D && rows::is_tombstone_to_5d(value) {
            return Ok(None);
        }
        match rows::body(value).map_err(FsmError::Row)? {
            rows::Body::Deleted => Ok(None),
            rows::Body::Clear(body) => Ok(Some(body.to_vec())),
            rows::Body::Sealed { header, envelope } => {
                let opened = self.encryption.open_value(header, row_key, envelope)?;
                Ok(Some(opened))
            }
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
            if let Some(body) = self.body(&key, &value)? {
                found.entry(user_key.to_vec()).or_insert(body);
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

    /// Moves the writes into `batch`, stamped `ts`, sealed if need be; a key's older row goes
    /// in the same batch.
    ///
    /// # Errors
    /// A failing disk, or no key to seal under.
    pub fn into_batch(
        self,
        batch: &mut OwnedWriteBatch,
        ts: u64,
        sealed: bool,
    ) -> Result<(), FsmError> {
        let sealed = sealed && !(bugs::on(Bug::CleartextValues) && ts.is_multiple_of(20));
        for (user_key, body) in &self.writes {
            if let Some((older, _)) = self.stored(user_key)? {
                batch.remove(self.rows, older);
            }
            if let Some(body) = body {
                let row_key = rows::row_key(user_key, ts);
                let value = if sealed {
                    let header = rows::SEALED_HEADER;
                    let envelope = self.encryption.seal_value(&header, &row_key, body)?;
                    [&header[..], &envelope].concat()
                } else {
                    rows::value(body)
                };
                batch.insert(self.rows, row_key, value);
            }
        }
        Ok(())
    }
}
