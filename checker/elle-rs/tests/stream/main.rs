//! Histories read as a stream: every format, what is wrong with them, and that nothing makes a
//! reader panic.

mod calls;
mod formats;
mod malformed;
mod mutated;

use std::io::Cursor;
use std::path::Path;

use elle_rs::history::stream::{Format, ReadError, Reader, Value, write_edn, write_json};

/// A reader of a text called `h`.
fn reader(text: impl AsRef<[u8]>, format: Option<Format>) -> Result<Reader, ReadError> {
    Reader::from_read(Cursor::new(text.as_ref().to_vec()), Path::new("h"), format)
}

/// All entries in EDN, a line each, and what was torn off.
fn to_edn(mut reader: Reader) -> Result<(String, Option<String>), ReadError> {
    let mut text = Vec::new();
    while let Some(entry) = reader.next_entry()? {
        write_edn(&mut text, &entry).unwrap();
    }
    Ok((
        String::from_utf8(text).unwrap(),
        reader.torn().map(ToString::to_string),
    ))
}

/// All entries in JSON, a line each.
fn to_json(mut reader: Reader) -> String {
    let mut text = Vec::new();
    while let Some(entry) = reader.next_entry().unwrap() {
        write_json(&mut text, &entry).unwrap();
    }
    String::from_utf8(text).unwrap()
}

/// The values of all entries, in words.
fn values(text: &str) -> Vec<String> {
    let mut reader = reader(text, None).unwrap();
    let mut values = Vec::new();
    while let Some(entry) = reader.next_entry().unwrap() {
        let value: Value<'_> = entry.value;
        values.push(value.display(entry.symbols).to_string());
    }
    values
}
