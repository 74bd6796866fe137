//! Which bug shows how, and the test of it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use keyquake_node::bugs;

use crate::symptom::{Finding, Symptom};
use crate::{
    barrier, capability, failover, gates, guards, halts, life, rotations, snapshots, starts, syncs,
    window,
};

/// Clusters at once: they mostly wait for elections and disks.
const AT_ONCE: usize = 6;

/// What is done to a cluster, the same with a bug and without.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scenario {
    Life,
    Minority,
    Failover,
    Snapshots,
    Starts,
    Halts,
    Gates,
    Guards,
    Capability,
    Members,
    Barrier,
    Rotations,
    Syncs,
    Window,
}

use Scenario as On;
use Symptom as Shows;

/// Every bug, where it shows, and as what.
const ROWS: &[(&str, Scenario, Symptom)] = &[
    ("stale-read", On::Minority, Shows::StaleRead),
    ("lost-write", On::Failover, Shows::LostWrite),
    ("double-apply", On::Failover, Shows::DoubledAppend),
    ("snapshot-drops-rows", On::Snapshots, Shows::ReplicasDiffer),
    (
        "follower-drops-writes",
        On::Snapshots,
        Shows::ReplicasDiffer,
    ),
    ("leader-hesitates", On::Failover, Shows::LeaderIdle),
    (
        "refused-yet-applied",
        On::Failover,
        Shows::RefusedButApplied,
    ),
    ("cleartext-values", On::Life, Shows::ClearRow),
    ("value-in-temporary", On::Life, Shows::ValueInFile),
    ("nonce-counter-restarts", On::Life, Shows::NonceTwice),
    ("epoch-restarts", On::Starts, Shows::NonceTwice),
    ("nonce-random", On::Life, Shows::NonceForm),
    ("nonce-of-another", On::Life, Shows::NonceForm),
    ("aad-without-key", On::Life, Shows::OpensWithoutKey),
    ("wrong-key-id", On::Life, Shows::WrongKeyId),
    ("cleartext-above-cutover", On::Life, Shows::ClearEntry),
    (
        "snapshot-loses-cutover",
        On::Snapshots,
        Shows::SnapshotCutover,
    ),
    ("cutover-entry-sealed", On::Life, Shows::CutoverIndexWrong),
    ("bootstrap-replaces-keys", On::Life, Shows::KeysReplaced),
    ("follower-keeps-old-key", On::Life, Shows::SidecarsDisagree),
    ("sidecar-not-synced", On::Syncs, Shows::SidecarFileNotSynced),
    (
        "sidecar-dir-not-synced",
        On::Syncs,
        Shows::SidecarFolderNotSynced,
    ),
    ("sidecar-late", On::Life, Shows::SidecarLate),
    ("sidecar-index-goes-back", On::Life, Shows::SidecarWentBack),
    ("epoch-not-synced", On::Life, Shows::EpochAheadOfSidecar),
    ("seals-unregistered", On::Life, Shows::UnregisteredEpoch),
    (
        "learner-without-rows",
        On::Members,
        Shows::LearnerWithoutRows,
    ),
    ("registry-takes-lower", On::Life, Shows::EpochWentBack),
    ("kek-in-log", On::Life, Shows::KekInLog),
    ("dek-in-temporary", On::Life, Shows::DekInFile),
    ("dek-in-answer", On::Life, Shows::DekInAnswer),
    ("rotation-drops-old-key", On::Life, Shows::KeyGone),
    ("phase-one-turns-off", On::Life, Shows::PhaseOff),
    ("gate-two-of-three", On::Gates, Shows::AcceptedWithoutFlag),
    ("6a-proposes", On::Gates, Shows::AcceptedBy6a),
    ("6a-skips", On::Halts, Shows::HaltPassed),
    ("halt-advances", On::Halts, Shows::AppliedMovedAtHalt),
    ("halted-serves", On::Halts, Shows::HaltedReadWrong),
    (
        "refuses-after-snapshot",
        On::Snapshots,
        Shows::RefusedToStart,
    ),
    ("replay-halts", On::Life, Shows::RefusedToStart),
    ("state-before-sidecar", On::Window, Shows::RefusedToStart),
    ("halt-leaves-mark", On::Halts, Shows::NotRecovered),
    (
        "capability-forgets-learners",
        On::Capability,
        Shows::CutOverWithIncapable,
    ),
    (
        "capability-trusts-silence",
        On::Capability,
        Shows::CutOverWithSilent,
    ),
    (
        "capable-without-flag",
        On::Capability,
        Shows::CutOverWithIncapable,
    ),
    ("guard-repairs", On::Starts, Shows::StartedWithOldSidecar),
    (
        "guard-consumes-epoch",
        On::Starts,
        Shows::RefusedStartChanged,
    ),
    ("guard-skips-kek", On::Starts, Shows::StartedWithWrongKek),
    ("starts-without-kek", On::Guards, Shows::StartedUnguarded),
    ("starts-without-sync", On::Guards, Shows::StartedUnguarded),
    ("starts-exhausted", On::Guards, Shows::StartedUnguarded),
    ("starts-with-old-epoch", On::Guards, Shows::StartedUnguarded),
    ("starts-with-twin", On::Guards, Shows::StartedUnguarded),
    (
        "starts-on-other-cutover",
        On::Guards,
        Shows::StartedUnguarded,
    ),
    ("epoch-truncated", On::Guards, Shows::EpochOverSixteenBits),
    (
        "cuts-over-without-keys",
        On::Guards,
        Shows::CutOverWithoutKeys,
    ),
    ("barrier-loses-write", On::Barrier, Shows::BarrierLost),
    ("barrier-doubles-write", On::Barrier, Shows::BarrierDoubled),
    ("barrier-stays-shut", On::Barrier, Shows::BarrierShut),
    ("cutover-moves", On::Life, Shows::CutoverMoved),
    ("rotates-on-follower", On::Rotations, Shows::FollowerRotated),
    ("rotates-twice", On::Rotations, Shows::RotatedTwice),
    ("adds-incapable", On::Members, Shows::AddedIncapable),
    ("starts-without-flag", On::Starts, Shows::StartedWithoutFlag),
];

