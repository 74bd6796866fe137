//! The nonce registry: what it remembers, and what it refuses to be.

use std::fs;
use std::path::Path;

use keyquake_audit::nonces::{KeyPrint, NonceRegistry, NonceSet, Pair, RegistryError};
use keyquake_audit::{Audit, Invariant, Place, Spot, Verdict, audit_remembering};

use crate::fixture::{Disks, EPOCH, NODE_IDS, STORAGE_KEY, nonce, row_key};

fn spot(node: &str) -> Spot {
    Spot {
        node: node.to_owned(),
        place: Place::Tables,
        path: format!("{node}/fsm.db").into(),
        offset: None,
        index: Some(7),
    }
}

fn pair(key: &KeyPrint, count: u64) -> Pair {
    Pair {
        key: *key,
        key_id: 7,
        nonce: nonce(NODE_IDS[0], EPOCH, count),
    }
}

/// A set with one thing sealed under each of some counts.
fn set(key: &KeyPrint, counts: impl IntoIterator<Item = u64>, tag: u8) -> NonceSet {
    let mut set = NonceSet::default();
    for count in counts {
        assert_eq!(set.see(pair(key, count), [tag; 16], &spot("n1")), None);
    }
    set
}

fn key(byte: u8) -> KeyPrint {
    KeyPrint::of(&[byte; 32])
}

/// The registry after it was closed and opened again.
fn reopened(path: &Path) -> NonceRegistry {
    NonceRegistry::open(path).unwrap()
}

#[test]
fn a_reuse_is_found_between_runs_that_never_met() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("nonces");
    let (ours, other) = (key(1), key(2));
    let first = reopened(&path)
        .add("monday", &set(&ours, 1..=100, 1))
        .unwrap();
    assert_eq!((first.new, first.known, first.reuses.len()), (100, 0, 0));

    // Another night, another cluster whose key has the same id: nothing of it is a reuse.
    let second = reopened(&path)
        .add("tuesday", &set(&other, 1..=100, 2))
        .unwrap();
    assert_eq!((second.new, second.reuses.len()), (100, 0));
    // The first cluster again, restored: what it has is the same, but for one.
    let mut restored = set(&ours, 51..=140, 1);
    restored.see(pair(&ours, 33), [9; 16], &spot("n3"));
    let mut registry = reopened(&path);
    let third = registry.add("wednesday", &restored).unwrap();
    assert_eq!((third.new, third.known), (40, 50));
    let [reuse] = &third.reuses[..] else {
        panic!("{third:?}");
    };
    assert_eq!(reuse.pair, pair(&ours, 33));
    let seen: Vec<_> = reuse.seen.iter().map(ToString::to_string).collect();
    let expected = [
        "run monday, n1 tables, n1/fsm.db",
        "run wednesday, n3 tables, n3/fsm.db",
    ];
    assert_eq!(seen, expected);
    assert_eq!(registry.pairs().unwrap(), 240);
    drop(registry);

    // It stays known, under its own key only, and adding the same once more changes nothing.
    let mut registry = reopened(&path);
    assert_eq!(registry.reuses_under([ours]).unwrap(), third.reuses);
    assert_eq!(registry.reuses_under([other, key(3)]).unwrap(), []);
    assert_eq!(registry.reuses().unwrap(), third.reuses);
    let again = registry.add("wednesday", &restored).unwrap();
    assert_eq!(
        (again.new, again.known, registry.pairs().unwrap()),
        (0, 91, 240)
    );
    assert_eq!(registry.reuses().unwrap(), third.reuses);
}

#[test]
fn what_one_run_reused_is_in_the_registry_with_all_that_was_sealed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("nonces");
    let ours = key(1);
    let mut worn = set(&ours, 1..=3, 1);
    for (tag, node) in [(4, "n2"), (5, "n3"), (4, "n3")] {
        let reuse = worn.see(pair(&ours, 2), [tag; 16], &spot(node));
        let expected = (tag, node) != (4, "n3");
        assert_eq!(reuse.is_some(), expected, "{tag} {node}");
    }
    assert_eq!((worn.len(), worn.reuses().len()), (3, 2));
    let mut registry = reopened(&path);
    let added = registry.add("one", &worn).unwrap();
    assert_eq!((added.new, added.reuses.len()), (3, 1));
    let nodes: Vec<_> = added.reuses[0].seen.iter().map(|seen| &seen.node).collect();
    assert_eq!(nodes, ["n1", "n2", "n3"]);
    // A store that never counts: a reuse is proved by two, and does not grow for ever.
    let mut stuck = NonceSet::default();
    for tag in 10..200 {
        stuck.see(pair(&ours, 2), [tag; 16], &spot("n1"));
    }
    registry.add("two", &stuck).unwrap();
    assert_eq!(registry.reuses().unwrap()[0].seen.len(), 8);
}

