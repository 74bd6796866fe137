//! What an answer to an admin call means, by its code and text.
//!
//! A refusal is definite: nothing was proposed, or what was proposed did nothing. What is
//! not in the table may have been committed.

use thiserror::Error;
use tonic::{Code, Status};

macro_rules! refusals {
    ($($(#[$doc:meta])* $variant:ident = $name:literal,)*) => {
        /// Why the store said no, by name.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Refusal { $($(#[$doc])* $variant,)* }

        impl Refusal {
            /// The name that scripts may rely on.
            pub fn name(self) -> &'static str {
                match self { $(Refusal::$variant => $name,)* }
            }
        }
    };
}

refusals! {
    /// The node has not all of flag, KEK and sidecar path, or its release cannot propose.
    ProposerNotConfigured = "proposer-not-configured",
    /// The node does not lead.
    NotLeader = "not-leader",
    /// The node leads, but no majority confirmed it.
    LeaderNotVerified = "leader-not-verified",
    /// There are no keys yet.
    NotBootstrapped = "not-bootstrapped",
    /// The node has no sidecar file yet.
    SidecarMissing = "sidecar-missing",
    /// The node was started without `--encryptionSidecarPath`.
    SidecarPathNotConfigured = "sidecar-path-not-configured",
    /// The node cannot read its sidecar.
    SidecarUnreadable = "sidecar-unreadable",
    /// A member did not answer whether it is capable.
    MemberUnreachable = "member-unreachable",
    /// A member is not capable.
    MemberNotCapable = "member-not-capable",
    /// The members could not be asked whether they are capable.
    CapabilityNotChecked = "capability-not-checked",
    /// A rotation came between; nothing was cut over, and trying again is safe.
    RacedRotation = "raced-rotation",
    /// The store has several Raft groups.
    SeveralGroups = "several-groups",
    /// Another change did not end in time.
    AnotherChangePending = "another-change-pending",
    /// Writes in flight did not end in time; the barrier is open again.
    WritesNotDrained = "writes-not-drained",
    /// An earlier cutover ended in doubt; the node must be restarted.
    CutoverUnsafe = "cutover-unsafe",
    /// This build of the store keeps the cutover shut.
    CutoverNotWired = "cutover-not-wired",
    /// There are keys, and a bootstrap never replaces them.
    AlreadyBootstrapped = "already-bootstrapped",
    /// The wrapped key does not open under the cluster's KEK.
    KekMismatch = "kek-mismatch",
    /// The key id has other bytes already.
    KeyIdUsed = "key-id-used",
    /// There is no such key.
    KeyUnknown = "key-unknown",
    /// The writer has registered a later epoch.
    EpochBehindRegistry = "epoch-behind-registry",
    /// The proposer has registered another epoch.
    EpochNotRegistered = "epoch-not-registered",
    /// The proposer has not registered under the key yet.
    WriterNotRegistered = "writer-not-registered",
    /// A member has not registered under the key yet.
    MemberNotRegistered = "member-not-registered",
    /// The proposer is not a member.
    NotAMember = "not-a-member",
    /// Two writers share the 16 bits that go into nonces.
    NodeIdCollision = "node-id-collision",
    /// The bootstrap does not name every member at epoch 0.
    WriterBatch = "writer-batch",
    /// The rotation on startup has not completed.
    RotationPending = "rotation-pending",
    /// The membership has changed since it was looked at.
    ConfigurationChanged = "configuration-changed",
    /// A learner is not where it has to be to get a vote.
    NotCaughtUp = "not-caught-up",
    /// The node has its vote, or is no member.
    NotALearner = "not-a-learner",
    /// The node's release does not know the call.
    CallUnknown = "call-unknown",
}

/// How an answer that is not an acceptance is to be taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// Nothing was done, for this reason.
    Refused(Refusal),
    /// Nothing was done: the arguments are wrong.
    InvalidArgument,
    /// It was committed, and every replica that applies it halts.
    Halts,
    /// It may have been committed.
    Indeterminate,
}

/// A row of the table: an answer of one of these codes that holds this text.
pub struct Row {
    /// gRPC codes it comes with.
    pub codes: &'static [Code],
    /// A stable piece of its text.
    pub text: &'static str,
    /// What it means.
    pub class: Class,
}

