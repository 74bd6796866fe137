//! What `scripts/scan-speed.sh` measures beside `grep`: writes the files, and scans one.
//!
//! `make FOLDER MEGABYTES CANARIES` writes `patterns` and files of several contents;
//! `scan FILE CANARIES` prints milliseconds on the clock and of the processor, and the hits.

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::Path;
use std::time::Instant;

use keyquake_audit::{Canaries, Canary, MayStand, Needles, spellings};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

const SEED: u64 = 1;
const CONTENTS: [(&str, &[u8]); 4] = [
    ("ciphertext", b""),
    (
        "base64",
        b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/",
    ),
    ("letters", b"abcdefghijklmnopqrstuvwxyz234567"),
    // Every hundred bytes a canary: a disk that is not encrypted.
    ("clear", b"\0"),
];
/// Bytes from one canary to the next, of those planted in the clear.
const APART: usize = 100;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    match words.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["make", folder, megabytes, canaries] => {
            make(Path::new(folder), megabytes.parse()?, canaries.parse()?)
        }
        ["scan", file, canaries] => scan(Path::new(file), canaries.parse()?),
        _ => Err("say `make FOLDER MEGABYTES CANARIES` or `scan FILE CANARIES`".into()),
    }
}

fn make(folder: &Path, megabytes: u64, canaries: u64) -> Result<(), Box<dyn std::error::Error>> {
    let canary = Canary::of_seed(SEED);
    let all: Vec<_> = (0..canaries).map(|value| canary.canary(1, value)).collect();
    fs::write(folder.join("patterns"), all.join(&b'\n'))?;
    for (name, alphabet) in CONTENTS {
        let mut rng = ChaCha8Rng::seed_from_u64(SEED);
        let mut file = BufWriter::new(File::create(folder.join(name))?);
        let mut bytes = vec![0; 1_000_000];
        for _ in 0..megabytes {
            rng.fill_bytes(&mut bytes);
            if alphabet.len() > 1 {
                let letter = |byte: &mut u8| *byte = alphabet[usize::from(*byte) % alphabet.len()];
                bytes.iter_mut().for_each(letter);
            }
            if name == "clear" {
                for row in bytes.chunks_exact_mut(APART) {
                    let canary = &all[rng.next_u32() as usize % all.len()];
                    row[20..20 + canary.len()].copy_from_slice(canary);
                }
            }
            file.write_all(&bytes)?;
        }
        file.flush()?;
    }
    Ok(())
}

fn scan(file: &Path, planted: u64) -> Result<(), Box<dyn std::error::Error>> {
    let mut canaries = Canaries::new(Canary::of_seed(SEED));
    (0..planted).for_each(|value| canaries.plant(1, value, MayStand::Nowhere));
    let needles = Needles::new(Some(&canaries), spellings("KEK", &[7; 32]));
    let (begun, spent) = (Instant::now(), processor_ms()?);
    let mut hits = 0_u64;
    needles.each_in_file(file, |_, _| hits += 1)?;
    let spent = processor_ms()? - spent;
    println!("{} {spent} {hits}", begun.elapsed().as_millis());
    Ok(())
}

/// What this thread has had of a processor: others may want it too.
fn processor_ms() -> Result<u64, Box<dyn std::error::Error>> {
    let said = fs::read_to_string("/proc/thread-self/schedstat")?;
    let nanoseconds: u64 = said.split(' ').next().unwrap_or_default().parse()?;
    Ok(nanoseconds / 1_000_000)
}
