//! Anomalies by their names, each as the few transactions it takes, planted among others that
//! are in order.

use std::path::PathBuf;

use elle_rs::history::stream::{Format, Reader};
use elle_rs::levels::Level::{
    self, ReadCommitted, Serializable, SnapshotIsolation, StrictSerializable, StrongReadCommitted,
    StrongSessionReadCommitted, StrongSessionSerializable, StrongSessionSnapshotIsolation,
    StrongSnapshotIsolation,
};
use elle_rs::transactions::{Model, check_from};
use elle_rs::txn::Decision;

/// A name, a level that forbids it, and events: `process kind value`, one a line.
pub type Plant = (&'static str, Level, &'static str);

/// Those that are the same on lists and on registers; here of lists, with one element at most.
pub const PLANTS: [Plant; 16] = [
    (
        "G1a",
        ReadCommitted,
        "0 invoke [[:append 1 1]]\n0 fail [[:append 1 1]]
         1 invoke [[:r 1 nil]]\n1 ok [[:r 1 [1]]]",
    ),
    (
        "G1b",
        ReadCommitted,
        "0 invoke [[:append 1 1] [:append 1 2]]\n1 invoke [[:r 1 nil]]
         1 ok [[:r 1 [1]]]\n0 ok [[:append 1 1] [:append 1 2]]",
    ),
    (
        "G1c",
        ReadCommitted,
        "0 invoke [[:append 1 1] [:r 2 nil]]\n1 invoke [[:append 2 1] [:r 1 nil]]
         0 ok [[:append 1 1] [:r 2 [1]]]\n1 ok [[:append 2 1] [:r 1 [1]]]",
    ),
    (
        "G1c-process",
        StrongSessionReadCommitted,
        "0 invoke [[:r 1 nil]]\n0 ok [[:r 1 [1]]]\n0 invoke [[:append 1 1]]\n0 ok [[:append 1 1]]",
    ),
    (
        "G1c-realtime",
        StrongReadCommitted,
        "0 invoke [[:r 1 nil]]\n0 ok [[:r 1 [1]]]\n1 invoke [[:append 1 1]]\n1 ok [[:append 1 1]]",
    ),
    (
        "G-single",
        SnapshotIsolation,
        "0 invoke [[:append 1 1] [:append 2 1]]\n1 invoke [[:r 1 nil] [:r 2 nil]]
         0 ok [[:append 1 1] [:append 2 1]]\n1 ok [[:r 1 [1]] [:r 2 []]]",
    ),
    (
        "G-single-process",
        StrongSessionSnapshotIsolation,
        "0 invoke [[:append 1 1]]\n0 ok [[:append 1 1]]\n0 invoke [[:r 1 nil]]\n0 ok [[:r 1 []]]",
    ),
    (
        "G-single-realtime",
        StrongSnapshotIsolation,
        "0 invoke [[:append 1 1]]\n0 ok [[:append 1 1]]\n1 invoke [[:r 1 nil]]\n1 ok [[:r 1 []]]",
    ),
    (
        "G-nonadjacent",
        SnapshotIsolation,
        "0 invoke [[:append 1 1]]\n1 invoke [[:append 2 1]]
         2 invoke [[:r 1 nil] [:r 2 nil]]\n3 invoke [[:r 1 nil] [:r 2 nil]]
         2 ok [[:r 1 [1]] [:r 2 []]]\n3 ok [[:r 1 []] [:r 2 [1]]]
         0 ok [[:append 1 1]]\n1 ok [[:append 2 1]]",
    ),
    (
        "G-nonadjacent-process",
        StrongSessionSnapshotIsolation,
        "0 invoke [[:append 1 1]]\n0 ok [[:append 1 1]]\n1 invoke [[:append 2 1]]\n1 ok [[:append 2 1]]
         0 invoke [[:r 2 nil]]\n0 ok [[:r 2 []]]\n1 invoke [[:r 1 nil]]\n1 ok [[:r 1 []]]",
    ),
    (
        "G-nonadjacent-realtime",
        StrongSnapshotIsolation,
        "0 invoke [[:append 1 1]]\n1 invoke [[:append 2 1]]\n2 invoke [[:r 1 nil] [:r 2 nil]]
         1 ok [[:append 2 1]]\n3 invoke [[:r 1 nil]]\n3 ok [[:r 1 []]]
         2 ok [[:r 1 [1]] [:r 2 []]]\n0 ok [[:append 1 1]]",
    ),
    (
        "G2-item",
        Serializable,
        "0 invoke [[:r 1 nil] [:append 2 1]]\n1 invoke [[:r 2 nil] [:append 1 1]]
         0 ok [[:r 1 []] [:append 2 1]]\n1 ok [[:r 2 []] [:append 1 1]]",
    ),
    (
        "G2-item-process",
        StrongSessionSerializable,
        "1 invoke [[:append 1 1] [:r 2 nil]]\n0 invoke [[:append 2 1]]\n0 ok [[:append 2 1]]
         0 invoke [[:r 1 nil]]\n0 ok [[:r 1 []]]\n1 ok [[:append 1 1] [:r 2 []]]",
    ),
    (
        "G2-item-realtime",
        StrictSerializable,
        "1 invoke [[:append 1 1] [:r 2 nil]]\n0 invoke [[:append 2 1]]\n0 ok [[:append 2 1]]
         2 invoke [[:r 1 nil]]\n2 ok [[:r 1 []]]\n1 ok [[:append 1 1] [:r 2 []]]",
    ),
    (
        "lost-update",
        SnapshotIsolation,
        "0 invoke [[:r 1 nil] [:append 1 1]]\n1 invoke [[:r 1 nil] [:append 1 2]]
         0 ok [[:r 1 []] [:append 1 1]]\n1 ok [[:r 1 []] [:append 1 2]]",
    ),
    (
        "future-read",
        ReadCommitted,
        "0 invoke [[:r 1 nil] [:append 1 1]]\n0 ok [[:r 1 [1]] [:append 1 1]]",
    ),
];

