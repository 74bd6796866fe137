//! One thing changed on a disk: found, named, and told apart from every other.

use std::fs;

use keyquake_audit::{Audit, Canaries, Finding, Invariant, MayStand, Place, Verdict, audit};
use serde_json::json;

use crate::fixture::{
    Disks, EPOCH, HEADER, NODE_IDS, NODES, OLD_KEY, RAFT_CUTOVER, STORAGE_CUTOVER, STORAGE_KEY,
    VALUES, log_key, nonce, row_key, version_1, version_2,
};

/// Above both cutovers.
const INDEX: u64 = 75;
/// Where the envelope begins in a row's value.
const BODY: usize = 9;

/// The one finding there is, if nothing else is broken. That the row is not the other nodes' any more
/// goes without saying.
fn only(audit: &Audit) -> Finding {
    let findings: Vec<_> = audit
        .invariants
        .iter()
        .filter(|one| one.id != Invariant::Converged)
        .flat_map(|one| &one.findings)
        .collect();
    assert_eq!(findings.len(), 1, "{audit}");
    assert_eq!(audit.verdict, Verdict::Violated);
    findings[0].clone()
}

/// Tampers with one row of n2's table, and gives what was found.
fn with_row(index: u64, change: impl FnOnce(&Disks, &mut Vec<u8>)) -> Finding {
    let disks = Disks::whole();
    disks.edit_table("n2", |rows| {
        let mut value = rows.get(row_key(index)).unwrap().unwrap().to_vec();
        change(&disks, &mut value);
        rows.insert(row_key(index), value).unwrap();
    });
    let found = only(&disks.audit());
    assert_eq!(
        (found.spot.node.as_str(), found.spot.place),
        ("n2", Place::Tables)
    );
    assert_eq!(found.spot.index, Some(index), "{found}");
    found
}

/// Puts another payload into one entry of n2's log, and gives what was found.
fn with_payload(index: u64, payload: impl FnOnce(&Disks) -> Vec<u8>) -> Finding {
    let disks = Disks::whole();
    let entry = disks.entry(index, &payload(&disks));
    disks.edit_log("n2", |rows| rows.insert(log_key(index), entry).unwrap());
    let found = only(&disks.audit());
    assert_eq!(
        (found.spot.node.as_str(), found.spot.place),
        ("n2", Place::Log)
    );
    assert_eq!(found.spot.index, Some(index), "{found}");
    found
}

fn sealed(disks: &Disks, index: u64) -> Vec<u8> {
    let leader = nonce(NODE_IDS[1], EPOCH, index);
    disks.sealed_payload(&disks.clear_payload(index), leader)
}

fn is(found: &Finding, invariant: Invariant, anomaly: &str) {
    assert_eq!(
        (found.invariant, found.anomaly),
        (invariant, anomaly),
        "{found}"
    );
}

#[test]
fn every_part_of_a_row_is_told_apart() {
    let header = BODY;
    let (key_id, nonce, ciphertext) = (BODY + 2, BODY + 6, BODY + 18);
    for (byte, anomaly) in [
        (0, "value-header-changed"),
        (5, "value-header-changed"),
        (header, "header-changed"),
        (header + 1, "header-changed"),
        (key_id, "key-id-changed"),
        (key_id + 3, "key-id-changed"),
        (nonce, "nonce-changed"),
        (nonce + 11, "nonce-changed"),
        (ciphertext, "ciphertext-changed"),
        (ciphertext + 30, "ciphertext-changed"),
    ] {
        for bit in [0, 1, 2, 7] {
            let found = with_row(INDEX, |_, value| value[byte] ^= 1 << bit);
            is(&found, Invariant::Open, anomaly);
        }
    }
    let tag = with_row(INDEX, |_, value| *value.last_mut().unwrap() ^= 0x10);
    is(&tag, Invariant::Open, "tag-changed");
    let many = with_row(INDEX, |_, value| value[ciphertext..].fill(0xaa));
    is(&many, Invariant::Open, "does-not-open");
    let unknown = with_row(INDEX, |_, value| {
        value[key_id..nonce].fill(0x77);
        value[ciphertext] ^= 1;
    });
    is(&unknown, Invariant::Open, "key-unknown");
    let short = with_row(INDEX, |_, value| value.truncate(BODY + 33));
    is(&short, Invariant::Open, "too-short");
}

