//! Long histories of simulated stores, and how long it takes to judge them:
//!
//! ```sh
//! cargo run --release -p elle-rs --example transactions -- write list-append strict 1000000 10 FILE
//! cargo run --release -p elle-rs --example transactions -- check list-append strict-serializable FILE
//! ```
//!
//! `write MODEL STORE TRANSACTIONS CLIENTS FILE [WRITES]`: the models are `list-append`, `rw-register` and
//! `rmw`; the stores `strict` (each transaction takes effect at one instant) and `snapshot`
//! (reads at one instant, commits at another if nobody wrote its keys between). Keys retire after
//! so many writes, 32 unless told, ten are in use. The file is Jepsen's EDN.

use std::collections::HashMap;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::time::Instant;

use elle_rs::levels::Level;
use elle_rs::txn::Decision;

const KEYS: u64 = 10;
const WRITES_PER_KEY: &str = "32";

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words[..] {
        [
            "write",
            model,
            store,
            transactions,
            clients,
            file,
            ref writes @ ..,
        ] => {
            let transactions = transactions.parse().expect("how many transactions");
            let clients = clients.parse().expect("how many clients");
            let writes = writes.first().unwrap_or(&WRITES_PER_KEY);
            let keys = Keys::new(writes.parse().expect("how many writes per key"));
            write(
                model,
                store == "snapshot",
                transactions,
                clients,
                file,
                keys,
            )
            .expect("the file");
        }
        ["check", model, level, file] => check(model, level, Path::new(file)),
        _ => panic!(
            "write MODEL STORE TRANSACTIONS CLIENTS FILE [WRITES], or check MODEL LEVEL FILE"
        ),
    }
}

fn check(model: &str, level: &str, file: &Path) {
    let level: Level = level.parse().expect("a level");
    let began = Instant::now();
    let lists = model == "list-append";
    let read = elle_rs::txn::read(file, None, lists).expect("a history");
    let reading = began.elapsed();
    let outcome = if lists {
        elle_rs::list_append::check_store(&read.store, level)
    } else {
        elle_rs::rw_register::check_store(&read.store, level)
    };
    let verdict = match &outcome.decision {
        Decision::Valid => "valid".to_owned(),
        Decision::Violated { findings } => {
            let names: Vec<&str> = findings.iter().map(|f| f.anomaly.as_str()).collect();
            format!("violated: {}", names.join(" "))
        }
        Decision::Undecided { reason } => format!("undecided: {reason}"),
    };
    println!(
        "{} transactions, {} edges: {verdict}; read in {:.3} s, all in {:.3} s, peak {} MB",
        read.store.len(),
        outcome.counts.edges,
        reading.as_secs_f64(),
        began.elapsed().as_secs_f64(),
        peak_mb(),
    );
}

fn peak_mb() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kb = line.and_then(|line| line.trim().split(' ').next()?.parse().ok());
    kb.unwrap_or(0) / 1024
}

/// SplitMix64 (Steele et al. 2014).
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % bound
    }
}

#[derive(Clone)]
struct Step {
    key: u64,
    /// What is written; a read if nothing.
    value: Option<u64>,
    read: Vec<u64>,
}

struct Open {
    steps: Vec<Step>,
    /// How many values each key of a writer had when it started.
    started: Option<HashMap<u64, usize>>,
    done: bool,
    failed: bool,
}

/// The keys in use, each with how often it was written.
struct Keys {
    active: Vec<(u64, u64)>,
    next: u64,
    writes_max: u64,
}

impl Keys {
    fn new(writes_max: u64) -> Self {
        Keys {
            active: (0..KEYS).map(|key| (key, 0)).collect(),
            next: KEYS,
            writes_max,
        }
    }

    /// The value to write to the key in this place, which retires after the last.
    fn write(&mut self, place: usize) -> u64 {
        self.active[place].1 += 1;
        let value = self.active[place].1;
        if value == self.writes_max {
            self.active[place] = (self.next, 0);
            self.next += 1;
        }
        value
    }
}

