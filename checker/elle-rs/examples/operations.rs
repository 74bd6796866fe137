//! Histories of concurrent clients of one object, drawn from a seed, and checks of them, to measure
//! time and memory by:
//!
//! ```text
//! operations --operations 1000000 --clients 64 --keys 8 --pending 0.2 --seed 1 > FILE
//! operations check register FILE
//! ```
//!
//! Also `--model`: `register` (reads and writes), `cas-register` (and compare-and-sets), `set` (adds
//! and full reads), `counter`, `mutex`, `fifo-queue`, `priority-queue`; `--reads` is the share of
//! operations that read or dequeue. Values are written once. Of the pending operations, which are
//! answered `info`, half took effect. The text is Jepsen's EDN.

use std::collections::{BTreeSet, VecDeque};
use std::io::{BufWriter, Write};
use std::path::Path;
use std::time::Instant;

use elle_rs::history::stream::Reader;
use elle_rs::linear::{Method, ModelName, Options, Outcome};

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    if let ["check", model, file] = words[..] {
        return check(model.parse().expect("a model"), Path::new(file));
    }
    let mut drawn = Drawn::default();
    for pair in words.chunks(2) {
        let &[name, value] = pair else {
            panic!("{} has no value", pair[0]);
        };
        match name {
            "--operations" => drawn.operations = value.parse().expect("a number"),
            "--clients" => drawn.clients = value.parse().expect("a number"),
            "--keys" => drawn.keys = value.parse().expect("a number"),
            "--pending" => drawn.pending = value.parse().expect("a share"),
            "--reads" => drawn.reads = value.parse().expect("a share"),
            "--seed" => drawn.seed = value.parse().expect("a number"),
            "--model" => drawn.model = value.parse().expect("a model"),
            _ => panic!("{name} is no option"),
        }
    }
    write(
        &drawn,
        &mut BufWriter::with_capacity(1 << 20, std::io::stdout().lock()),
    )
    .expect("failed to write");
}

