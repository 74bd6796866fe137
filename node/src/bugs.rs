//! Seeded bugs: each breaks one named invariant, is off by default, and exists
//! so that the suite can prove it would find it.

use std::str::FromStr;
use std::sync::OnceLock;

/// What a person needs to know about a [`Bug`].
#[derive(Clone, Copy, Debug)]
pub struct BugInfo {
    /// The bug itself.
    pub bug: Bug,
    /// The name used on the command line.
    pub name: &'static str,
    /// What the store does wrong.
    pub does: &'static str,
    /// The invariant a checker must report as violated.
    pub breaks: &'static str,
}

macro_rules! bugs {
    ($($variant:ident $name:literal breaks $breaks:literal: $does:literal,)*) => {
        /// A defect that can be switched on with `--bug NAME`.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Bug {
            $(#[doc = $does] $variant,)*
        }

        const CATALOGUE: &[BugInfo] = &[
            $(BugInfo { bug: Bug::$variant, name: $name, does: $does, breaks: $breaks },)*
        ];
    };
}

bugs! {
    StaleRead "stale-read" breaks "LIN":
        "serves reads from the local state of whatever node is asked, without a read index and without forwarding",
    LostWrite "lost-write" breaks "LIN":
        "a leader acknowledges a write once it is in its own log and ships it to the others up to 100 ms later, so that writes are lost when leadership changes",
    DoubleApply "double-apply" breaks "SSER":
        "a freshly elected leader, which learns of commits only from heartbeats, proposes again the RPUSH-carrying entries of its log's tail that it did not know to be committed",
    SnapshotDropsRows "snapshot-drops-rows" breaks "DUR":
        "a snapshot file leaves out every 16th row, unless it is one of the keys",
    FollowerDropsWrites "follower-drops-writes" breaks "CONV":
        "a follower skips every 50th command that it applies",
    LeaderHesitates "leader-hesitates" breaks "AVAIL":
        "a leader elected in any but the first term takes no writes for 60 seconds",
    RefusedYetApplied "refused-yet-applied" breaks "ERR":
        "one write in 100 is proposed and yet answered with `write conflict`",
    CleartextValues "cleartext-values" breaks "ENC-PLAIN":
        "after phase 1, one value in 20 is stored in the clear",
    ValueInTemporary "value-in-temporary" breaks "ENC-PLAIN":
        "the last written value is kept in a temporary file beside the state",
    NonceCounterRestarts "nonce-counter-restarts" breaks "ENC-NONCE":
        "the write counter of storage nonces starts again at 1 after 500 values",
    EpochRestarts "epoch-restarts" breaks "ENC-NONCE":
        "a restart seals under the epoch of the process before it",
    NonceRandom "nonce-random" breaks "ENC-NONCE-FORM":
        "storage nonces are random bytes",
    NonceOfLeader "nonce-of-another" breaks "ENC-NONCE-FORM":
        "storage nonces carry a node id that is nobody's",
    AadWithoutKey "aad-without-key" breaks "ENC-OPEN":
        "a storage envelope's AAD leaves out the row's key",
    WrongKeyId "wrong-key-id" breaks "ENC-OPEN":
        "after a rotation, values are sealed under the old key and say that it is the new one",
    CleartextAboveCutover "cleartext-above-cutover" breaks "ENC-BOUNDARY":
        "a leader puts one entry in 20 above the cutover into the log in the clear, and everyone takes it",
    SnapshotLosesCutover "snapshot-loses-cutover" breaks "ENC-BOUNDARY":
        "snapshot files have no cutover in their header",
    CutoverEntrySealed "cutover-entry-sealed" breaks "ENC-BOUNDARY":
        "the cutover index that replicas keep is one too low, so that the cutover entry itself is above it",
    BootstrapReplacesKeys "bootstrap-replaces-keys" breaks "ENC-ORDER":
        "a second bootstrap replaces the keys of the first",
    FollowerKeepsOldKey "follower-keeps-old-key" breaks "ENC-AGREE":
        "nodes whose full id is even go on naming, and using, the old storage key after a rotation",
    SidecarNotSynced "sidecar-not-synced" breaks "ENC-SIDECAR-DURABLE":
        "a sidecar is renamed into place without having been fsynced",
    SidecarDirNotSynced "sidecar-dir-not-synced" breaks "ENC-SIDECAR-DURABLE":
        "the folder of a sidecar is not fsynced after the rename",
    SidecarLate "sidecar-late" breaks "ENC-SIDECAR-DURABLE":
        "a rotation is acknowledged at once and its sidecar written two seconds later",
    SidecarIndexGoesBack "sidecar-index-goes-back" breaks "ENC-SIDECAR-MONO":
        "a start writes its sidecar with a raft_applied_index one lower than it was",
    EpochNotSynced "epoch-not-synced" breaks "ENC-EPOCH":
        "the epoch of a start is used at once and written to the sidecar ten seconds later, and used again when the process ends before",
    SealsUnregistered "seals-unregistered" breaks "ENC-EPOCH":
        "a process seals under its new epoch without registering it",
    LearnerWithoutRows "learner-without-rows" breaks "ENC-REGISTRY":
        "a learner is added without registry rows and never registers",
    RegistryTakesLower "registry-takes-lower" breaks "ENC-REGISTRY":
        "a registration with a lower epoch is accepted and puts last_seen back",
    KekInLog "kek-in-log" breaks "ENC-KEYS-SECRET":
        "a start logs the KEK in hex",
    DekInTemporary "dek-in-temporary" breaks "ENC-KEYS-SECRET":
        "an unwrapped DEK is left in a temporary file beside the state",
    DekInAnswer "dek-in-answer" breaks "ENC-KEYS-SECRET":
        "GetSidecarState answers with unwrapped DEKs",
    RotationDropsOldKey "rotation-drops-old-key" breaks "ENC-RETIRE":
        "a rotation takes the old storage key out of the sidecar at once, while values are still sealed under it",
    PhaseOneTurnsOff "phase-one-turns-off" breaks "ENC-ONEWAY":
        "a restart forgets that phase 1 is on: the sidecar says so, and values lie in the clear until the next rotation",
    GateTwoOfThree "gate-two-of-three" breaks "ROL-GATE":
        "mutators do not look whether --encryption-enabled is set",
    InertProposes "6a-proposes" breaks "ROL-6A-INERT":
        "a 6A takes RegisterEncryptionWriter and proposes it",
    HaltSkips "6a-skips" breaks "ROL-HALT":
        "a member that cannot apply an encryption entry skips it",
    HaltAdvances "halt-advances" breaks "ROL-HALT":
        "a member that halts has moved its applied index past the entry first",
    HaltedServes "halted-serves" breaks "ROL-HALT":
        "a halted member stays up and answers reads from its own state",
    RefusesAfterSnapshot "refuses-after-snapshot" breaks "ROL-RESTART":
        "a start is refused when the log no longer holds the last encryption entry",
    ReplayHalts "replay-halts" breaks "ROL-RESTART":
        "a restart whose log still has the bootstrap entry is refused: the cluster is bootstrapped already",
    StateBeforeSidecar "state-before-sidecar" breaks "ROL-RESTART":
        "a rotation is in the state 50 ms before it is in the sidecar, so that a node killed in between refuses to start",
    HaltLeavesMark "halt-leaves-mark" breaks "ROL-RECOVER":
        "a halt leaves a mark on disk that no later start gets past",
    CapabilityForgetsLearners "capability-forgets-learners" breaks "ROL-CAPABLE":
        "a cutover asks only voters whether they are capable",
    CapabilityTrustsSilence "capability-trusts-silence" breaks "ROL-CAPABLE":
        "a member that cannot be asked counts as capable",
    CapableWithoutFlag "capable-without-flag" breaks "ROL-CAPABLE":
        "a member says that it is capable as soon as it has a sidecar path, whatever its flag and KEK",
    GuardRepairs "guard-repairs" breaks "ROL-REFUSE":
        "a start whose sidecar is behind the log writes a new one instead of refusing",
    GuardConsumesEpoch "guard-consumes-epoch" breaks "ROL-REFUSE":
        "a refused start has raised the sidecar's epoch first",
    GuardSkipsKek "guard-skips-kek" breaks "ROL-REFUSE":
        "a start does not look whether the sidecar's keys open under its KEK",
    StartsWithoutKek "starts-without-kek" breaks "ROL-REFUSE":
        "a start with --encryption-enabled and without --kekFile is not refused",
    StartsWithoutSync "starts-without-sync" breaks "ROL-REFUSE":
        "a start whose sidecar's folder cannot be synced is not refused",
    StartsExhausted "starts-exhausted" breaks "ROL-REFUSE":
        "a start under a key whose epochs are used up is not refused, and seals under the last one again",
    StartsWithOldEpoch "starts-with-old-epoch" breaks "ROL-REFUSE":
        "a start whose sidecar has an epoch that is behind the registry is not refused",
    StartsWithTwin "starts-with-twin" breaks "ROL-REFUSE":
        "a start in a cluster of which two members share the 16 bits of their ids is not refused",
    StartsOnOtherCutover "starts-on-other-cutover" breaks "ROL-REFUSE":
        "a start whose sidecar has another cutover index than its snapshot is not refused",
    EpochTruncated "epoch-truncated" breaks "ROL-REFUSE":
        "a local_epoch of more than 16 bits on the wire is cut to its lowest 16",
    CutsOverWithoutKeys "cuts-over-without-keys" breaks "ROL-REFUSE":
        "enable-raft-envelope before the bootstrap is accepted, and does nothing",
    BarrierLosesWrite "barrier-loses-write" breaks "ROL-BARRIER":
        "a write that waits behind the phase-2 barrier is acknowledged and dropped",
    BarrierDoublesWrite "barrier-doubles-write" breaks "ROL-BARRIER":
        "a write that waits behind the phase-2 barrier is proposed twice",
    BarrierStaysShut "barrier-stays-shut" breaks "ROL-BARRIER":
        "the phase-2 barrier is not lifted after the cutover",
    CutoverMoves "cutover-moves" breaks "ROL-IDEMPOTENT":
        "a repeated enable-raft-envelope is proposed again and moves the cutover index",
    RotatesOnFollower "rotates-on-follower" breaks "ROL-STARTUP-ROTATE":
        "with rotate-on-startup, a follower asks the leader to rotate",
    RotatesTwice "rotates-twice" breaks "ROL-STARTUP-ROTATE":
        "with rotate-on-startup, a leader rotates twice",
    AddsIncapable "adds-incapable" breaks "ROL-MEMBER":
        "after phase 1, a member is added without being asked whether it is capable",
    StartsWithoutFlag "starts-without-flag" breaks "ROL-DOWNGRADE":
        "a start without --encryption-enabled is not refused though there is a sidecar",
}

