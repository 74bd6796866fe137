//! Somebody puts an older file in the place of a newer one of the same node: every envelope opens, every
//! checksum fits. Found by what the node had before, by its log, and by its engine's account; and told
//! apart from what a store may do.

use std::fs;
use std::path::Path;

use keyquake_audit::{Audit, DiskCopy, Invariant, Load, NodeDisks, Past, Verdict, audit};

use crate::elastickv::{Real, TABLE};
use crate::fixture::{Disks, EPOCH, NODE_IDS, NODES, VALUES, log_key, nonce, row_key};
use crate::past::{LOAD, anomalies, audited, copy, copy_folder, past, registered};

/// When the copies of [`copy`] are made.
const COPIED_NS: u64 = 500_000_000;
const APPLIED: &str = "_meta_applied_index";

fn load(node: &str, begun_ns: u64) -> Load {
    Load {
        node: node.to_owned(),
        begun_ns,
        ..LOAD
    }
}

/// What is put back is nothing but older: that, and nothing else, is found.
fn only(audit: &Audit) -> Vec<&'static str> {
    let others = audit
        .invariants
        .iter()
        .filter(|one| one.id != Invariant::Converged);
    let sound = others.map(|one| one.findings_total).sum::<u64>() == 0;
    assert!(sound, "{audit}");
    anomalies(audit, Invariant::Converged)
}

fn put(from: &Path, to: &Path) {
    if to.is_dir() {
        fs::remove_dir_all(to).unwrap();
    }
    copy_folder(from, to);
}

/// A row of a key that was written at `index`, and again at 88.
fn versions(disks: &Disks, index: u64) -> [(Vec<u8>, Vec<u8>); 2] {
    [index, 88].map(|at| {
        let user = &row_key(index)[..row_key(index).len() - 8];
        let key = [user, &(!at).to_be_bytes()].concat();
        let value = disks.sealed_row(index, &key, nonce(NODE_IDS[1], EPOCH, 5000 + at));
        (key, value)
    })
}

#[test]
fn an_older_state_is_found_unless_a_process_may_have_begun_from_a_snapshot() {
    for (begun_ns, expected) in [(COPIED_NS, &["state-went-back"][..]), (COPIED_NS + 1, &[])] {
        let disks = registered();
        let older = disks.dir.path().join("older");
        disks.edit_table("n2", |rows| {
            (81..=VALUES).for_each(|index| rows.remove(row_key(index)).unwrap());
            rows.insert(APPLIED, 80_u64.to_le_bytes()).unwrap();
        });
        let state = disks.data_dir("n2").join("fsm.db");
        put(&state, &older);
        put(&disks.data_dir("n1").join("fsm.db"), &state);
        let mut past = past();
        past.copies = vec![copy(&disks, "n2", "1", true)];
        past.loads = vec![
            load("n2", 0),
            load("n2", begun_ns),
            load("n1", COPIED_NS + 9),
        ];
        put(&older, &state);
        let audit = audited(&disks, past.clone());
        assert_eq!(only(&audit), expected, "{audit}");
        // The plan did it.
        past.tampered.insert("n2".to_owned(), COPIED_NS + 1);
        let audit = audited(&disks, past.clone());
        assert_eq!(audit.verdict, Verdict::Valid, "{audit}");
        // Where processes were not watched, nothing is known of them.
        past.tampered.clear();
        past.loads = vec![load("n1", 0)];
        let audit = audited(&disks, past);
        assert_eq!(audit.verdict, Verdict::Valid, "{audit}");
    }
}

#[test]
fn an_older_row_is_found_where_the_state_is_as_far_whoever_began_since() {
    for (before, after, expected) in [
        // Newer, then older.
        (Some(1), Some(0), "row-went-back"),
        // Deleted, and there again.
        (None, Some(0), "row-came-back"),
    ] {
        let disks = registered();
        let [old, new] = versions(&disks, 45);
        let set = |version: Option<usize>| {
            for node in NODES {
                disks.edit_table(node, |rows| {
                    rows.remove(&*old.0).unwrap();
                    rows.remove(&*new.0).unwrap();
                    let version = version.map(|at| [&old, &new][at]);
                    if let Some((key, value)) = version {
                        rows.insert(&**key, &**value).unwrap();
                    }
                });
            }
        };
        let mut past = past();
        set(before);
        past.copies = vec![copy(&disks, "n2", "1", true)];
        past.loads = vec![load("n2", COPIED_NS + 7)];
        set(after);
        let audit = audited(&disks, past.clone());
        assert_eq!(only(&audit), [expected], "{audit}");
        assert_eq!(
            audit.invariant(Invariant::Converged).unwrap().findings[0]
                .spot
                .node,
            "n2"
        );
        // The other way round is how time goes.
        set(before);
        let mut forth = past.clone();
        put(
            &disks.data_dir("n2").join("fsm.db"),
            &disks.dir.path().join("kept"),
        );
        set(Some(0));
        forth.copies = vec![copy(&disks, "n2", "2", true)];
        set(before);
        let audit = audited(&disks, forth);
        assert_eq!(audit.verdict, Verdict::Valid, "{audit}");
    }
}

/// A command of the reference store, by its proto: `single { set { key, value } }` or `single { del }`.
fn command(op: u8, key: &str) -> Vec<u8> {
    let field = |tag: u8, bytes: &[u8]| [&[tag << 3 | 2, bytes.len() as u8], bytes].concat();
    let mut arguments = field(1, key.as_bytes());
    if op == SET {
        arguments.extend(field(2, b"any"));
    }
    [&[0][..], &field(1, &field(op, &arguments))].concat()
}

