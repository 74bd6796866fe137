//! Replicas that have the same state, and some that have not.

use keyquake_audit::{Audit, Audited, Invariant, Verdict};

use crate::fixture::{Disks, EPOCH, HEADER, NODE_IDS, STORAGE_KEY, nonce, row_key};

/// Above both cutovers.
const INDEX: u64 = 75;

fn converged(audit: &Audit) -> &Audited {
    audit.invariant(Invariant::Converged).expect("it is judged")
}

#[test]
fn replicas_are_the_same_whoever_sealed_their_rows() {
    let audit = Disks::whole().audit();
    let whole = converged(&audit);
    assert_eq!(whole.verdict, Verdict::Valid, "{audit}");
    assert!(whole.reason.contains("91 rows of n1"), "{}", whole.reason);
}

#[test]
fn a_row_that_one_lacks_is_found() {
    let disks = Disks::whole();
    disks.edit_table("n2", |rows| rows.remove(row_key(INDEX)).unwrap());
    let audit = disks.audit();
    let found = &converged(&audit).findings[0];
    assert_eq!(found.anomaly, "row-missing", "{audit}");
    assert!(found.explanation.contains("n2"), "{found}");
    assert_eq!(found.spot.index, Some(INDEX));
}

#[test]
fn a_row_that_says_something_else_is_found() {
    let disks = Disks::whole();
    // Sealed as it must be, under a nonce of its own: only that it is another value is wrong.
    let bound = [&HEADER[..], &row_key(INDEX)].concat();
    let fresh = nonce(NODE_IDS[1], EPOCH, 9000);
    let value = disks.sealed_with(INDEX - 1, STORAGE_KEY, STORAGE_KEY, &bound, fresh);
    disks.edit_table("n2", |rows| rows.insert(row_key(INDEX), value).unwrap());
    let audit = disks.audit();
    let found = &converged(&audit).findings[0];
    assert_eq!(found.anomaly, "row-differs", "{audit}");
}

#[test]
fn a_replica_that_is_behind_is_no_other() {
    let disks = Disks::whole();
    disks.edit_table("n3", |rows| {
        (INDEX + 1..=90).for_each(|index| rows.remove(row_key(index)).unwrap());
        rows.insert("_meta_applied_index", INDEX.to_le_bytes())
            .unwrap();
    });
    let audit = disks.audit();
    assert_eq!(converged(&audit).verdict, Verdict::Valid, "{audit}");
    // It must still have what it has applied.
    disks.edit_table("n3", |rows| rows.remove(row_key(INDEX)).unwrap());
    let audit = disks.audit();
    assert_eq!(converged(&audit).verdict, Verdict::Violated, "{audit}");
}

#[test]
fn what_does_not_open_is_not_compared() {
    let disks = Disks::whole();
    let mut subject = disks.subject();
    subject.kek = None;
    let audit = keyquake_audit::audit(&subject).unwrap();
    let shut = converged(&audit);
    // The 30 rows from before phase 1 are in the clear, and one that is deleted.
    assert!(shut.reason.contains("31 rows of n1"), "{audit}");
    // A state that does not say how far it is can't be compared with any other.
    for node in ["n1", "n2"] {
        disks.edit_table(node, |rows| rows.remove("_meta_applied_index").unwrap());
    }
    let audit = disks.audit();
    assert_eq!(converged(&audit).verdict, Verdict::Inconclusive, "{audit}");
}