/// The bugs of this process.
static ON: OnceLock<Vec<Bug>> = OnceLock::new();

/// Every seeded bug there is.
pub fn catalogue() -> &'static [BugInfo] {
    CATALOGUE
}

/// Switches bugs on, once, for as long as this process runs: a process is one node.
pub fn switch_on(bugs: &[Bug]) {
    // A second node in one process would keep the first one's bugs; there is none.
    let _ = ON.set(bugs.to_vec());
}

/// Whether a bug is on.
pub fn on(bug: Bug) -> bool {
    ON.get().is_some_and(|bugs| bugs.contains(&bug))
}

impl Bug {
    /// The name used on the command line.
    pub fn name(self) -> &'static str {
        CATALOGUE[self as usize].name
    }
}

impl FromStr for Bug {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        CATALOGUE
            .iter()
            .find(|info| info.name == text)
            .map(|info| info.bug)
            .ok_or_else(|| {
                let names: Vec<_> = CATALOGUE.iter().map(|info| info.name).collect();
                format!("unknown bug '{text}'; known: {}", names.join(", "))
            })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// Every invariant that a store can break; the suite's own are not among them.
    const INVARIANTS: &str = "LIN SSER DUR CONV AVAIL ERR \
        ENC-PLAIN ENC-NONCE ENC-NONCE-FORM ENC-OPEN ENC-BOUNDARY ENC-ORDER ENC-AGREE \
        ENC-SIDECAR-DURABLE ENC-SIDECAR-MONO ENC-EPOCH ENC-REGISTRY ENC-KEYS-SECRET \
        ENC-RETIRE ENC-ONEWAY \
        ROL-GATE ROL-6A-INERT ROL-HALT ROL-RESTART ROL-RECOVER ROL-CAPABLE ROL-REFUSE \
        ROL-BARRIER ROL-IDEMPOTENT ROL-STARTUP-ROTATE ROL-MEMBER ROL-DOWNGRADE";

    #[test]
    fn every_invariant_has_a_bug_that_breaks_it() {
        let all: BTreeSet<&str> = INVARIANTS.split_whitespace().collect();
        let broken: BTreeSet<&str> = catalogue().iter().map(|info| info.breaks).collect();
        assert_eq!(all, broken);
    }

    #[test]
    fn every_bug_is_found_by_its_name() {
        for (place, info) in catalogue().iter().enumerate() {
            assert_eq!(info.bug as usize, place);
            assert_eq!(info.name.parse(), Ok(info.bug));
            assert_eq!(info.bug.name(), info.name);
            assert!(!on(info.bug));
        }
    }
}
