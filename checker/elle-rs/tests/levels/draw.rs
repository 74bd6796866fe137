//! Small random histories in which each process does several transactions, one after the other.
//! A transaction reads a key at most before it writes to it, so its own view is never at stake.

use std::fmt::Write;

use elle_rs::history::Kind;
use rand::RngExt;
use rand_chacha::ChaCha8Rng;

/// A register is a list of which only the last element is seen.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Model {
    List,
    Register,
}

#[derive(Clone, Debug)]
pub struct Step {
    pub key: usize,
    /// What is appended or written; a read if nothing.
    pub write: Option<u64>,
    pub read: Vec<u64>,
}

#[derive(Clone, Debug)]
pub struct Transaction {
    pub process: usize,
    pub start: u64,
    pub finish: u64,
    pub kind: Kind,
    pub steps: Vec<Step>,
}

impl Transaction {
    pub fn is_ok(&self) -> bool {
        self.kind == Kind::Ok
    }

    pub fn writes(&self, key: usize) -> impl Iterator<Item = u64> {
        let steps = self.steps.iter().filter(move |step| step.key == key);
        steps.filter_map(|step| step.write)
    }
}

/// What orders transactions beside data.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Order {
    None,
    Process,
    RealTime,
}

impl Order {
    /// Whether `a` must come before `b`.
    pub fn has(self, a: &Transaction, b: &Transaction) -> bool {
        let before = a.is_ok() && a.finish < b.start;
        match self {
            Order::None => false,
            Order::Process => before && a.process == b.process,
            Order::RealTime => before,
        }
    }
}

pub const KEYS: usize = 2;

/// What transactions write.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Writes {
    Any,
    /// Only what they have read.
    ReadBefore,
    /// Each key once, whoever does.
    Once,
}

pub fn draw(rng: &mut ChaCha8Rng, writes: Writes) -> Vec<Transaction> {
    let count = rng.random_range(2..=4);
    let clients = rng.random_range(1..=3);
    let mut clocks = vec![(0, 0); clients];
    let mut next_process = clients;
    for (process, clock) in clocks.iter_mut().enumerate() {
        clock.0 = process;
    }
    let mut value = 0;
    let mut written = [false; KEYS];
    let mut all = Vec::new();
    for at in 0..count {
        let (process, clock) = &mut clocks[rng.random_range(0..clients)];
        // No two moments are the same: their last digits tell whose they are.
        let begin = *clock + rng.random_range(1..90) * 10;
        let end = begin + rng.random_range(1..150) * 10;
        let (start, finish) = (begin + at, end + 5 + at);
        *clock = end + 10;
        let kind = match rng.random_range(0..100) {
            0..12 if at > 0 => Kind::Info,
            12..20 if at > 0 => Kind::Fail,
            _ => Kind::Ok,
        };
        all.push(Transaction {
            process: *process,
            start,
            finish,
            kind,
            steps: steps(rng, &mut value, writes, &mut written),
        });
        if kind == Kind::Info {
            *process = next_process;
            next_process += 1;
        }
    }
    run(rng, &mut all);
    for _ in 0..rng.random_range(0..5u32).saturating_sub(2) {
        disturb(rng, &mut all, value);
    }
    all
}

fn steps(
    rng: &mut ChaCha8Rng,
    value: &mut u64,
    writes: Writes,
    written: &mut [bool; KEYS],
) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    let step = |key, write| Step {
        key,
        write,
        read: Vec::new(),
    };
    for _ in 0..rng.random_range(1..=3) {
        let key = rng.random_range(0..KEYS);
        let fresh = !steps.iter().any(|step| step.key == key);
        let may_write = writes != Writes::Once || !written[key];
        if may_write && (!fresh || rng.random()) {
            if fresh && writes == Writes::ReadBefore {
                steps.push(step(key, None));
            }
            *value += 1;
            steps.push(step(key, Some(*value)));
            written[key] = true;
        } else if fresh {
            steps.push(step(key, None));
        }
    }
    steps
}

/// Steps take effect at moments that are those of a good store, or of a bad one.
fn run(rng: &mut ChaCha8Rng, all: &mut [Transaction]) {
    let how = rng.random_range(0..4);
    let any_time = rng.random();
    let mut moments = Vec::new();
    for (at, transaction) in all.iter().enumerate() {
        let happens = match transaction.kind {
            Kind::Ok => true,
            Kind::Fail => rng.random_range(0..8) == 0,
            _ => rng.random(),
        };
        if !happens {
            continue;
        }
        let range = if any_time {
            0..=3_000
        } else {
            transaction.start..=transaction.finish
        };
        let count = transaction.steps.len();
        let mut drawn: Vec<u64> = (0..count + 1)
            .map(|_| rng.random_range(range.clone()))
            .collect();
        drawn.sort_unstable();
        for (nth, step) in transaction.steps.iter().enumerate() {
            let moment = match how {
                0 => drawn[0],
                1 if step.write.is_none() => drawn[0],
                1 => drawn[count],
                _ => drawn[nth],
            };
            moments.push((moment, at, nth));
        }
    }
    moments.sort_unstable();
    let mut lists = vec![Vec::new(); KEYS];
    for (_, at, nth) in moments {
        let step = &mut all[at].steps[nth];
        match step.write {
            Some(value) => lists[step.key].push(value),
            None => step.read.clone_from(&lists[step.key]),
        }
    }
}

fn disturb(rng: &mut ChaCha8Rng, all: &mut [Transaction], values: u64) {
    let at = rng.random_range(0..all.len());
    let nth = rng.random_range(0..all[at].steps.len());
    let step = &mut all[at].steps[nth];
    if step.write.is_some() {
        return;
    }
    match rng.random_range(0..4) {
        0 => drop(step.read.pop()),
        1 => step.read.push(rng.random_range(1..=values + 1)),
        2 => step.read.reverse(),
        _ => step.read.clear(),
    }
}

/// The transactions as Jepsen writes them.
pub fn edn(all: &[Transaction], model: Model) -> String {
    let mut moments = Vec::new();
    for (at, transaction) in all.iter().enumerate() {
        moments.push((transaction.start, at, Kind::Invoke));
        moments.push((transaction.finish, at, transaction.kind));
    }
    moments.sort_by_key(|&(moment, at, _)| (moment, at));
    let mut text = String::new();
    for (_, at, kind) in moments {
        let mut steps = String::new();
        for step in &all[at].steps {
            let key = step.key;
            let _ = match (step.write, model) {
                (Some(value), Model::List) => write!(steps, "[:append {key} {value}]"),
                (Some(value), Model::Register) => write!(steps, "[:w {key} {value}]"),
                (None, Model::List) if kind == Kind::Ok => {
                    write!(steps, "[:r {key} {:?}]", step.read)
                }
                (None, Model::Register) if kind == Kind::Ok && !step.read.is_empty() => {
                    write!(steps, "[:r {key} {}]", step.read[step.read.len() - 1])
                }
                _ => write!(steps, "[:r {key} nil]"),
            };
        }
        let kind = format!("{kind:?}").to_lowercase();
        let process = all[at].process;
        text += &format!("{{:type :{kind}, :process {process}, :f :txn, :value [{steps}]}}\n");
    }
    text
}
