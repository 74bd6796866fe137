//! Disks with nothing wrong, and disks that are not there.

use std::fs;

use keyquake_audit::{AuditError, Canaries, Invariant, MayStand, Place, Verdict, audit};

use crate::fixture::{Disks, NODES, RAFT_CUTOVER, STORAGE_CUTOVER, VALUES, bytes_below};

#[test]
fn whole_disks_are_valid_and_counted_and_not_touched() {
    let disks = Disks::whole();
    let before = bytes_below(disks.dir.path());
    let audit = disks.audit();
    assert_eq!(audit.verdict, Verdict::Valid, "{audit}");
    assert!(
        before == bytes_below(disks.dir.path()),
        "something was written"
    );

    let sealed = VALUES - STORAGE_CUTOVER;
    for place in [Place::Tables, Place::Snapshots] {
        let counts = audit.total(place);
        assert_eq!(
            (counts.envelopes, counts.opened),
            (3 * sealed, 3 * sealed),
            "{place}"
        );
        assert_eq!(
            (counts.clear_by_right, counts.clear_by_wrong),
            (3 * STORAGE_CUTOVER, 0)
        );
    }
    let log = audit.total(Place::Log);
    assert_eq!(log.opened, 3 * (VALUES - RAFT_CUTOVER));
    assert_eq!(log.clear_by_right, 3 * (RAFT_CUTOVER - 39));
    assert_eq!(log.bare, 3);
    // A snapshot's rows are the table's; the log's are the same on all nodes.
    assert_eq!(audit.nonces, 3 * sealed + (VALUES - RAFT_CUTOVER));

    let canaries = audit.canaries.as_ref().unwrap();
    assert_eq!((canaries.planted, canaries.living_seen), (VALUES, VALUES));
    assert_eq!((canaries.seen_sealed, canaries.seen_by_wrong), (sealed, 0));
    let judged: Vec<_> = audit.invariants.iter().map(|one| one.id.id()).collect();
    let all = [
        "CONV",
        "ENC-PLAIN",
        "ENC-OPEN",
        "ENC-BOUNDARY",
        "ENC-NONCE",
        "ENC-NONCE-FORM",
        "ENC-AGREE",
        "ENC-KEYS-SECRET",
        "SELF-NONEMPTY",
    ];
    assert_eq!(judged, all);
    let text = audit.to_string();
    assert!(text.ends_with("valid"), "{text}");
    let json = serde_json::to_value(&audit).unwrap();
    assert_eq!(json["verdict"], "valid");
    assert_eq!(json["invariants"][0]["id"], "CONV");
}

#[test]
fn a_cluster_without_keys_shows_that_the_scan_sees() {
    let disks = Disks::whole();
    for node in NODES {
        fs::remove_file(disks.sidecar_path(node)).unwrap();
        fs::remove_dir_all(disks.data_dir(node).join("wal")).unwrap();
        fs::remove_file(disks.snapshot_path(node)).unwrap();
        disks.edit_table(node, |rows| {
            (1..=VALUES).for_each(|index| {
                rows.insert(crate::fixture::row_key(index), disks.clear_row(index))
                    .unwrap();
            });
        });
        disks.table_anew(node);
    }
    let mut subject = disks.subject();
    subject.kek = None;
    let mut canaries = Canaries::new(disks.canary.clone());
    for value in 0..VALUES {
        canaries.plant(1, value, MayStand::Anywhere);
        canaries.must_be_there(1, value);
    }
    subject.canaries = Some(canaries);
    let seen = audit(&subject).unwrap();
    let judged: Vec<_> = seen.invariants.iter().map(|one| one.id.id()).collect();
    assert_eq!(judged, ["CONV", "SELF-NONEMPTY"], "{seen}");
    assert_eq!(seen.verdict, Verdict::Valid, "{seen}");
    assert_eq!(seen.canaries.unwrap().seen_in_bytes, VALUES);

    // Two values of a hundred that are said to be there and are not: the scan is void.
    let mut canaries = Canaries::new(disks.canary.clone());
    for value in 0..VALUES + 2 {
        canaries.plant(1, value, MayStand::Anywhere);
        canaries.must_be_there(1, value);
    }
    subject.canaries = Some(canaries);
    let blind = audit(&subject).unwrap();
    assert_eq!(blind.verdict, Verdict::Inconclusive, "{blind}");
    let reason = &blind.invariant(Invariant::SelfNonempty).unwrap().reason;
    assert!(
        reason.contains("90 of 92") && reason.contains("void"),
        "{reason}"
    );
}

#[test]
fn what_is_not_known_is_not_valid() {
    let disks = Disks::whole();
    let mut subject = disks.subject();
    subject.canaries = None;
    let unknown = audit(&subject).unwrap();
    assert_eq!(unknown.verdict, Verdict::Inconclusive, "{unknown}");
    assert_eq!(
        unknown.invariant(Invariant::Open).unwrap().verdict,
        Verdict::Valid
    );

    let mut subject = disks.subject();
    subject.kek = None;
    let shut = audit(&subject).unwrap();
    let open = shut.invariant(Invariant::Open).unwrap();
    assert_eq!(open.verdict, Verdict::Inconclusive, "{shut}");
    assert!(open.reason.contains("no KEK"), "{}", open.reason);

    // A database that the engine can't open is a gap, and nothing is valid with it.
    let manifest = disks.data_dir("n2").join("fsm.db");
    for (path, _) in bytes_below(&manifest) {
        fs::write(path, "not what it was").unwrap();
    }
    let gap = disks.audit();
    assert_eq!(gap.verdict, Verdict::Inconclusive, "{gap}");
    assert!(
        gap.gaps
            .iter()
            .any(|gap| gap.contains("n2") && gap.contains("fsm.db"))
    );
}

#[test]
fn what_is_not_there_is_an_error_with_its_name() {
    let disks = Disks::whole();
    let mut subject = disks.subject();
    subject.nodes[1].data_dir.push("elsewhere");
    let error = audit(&subject).unwrap_err();
    assert!(matches!(error, AuditError::DataDir { .. }) && error.to_string().contains("n2"));
    subject.nodes.clear();
    assert!(matches!(audit(&subject), Err(AuditError::NoNodes)));
    let mut subject = disks.subject();
    subject.kek = Some(disks.dir.path().join("no-kek"));
    assert!(matches!(audit(&subject), Err(AuditError::Kek(_))));
}