const PRECONDITION: &[Code] = &[Code::FailedPrecondition];
const CUT_SHORT: &[Code] = &[Code::Cancelled, Code::DeadlineExceeded];
const REFUSED_OR_CUT: &[Code] = &[
    Code::FailedPrecondition,
    Code::Cancelled,
    Code::DeadlineExceeded,
];
const NOT_IN_TIME: &[Code] = &[Code::Cancelled, Code::DeadlineExceeded, Code::Unavailable];
const ANY: &[Code] = &[
    Code::FailedPrecondition,
    Code::Cancelled,
    Code::DeadlineExceeded,
    Code::Unavailable,
    Code::Internal,
    Code::Unknown,
];

const fn row(codes: &'static [Code], text: &'static str, class: Class) -> Row {
    Row { codes, text, class }
}

const fn refused(codes: &'static [Code], text: &'static str, refusal: Refusal) -> Row {
    row(codes, text, Class::Refused(refusal))
}

/// The store's answers. The first row that fits counts: the store wraps its errors, so what
/// says "committed" stands above what says "refused".
#[rustfmt::skip]
pub const ROWS: &[Row] = &[
    row(ANY, "FSM-requested apply halt", Class::Halts),
    refused(&[Code::InvalidArgument], "16-bit node_id collision", Refusal::NodeIdCollision),
    row(&[Code::InvalidArgument], "", Class::InvalidArgument),
    refused(PRECONDITION, "VerifyLeader failed", Refusal::LeaderNotVerified),
    refused(CUT_SHORT, "VerifyLeader canceled", Refusal::LeaderNotVerified),
    refused(CUT_SHORT, "VerifyLeader deadline exceeded", Refusal::LeaderNotVerified),
    refused(REFUSED_OR_CUT, "encryption: LinearizableRead", Refusal::LeaderNotVerified),
    // A leader that lost its office, or hands it over, may have committed before.
    row(PRECONDITION, "leadership lost", Class::Indeterminate),
    row(PRECONDITION, "leadership transfer", Class::Indeterminate),
    refused(PRECONDITION, "rejected by raft engine: etcd raft engine is not leader", Refusal::NotLeader),
    row(PRECONDITION, "rejected by raft engine", Class::Indeterminate),
    row(NOT_IN_TIME, "encryption: propose 0x", Class::Indeterminate),
    refused(PRECONDITION, "proposer is not configured on this node", Refusal::ProposerNotConfigured),
    refused(PRECONDITION, "encryption: not leader", Refusal::NotLeader),
    refused(PRECONDITION, "etcd raft engine is not leader", Refusal::NotLeader),
    refused(PRECONDITION, "membership change refused (unreachable member", Refusal::MemberUnreachable),
    refused(PRECONDITION, "ErrPeerNotEncryptionCapable", Refusal::MemberNotCapable),
    refused(PRECONDITION, "writer registry uint16 collision", Refusal::NodeIdCollision),
    refused(PRECONDITION, "configuration index does not match", Refusal::ConfigurationChanged),
    refused(PRECONDITION, "blocked by pending config change", Refusal::AnotherChangePending),
    refused(PRECONDITION, "has not caught up to min_applied_index", Refusal::NotCaughtUp),
    refused(PRECONDITION, "target is not a learner", Refusal::NotALearner),
    refused(PRECONDITION, "remove-server target is not a member", Refusal::NotAMember),
    refused(PRECONDITION, "cluster not bootstrapped", Refusal::NotBootstrapped),
    refused(PRECONDITION, "cluster is not bootstrapped", Refusal::NotBootstrapped),
    refused(PRECONDITION, "sidecar file is missing", Refusal::SidecarMissing),
    refused(PRECONDITION, "sidecar path is not configured", Refusal::SidecarPathNotConfigured),
    refused(PRECONDITION, "unsupported sidecar version", Refusal::SidecarUnreadable),
    refused(PRECONDITION, "capability check refused cutover (unreachable member", Refusal::MemberUnreachable),
    refused(PRECONDITION, "capability check refused cutover (not-capable member", Refusal::MemberNotCapable),
    refused(REFUSED_OR_CUT, "encryption: capability fan-out", Refusal::CapabilityNotChecked),
    refused(PRECONDITION, "cutover proposal raced a RotateDEK", Refusal::RacedRotation),
    refused(PRECONDITION, "cutover marker applied as stale-DEK no-op", Refusal::RacedRotation),
    refused(PRECONDITION, "raft envelope cutover requires exactly one shard group", Refusal::SeveralGroups),
    refused(CUT_SHORT, "encryption: cutover mutator wait", Refusal::AnotherChangePending),
    refused(NOT_IN_TIME, "step-2 drain wait", Refusal::WritesNotDrained),
    refused(PRECONDITION, "cutover outcome is unsafe on this process", Refusal::CutoverUnsafe),
    refused(PRECONDITION, "is administratively gated", Refusal::CutoverNotWired),
    refused(PRECONDITION, "cutover barrier controller is not wired", Refusal::CutoverNotWired),
    refused(PRECONDITION, "latest-applied-index callback is not wired", Refusal::CutoverNotWired),
    refused(PRECONDITION, "cutover semaphore is not configured", Refusal::CutoverNotWired),
    // What the reference store sees before it proposes, and elastickv only when it applies.
    refused(PRECONDITION, "cluster already bootstrapped", Refusal::AlreadyBootstrapped),
    refused(PRECONDITION, "ErrKEKMismatch", Refusal::KekMismatch),
    refused(PRECONDITION, "already loaded with different key material", Refusal::KeyIdUsed),
    refused(PRECONDITION, "is not known", Refusal::KeyUnknown),
    refused(PRECONDITION, "writer-registry local_epoch rollback", Refusal::EpochBehindRegistry),
    refused(PRECONDITION, "is not the proposer's: it is registered with", Refusal::EpochNotRegistered),
    refused(PRECONDITION, "is not registered yet under", Refusal::WriterNotRegistered),
    refused(PRECONDITION, "capability check refused cutover (not-registered member", Refusal::MemberNotRegistered),
    refused(PRECONDITION, "is not a member's", Refusal::NotAMember),
    refused(PRECONDITION, "ErrNodeIDCollision", Refusal::NodeIdCollision),
    refused(PRECONDITION, "writer_batch must have", Refusal::WriterBatch),
    refused(&[Code::Unavailable], "startup rotation has not completed", Refusal::RotationPending),
    refused(&[Code::Unimplemented], "", Refusal::CallUnknown),
];