/// The anomalies found where these events stand among transactions of others on other keys, and
/// where what is in order stands alone.
fn anomalies(events: &str, model: Model, level: Level) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    let mut other = 0;
    let mut push_others = |lines: &mut Vec<String>, count: usize| {
        for _ in 0..count {
            other += 1;
            let key = 100 + other / 8;
            let write = match model {
                Model::ListAppend => format!("[[:append {key} {other}]]"),
                _ => format!("[[:w {key} {other}]]"),
            };
            lines.push(event(9, "invoke", &write));
            lines.push(event(9, "ok", &write));
        }
    };
    push_others(&mut lines, 200);
    for line in events
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
    {
        let mut words = line.splitn(3, ' ');
        let [process, kind, value] = [(); 3].map(|()| words.next().unwrap());
        lines.push(event(process.parse().unwrap(), kind, value));
        push_others(&mut lines, 3);
    }
    push_others(&mut lines, 200);
    let bytes = std::io::Cursor::new(lines.concat().into_bytes());
    let format = Some(Format::Edn);
    let reader = Reader::from_read(bytes, &PathBuf::from("planted.edn"), format).unwrap();
    match check_from(reader, model, level).unwrap().outcome.decision {
        Decision::Valid => Vec::new(),
        Decision::Violated { findings } => findings.into_iter().map(|f| f.anomaly).collect(),
        Decision::Undecided { reason } => panic!("{reason}"),
    }
}

fn event(process: u32, kind: &str, value: &str) -> String {
    format!("{{:process {process}, :type :{kind}, :f :txn, :value {value}}}\n")
}

/// Plants it: it must be found by its name, and nothing without it.
pub fn found((name, level, events): (&str, Level, &str), model: Model) {
    let without = anomalies("", model, level);
    assert!(without.is_empty(), "{model} at {level}: {without:?}");
    let found = anomalies(events, model, level);
    assert!(
        found.iter().any(|anomaly| anomaly == name),
        "{model} at {level}: {name} is not among {found:?}"
    );
}
