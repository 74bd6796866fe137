//! What only more than one look can tell: sidecars that go back, epochs that are used again,
//! entries that nobody was granted.

use std::fs;
use std::path::{Path, PathBuf};

use keyquake_audit::{
    AnswerSeen, Audit, CallKind, CallMade, DiskCopy, Invariant, Load, NodeDisks, Past, SidecarSeen,
    Verdict, audit,
};
use serde_json::{Value, json};

use crate::fixture::{
    Disks, EPOCH, NODE_IDS, NODES, OLD_KEY, RAFT_CUTOVER, RAFT_KEY, STORAGE_CUTOVER, STORAGE_KEY,
    VALUES, log_key, nonce, row_key,
};

pub const LOAD: Load = Load {
    node: String::new(),
    early: false,
    inert: false,
    rotates_on_startup: false,
    begun_ns: 0,
};

/// Disks whose registry has a row for everybody who sealed.
pub fn registered() -> Disks {
    let disks = Disks::whole();
    for node in NODES {
        disks.edit_table(node, |rows| {
            rows.remove("!encryption|writers|....|..").unwrap();
            for key in [OLD_KEY, STORAGE_KEY, RAFT_KEY] {
                for id in NODE_IDS {
                    let (key, value) = registry_row(key, id, EPOCH);
                    rows.insert(key, value).unwrap();
                }
            }
        });
    }
    disks
}

fn registry_row(key: u32, node: u16, last_seen: u16) -> (Vec<u8>, Vec<u8>) {
    let slot = [&key.to_be_bytes()[..], b"|", &node.to_be_bytes()].concat();
    let value = [
        &u64::from(node).to_be_bytes()[..],
        &[0, 0],
        &last_seen.to_be_bytes(),
    ]
    .concat();
    ([&b"!encryption|writers|"[..], &slot].concat(), value)
}

pub fn past() -> Past {
    Past {
        loads: vec![LOAD],
        calls: vec![
            call(CallKind::Bootstrap, 1),
            call(CallKind::EnableStorage, STORAGE_CUTOVER),
            call(CallKind::EnableRaft, RAFT_CUTOVER),
        ],
        ..Past::default()
    }
}

/// A call from before the workloads, accepted.
fn call(kind: CallKind, index: u64) -> CallMade {
    CallMade {
        kind,
        time_ns: 0,
        accepted: true,
        must_change: true,
        entries_max: 1,
        index: Some(index),
    }
}

pub fn audited(disks: &Disks, past: Past) -> Audit {
    let mut subject = disks.subject();
    subject.past = Some(past);
    audit(&subject).unwrap()
}

/// The anomalies of an invariant's findings.
pub fn anomalies(audit: &Audit, id: Invariant) -> Vec<&'static str> {
    let findings = audit.invariant(id).map(|audited| &audited.findings);
    let mut all: Vec<_> = findings.into_iter().flatten().map(|f| f.anomaly).collect();
    all.dedup();
    all
}

/// The sidecar of n1 as it lies there, as JSON.
fn sidecar(disks: &Disks) -> Value {
    let text = fs::read_to_string(disks.sidecar_path("n1")).unwrap();
    serde_json::from_str(&text).unwrap()
}

/// States of n1's sidecar, a second apart, each seen 10 ms after the one before was.
fn states(disks: &Disks, all: &[Value]) -> Vec<SidecarSeen> {
    let mut seen = Vec::new();
    for (at, state) in all.iter().enumerate() {
        let file = disks.dir.path().join(format!("state-{at}.json"));
        fs::write(&file, state.to_string()).unwrap();
        let time_ns = (at as u64 + 1) * 1_000_000_000;
        seen.push(SidecarSeen {
            node: "n1".to_owned(),
            time_ns,
            not_yet_ns: time_ns - 10_000_000,
            file: Some(file),
        });
    }
    seen
}

