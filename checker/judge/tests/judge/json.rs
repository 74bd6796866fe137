//! The shape of `verdict.json`, and the words a person sees.

use elle_rs::history::Phase;
use keyquake_judge::{Judgement, Verdict};

use crate::build::{History, read, write};

fn broken() -> Judgement {
    let mut history = History::new();
    history
        .ok(write(1, 10))
        .ok(write(1, 11))
        .ok(read(1, Some(10)));
    history.phase(Phase::Final).ok(read(1, Some(11)));
    history.judged()
}

#[test]
fn the_shape_stays() {
    let json = serde_json::to_value(broken()).unwrap();
    assert_eq!(json["verdict"], "violated");
    assert_eq!(json["invariants"][0]["id"], "LIN");
    assert_eq!(json["invariants"][0]["verdict"], "violated");
    assert!(json["invariants"][0]["reason"].is_string());
    let finding = &json["invariants"][0]["findings"][0];
    assert_eq!(finding["anomaly"], "stale-read");
    assert_eq!(finding["key"], 1);
    assert!(finding["ops"].is_array() && finding["explanation"].is_string());
    assert_eq!(json["stats"]["workloads"]["register"]["ok"], 4);
    let back: Judgement = serde_json::from_value(json).unwrap();
    assert_eq!(back, broken());
}

#[test]
fn verdicts_have_their_words_and_exit_codes() {
    for (verdict, word, code) in [
        (Verdict::Valid, "valid", 0),
        (Verdict::Violated, "violated", 1),
        (Verdict::Inconclusive, "inconclusive", 3),
    ] {
        assert_eq!(verdict.exit_code(), code);
        assert_eq!(verdict.to_string(), word);
        assert_eq!(serde_json::to_value(verdict).unwrap(), word);
    }
}

#[test]
fn one_line_per_invariant() {
    let text = broken().to_string();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), broken().invariants.len() + 1);
    assert!(
        lines[0].starts_with("LIN           violated     key 1 not linearizable (stale-read)"),
        "{text}"
    );
    assert_eq!(lines.last(), Some(&"violated"));
}