#[test]
fn a_value_of_another_row_or_key_is_named() {
    let moved = with_row(INDEX, |disks, value| {
        *value = disks.sealed_row(
            INDEX + 1,
            &row_key(INDEX + 1),
            nonce(NODE_IDS[1], EPOCH, INDEX + 1),
        );
    });
    is(&moved, Invariant::Open, "moved");
    assert!(moved.explanation.contains("k76"), "{moved}");
    // Sealed for a row that is not there any more.
    let stale = with_row(INDEX, |disks, value| {
        *value = disks.sealed_row(INDEX, b"another row's key", nonce(NODE_IDS[1], EPOCH, 1000));
    });
    is(&stale, Invariant::Open, "does-not-open");
    let to_old = with_row(INDEX, |_, value| {
        value[BODY + 2..BODY + 6].copy_from_slice(&OLD_KEY.to_be_bytes());
    });
    is(&to_old, Invariant::Open, "key-id-changed");
    assert!(
        to_old.explanation.contains(&format!("key {STORAGE_KEY}")),
        "{to_old}"
    );
    let raft = with_row(INDEX, |disks, value| {
        value.truncate(BODY);
        value.extend(sealed(disks, INDEX));
    });
    is(&raft, Invariant::Open, "raft-envelope-in-storage");
}

#[test]
fn an_envelope_made_in_a_wrong_way_is_told_from_a_damaged_one() {
    let fresh = nonce(NODE_IDS[1], EPOCH, 1000);
    for (bound, lacks) in [
        (&HEADER[..], "without the row's key in"),
        (&row_key(INDEX)[..], "without the value's header in"),
        (&[][..], "without the row's key and the value's header in"),
    ] {
        let found = with_row(INDEX, |disks, value| {
            *value = disks.sealed_with(INDEX, STORAGE_KEY, STORAGE_KEY, bound, fresh);
        });
        is(&found, Invariant::Open, "binding-incomplete");
        assert!(found.explanation.contains(lacks), "{found}");
    }
    let bound = [&HEADER[..], &row_key(INDEX)].concat();
    let found = with_row(INDEX, |disks, value| {
        *value = disks.sealed_with(INDEX, OLD_KEY, STORAGE_KEY, &bound, fresh);
    });
    is(&found, Invariant::Open, "sealed-under-another-key");
    assert!(
        found
            .explanation
            .contains(&format!("bytes of key {OLD_KEY}")),
        "{found}"
    );
}

#[test]
fn a_cutover_is_where_the_store_said() {
    let disks = Disks::whole();
    let mut subject = disks.subject();
    subject.answered.storage = Some(STORAGE_CUTOVER);
    subject.answered.raft = Some(RAFT_CUTOVER);
    assert_eq!(audit(&subject).unwrap().verdict, Verdict::Valid);
    subject.answered.raft = Some(RAFT_CUTOVER + 1);
    let audit = audit(&subject).unwrap();
    let boundary = audit.invariant(Invariant::Boundary).unwrap();
    assert_eq!(boundary.findings.len(), 3, "{audit}");
    is(
        &boundary.findings[0],
        Invariant::Boundary,
        "cutover-not-as-answered",
    );
}

#[test]
fn a_clear_value_above_the_cutover_is_plain_and_below_it_is_not() {
    let disks = Disks::whole();
    let clear = disks.clear_row(INDEX);
    disks.edit_table("n2", |rows| rows.insert(row_key(INDEX), clear).unwrap());
    let audit = disks.audit();
    let plain = audit.invariant(Invariant::Plain).unwrap();
    let anomalies: Vec<_> = plain.findings.iter().map(|one| one.anomaly).collect();
    // By the row that the engine gives, and by the bytes of its journal.
    assert_eq!(anomalies, ["canary-in-the-clear", "clear-value"], "{audit}");
    assert_eq!(audit.total(Place::Tables).clear_by_wrong, 1);
    let others = audit
        .invariants
        .iter()
        .filter(|one| one.id != Invariant::Plain);
    assert!(
        others.into_iter().all(|one| one.findings.is_empty()),
        "{audit}"
    );
}

