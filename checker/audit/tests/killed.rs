//! The nonce registry under `kill -9` in the middle of adding, by a real process: this program
//! itself, started with `add-for-ever`. What `add` said is in the file, whole batches only.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use keyquake_audit::nonces::{KeyPrint, NonceRegistry, NonceSet, Pair};
use keyquake_audit::{Place, Spot};

const ADD: &str = "add-for-ever";
/// Pairs of a batch.
const PAIRS: u64 = 3_000;
const KILLS: u64 = 10;

fn main() {
    let words: Vec<String> = std::env::args().collect();
    match &words[..] {
        [_, word, path] if word == ADD => add_for_ever(Path::new(path)),
        _ => killed_while_adding(),
    }
}

/// The pairs of a batch, all under one key. Every third count: neighbours are of other batches.
fn batch(number: u64, tag: u8) -> NonceSet {
    let key = KeyPrint::of(&[1; 32]);
    let mut set = NonceSet::default();
    let spot = Spot {
        node: "n1".to_owned(),
        place: Place::Tables,
        path: "n1/fsm.db".into(),
        offset: None,
        index: None,
    };
    for pair in 0..PAIRS {
        let count = (number / 3 * PAIRS + pair) * 3 + number % 3;
        let mut nonce = [0; 12];
        nonce[4..].copy_from_slice(&count.to_be_bytes());
        let key_id = 1;
        let pair = Pair { key, key_id, nonce };
        assert_eq!(set.see(pair, [tag; 16], &spot), None);
    }
    set
}

fn add_for_ever(path: &Path) {
    let mut registry = NonceRegistry::open(path).expect("the registry opens");
    let mut number = registry.pairs().expect("it can be read") / PAIRS;
    loop {
        let added = registry
            .add("run", &batch(number, 1))
            .expect("it takes a batch");
        assert_eq!((added.new, added.reuses.len()), (PAIRS, 0));
        number += 1;
        println!("{number}");
        std::io::stdout().flush().expect("somebody listens");
    }
}

fn killed_while_adding() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("nonces");
    let myself = std::env::current_exe().expect("this program");
    for kill in 0..KILLS {
        let mut child = Command::new(&myself)
            .arg(ADD)
            .arg(&path)
            .stdout(Stdio::piped())
            .spawn()
            .expect("it starts");
        let said = BufReader::new(child.stdout.take().expect("its output"));
        let mut lines = said.lines();
        // Some batches, and then a part of one that differs from kill to kill.
        let mut acknowledged = 0;
        for line in lines.by_ref().take(1 + kill as usize % 3) {
            acknowledged = line.expect("a line").parse().expect("a number");
        }
        std::thread::sleep(Duration::from_micros(kill * 1_700));
        child.kill().expect("it is killed");
        child.wait().expect("it ends");
        for line in lines.map_while(Result::ok) {
            acknowledged = line.parse().unwrap_or(acknowledged);
        }

        let mut registry = NonceRegistry::open(&path).expect("it opens after a kill");
        let pairs = registry.pairs().expect("it can be read");
        assert_eq!(
            pairs % PAIRS,
            0,
            "a batch is there in part after kill {kill}"
        );
        let batches = pairs / PAIRS;
        assert!(
            batches == acknowledged || batches == acknowledged + 1,
            "{batches} batches after {acknowledged} were acknowledged"
        );
        // What is counted is there, each pair of it.
        for number in [0, batches / 2, batches - 1] {
            let same = registry
                .add("later", &batch(number, 1))
                .expect("it takes it");
            assert_eq!(
                (same.new, same.known),
                (0, PAIRS),
                "batch {number} of {batches}"
            );
        }
        let next = registry.reuses().expect("it can be read");
        assert_eq!(next, [], "no batch was torn");
    }
    let mut registry = NonceRegistry::open(&path).expect("it opens");
    let batches = registry.pairs().expect("it can be read") / PAIRS;
    assert!(batches > KILLS, "{batches} batches were added");
    let last = registry
        .add("later", &batch(batches - 1, 2))
        .expect("it takes it");
    assert_eq!((last.new, last.reuses.len() as u64), (0, PAIRS));
    println!("{KILLS} kills, {batches} batches of {PAIRS} pairs: none lost, none torn");
}
