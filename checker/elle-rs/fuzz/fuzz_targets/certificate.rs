//! No bytes given as a certificate make a verifier panic.
#![no_main]

use std::io::Cursor;
use std::path::Path;

use elle_rs::certificate::Certificate;
use elle_rs::history::stream::{Format, Reader};
use elle_rs::verify::verify;
use libfuzzer_sys::fuzz_target;

const REGISTER: &[u8] = include_bytes!("../seeds/edn/register.edn");
const LISTS: &[u8] = include_bytes!("../seeds/edn/list-append.edn");

fn read(text: &[u8]) -> Reader {
    let input = Cursor::new(text.to_vec());
    Reader::from_read(input, Path::new("h"), Some(Format::Edn)).expect("a seed is read")
}

fuzz_target!(|bytes: &[u8]| {
    if let Ok(certificate) = Certificate::parse(bytes, Path::new("c")) {
        let _ = verify(&certificate, read(REGISTER));
        let _ = verify(&certificate, read(LISTS));
    }
});