#[test]
fn every_part_of_an_entry_is_told_apart() {
    for (byte, anomaly) in [
        (0, "header-changed"),
        (1, "header-changed"),
        (2, "key-id-changed"),
        (5, "key-id-changed"),
        (6, "nonce-changed"),
        (17, "nonce-changed"),
        (18, "ciphertext-changed"),
    ] {
        for bit in [0, 1, 7] {
            let found = with_payload(INDEX, |disks| {
                let mut payload = sealed(disks, INDEX);
                payload[byte] ^= 1 << bit;
                payload
            });
            is(&found, Invariant::Open, anomaly);
        }
    }
    let tag = with_payload(INDEX, |disks| {
        let mut payload = sealed(disks, INDEX);
        *payload.last_mut().unwrap() ^= 1;
        payload
    });
    is(&tag, Invariant::Open, "tag-changed");
    let storage = with_payload(INDEX, |disks| {
        let row = disks.sealed_row(INDEX, &row_key(INDEX), nonce(NODE_IDS[1], EPOCH, INDEX));
        row[BODY..].to_vec()
    });
    is(&storage, Invariant::Open, "storage-envelope-in-log");
}

#[test]
fn the_cutover_parts_the_log() {
    let disks = Disks::whole();
    let clear = disks.entry(INDEX, &disks.clear_payload(INDEX));
    disks.edit_log("n2", |rows| rows.insert(log_key(INDEX), clear).unwrap());
    let audit = disks.audit();
    let boundary = audit.invariant(Invariant::Boundary).unwrap();
    assert_eq!(boundary.findings.len(), 1, "{audit}");
    is(
        &boundary.findings[0],
        Invariant::Boundary,
        "clear-above-cutover",
    );
    let plain = audit.invariant(Invariant::Plain).unwrap();
    is(&plain.findings[0], Invariant::Plain, "canary-in-the-clear");
    // A registration in the clear has no canary in it.
    let registration = with_payload(INDEX, |_| [&[3, 1][..], &[0; 14]].concat());
    is(&registration, Invariant::Boundary, "clear-above-cutover");

    for index in [RAFT_CUTOVER - 1, RAFT_CUTOVER] {
        let early = with_payload(index, |disks| sealed(disks, index));
        is(&early, Invariant::Boundary, "envelope-below-cutover");
    }
}

#[test]
fn snapshots_keep_the_cutover_and_their_rows() {
    let rows = |disks: &Disks| {
        let sealed: Vec<_> = (31..=VALUES)
            .map(|index| {
                (
                    row_key(index),
                    disks.sealed_row(index, &row_key(index), nonce(NODE_IDS[2], EPOCH, index)),
                )
            })
            .collect();
        sealed.into_iter()
    };
    for (header, anomaly) in [
        (version_1(), "snapshot-loses-cutover"),
        (version_2(0), "snapshot-loses-cutover"),
        (version_2(RAFT_CUTOVER + 1), "cutovers-differ"),
    ] {
        let disks = Disks::whole();
        disks.write_snapshot("n3", &header, rows(&disks));
        let found = only(&disks.audit());
        is(&found, Invariant::Boundary, anomaly);
        assert_eq!(
            (found.spot.node.as_str(), found.spot.place),
            ("n3", Place::Snapshots)
        );
    }
    // A bit flipped in the file breaks its checksum and the one value.
    let disks = Disks::whole();
    let path = disks.snapshot_path("n3");
    let mut bytes = fs::read(&path).unwrap();
    let at = bytes.len() - 40;
    bytes[at] ^= 1;
    fs::write(&path, bytes).unwrap();
    let audit = disks.audit();
    let open = audit.invariant(Invariant::Open).unwrap();
    let anomalies: Vec<_> = open.findings.iter().map(|one| one.anomaly).collect();
    assert_eq!(
        anomalies,
        ["ciphertext-changed", "snapshot-damaged"],
        "{audit}"
    );
    let offset = open.findings[0].spot.offset.unwrap() as usize;
    assert!(offset < at && at < offset + 100, "{offset} {at}");
}

