//! The scan for 100,000 canaries and 8 keys, all spellings of all of them, over 256 MB of what
//! disks are full of, read and mapped: `cargo bench -p keyquake-audit --bench scan`.

use std::fs::File;
use std::io::Write;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use keyquake_audit::{Canaries, Canary, MayStand, Needles, spellings};
use memmap2::Mmap;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

const CANARIES: u64 = 100_000;
const KEYS: usize = 8;
const BYTES: usize = 256 << 20;

fn needles() -> Needles {
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let mut canaries = Canaries::new(Canary::of_seed(1));
    (0..CANARIES).for_each(|value| canaries.plant(value % 64, value, MayStand::Nowhere));
    let mut secrets = Vec::new();
    for _ in 0..KEYS {
        let mut key = [0; 32];
        rng.fill_bytes(&mut key);
        secrets.extend(spellings("key", &key));
    }
    Needles::new(Some(&canaries), secrets)
}

/// Bytes of an alphabet, or any.
fn content(alphabet: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0; BYTES];
    ChaCha8Rng::seed_from_u64(2).fill_bytes(&mut bytes);
    if !alphabet.is_empty() {
        for byte in &mut bytes {
            *byte = alphabet[usize::from(*byte) % alphabet.len()];
        }
    }
    bytes
}

fn scan(criterion: &mut Criterion) {
    let needles = needles();
    let mut group = criterion.benchmark_group("scan");
    group.sample_size(10);
    group.throughput(Throughput::Bytes(BYTES as u64));
    for (name, alphabet) in [
        ("ciphertext", &b""[..]),
        (
            "base64",
            b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/",
        ),
        ("hex", b"0123456789abcdef"),
        ("canaries' letters", b"abcdefghijklmnopqrstuvwxyz234567"),
    ] {
        let mut file = tempfile::NamedTempFile::new().expect("a temporary file");
        file.write_all(&content(alphabet)).expect("room for it");
        group.bench_function(format!("{name}, read"), |bencher| {
            bencher.iter(|| {
                let mut hits = 0_u64;
                let bytes = needles.each_in_file(file.path(), |_, _| hits += 1);
                (bytes.expect("it can be read"), hits)
            });
        });
        group.bench_function(format!("{name}, mapped"), |bencher| {
            bencher.iter(|| {
                let open = File::open(file.path()).expect("it can be opened");
                // SAFETY: nobody else knows this file.
                let map = unsafe { Mmap::map(&open) }.expect("it can be mapped");
                let mut hits = 0_u64;
                needles.each_in(&map, |_, _| hits += 1);
                hits
            });
        });
    }
    group.finish();
}

criterion_group!(benches, scan);
criterion_main!(benches);