#[test]
fn a_second_user_and_a_wrong_file_are_told() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("nonces");
    let registry = reopened(&path);
    let Err(error) = NonceRegistry::open(&path) else {
        panic!("opened twice");
    };
    assert!(matches!(error, RegistryError::Locked { .. }), "{error}");
    assert!(
        error.to_string().contains("in use by another process"),
        "{error}"
    );
    drop(registry);
    reopened(&path);

    let wrong = folder.path().join("wrong");
    for bytes in [&b"a letter"[..], &[0; 5000], &[0xff; 100_000]] {
        fs::write(&wrong, bytes).unwrap();
        let error = NonceRegistry::open(&wrong).err().unwrap();
        assert!(
            matches!(error, RegistryError::NotARegistry { .. }),
            "{error}"
        );
        assert!(fs::read(&wrong).unwrap() == bytes, "it was written to");
    }
    fs::remove_file(&wrong).unwrap();
    let table = redb::TableDefinition::<u64, u64>::new("accounts");
    let other = redb::Database::create(&wrong).unwrap();
    let writing = other.begin_write().unwrap();
    writing.open_table(table).unwrap().insert(1, 1).unwrap();
    writing.commit().unwrap();
    drop(other);
    for (path, text) in [
        (wrong.as_path(), "its tables are accounts"),
        (folder.path(), "a folder"),
    ] {
        let error = NonceRegistry::open(path).err().unwrap();
        assert!(
            matches!(error, RegistryError::NotARegistry { .. }),
            "{error}"
        );
        assert!(error.to_string().contains(text), "{error}");
    }
    let error = NonceRegistry::open(&folder.path().join("no/such"))
        .err()
        .unwrap();
    assert!(matches!(error, RegistryError::Open { .. }), "{error}");
}

/// ENC-NONCE, with what a registry knows after it took in a set.
fn judged(mut audit: Audit, path: &Path, run: &str, set: &NonceSet) -> Audit {
    let mut registry = reopened(path);
    audit.add_to(&mut registry, run, set).unwrap();
    audit
}

#[test]
fn an_audit_is_judged_over_what_other_audits_of_its_cluster_met() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("nonces");
    let disks = Disks::whole();
    let look = |set: &mut NonceSet| audit_remembering(&disks.subject(), set).unwrap();
    let mut early = NonceSet::default();
    let audit = judged(look(&mut early), &path, "early", &early);
    assert_eq!(audit.verdict, Verdict::Valid, "{audit}");
    let reason = &audit.invariant(Invariant::Nonce).unwrap().reason;
    assert!(reason.contains("earlier run"), "{reason}");

    // A value written since then under a nonce that was used before, whose first use is gone.
    let index = 80;
    let reused = disks.sealed_row(index + 1, &row_key(index), nonce(NODE_IDS[1], EPOCH, index));
    fs::remove_file(disks.snapshot_path("n2")).unwrap();
    disks.edit_table("n2", |rows| {
        rows.insert(row_key(index), reused).unwrap();
    });
    let journal = look(&mut NonceSet::default());
    let verdict = journal.invariant(Invariant::Nonce).unwrap().verdict;
    assert_eq!(
        verdict,
        Verdict::Violated,
        "the journal has both: {journal}"
    );
    disks.table_anew("n2");
    let alone = look(&mut NonceSet::default());
    assert_eq!(
        alone.invariant(Invariant::Nonce).unwrap().verdict,
        Verdict::Valid,
        "one look does not see it: {alone}"
    );

    // The same set in both looks sees it, and goes on seeing it.
    let remembered = [look(&mut early), look(&mut early)];
    // So does the registry, with sets that never met.
    let mut late = NonceSet::default();
    let audit = look(&mut late);
    let late_audit = judged(audit, &path, "late", &late);
    let mut later = NonceSet::default();
    let audit = look(&mut later);
    let again = judged(audit, &path, "late", &later);
    for audit in remembered.iter().chain([&late_audit, &again]) {
        let nonces = audit.invariant(Invariant::Nonce).unwrap();
        assert_eq!(nonces.verdict, Verdict::Violated, "{audit}");
        assert_eq!(nonces.findings_total, 1, "{audit}");
        assert_eq!(nonces.findings[0].anomaly, "nonce-reused");
        assert_eq!(audit.verdict, Verdict::Violated);
        let told = nonces.findings[0].to_string();
        assert!(told.contains("n2") && told.contains("count 80"), "{told}");
        assert!(told.contains(&format!("key {STORAGE_KEY}")), "{told}");
    }
    let told = late_audit.to_string();
    assert!(
        told.contains("run early") && told.contains("run late"),
        "{told}"
    );
}
