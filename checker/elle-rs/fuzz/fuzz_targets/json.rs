//! No bytes make the reader of JSON panic.
#![no_main]

use std::io::Cursor;
use std::path::Path;

use elle_rs::history::stream::{Calls, Format, Reader};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let input = Cursor::new(bytes.to_vec());
    let Ok(reader) = Reader::from_read(input, Path::new("h"), Some(Format::Json)) else {
        return;
    };
    let mut calls = Calls::new(reader);
    while let Ok(Some(call)) = calls.next_call() {
        let _ = call.output.display(call.symbols).to_string();
    }
});