const SET: u8 = 4;
const DEL: u8 = 6;

#[test]
fn the_state_has_what_its_own_log_says_even_if_all_nodes_were_put_back_alike() {
    let disks = registered();
    let log = |op: u8| {
        for node in NODES {
            disks.edit_log(node, |rows| {
                for index in 85..=VALUES {
                    let of = if index == 88 { 45 } else { index };
                    let payload = command(if index == 88 { op } else { SET }, &format!("k{of}"));
                    let sealed = disks.sealed_payload(
                        &payload,
                        nonce(NODE_IDS[1], EPOCH, 7000 + 100 * u64::from(op) + index),
                    );
                    rows.insert(log_key(index), disks.entry(index, &sealed))
                        .unwrap();
                }
            });
        }
    };
    let state = |version: Option<usize>| {
        let all = versions(&disks, 45);
        for node in NODES {
            disks.edit_table(node, |rows| {
                rows.remove(row_key(88)).unwrap();
                all.iter().for_each(|(key, _)| rows.remove(&**key).unwrap());
                if let Some((key, value)) = version.map(|at| &all[at]) {
                    rows.insert(&**key, &**value).unwrap();
                }
            });
        }
    };
    for (op, version, expected) in [
        (SET, Some(1), &[][..]),
        (SET, Some(0), &["row-not-as-logged"]),
        (SET, None, &["row-not-as-logged"]),
        (DEL, None, &[]),
        (DEL, Some(0), &["row-not-as-logged"]),
    ] {
        log(op);
        state(version);
        let mut subject = disks.subject();
        // What is in the log was never planted.
        subject.canaries = None;
        let audit = audit(&subject).unwrap();
        assert_eq!(only(&audit), expected, "{op} {version:?}: {audit}");
        let found = audit
            .invariant(Invariant::Converged)
            .unwrap()
            .findings_total;
        assert_eq!(found, 3 * expected.len() as u64, "{audit}");
    }
}

#[test]
fn an_older_log_is_found() {
    let disks = registered();
    let mut past = past();
    past.copies = vec![copy(&disks, "n3", "1", true)];
    past.loads = vec![load("n3", COPIED_NS + 7)];
    disks.edit_log("n3", |rows| {
        (VALUES - 9..=VALUES + 1).for_each(|index| rows.remove(log_key(index)).unwrap());
    });
    let audit = audited(&disks, past.clone());
    assert_eq!(only(&audit), ["log-went-back"], "{audit}");
    // With an older state beside it, only what was seen before can tell.
    disks.edit_table("n3", |rows| {
        (70..=VALUES).for_each(|index| rows.remove(row_key(index)).unwrap());
        rows.insert(APPLIED, 69_u64.to_le_bytes()).unwrap();
    });
    let both = audited(&disks, past);
    assert_eq!(only(&both), ["log-went-back"], "{both}");
    assert_eq!(disks.audit().verdict, Verdict::Valid);
}

/// The real node's disk, audited with an earlier copy of itself.
fn of_real(real: &Real, change: impl FnOnce(&Real), begun_ns: u64) -> Audit {
    let mut subject = real.subject();
    let data_dir = real.dir.path().join("copy/n1");
    copy_folder(&real.path(""), &data_dir);
    let node = subject.nodes[0].clone();
    let disks = NodeDisks { data_dir, ..node };
    subject.past = Some(Past {
        copies: vec![DiskCopy {
            time_ns: COPIED_NS,
            disks,
            deleted: None,
            down: true,
        }],
        loads: vec![load("n1", begun_ns)],
        ..Past::default()
    });
    change(real);
    audit(&subject).unwrap()
}

const OTHER_TABLE: &str = "fsm.db/000014.sst";
const MARKER: &str = "fsm.db/marker.manifest.000006.MANIFEST-000025";

#[test]
fn a_table_in_the_place_of_another_is_told_by_what_the_manifest_says() {
    let whole = of_real(&Real::whole(), |_| {}, 0);
    assert!(
        anomalies(&whole, Invariant::Converged).is_empty(),
        "{whole}"
    );
    // Both are whole, and of this node.
    for (from, to) in [(OTHER_TABLE, TABLE), (TABLE, OTHER_TABLE)] {
        let real = Real::whole();
        fs::copy(real.path(from), real.path(to)).unwrap();
        let audit = audit(&real.subject()).unwrap();
        let found = anomalies(&audit, Invariant::Converged);
        assert_eq!(found, ["table-not-as-listed"], "{to}: {audit}");
        let open = anomalies(&audit, Invariant::Open);
        assert!(open.is_empty(), "{audit}");
    }
}

#[test]
fn an_older_manifest_and_what_it_leaves_out_are_found() {
    let older = |real: &Real| {
        let marker = real.path("fsm.db/marker.manifest.000005.MANIFEST-000021");
        fs::rename(real.path(MARKER), marker).unwrap();
    };
    let audit = of_real(&Real::whole(), older, 0);
    let found = anomalies(&audit, Invariant::Converged);
    println!("{found:?}");
    assert!(found.contains(&"manifest-went-back"), "{audit}");
}

#[test]
fn a_table_log_that_is_older_is_a_state_that_went_back() {
    let shorter = |real: &Real| {
        real.edit("fsm.db/000026.log", |bytes| bytes.truncate(bytes.len() / 2));
    };
    for (begun_ns, expected) in [(0, &["state-went-back"][..]), (COPIED_NS + 1, &[])] {
        let audit = of_real(&Real::whole(), shorter, begun_ns);
        assert_eq!(anomalies(&audit, Invariant::Converged), expected, "{audit}");
    }
}