fn check(model: ModelName, file: &Path) {
    let began = Instant::now();
    let reader = Reader::open(file, None).expect("a history");
    let report = elle_rs::linear::check(reader, &Options::new(model)).expect("a history of it");
    let count = |is: fn(&Outcome) -> bool| {
        let parts = report.parts.iter();
        parts.filter(|part| is(&part.outcome)).count()
    };
    let searched = report
        .parts
        .iter()
        .filter(|part| part.method == Method::Search);
    println!(
        "{} operations, {} parts ({} searched): {} valid, {} violated, {} undecided; {:.3} s, peak {} MB",
        report.read,
        report.parts.len(),
        searched.count(),
        count(|outcome| matches!(outcome, Outcome::Valid { .. })),
        count(|outcome| matches!(outcome, Outcome::Violated { .. })),
        count(|outcome| matches!(outcome, Outcome::Undecided { .. })),
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

/// What is drawn.
struct Drawn {
    model: ModelName,
    operations: u64,
    clients: u64,
    keys: u64,
    /// Which share of the operations is never known to have ended.
    pending: f64,
    /// Which share of the operations only looks, if the model leaves that open.
    reads: f64,
    seed: u64,
}

impl Default for Drawn {
    fn default() -> Self {
        Drawn {
            model: ModelName::Register,
            operations: 1_000_000,
            clients: 64,
            keys: 8,
            pending: 0.2,
            reads: 0.5,
            seed: 1,
        }
    }
}

/// SplitMix64 (Steele et al. 2014).
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    fn chance(&mut self, share: f64) -> bool {
        ((self.next() >> 11) as f64) < share * (1u64 << 53) as f64
    }
}

/// What is asked, each with what came back.
enum Act {
    Read(Option<u64>),
    Write(u64),
    Cas(u64, u64, bool),
    Add(u64),
    Elements(Vec<u64>),
    Count(u64),
    Acquire,
    Release,
    Enqueue(u64),
    Dequeue(Option<u64>),
}

/// One object, plainly.
#[derive(Default)]
struct Object {
    value: Option<u64>,
    count: u64,
    held: bool,
    elements: Vec<u64>,
    queue: VecDeque<u64>,
    numbers: BTreeSet<u64>,
}

struct Open {
    process: u64,
    key: u64,
    act: Act,
    done: bool,
    possible: bool,
}

fn write(drawn: &Drawn, out: &mut impl Write) -> std::io::Result<()> {
    let mut dice = Dice(drawn.seed);
    let has_keys = matches!(drawn.model, ModelName::Register | ModelName::CasRegister);
    let keys = if has_keys { drawn.keys } else { 1 };
    let mut objects: Vec<Object> = (0..keys).map(|_| Object::default()).collect();
    let mut clients: Vec<Option<Open>> = (0..drawn.clients).map(|_| None).collect();
    let mut processes: Vec<u64> = (0..drawn.clients).collect();
    let (mut begun, mut open, mut index) = (0, 0, 0);
    while begun < drawn.operations || open > 0 {
        let at = dice.below(drawn.clients) as usize;
        let Some(now) = &mut clients[at] else {
            if begun < drawn.operations {
                let key = dice.below(keys);
                let act = draw(drawn, &mut dice, &objects[key as usize], begun);
                let now = Open {
                    process: processes[at],
                    key,
                    act,
                    done: false,
                    possible: true,
                };
                line(out, &mut index, "invoke", has_keys, &now, false)?;
                clients[at] = Some(now);
                (begun, open) = (begun + 1, open + 1);
            }
            continue;
        };
        if now.done {
            let kind = if now.possible { "ok" } else { "fail" };
            line(out, &mut index, kind, has_keys, now, now.possible)?;
        } else if dice.chance(drawn.pending) {
            if dice.chance(0.5) {
                perform(drawn.model, &mut objects[now.key as usize], &mut now.act);
            }
            line(out, &mut index, "info", has_keys, now, false)?;
            // As in Jepsen: whoever does not know what came of it goes on under another number.
            processes[at] += drawn.clients;
        } else {
            now.possible = perform(drawn.model, &mut objects[now.key as usize], &mut now.act);
            now.done = true;
            continue;
        }
        clients[at] = None;
        open -= 1;
    }
    out.flush()
}

fn draw(drawn: &Drawn, dice: &mut Dice, object: &Object, number: u64) -> Act {
    let looks = dice.chance(drawn.reads);
    match drawn.model {
        ModelName::Set if looks => Act::Elements(Vec::new()),
        ModelName::Set => Act::Add(number),
        ModelName::Counter if looks => Act::Count(0),
        ModelName::Counter => Act::Add(1 + dice.below(5)),
        ModelName::Mutex if object.held => Act::Release,
        ModelName::Mutex => Act::Acquire,
        ModelName::FifoQueue if looks => Act::Dequeue(None),
        ModelName::FifoQueue => Act::Enqueue(number),
        ModelName::PriorityQueue | ModelName::UnorderedQueue if looks => Act::Dequeue(None),
        // Each once, in no order: the multiplier is odd.
        ModelName::PriorityQueue | ModelName::UnorderedQueue => {
            Act::Enqueue(number.wrapping_mul(0x9e37_79b1) & 0xffff_ffff)
        }
        _ if looks => Act::Read(None),
        ModelName::CasRegister if dice.chance(0.5) => {
            Act::Cas(object.value.unwrap_or(0), number + 1, true)
        }
        _ => Act::Write(number + 1),
    }
}

/// Lets an operation take effect; `false` if it is impossible now.
fn perform(model: ModelName, object: &mut Object, act: &mut Act) -> bool {
    match act {
        Act::Read(value) => *value = object.value,
        Act::Write(value) => object.value = Some(*value),
        Act::Cas(expected, value, made) => {
            *made = object.value == Some(*expected);
            if *made {
                object.value = Some(*value);
            }
            return *made;
        }
        Act::Add(value) if model == ModelName::Counter => object.count += *value,
        Act::Add(value) => object.elements.push(*value),
        Act::Elements(elements) => elements.clone_from(&object.elements),
        Act::Count(count) => *count = object.count,
        Act::Acquire => return !std::mem::replace(&mut object.held, true),
        Act::Release => return std::mem::replace(&mut object.held, false),
        Act::Enqueue(value) if model == ModelName::FifoQueue => object.queue.push_back(*value),
        Act::Enqueue(value) => {
            object.numbers.insert(*value);
        }
        Act::Dequeue(value) if model == ModelName::FifoQueue => *value = object.queue.pop_front(),
        Act::Dequeue(value) => *value = object.numbers.pop_last(),
    }
    true
}

fn line(
    out: &mut impl Write,
    index: &mut u64,
    kind: &str,
    has_keys: bool,
    now: &Open,
    known: bool,
) -> std::io::Result<()> {
    let f = match now.act {
        Act::Read(_) | Act::Elements(_) | Act::Count(_) => "read",
        Act::Write(_) => "write",
        Act::Cas(..) => "cas",
        Act::Add(_) => "add",
        Act::Acquire => "acquire",
        Act::Release => "release",
        Act::Enqueue(_) => "enqueue",
        Act::Dequeue(_) => "dequeue",
    };
    let time = *index * 40_000;
    let process = now.process;
    write!(
        out,
        "{{:index {index}, :time {time}, :type :{kind}, :process {process}, :f :{f}, :value "
    )?;
    *index += 1;
    if has_keys {
        write!(out, "[{} ", now.key)?;
    }
    match &now.act {
        Act::Read(Some(value)) | Act::Dequeue(Some(value)) | Act::Count(value) if known => {
            write!(out, "{value}")?;
        }
        Act::Write(value) | Act::Add(value) | Act::Enqueue(value) => write!(out, "{value}")?,
        Act::Cas(expected, value, _) => write!(out, "[{expected} {value}]")?,
        Act::Elements(elements) if known => {
            let words = elements.iter().map(u64::to_string);
            write!(out, "[{}]", words.collect::<Vec<_>>().join(" "))?;
        }
        _ => write!(out, "nil")?,
    }
    writeln!(out, "{}}}", if has_keys { "]" } else { "" })
}