async fn play(scenario: Scenario, bug: Option<&'static str>) -> Vec<Finding> {
    match scenario {
        Scenario::Life => life::life(bug).await,
        Scenario::Minority => failover::minority(bug).await,
        Scenario::Failover => failover::failover(bug).await,
        Scenario::Snapshots => snapshots::snapshots(bug).await,
        Scenario::Starts => starts::starts(bug).await,
        Scenario::Halts => halts::halts(bug).await,
        Scenario::Guards => guards::guards(bug).await,
        Scenario::Gates => gates::gates(bug).await,
        Scenario::Capability => capability::cutovers(bug).await,
        Scenario::Members => capability::members(bug).await,
        Scenario::Barrier => barrier::barrier(bug).await,
        Scenario::Rotations => rotations::rotations(bug).await,
        Scenario::Syncs => syncs::syncs(bug).await,
        Scenario::Window => window::window(bug).await,
    }
}

#[test]
fn every_bug_has_its_row() {
    let rows: Vec<_> = ROWS.iter().map(|(bug, ..)| *bug).collect();
    let bugs: Vec<_> = bugs::catalogue().iter().map(|info| info.name).collect();
    assert_eq!(rows, bugs, "one row for each bug, in the catalogue's order");
}

#[test]
fn every_bug_shows_and_only_when_it_is_on() {
    let only = std::env::var("KEYQUAKE_BUG").ok();
    let wanted = |bug: &str| only.as_deref().is_none_or(|only| only == bug);
    let rows: Vec<_> = ROWS.iter().filter(|(bug, ..)| wanted(bug)).collect();
    assert!(!rows.is_empty(), "no bug is called {only:?}");
    // Every bug, then the clean run of each scenario; those that stand still come last in the
    // catalogue and are begun first.
    let mut plays: Vec<Play> = rows.iter().map(|(bug, on, _)| (*on, Some(*bug))).collect();
    plays.reverse();
    let clean: BTreeSet<Play> = rows.iter().map(|(_, on, _)| (*on, None)).collect();
    plays.extend(clean);
    let played = play_all(plays);
    let mut complaints = Vec::new();
    for ((scenario, bug), outcome) in played {
        let shows = rows.iter().find(|(name, ..)| Some(*name) == bug);
        let shows = shows.map(|(.., symptom)| *symptom);
        if let Some(complaint) = judge(shows, &outcome) {
            let bug = bug.unwrap_or("no bug");
            complaints.push(format!("{bug} ({scenario:?}): {complaint}"));
        }
    }
    assert!(complaints.is_empty(), "\n{}", complaints.join("\n"));
}

type Outcome = Result<Vec<Finding>, String>;
type Play = (Scenario, Option<&'static str>);

/// Plays all, a few at a time, each on a thread of its own.
fn play_all(plays: Vec<Play>) -> BTreeMap<Play, Outcome> {
    let waiting = Mutex::new(VecDeque::from(plays));
    let played = Mutex::new(BTreeMap::new());
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                loop {
                    let Some(next) = locked(&waiting).pop_front() else {
                        break;
                    };
                    let outcome = play_one(next);
                    locked(&played).insert(next, outcome);
                }
            });
        }
    });
    played.into_inner().unwrap_or_else(PoisonError::into_inner)
}

fn locked<T>(what: &Mutex<T>) -> MutexGuard<'_, T> {
    what.lock().unwrap_or_else(PoisonError::into_inner)
}

fn play_one((scenario, bug): Play) -> Outcome {
    let from = std::time::Instant::now();
    let outcome = std::panic::catch_unwind(|| {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime");
        runtime.block_on(play(scenario, bug))
    });
    let outcome = outcome.map_err(|cause| {
        let text = cause.downcast_ref::<String>().cloned();
        text.unwrap_or_else(|| "it panicked; see above".to_owned())
    });
    let (name, took) = (bug.unwrap_or("no bug"), from.elapsed().as_millis());
    println!("{name} ({scenario:?}, {took} ms):");
    let mut kinds = BTreeMap::new();
    for finding in outcome.iter().flatten() {
        kinds.entry(finding.symptom).or_insert(&finding.what);
    }
    for (symptom, what) in kinds {
        println!("  {symptom:?}: {what:.300}");
    }
    outcome
}

/// What is not as it must be.
fn judge(shows: Option<Symptom>, outcome: &Outcome) -> Option<String> {
    let found = match outcome {
        Ok(found) => found,
        Err(error) => return Some(format!("the test itself failed: {error}")),
    };
    match shows {
        None if found.is_empty() => None,
        None => Some(format!("found {:#?}", &found[..found.len().min(5)])),
        Some(symptom) if found.iter().all(|f| f.symptom != symptom) => {
            let seen: BTreeSet<_> = found.iter().map(|f| f.symptom).collect();
            Some(format!("no {symptom:?}; found {seen:?}"))
        }
        Some(_) => {
            let broken = [Symptom::Stuck, Symptom::NotReadBack];
            let stuck = found.iter().find(|f| broken.contains(&f.symptom));
            stuck.map(|finding| format!("the store does not go on: {}", finding.what))
        }
    }
}