#[test]
fn what_a_sidecar_says_only_goes_forward() {
    type Change = fn(&mut Value);
    let changes: [(Change, Invariant, &str); 9] = [
        (
            |s| s["raft_applied_index"] = json!(60),
            Invariant::SidecarMono,
            "applied-index-goes-back",
        ),
        (
            |s| s["storage_envelope_active"] = json!(false),
            Invariant::OneWay,
            "phase-1-off",
        ),
        (
            |s| s["raft_envelope_cutover_index"] = json!(0),
            Invariant::OneWay,
            "cutover-off",
        ),
        (
            |s| s["raft_envelope_cutover_index"] = json!(RAFT_CUTOVER + 5),
            Invariant::RolIdempotent,
            "cutover-moved",
        ),
        (
            |s| {
                let keys = s["keys"].as_object_mut().unwrap();
                keys.remove(&OLD_KEY.to_string());
            },
            Invariant::SidecarMono,
            "key-gone",
        ),
        (
            |s| s["keys"][OLD_KEY.to_string()]["local_epoch"] = json!(EPOCH - 1),
            Invariant::SidecarMono,
            "epoch-goes-back",
        ),
        (
            |s| {
                let keys = s["keys"].as_object_mut().unwrap();
                let old = std::mem::take(keys);
                let moved = |(id, key): (String, Value)| (format!("1{id}"), key);
                *keys = old.into_iter().map(moved).collect();
                s["active"] = json!({"storage": 10 + STORAGE_KEY, "raft": 10 + RAFT_KEY});
            },
            Invariant::Order,
            "keys-replaced",
        ),
        (
            |s| {
                s["raft_applied_index"] = json!(70);
                s["active"]["storage"] = json!(OLD_KEY);
            },
            Invariant::Agree,
            "sidecars-differ",
        ),
        (
            |s| *s = json!({"version": 2}),
            Invariant::SidecarDurable,
            "sidecar-not-whole",
        ),
    ];
    let disks = registered();
    for (change, invariant, anomaly) in changes {
        let before = sidecar(&disks);
        let mut after = before.clone();
        after["raft_applied_index"] = json!(71);
        change(&mut after);
        let mut past = past();
        past.sidecars = states(&disks, &[before, after]);
        let audit = audited(&disks, past.clone());
        assert_eq!(anomalies(&audit, invariant), [anomaly], "{audit}");
        // Whoever tampered with it is no store.
        past.tampered.insert("n1".to_owned(), 1_500_000_000);
        let audit = audited(&disks, past);
        assert_eq!(audit.verdict, Verdict::Valid, "{audit}");
    }
}

#[test]
fn a_life_without_a_fault_is_valid_and_what_was_lost_is_said() {
    let disks = registered();
    let before = sidecar(&disks);
    let mut after = before.clone();
    after["raft_applied_index"] = json!(71);
    after["keys"][STORAGE_KEY.to_string()]["local_epoch"] = json!(EPOCH + 1);
    let mut past = past();
    past.sidecars = states(&disks, &[before, after]);
    past.copies = vec![
        copy(&disks, "n1", "1", false),
        copy(&disks, "n2", "2", true),
    ];
    let audit = audited(&disks, past.clone());
    assert_eq!(audit.verdict, Verdict::Valid, "{audit}");
    for id in [
        Invariant::Order,
        Invariant::SidecarMono,
        Invariant::Epoch,
        Invariant::Registry,
        Invariant::Retire,
        Invariant::OneWay,
    ] {
        let verdict = audit.invariant(id).map(|audited| audited.verdict);
        assert_eq!(verdict, Some(Verdict::Valid), "{id:?}: {audit}");
    }
    let counts = audit.past.clone().unwrap();
    assert_eq!((counts.copies, counts.sidecars), (2, 4), "{audit}");
    assert!(counts.opened > 100 && counts.opened == counts.envelopes);

    past.lost.push("what came after".to_owned());
    let audit = audited(&disks, past);
    let mono = audit.invariant(Invariant::SidecarMono).unwrap();
    assert_eq!(mono.verdict, Verdict::Inconclusive);
    assert_eq!(audit.verdict, Verdict::Inconclusive);
}

#[test]
fn what_is_acknowledged_is_in_some_sidecar_by_then() {
    // The state of index 71 was seen at 2 s, and was seen not to be there at 1.99 s.
    let disks = registered();
    for (answered_ms, verdict) in [
        (1_000, Verdict::Violated),
        (1_989, Verdict::Violated),
        (1_995, Verdict::Valid),
        (2_500, Verdict::Valid),
    ] {
        let before = sidecar(&disks);
        let mut after = before.clone();
        after["raft_applied_index"] = json!(71);
        let mut past = past();
        past.sidecars = states(&disks, &[before, after]);
        past.calls.push(CallMade {
            time_ns: answered_ms * 1_000_000,
            ..call(CallKind::RotateStorage, 71)
        });
        let audit = audited(&disks, past);
        let durable = audit.invariant(Invariant::SidecarDurable).unwrap();
        assert_eq!(durable.verdict, verdict, "{answered_ms} ms: {audit}");
        let found = anomalies(&audit, Invariant::SidecarDurable);
        let expected: &[&str] = match verdict {
            Verdict::Violated => &["acknowledged-before-written"],
            _ => &[],
        };
        assert_eq!(found, expected);
    }
}

