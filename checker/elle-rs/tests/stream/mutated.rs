//! Seeds of every format, bytes changed: a reader may refuse them, and never panics. The same
//! seeds start `cargo fuzz` (see `fuzz/`).

use std::path::Path;

use elle_rs::history::stream::{Calls, Format};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::reader;

const ROUNDS: usize = 20_000;

fn seeds(format: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("fuzz/seeds")
        .join(format);
    let mut paths: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    paths.sort();
    assert!(paths.len() >= 3, "{format} has only {paths:?}");
    paths
        .iter()
        .map(|path| std::fs::read(path).unwrap())
        .collect()
}

fn mutate(rng: &mut ChaCha8Rng, seeds: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = seeds[rng.random_range(0..seeds.len())].clone();
    for _ in 0..rng.random_range(1..=4) {
        let at = rng.random_range(0..=bytes.len());
        match rng.random_range(0..6) {
            0 => bytes.truncate(at),
            1 => bytes.insert(at, rng.random()),
            2 => {
                let piece: &[u8] = [
                    &b"{"[..],
                    b"}",
                    b"[",
                    b"]",
                    b"(",
                    b"#{",
                    b"#_",
                    b"\"",
                    b"\\",
                    b";",
                    b"\n",
                    b"nil",
                    b":",
                    b"\t",
                    b"-9223372036854775808",
                    b"\xc3",
                ][rng.random_range(0..16)];
                bytes.splice(at..at, piece.iter().copied());
            }
            3 => {
                let end = rng.random_range(at..=bytes.len());
                bytes.drain(at..end.min(at + 40));
            }
            4 => {
                let other = &seeds[rng.random_range(0..seeds.len())];
                let from = rng.random_range(0..=other.len());
                let piece = other[from..other.len().min(from + 60)].to_vec();
                bytes.splice(at..at, piece);
            }
            _ if at < bytes.len() => bytes[at] ^= 1 << rng.random_range(0..8),
            _ => {}
        }
    }
    bytes
}

fn survives(format: Format, folder: &str) {
    let seeds = seeds(folder);
    let mut rng = ChaCha8Rng::seed_from_u64(9);
    let (mut whole, mut refused) = (0, 0);
    for round in 0..ROUNDS {
        let bytes = mutate(&mut rng, &seeds);
        // Half of the time the format is to be found out.
        let format = (round % 2 == 0).then_some(format);
        let Ok(reader) = reader(&bytes, format) else {
            refused += 1;
            continue;
        };
        let mut calls = Calls::new(reader);
        loop {
            match calls.next_call() {
                Ok(Some(call)) => {
                    let _ = call.output.display(call.symbols).to_string();
                }
                Ok(None) => {
                    whole += 1;
                    break;
                }
                Err(_) => {
                    refused += 1;
                    break;
                }
            }
        }
    }
    println!("{folder}: {whole} read, {refused} refused");
    assert!(
        whole > ROUNDS / 20 && refused > ROUNDS / 20,
        "{folder}: {whole}, {refused}"
    );
}

#[test]
fn edn() {
    survives(Format::Edn, "edn");
}

#[test]
fn json() {
    survives(Format::Json, "json");
}

#[test]
fn porcupine() {
    survives(Format::Porcupine, "porcupine");
}

#[test]
fn keyquake() {
    survives(Format::Keyquake, "keyquake");
}
