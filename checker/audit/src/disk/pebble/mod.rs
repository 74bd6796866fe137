//! A Pebble database, the storage engine of elastickv, read from its files as they lie: every
//! table and every table log, also those that the engine has left over, and every version of
//! every row in them.

mod batch;
mod block;
mod footer;
pub(crate) mod listed;
mod manifest;
mod records;
mod rows;
pub(in crate::disk) mod table;
#[cfg(test)]
mod tests;

use std::hash::{DefaultHasher, Hasher};
use std::path::{Path, PathBuf};

use super::{Damage, DiskError, Found, Row, Table, entries, read_file};
use crate::finding::Place;
use listed::{Account, Listed};
use manifest::Live;

/// Reads what lies in a database's folder. If it is not the node's state but a copy on its way,
/// nothing in it need be whole.
pub(super) fn read(folder: &Path, is_state: bool, found: &mut Found) {
    let paths = match entries(folder) {
        Ok(paths) => paths,
        Err(error) => return found.gaps.push(error),
    };
    let mut account = Account {
        folder: folder.to_owned(),
        ..Account::default()
    };
    let live = match is_state {
        true => live(&paths, &mut account, found),
        false => Some(Live::none()),
    };
    let is_live = |number: Option<u64>, of: fn(&Live, u64) -> bool| match (&live, number) {
        (Some(live), Some(number)) => of(live, number),
        // What cannot be told to be left over must be whole.
        _ => true,
    };
    for path in &paths {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        match path.extension().and_then(|ending| ending.to_str()) {
            Some("sst") => {
                let is_live = is_live(number(&name), Live::has_table);
                let listed = number(&name).zip(live.as_ref());
                let listed = listed.and_then(|(number, live)| Some((number, live.listed(number)?)));
                let digest = read_table(path, is_live, listed.map(|(_, listed)| listed), found);
                if let (Some((number, listed)), Some(digest)) = (listed, digest) {
                    account.tables.insert(number, (listed.clone(), digest));
                }
            }
            Some("log") => read_log(path, is_live(number(&name), Live::has_log), found),
            Some("blob") => found.gaps.push(DiskError::Form {
                path: path.clone(),
                what: "blob files are not read".to_owned(),
            }),
            _ => {}
        }
    }
    for number in live.iter().flat_map(Live::tables) {
        let name = format!("{number:06}.sst");
        if !folder.join(&name).is_file() {
            let what = format!("the manifest names the table {name}, which is not there");
            found.damage(Place::Tables, folder, 0, what);
        }
    }
    if is_state && live.is_some() {
        found.accounts.push(account);
    }
}

/// The number in `000012.sst`, `000012.log` or `000012-001.log`.
fn number(name: &str) -> Option<u64> {
    let digits = name.split(['.', '-']).next()?;
    digits.parse().ok()
}

/// What the manifest in force says; `None` if there is none, or it can't be believed.
fn live(paths: &[PathBuf], account: &mut Account, found: &mut Found) -> Option<Live> {
    let name = |path: &PathBuf| Some(path.file_name()?.to_str()?.to_owned());
    let names: Vec<_> = paths.iter().filter_map(name).collect();
    let marked = names.iter().filter_map(|name| {
        let (turn, manifest) = name.strip_prefix("marker.manifest.")?.split_once('.')?;
        Some((turn.parse::<u64>().ok()?, manifest.to_owned()))
    });
    let current = marked.max().map(|(_, manifest)| manifest).or_else(|| {
        let manifests = names.iter().filter(|name| name.starts_with("MANIFEST-"));
        manifests.max().cloned()
    })?;
    let number = current
        .rsplit('-')
        .next()
        .and_then(|digits| digits.parse().ok());
    let path = paths.first()?.with_file_name(current);
    let file = match read_file(&path) {
        Ok(file) => file,
        Err(error) => {
            found.gaps.push(error);
            return None;
        }
    };
    let manifest = manifest::parse(&file);
    for (at, what) in manifest.damage {
        found.damage(Place::Tables, &path, at, what);
    }
    found.cut(&path, manifest.cut);
    if let Some(live) = &manifest.live {
        account.reached = (number.unwrap_or_default(), live.reached.0, live.reached.1);
    }
    manifest.live
}