/// A request that is sent again long after may be accepted, and leave keys as they are: the next sidecar is
/// that of the next change.
#[test]
fn what_was_accepted_without_effect_need_not_be_in_a_sidecar() {
    let disks = registered();
    for (must_change, violated) in [(false, false), (true, true)] {
        let before = sidecar(&disks);
        let mut after = before.clone();
        after["raft_applied_index"] = json!(72);
        let mut past = past();
        past.sidecars = states(&disks, &[before, after]);
        past.calls.push(CallMade {
            time_ns: 1_000_000_000,
            must_change,
            ..call(CallKind::RotateStorage, 71)
        });
        let found = anomalies(&audited(&disks, past), Invariant::SidecarDurable);
        assert_eq!(found == ["acknowledged-before-written"], violated);
        assert_eq!(found.is_empty(), !violated);
    }
}

/// A node's files as they are now.
pub fn copy(disks: &Disks, node: &str, name: &str, down: bool) -> DiskCopy {
    let folder = disks.dir.path().join("copies").join(name);
    let data_dir = folder.join(node);
    copy_folder(&disks.data_dir(node), &data_dir);
    let sidecar = folder.join("keys/sidecar.json");
    fs::create_dir_all(sidecar.parent().unwrap()).unwrap();
    fs::copy(disks.sidecar_path(node), &sidecar).unwrap();
    DiskCopy {
        time_ns: 500_000_000,
        disks: NodeDisks {
            name: node.to_owned(),
            data_dir,
            sidecar: Some(sidecar),
            logs: Vec::new(),
        },
        deleted: None,
        down,
    }
}

pub fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path: PathBuf = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        match path.is_dir() {
            true => copy_folder(&path, &target),
            false => drop(keyquake_audit::copy_sparse(&path, &target).unwrap()),
        }
    }
}

#[test]
fn a_process_that_seals_under_the_epoch_of_an_earlier_one_is_found() {
    for (epoch, down, found) in [
        (EPOCH, true, true),
        (EPOCH, false, false),
        (EPOCH + 1, true, false),
    ] {
        let disks = registered();
        let mut past = past();
        past.copies = vec![copy(&disks, "n1", "1", down)];
        let mut sidecar = sidecar(&disks);
        for node in NODES {
            // The epoch is persisted and registered: only its use is wrong.
            sidecar["keys"][STORAGE_KEY.to_string()]["local_epoch"] = json!(EPOCH + 1);
            disks.write_sidecar(node, &sidecar);
            disks.edit_table(node, |rows| {
                let (key, value) = registry_row(STORAGE_KEY, NODE_IDS[0], EPOCH + 1);
                rows.insert(key, value).unwrap();
            });
        }
        disks.edit_table("n1", |rows| {
            let index = VALUES + 5;
            let key = row_key(index);
            let sealed = disks.sealed_row(index, &key, nonce(NODE_IDS[0], epoch, 500));
            rows.insert(key, sealed).unwrap();
        });
        let audit = audited(&disks, past);
        let expected: &[&str] = if found { &["epoch-used-again"] } else { &[] };
        assert_eq!(anomalies(&audit, Invariant::Epoch), expected, "{audit}");
    }
}

#[test]
fn who_seals_has_its_row_and_rows_do_not_go_back() {
    let edit = |key: u32, node: u16, last_seen: Option<u16>| {
        let disks = registered();
        let mut past = past();
        past.copies = vec![copy(&disks, "n1", "1", false)];
        if last_seen.is_none() {
            past.copies.clear();
        }
        for name in NODES {
            disks.edit_table(name, |rows| {
                let (slot, value) = registry_row(key, node, last_seen.unwrap_or(0));
                match last_seen {
                    Some(_) => rows.insert(slot, value).unwrap(),
                    None => rows.remove(slot).unwrap(),
                }
                // The state goes on.
                let index = VALUES + 5;
                let row = row_key(index);
                let sealed = disks.sealed_row(index, &row, nonce(NODE_IDS[0], EPOCH, 500));
                if name == "n1" {
                    rows.insert(row, sealed).unwrap();
                    rows.insert("_meta_applied_index", index.to_le_bytes())
                        .unwrap();
                }
            });
        }
        disks.edit_log("n1", |rows| {
            let index = VALUES + 5;
            let leader = nonce(NODE_IDS[1], EPOCH, 501);
            let sealed = disks.sealed_payload(&disks.clear_payload(index), leader);
            rows.insert(log_key(index), disks.entry(index, &sealed))
                .unwrap();
        });
        audited(&disks, past)
    };
    let audit = edit(STORAGE_KEY, NODE_IDS[1], None);
    assert_eq!(
        anomalies(&audit, Invariant::Registry),
        ["writer-without-row"],
        "{audit}"
    );
    assert_eq!(anomalies(&audit, Invariant::Epoch), ["sealed-unregistered"]);
    let audit = edit(STORAGE_KEY, NODE_IDS[1], Some(EPOCH - 1));
    assert_eq!(
        anomalies(&audit, Invariant::Registry),
        ["last-seen-goes-back"],
        "{audit}"
    );
    let audit = edit(STORAGE_KEY, NODE_IDS[1], Some(EPOCH + 1));
    assert_eq!(audit.verdict, Verdict::Valid, "{audit}");
}

