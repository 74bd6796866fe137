//! What `scripts/nonce-registry.sh` measures: a new registry that is given pairs, a batch for
//! each audit. `nonce_speed FILE PAIRS BATCH SHAPE` prints milliseconds on the clock and of
//! the processor, bytes and pairs.
//!
//! Shapes: `dense`, every count of three nodes in turn; `gaps`, every fifth count, as after
//! compactions; `again`, as `dense`, with half of each batch known already; `random`, counts
//! without any order, which no store makes.

use std::path::Path;
use std::time::Instant;

use keyquake_audit::nonces::{KeyPrint, NonceRegistry, NonceSet, Pair};
use keyquake_audit::{Place, Spot};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

const NODES: u64 = 3;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [file, pairs, batch, shape] = &words[..] else {
        return Err("say FILE PAIRS BATCH SHAPE".into());
    };
    let (pairs, batch): (u64, u64) = (pairs.parse()?, batch.parse()?);
    let mut registry = NonceRegistry::open(Path::new(file))?;
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let (mut clock_ms, mut processor_ms) = (0, 0);
    let mut number = 0;
    while registry.pairs()? < pairs {
        let set = batch_of(number, batch, shape, &mut rng)?;
        let run = format!("20261130-02{number:04}-register-kill");
        // What an audit pays for the registry: the set it has anyway.
        let (begun, spent) = (Instant::now(), processor()?);
        let added = registry.add(&run, &set)?;
        clock_ms += begun.elapsed().as_millis();
        processor_ms += processor()? - spent;
        if !added.reuses.is_empty() {
            return Err("a reuse was found where there is none".into());
        }
        number += 1;
    }
    let pairs = registry.pairs()?;
    drop(registry);
    let bytes = std::fs::metadata(file)?.len();
    println!("{clock_ms} {processor_ms} {bytes} {pairs}");
    Ok(())
}

/// What this thread has had of a processor, in milliseconds: others may want it too.
fn processor() -> Result<u64, Box<dyn std::error::Error>> {
    let said = std::fs::read_to_string("/proc/thread-self/schedstat")?;
    let nanoseconds: u64 = said.split(' ').next().unwrap_or_default().parse()?;
    Ok(nanoseconds / 1_000_000)
}

/// What one audit met. Every eighth batch is another cluster's.
fn batch_of(
    number: u64,
    pairs: u64,
    shape: &str,
    rng: &mut ChaCha8Rng,
) -> Result<NonceSet, String> {
    let mut set = NonceSet::default();
    let mut key = [0; 32];
    key[..8].copy_from_slice(&(number / 8).to_be_bytes());
    let key = KeyPrint::of(&key);
    let per_node = pairs / NODES;
    let first = match shape {
        "again" => number % 8 * per_node / 2,
        _ => number % 8 * per_node,
    };
    for node in 0..NODES {
        let spot = Spot {
            node: format!("n{node}"),
            place: Place::Tables,
            path: format!("nodes/n{node}/fsm.db").into(),
            offset: None,
            index: None,
        };
        for at in first..first + per_node {
            let count = match shape {
                "dense" | "again" => at,
                "gaps" => at * 5,
                "random" => rng.next_u64(),
                other => return Err(format!("there is no shape {other}")),
            };
            let mut nonce = [0; 12];
            nonce[..4].copy_from_slice(&[0xd4, node as u8, 0, 3]);
            nonce[4..].copy_from_slice(&count.to_be_bytes());
            // The tag follows from the pair, so that what is known stays the same.
            let mut tag = [0; 16];
            let mixed =
                (count ^ (node << 60) ^ ((number / 8) << 50)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            tag[..8].copy_from_slice(&mixed.to_be_bytes());
            tag[8..].copy_from_slice(&mixed.rotate_left(23).wrapping_mul(mixed | 1).to_be_bytes());
            let key_id = 7;
            set.see(Pair { key, key_id, nonce }, tag, &spot);
        }
    }
    Ok(set)
}