/// Takes in a table. Gives a digest of its bytes, if they are as they were written.
fn read_table(path: &Path, live: bool, listed: Option<&Listed>, found: &mut Found) -> Option<u64> {
    let file = match read_file(path) {
        Ok(file) => file,
        Err(error) => {
            found.gaps.push(error);
            return None;
        }
    };
    match table::parse(&file) {
        Ok(content) => {
            let is_whole = content.damage.is_empty() && content.unread.is_empty();
            let differs = listed.and_then(|listed| listed.differs(file.len() as u64, &content));
            if let Some(differs) = differs.filter(|_| is_whole) {
                let what =
                    format!("the table is whole, and another than the manifest's: it {differs}");
                found.other_tables.push((path.to_owned(), what));
            }
            found.table(Place::Tables, path, live, content);
            return is_whole.then(|| {
                let mut hasher = DefaultHasher::new();
                hasher.write(&file);
                hasher.finish()
            });
        }
        Err(what) if live => found.damage(Place::Tables, path, 0, what),
        // A node that was killed while it wrote a table leaves it unfinished, and out of the
        // manifest. Its bytes are scanned all the same.
        Err(what) => found.cut(path, Some((0, format!("a table left unfinished: {what}")))),
    }
    None
}

fn read_log(path: &Path, live: bool, found: &mut Found) {
    let file = match read_file(path) {
        Ok(file) => file,
        Err(error) => return found.gaps.push(error),
    };
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    // The low 32 bits stand in the records.
    let records = records::parse(&file, number(&name).map(|number| number as u32));
    for (at, what) in records.damage {
        found.damage(Place::TableLogs, path, at, what);
    }
    found.cut(path, records.cut);
    let mut new = Table::at(path, live);
    let mut old = Table::at(path, false);
    for record in &records.records {
        let table = if record.is_old { &mut old } else { &mut new };
        let batch = match batch::parse(&record.bytes) {
            Ok(batch) => batch,
            // Damage was said already.
            Err(_) if !record.fits => continue,
            Err(what) => {
                let what = format!("the record at byte {}: {what}", record.offset(0));
                found.form(path, what);
                continue;
            }
        };
        table.bare += batch.deletions;
        for what in batch.unread {
            found.form(path, what);
        }
        table
            .rows
            .extend(batch.sets.into_iter().map(|(key, value, seq)| Row {
                key,
                offset: Some(record.offset(value.start)),
                value: record.bytes[value].to_vec(),
                seq,
            }));
    }
    found.table_logs.push(new);
    if !old.rows.is_empty() {
        found.table_logs.push(old);
    }
}

impl Found {
    /// Takes in what a table holds.
    fn table(&mut self, place: Place, path: &Path, live: bool, content: table::Content) {
        for (at, what) in content.damage {
            self.damage(place, path, at, what);
        }
        for what in content.unread {
            self.form(path, what);
        }
        self.tables.push(Table {
            rows: content.rows,
            bare: content.deletions,
            inflated: content.inflated,
            ..Table::at(path, live)
        });
    }

    pub(super) fn damage(&mut self, place: Place, path: &Path, offset: u64, what: String) {
        self.damage.push(Damage {
            place,
            path: path.to_owned(),
            offset,
            what,
        });
    }

    pub(super) fn form(&mut self, path: &Path, what: String) {
        let path = path.to_owned();
        self.gaps.push(DiskError::Form { path, what });
    }

    /// Says where a file ends in the middle of something, as a kill or a power loss leaves it.
    pub(super) fn cut(&mut self, path: &Path, cut: Option<(u64, String)>) {
        let said = cut.map(|(at, what)| format!("{} at byte {at}: {what}", path.display()));
        self.cuts.extend(said);
    }
}