fn write(
    model: &str,
    snapshots: bool,
    transactions: u64,
    clients: usize,
    file: &str,
    mut keys: Keys,
) -> std::io::Result<()> {
    let mut out = BufWriter::new(std::fs::File::create(file)?);
    let mut dice = Dice(1);
    let mut store: HashMap<u64, Vec<u64>> = HashMap::new();
    let mut open: Vec<Option<Open>> = (0..clients).map(|_| None).collect();
    let mut index = 0u64;
    let mut begun = 0;
    while begun < transactions || open.iter().any(Option::is_some) {
        let at = dice.below(clients as u64) as usize;
        let Some(current) = &mut open[at] else {
            if begun == transactions {
                continue;
            }
            begun += 1;
            let steps = draw(&mut dice, model, &mut keys);
            line(&mut out, &mut index, at, ":invoke", model, &steps, false)?;
            open[at] = Some(Open {
                steps,
                started: None,
                done: false,
                failed: false,
            });
            continue;
        };
        if current.done {
            let kind = if current.failed { ":fail" } else { ":ok" };
            let known = !current.failed;
            let steps = &current.steps;
            line(&mut out, &mut index, at, kind, model, steps, known)?;
            open[at] = None;
            continue;
        }
        if current.started.is_none() {
            start(current, &store);
            if snapshots {
                continue;
            }
        }
        commit(current, &mut store);
        current.done = true;
    }
    out.flush()
}

/// A key retires after some writes; hot ones are likelier, as in Elle's generator.
fn draw(dice: &mut Dice, model: &str, keys: &mut Keys) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    let rmw = model == "rmw";
    for _ in 0..1 + dice.below(4) {
        let place = dice.below(KEYS).min(dice.below(KEYS)) as usize;
        let key = keys.active[place].0;
        let writes = dice.below(2) == 0 && !(rmw && steps.iter().any(|step| step.key == key));
        let read = Step {
            key,
            value: None,
            read: Vec::new(),
        };
        if !writes {
            steps.push(read);
            continue;
        }
        if rmw {
            steps.push(read);
        }
        let value = Some(keys.write(place));
        steps.push(Step {
            key,
            value,
            read: Vec::new(),
        });
    }
    steps
}

/// Reads everything, with what the transaction itself wrote before.
fn start(open: &mut Open, store: &HashMap<u64, Vec<u64>>) {
    let mut own: HashMap<u64, Vec<u64>> = HashMap::new();
    for step in &mut open.steps {
        let own = own.entry(step.key).or_default();
        match step.value {
            Some(value) => own.push(value),
            None => {
                step.read = store.get(&step.key).cloned().unwrap_or_default();
                step.read.extend_from_slice(own);
            }
        }
    }
    let writes = open.steps.iter().filter(|step| step.value.is_some());
    let seen = writes.map(|step| (step.key, store.get(&step.key).map_or(0, Vec::len)));
    open.started = Some(seen.collect());
}

fn commit(open: &mut Open, store: &mut HashMap<u64, Vec<u64>>) {
    let started = open.started.take().unwrap_or_default();
    let length = |key: &u64| store.get(key).map_or(0, Vec::len);
    open.failed = started.iter().any(|(key, &seen)| length(key) != seen);
    if open.failed {
        return;
    }
    for step in &open.steps {
        if let Some(value) = step.value {
            store.entry(step.key).or_default().push(value);
        }
    }
}

fn line(
    out: &mut impl Write,
    index: &mut u64,
    process: usize,
    kind: &str,
    model: &str,
    steps: &[Step],
    known: bool,
) -> std::io::Result<()> {
    let time = *index * 40_000;
    write!(
        out,
        "{{:index {index}, :time {time}, :type {kind}, :process {process}, :f :txn, :value ["
    )?;
    *index += 1;
    for (nth, step) in steps.iter().enumerate() {
        let between = if nth == 0 { "" } else { " " };
        let key = step.key;
        let lists = model == "list-append";
        match (step.value, known) {
            (Some(value), _) if lists => write!(out, "{between}[:append {key} {value}]")?,
            (Some(value), _) => write!(out, "{between}[:w {key} {value}]")?,
            (None, false) => write!(out, "{between}[:r {key} nil]")?,
            (None, true) if lists => {
                write!(out, "{between}[:r {key} [")?;
                for (nth, value) in step.read.iter().enumerate() {
                    write!(out, "{}{value}", if nth == 0 { "" } else { " " })?;
                }
                write!(out, "]]")?;
            }
            (None, true) => match step.read.last() {
                Some(value) => write!(out, "{between}[:r {key} {value}]")?,
                None => write!(out, "{between}[:r {key} nil]")?,
            },
        }
    }
    writeln!(out, "]}}")
}
