//! What can be seen to be wrong from outside.

/// A kind of wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Symptom {
    // Histories.
    StaleRead,
    LostWrite,
    DoubledAppend,
    LeaderIdle,
    RefusedButApplied,
    ReplicasDiffer,
    /// What was acknowledged is not read back.
    NotReadBack,
    // Values and entries.
    ClearRow,
    ClearEntry,
    SealedEntryBelowCutover,
    ValueInFile,
    NonceTwice,
    NonceForm,
    OpensWithoutKey,
    WrongKeyId,
    DoesNotOpen,
    UnregisteredEpoch,
    EpochAheadOfSidecar,
    // Sidecars, registry, snapshots.
    KeysReplaced,
    CutoverMoved,
    CutoverIndexWrong,
    SnapshotCutover,
    SidecarsDisagree,
    SidecarLate,
    SidecarWentBack,
    SidecarFileNotSynced,
    SidecarFolderNotSynced,
    KeyGone,
    PhaseOff,
    LearnerWithoutRows,
    EpochWentBack,
    // Secrets.
    KekInLog,
    DekInFile,
    DekInAnswer,
    // The roll-out.
    AcceptedWithoutFlag,
    AcceptedBy6a,
    HaltPassed,
    AppliedMovedAtHalt,
    HaltedReadWrong,
    RefusedToStart,
    NotRecovered,
    CutOverWithIncapable,
    CutOverWithSilent,
    AddedIncapable,
    StartedWithOldSidecar,
    StartedWithWrongKek,
    StartedWithoutFlag,
    StartedUnguarded,
    CutOverWithoutKeys,
    EpochOverSixteenBits,
    RefusedStartChanged,
    BarrierLost,
    BarrierDoubled,
    BarrierShut,
    FollowerRotated,
    RotatedTwice,
    // Never what a bug is for, unless its row says so.
    Stuck,
}

/// Something wrong, with what it rests on.
#[derive(Clone, Debug)]
pub struct Finding {
    pub symptom: Symptom,
    pub what: String,
}