/// An admin call's answer.
pub type Answer<T> = Result<T, NotAccepted>;

/// An answer that is not an acceptance.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum NotAccepted {
    /// Refused by name: nothing was done.
    #[error("refused ({}): {text}", refusal.name())]
    Refused {
        /// The name.
        refusal: Refusal,
        /// The store's words.
        text: String,
    },
    /// Wrong arguments: nothing was done.
    #[error("invalid argument: {text}")]
    InvalidArgument {
        /// The store's words.
        text: String,
    },
    /// The request never left, or only asked: nothing was done.
    #[error("failed, nothing was changed: {text}")]
    Failed {
        /// What went wrong.
        text: String,
    },
    /// Committed, and what applies it halts.
    #[error("committed, and every replica that applies it halts: {text}")]
    Halts {
        /// The store's words.
        text: String,
    },
    /// Whether it was committed is not known.
    #[error("indeterminate, it may have been committed: {text}")]
    Indeterminate {
        /// What was said, or not.
        text: String,
    },
}

impl NotAccepted {
    /// The outcome's kind, in a word.
    pub fn outcome(&self) -> &'static str {
        match self {
            NotAccepted::Refused { .. } => "refused",
            NotAccepted::InvalidArgument { .. } => "invalid-argument",
            NotAccepted::Failed { .. } => "failed",
            NotAccepted::Halts { .. } => "halts",
            NotAccepted::Indeterminate { .. } => "indeterminate",
        }
    }

    /// The refusal, if it is one.
    pub fn refusal(&self) -> Option<Refusal> {
        match self {
            NotAccepted::Refused { refusal, .. } => Some(*refusal),
            _ => None,
        }
    }
}

/// What a status means. `changes` says whether the call could have changed anything.
pub(super) fn of_status(status: &Status, changes: bool) -> NotAccepted {
    let text = format!(
        "{:?}: {}",
        status.code(),
        super::super::errors::chain(status)
    );
    match class_of(status.code(), status.message()) {
        Class::Refused(refusal) => NotAccepted::Refused { refusal, text },
        Class::InvalidArgument => NotAccepted::InvalidArgument { text },
        Class::Halts => NotAccepted::Halts { text },
        Class::Indeterminate if changes => NotAccepted::Indeterminate { text },
        Class::Indeterminate => NotAccepted::Failed { text },
    }
}

fn class_of(code: Code, text: &str) -> Class {
    ROWS.iter()
        .find(|row| row.codes.contains(&code) && text.contains(row.text))
        .map_or(Class::Indeterminate, |row| row.class)
}

#[cfg(test)]
mod tests;
