//! No history makes a checker panic, and each certificate that one writes is accepted by the verifier.
//! The first byte chooses the model, the second the level; the rest is EDN.
#![no_main]

use std::io::Cursor;
use std::path::Path;

use elle_rs::history::stream::{Format, Reader};
use elle_rs::levels::Level;
use elle_rs::linear::{ModelName, Options};
use elle_rs::transactions::Model;
use elle_rs::{linear, transactions, verify};
use libfuzzer_sys::fuzz_target;

const SINGLE: [&str; 10] = [
    "register",
    "cas-register",
    "multi-register",
    "kv-map",
    "mutex",
    "set",
    "counter",
    "fifo-queue",
    "unordered-queue",
    "priority-queue",
];
const TRANSACTIONS: [&str; 6] = [
    "list-append",
    "rw-register",
    "rmw",
    "bank",
    "long-fork",
    "monotonic",
];

fuzz_target!(|bytes: &[u8]| {
    let [model, level, text @ ..] = bytes else {
        return;
    };
    let read = || {
        Reader::from_read(
            Cursor::new(text.to_vec()),
            Path::new("h"),
            Some(Format::Edn),
        )
    };
    let Ok(reader) = read() else {
        return;
    };
    let chosen = *model as usize % (SINGLE.len() + TRANSACTIONS.len());
    if let Some(name) = SINGLE.get(chosen) {
        let model: ModelName = name.parse().expect("a model");
        let options = Options {
            budget: 10_000,
            ..Options::new(model)
        };
        if let Ok(report) = linear::check(reader, &options)
            && let Some(certificate) = report.certificate()
        {
            let again = read().expect("it was read before");
            verify::verify(&certificate, again).expect("what a checker certifies holds");
        }
        return;
    }
    let model: Model = TRANSACTIONS[chosen - SINGLE.len()]
        .parse()
        .expect("a model");
    let levels: Vec<Level> = Level::all().collect();
    let level = levels[*level as usize % levels.len()];
    if let Ok(report) = transactions::check_from(reader, model, level)
        && let Some(certificate) = report.certificate
    {
        let again = read().expect("it was read before");
        verify::verify(&certificate, again).expect("what a checker certifies holds");
    }
});