#[test]
fn a_nonce_for_two_things_is_found_across_nodes() {
    // n1 and n3 seal different values under n2's nonce of index 75.
    for node in ["n1", "n3"] {
        let disks = Disks::whole();
        let stolen = nonce(NODE_IDS[1], EPOCH, INDEX);
        let value = disks.sealed_row(80, &row_key(80), stolen);
        disks.edit_table(node, |rows| rows.insert(row_key(80), value).unwrap());
        let found = only(&disks.audit());
        is(&found, Invariant::Nonce, "nonce-reused");
        assert!(found.explanation.contains("count 75"), "{found}");
    }
}

#[test]
fn nonces_that_nobody_may_make_are_found() {
    for (bad, anomaly) in [
        (nonce(0x1234, EPOCH, 7000), "node-id-unknown"),
        (nonce(NODE_IDS[1], EPOCH, 0), "count-zero"),
        (nonce(NODE_IDS[1], EPOCH + 1, 7000), "epoch-not-persisted"),
    ] {
        let row = with_row(INDEX, |disks, value| {
            *value = disks.sealed_row(INDEX, &row_key(INDEX), bad);
        });
        is(&row, Invariant::NonceForm, anomaly);
        let entry = with_payload(INDEX, |disks| disks.sealed_payload(b"\x00x", bad));
        is(&entry, Invariant::NonceForm, anomaly);
    }
}

#[test]
fn sidecars_that_differ_or_are_torn_are_found() {
    type Change = fn(&mut serde_json::Value);
    let changes: [(Change, Invariant, &str); 4] = [
        (
            |s| s["active"]["storage"] = json!(OLD_KEY),
            Invariant::Agree,
            "sidecars-differ",
        ),
        (
            |s| s["storage_envelope_active"] = json!(false),
            Invariant::Agree,
            "sidecars-differ",
        ),
        (
            |s| {
                s["raft_applied_index"] = json!(69);
                s["raft_envelope_cutover_index"] = json!(RAFT_CUTOVER - 1);
            },
            Invariant::Boundary,
            "cutovers-differ",
        ),
        (
            |s| *s = json!({"version": 2}),
            Invariant::SidecarDurable,
            "sidecar-not-whole",
        ),
    ];
    for (change, invariant, anomaly) in changes {
        let disks = Disks::whole();
        // n3's rows and entries open with its own sidecar: only what is asked may differ.
        let text = fs::read_to_string(disks.sidecar_path("n1")).unwrap();
        let mut sidecar = serde_json::from_str(&text).unwrap();
        change(&mut sidecar);
        disks.write_sidecar("n3", &sidecar);
        let audit = disks.audit();
        let audited = audit.invariant(invariant).unwrap();
        assert_eq!(audited.findings.len(), 1, "{audit}");
        is(&audited.findings[0], invariant, anomaly);
        assert_eq!(audited.findings[0].spot.node, "n3");
    }
    // A node that is behind names no cutover, and that is no difference.
    let disks = Disks::whole();
    let mut behind = disks.sidecar();
    let text = fs::read_to_string(disks.sidecar_path("n1")).unwrap();
    let ahead: serde_json::Value = serde_json::from_str(&text).unwrap();
    behind["keys"] = ahead["keys"].clone();
    behind["raft_applied_index"] = json!(40);
    behind["raft_envelope_cutover_index"] = json!(0);
    disks.write_sidecar("n3", &behind);
    let audit = disks.audit();
    assert_eq!(audit.verdict, Verdict::Valid, "{audit}");
}

#[test]
fn a_key_that_is_lost_on_one_node_is_told_from_one_that_nobody_has() {
    let disks = Disks::whole();
    let text = fs::read_to_string(disks.sidecar_path("n1")).unwrap();
    let mut sidecar: serde_json::Value = serde_json::from_str(&text).unwrap();
    sidecar["keys"]
        .as_object_mut()
        .unwrap()
        .remove(&OLD_KEY.to_string());
    sidecar["raft_applied_index"] = json!(69);
    disks.write_sidecar("n3", &sidecar);
    let audit = disks.audit();
    let open = audit.invariant(Invariant::Open).unwrap();
    assert!(
        open.findings
            .iter()
            .all(|one| one.anomaly == "key-missing-here"),
        "{audit}"
    );
    assert!(
        open.findings[0].explanation.contains("that of n1"),
        "{audit}"
    );

    let disks = Disks::whole();
    let other = Disks::whole();
    disks.write_sidecar("n3", &other.sidecar());
    let audit = disks.audit();
    let open = audit.invariant(Invariant::Open).unwrap();
    let unwraps = open
        .findings
        .iter()
        .filter(|one| one.anomaly == "key-does-not-unwrap");
    assert_eq!(unwraps.count(), 3, "{audit}");
    assert!(audit.invariant(Invariant::Agree).unwrap().findings_total > 0);
}