/// A rotation's payload.
fn rotation(purpose: u8, proposer: u16) -> Vec<u8> {
    let row = [
        &STORAGE_KEY.to_be_bytes()[..],
        &u64::from(proposer).to_be_bytes(),
        &EPOCH.to_be_bytes(),
    ]
    .concat();
    let head = [&[5, 1, 1][..], &STORAGE_KEY.to_be_bytes(), &[purpose]].concat();
    [&head[..], &[0, 0, 0, 1, 9], &row].concat()
}

/// All logs with these payloads at these indexes, sealed by n2, who leads.
fn with_entries(entries: &[(u64, Vec<u8>)]) -> Disks {
    let disks = registered();
    for node in NODES {
        disks.edit_log(node, |rows| {
            for (index, payload) in entries {
                let sealed = disks.sealed_payload(payload, nonce(NODE_IDS[1], EPOCH, 700 + index));
                rows.insert(log_key(*index), disks.entry(*index, &sealed))
                    .unwrap();
            }
        });
    }
    disks
}

#[test]
fn entries_are_of_calls_that_were_granted_or_of_starts() {
    let once = [(80, rotation(1, NODE_IDS[1]))];
    let twice = [
        (80, rotation(1, NODE_IDS[1])),
        (82, rotation(1, NODE_IDS[1])),
    ];
    let follower = [(80, rotation(1, NODE_IDS[0]))];
    let judged = |entries: &[(u64, Vec<u8>)], load: Load, granted: bool| {
        let mut past = past();
        past.loads = vec![load];
        if granted {
            past.calls.push(call(CallKind::RotateStorage, 80));
        }
        audited(&with_entries(entries), past)
    };
    assert_eq!(judged(&once, LOAD, true).verdict, Verdict::Valid);
    let gate = ["committed-though-refused"];
    assert_eq!(
        anomalies(&judged(&once, LOAD, false), Invariant::RolGate),
        gate
    );
    assert_eq!(
        anomalies(&judged(&twice, LOAD, true), Invariant::RolGate),
        gate
    );
    let shut = |early| Load {
        early,
        inert: true,
        ..LOAD
    };
    assert_eq!(
        anomalies(&judged(&once, shut(true), false), Invariant::RolInert),
        ["entry-in-an-inert-cluster"]
    );
    assert_eq!(
        anomalies(&judged(&once, shut(false), false), Invariant::RolGate),
        ["entry-behind-shut-gates"]
    );
    let starts = Load {
        rotates_on_startup: true,
        ..LOAD
    };
    let rotate = Invariant::RolStartupRotate;
    let audit = judged(&once, starts.clone(), false);
    assert_eq!(audit.verdict, Verdict::Valid, "{audit}");
    assert_eq!(
        anomalies(&judged(&twice, starts.clone(), false), rotate),
        ["rotated-again"]
    );
    assert_eq!(
        anomalies(&judged(&follower, starts, false), rotate),
        ["follower-rotated"]
    );
}

#[test]
fn a_write_that_stands_twice_behind_the_cutover_is_found() {
    let disks = registered();
    let write = disks.clear_payload(70);
    for node in NODES {
        disks.edit_log(node, |rows| {
            let sealed = disks.sealed_payload(&write, nonce(NODE_IDS[1], EPOCH, 900));
            rows.insert(log_key(85), disks.entry(85, &sealed)).unwrap();
        });
    }
    let audit = audited(&disks, past());
    assert_eq!(
        anomalies(&audit, Invariant::RolBarrier),
        ["proposed-twice"],
        "{audit}"
    );
}

#[test]
fn keys_in_answers_and_in_files_that_were_deleted_are_found() {
    for deleted in [false, true] {
        let disks = registered();
        let folder = disks.dir.path().join("said");
        fs::create_dir_all(&folder).unwrap();
        let file = folder.join("n1-GetSidecarState");
        let bare = disks.dek(STORAGE_KEY).expose();
        fs::write(&file, [&b"a field "[..], &bare[..]].concat()).unwrap();
        let mut past = past();
        match deleted {
            false => past.answers.push(AnswerSeen {
                node: "n1".to_owned(),
                file,
            }),
            true => past.copies.push(DiskCopy {
                deleted: Some(folder),
                ..copy(&disks, "n1", "1", false)
            }),
        }
        let audit = audited(&disks, past);
        assert_eq!(
            anomalies(&audit, Invariant::KeysSecret),
            ["key-in-the-clear"],
            "{audit}"
        );
    }
}
