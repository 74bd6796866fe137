//! Nodes that stop anywhere in the same log never differ; one that skipped an entry does as soon
//! as that can be seen.

use proptest::prelude::*;

use super::*;

/// An entry of the log: sets a key to its own index, or deletes it.
#[derive(Clone, Copy, Debug)]
struct Write {
    key: u8,
    deletes: bool,
}

/// The state of a node that has applied so many entries, but for one of them.
fn replica(node: &str, log: &[Write], applied: usize, skips: Option<usize>) -> Replica {
    let mut rows = BTreeMap::new();
    for (at, write) in log.iter().enumerate().take(applied) {
        if skips == Some(at) {
            continue;
        }
        let (key, index) = (vec![write.key], at as u64 + 1);
        let digest = Some(index);
        match write.deletes {
            true => rows.remove(&key),
            false => rows.insert(key, Version { index, digest }),
        };
    }
    Replica {
        node: node.to_owned(),
        path: PathBuf::from("fsm.db"),
        applied: applied as u64,
        stamps: Stamps::Indexes,
        rows,
    }
}

fn found(all: Vec<Replica>) -> u64 {
    let apart = Vec::new();
    let mut findings = Findings::default();
    let compared = Replicas { all, apart }.compare(&mut findings);
    let (found, _) = findings.of(Invariant::Converged);
    assert!(found == 0 || compared.is_ok());
    found
}

fn log() -> impl Strategy<Value = Vec<Write>> {
    let write = (0..6_u8, prop::bool::weighted(0.2));
    let write = write.prop_map(|(key, deletes)| Write { key, deletes });
    prop::collection::vec(write, 1..40)
}

proptest! {
    #[test]
    fn no_stop_is_a_difference(log in log(), one in 0..40_usize, other in 0..40_usize, third in 0..40_usize) {
        let stops = [one, other, third].map(|stop| stop.min(log.len()));
        let names = ["n1", "n2", "n3"];
        let all = names.iter().zip(stops);
        let all = all.map(|(name, stop)| replica(name, &log, stop, None)).collect();
        prop_assert_eq!(found(all), 0);
    }

    /// At one index, a skipped write is seen exactly where it left something else behind.
    #[test]
    fn what_was_skipped_is_seen(log in log(), skipped in 0..40_usize) {
        let skips = skipped % log.len();
        let whole = replica("n1", &log, log.len(), None);
        let other = replica("n2", &log, log.len(), Some(skips));
        let differs = whole.rows != other.rows;
        prop_assert_eq!(found(vec![whole, other]) > 0, differs);
    }

    /// A node that is ahead, or behind, is compared in what both must have.
    #[test]
    fn what_was_skipped_is_seen_from_elsewhere(log in log(), skipped in 0..40_usize, stop in 0..40_usize) {
        let skips = skipped % log.len();
        let stop = stop.clamp(skips, log.len());
        let last = log.iter().rposition(|write| write.key == log[skips].key);
        let behind = replica("n2", &log, stop, Some(skips));
        // Further than the other in any case, by an entry about something else.
        let more = [&log[..], &[Write { key: 200, deletes: false }]].concat();
        let ahead = replica("n1", &more, more.len(), None);
        let is_seen = last == Some(skips) && !log[skips].deletes && stop > skips;
        prop_assert_eq!(found(vec![ahead, behind]) > 0, is_seen);
    }
}

#[test]
fn nothing_in_common_is_not_the_same() {
    let log = [0, 1, 0, 1].map(|key| Write {
        key,
        deletes: false,
    });
    let mut findings = Findings::default();
    let (behind, ahead) = (replica("n1", &log, 2, None), replica("n2", &log, 4, None));
    let replicas = Replicas {
        all: vec![behind, ahead],
        apart: Vec::new(),
    };
    let told = replicas.compare(&mut findings);
    assert_eq!(
        told,
        Err("n1 stands at 2, and has no row in common with n2 at 4".to_owned())
    );
    assert!(Replicas::default().compare(&mut findings).is_err());
}

/// Times of a clock say nothing of what a node has applied: they are compared at the same index only.
#[test]
fn where_a_clock_stamps_rows_only_the_same_index_is_compared() {
    let log = [0, 1, 0, 1].map(|key| Write {
        key,
        deletes: false,
    });
    let clocked = |node: &str, stop: usize, skips: Option<usize>| {
        let mut replica = replica(node, &log, stop, skips);
        replica.stamps = Stamps::Clock;
        for version in replica.rows.values_mut() {
            version.index += 1 << 60;
        }
        replica
    };
    let whole = || clocked("n1", 4, None);
    assert_eq!(found(vec![whole(), clocked("n2", 4, None)]), 0);
    assert_eq!(found(vec![whole(), clocked("n2", 4, Some(3))]), 1);
    let apart = Vec::new();
    let all = vec![whole(), clocked("n2", 3, None)];
    let mut findings = Findings::default();
    let replicas = Replicas { all, apart };
    assert!(!replicas.several() && replicas.compare(&mut findings).is_err());
    assert_eq!(findings.of(Invariant::Converged).0, 0);
}