#[test]
fn envelopes_of_rows_and_entries_that_are_gone_are_opened_too() {
    let replace = |disks: &Disks, damages: bool| {
        disks.edit_table("n2", |rows| {
            let value = rows.get(row_key(INDEX)).unwrap().unwrap();
            let mut gone =
                disks.sealed_row(INDEX, &row_key(INDEX), nonce(NODE_IDS[1], EPOCH, 5000));
            gone[BODY + 20] ^= u8::from(damages);
            rows.insert(row_key(INDEX), gone).unwrap();
            rows.insert(row_key(INDEX), &*value).unwrap();
            rows.remove(row_key(INDEX + 1)).unwrap();
            let again = disks.sealed_row(
                INDEX + 1,
                &row_key(INDEX + 1),
                nonce(NODE_IDS[1], EPOCH, 5001),
            );
            rows.insert(row_key(INDEX + 1), again).unwrap();
        });
        disks.edit_log("n2", |rows| {
            let value = rows.get(log_key(INDEX)).unwrap().unwrap();
            let mut gone = disks.sealed_payload(b"\x00gone", nonce(NODE_IDS[1], EPOCH, 6000));
            gone[20] ^= u8::from(damages);
            rows.insert(log_key(INDEX), disks.entry(INDEX, &gone))
                .unwrap();
            rows.insert(log_key(INDEX), &*value).unwrap();
        });
    };
    let disks = Disks::whole();
    replace(&disks, false);
    let whole = disks.audit();
    assert_eq!(whole.verdict, Verdict::Valid, "{whole}");
    let gone = whole.total(Place::Gone);
    assert_eq!((gone.envelopes, gone.opened), (3, 3), "{whole}");

    let disks = Disks::whole();
    replace(&disks, true);
    let audit = disks.audit();
    let open = audit.invariant(Invariant::Open).unwrap();
    assert_eq!(open.findings_total, 2, "{audit}");
    for found in &open.findings {
        is(found, Invariant::Open, "ciphertext-changed");
        assert_eq!(
            (found.spot.place, found.spot.index),
            (Place::Gone, Some(INDEX))
        );
    }
}

/// Phase 2 alone asks nothing of values, whatever its journals hold.
#[test]
fn an_entry_that_is_gone_is_no_row() {
    let disks = Disks::whole();
    let mut sidecar = disks.sidecar();
    sidecar["storage_envelope_active"] = json!(false);
    sidecar["storage_envelope_cutover_index"] = json!(0);
    for node in NODES {
        disks.write_sidecar(node, &sidecar);
        fs::remove_file(disks.snapshot_path(node)).unwrap();
        disks.edit_table(node, |rows| {
            for index in 1..=VALUES {
                rows.insert(row_key(index), disks.clear_row(index)).unwrap();
            }
        });
        disks.table_anew(node);
        let gone = disks.sealed_payload(b"\x00gone", nonce(NODE_IDS[1], EPOCH, 6000));
        disks.edit_log(node, |rows| {
            let value = rows.get(log_key(INDEX)).unwrap().unwrap();
            rows.insert(log_key(INDEX), disks.entry(INDEX, &gone))
                .unwrap();
            rows.insert(log_key(INDEX), &*value).unwrap();
        });
    }
    let mut subject = disks.subject();
    let mut canaries = Canaries::new(disks.canary.clone());
    for value in 0..VALUES {
        canaries.plant(1, value, MayStand::Anywhere);
        canaries.must_be_there(1, value);
    }
    subject.canaries = Some(canaries);
    let audit = audit(&subject).unwrap();
    assert_eq!(audit.total(Place::Gone).opened, 3, "{audit}");
    assert!(audit.invariant(Invariant::Plain).is_none(), "{audit}");
    assert_eq!(audit.verdict, Verdict::Valid, "{audit}");
}
