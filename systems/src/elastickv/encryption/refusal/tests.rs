//! One answer per row of the table, in the store's full words.

use tonic::{Code, Status};

use super::{Class, NotAccepted, ROWS, Refusal, class_of, of_status};

#[rustfmt::skip]
const ANSWERS: &[(Code, &str, Class)] = &[
    (Code::Unavailable, "encryption: propose 0x04 failed: FSM-requested apply halt: encryption: FSM apply failed; halting apply", Class::Halts),
    (Code::InvalidArgument, "encryption: ErrNodeIDCollision: writer_batch has a 16-bit node_id collision at 0x1", Class::Refused(Refusal::NodeIdCollision)),
    (Code::InvalidArgument, "encryption: storage_dek_id and raft_dek_id must differ", Class::InvalidArgument),
    (Code::FailedPrecondition, "encryption: VerifyLeader failed, refusing to act on stale-leader state: x", Class::Refused(Refusal::LeaderNotVerified)),
    (Code::Cancelled, "encryption: VerifyLeader canceled: context canceled", Class::Refused(Refusal::LeaderNotVerified)),
    (Code::DeadlineExceeded, "encryption: VerifyLeader deadline exceeded: context deadline exceeded", Class::Refused(Refusal::LeaderNotVerified)),
    (Code::FailedPrecondition, "encryption: LinearizableRead failed, refusing to read stale registry state: x", Class::Refused(Refusal::LeaderNotVerified)),
    (Code::FailedPrecondition, "encryption: propose 0x05 rejected by raft engine: etcd raft engine is not leader: leadership lost", Class::Indeterminate),
    (Code::FailedPrecondition, "encryption: propose 0x05 rejected by raft engine: etcd raft engine leadership transfer is in progress", Class::Indeterminate),
    (Code::FailedPrecondition, "encryption: propose 0x05 rejected by raft engine: etcd raft engine is not leader", Class::Refused(Refusal::NotLeader)),
    (Code::FailedPrecondition, "encryption: propose 0x05 rejected by raft engine: something new", Class::Indeterminate),
    (Code::Unavailable, "encryption: propose 0x04 failed: etcd raft engine is closed", Class::Indeterminate),
    (Code::FailedPrecondition, "encryption: proposer is not configured on this node", Class::Refused(Refusal::ProposerNotConfigured)),
    (Code::FailedPrecondition, "encryption: not leader (current leader id=\"n2\" address=\"127.0.0.1:1\")", Class::Refused(Refusal::NotLeader)),
    (Code::FailedPrecondition, "etcd raft engine is not leader", Class::Refused(Refusal::NotLeader)),
    (Code::FailedPrecondition, "encryption: ErrPeerNotEncryptionCapable: membership change refused (unreachable member full_node_id=7: connect)", Class::Refused(Refusal::MemberUnreachable)),
    (Code::FailedPrecondition, "encryption: ErrPeerNotEncryptionCapable: membership change refused (not-capable member full_node_id=7)", Class::Refused(Refusal::MemberNotCapable)),
    (Code::FailedPrecondition, "writer registry uint16 collision; choose a different raftID", Class::Refused(Refusal::NodeIdCollision)),
    (Code::FailedPrecondition, "etcd raft engine configuration index does not match", Class::Refused(Refusal::ConfigurationChanged)),
    (Code::FailedPrecondition, "etcd raft engine membership change blocked by pending config change", Class::Refused(Refusal::AnotherChangePending)),
    (Code::FailedPrecondition, "etcd raft engine promote-learner target has not caught up to min_applied_index", Class::Refused(Refusal::NotCaughtUp)),
    (Code::FailedPrecondition, "etcd raft engine promote-learner target is not a learner", Class::Refused(Refusal::NotALearner)),
    (Code::FailedPrecondition, "remove-server target is not a member", Class::Refused(Refusal::NotAMember)),
    (Code::FailedPrecondition, "encryption: cluster not bootstrapped (Active.Storage == 0) — call BootstrapEncryption first", Class::Refused(Refusal::NotBootstrapped)),
    (Code::FailedPrecondition, "encryption: cluster is not bootstrapped", Class::Refused(Refusal::NotBootstrapped)),
    (Code::FailedPrecondition, "encryption: sidecar file is missing", Class::Refused(Refusal::SidecarMissing)),
    (Code::FailedPrecondition, "encryption: sidecar path is not configured on this node", Class::Refused(Refusal::SidecarPathNotConfigured)),
    (Code::FailedPrecondition, "encryption: got version 3, want 1..2: encryption: unsupported sidecar version", Class::Refused(Refusal::SidecarUnreadable)),
    (Code::FailedPrecondition, "encryption: capability check refused cutover (unreachable member full_node_id=7)", Class::Refused(Refusal::MemberUnreachable)),
    (Code::FailedPrecondition, "encryption: capability check refused cutover (not-capable member full_node_id=7)", Class::Refused(Refusal::MemberNotCapable)),
    (Code::DeadlineExceeded, "encryption: capability fan-out deadline exceeded: x", Class::Refused(Refusal::CapabilityNotChecked)),
    (Code::FailedPrecondition, "encryption: cutover proposal raced a RotateDEK (sidecar.Active.Storage moved); retry against the new active DEK", Class::Refused(Refusal::RacedRotation)),
    (Code::FailedPrecondition, "encryption: cutover marker applied as stale-DEK no-op (concurrent RotateDEK race)", Class::Refused(Refusal::RacedRotation)),
    (Code::FailedPrecondition, "encryption: raft envelope cutover requires exactly one shard group", Class::Refused(Refusal::SeveralGroups)),
    (Code::Cancelled, "encryption: cutover mutator wait canceled: context canceled", Class::Refused(Refusal::AnotherChangePending)),
    (Code::Unavailable, "encryption: §7.1 step-2 drain wait: x", Class::Refused(Refusal::WritesNotDrained)),
    (Code::FailedPrecondition, "encryption: raft envelope cutover outcome is unsafe on this process; refusing non-cutover admin proposals until restart", Class::Refused(Refusal::CutoverUnsafe)),
    (Code::FailedPrecondition, "encryption: enable-raft-envelope is administratively gated; accepting it would be unsafe", Class::Refused(Refusal::CutoverNotWired)),
    (Code::FailedPrecondition, "encryption: cutover barrier controller is not wired — wire it", Class::Refused(Refusal::CutoverNotWired)),
    (Code::FailedPrecondition, "encryption: latest-applied-index callback is not wired — wire it", Class::Refused(Refusal::CutoverNotWired)),
    (Code::FailedPrecondition, "encryption: cutover semaphore is not configured on this node", Class::Refused(Refusal::CutoverNotWired)),
    (Code::FailedPrecondition, "encryption: cluster already bootstrapped with other keys; a second bootstrap never replaces keys", Class::Refused(Refusal::AlreadyBootstrapped)),
    (Code::FailedPrecondition, "encryption: ErrKEKMismatch: the wrapped key does not open", Class::Refused(Refusal::KekMismatch)),
    (Code::FailedPrecondition, "encryption: key_id 7 already loaded with different key material", Class::Refused(Refusal::KeyIdUsed)),
    (Code::FailedPrecondition, "encryption: dek_id 7 is not known", Class::Refused(Refusal::KeyUnknown)),
    (Code::FailedPrecondition, "encryption: ErrLocalEpochRollback: writer-registry local_epoch rollback: 2 is below last_seen 3 (dek_id 7, full_node_id 0x1)", Class::Refused(Refusal::EpochBehindRegistry)),
    (Code::FailedPrecondition, "encryption: proposer_local_epoch 9 is not the proposer's: it is registered with 3 under dek_id 7", Class::Refused(Refusal::EpochNotRegistered)),
    (Code::FailedPrecondition, "encryption: proposer 0x1 is not registered yet under dek_id 7; try again", Class::Refused(Refusal::WriterNotRegistered)),
    (Code::FailedPrecondition, "encryption: capability check refused cutover (not-registered member full_node_id=7 n2)", Class::Refused(Refusal::MemberNotRegistered)),
    (Code::FailedPrecondition, "encryption: proposer_node_id 0x1 is not a member's", Class::Refused(Refusal::NotAMember)),
    (Code::FailedPrecondition, "encryption: ErrNodeIDCollision: writer-registry uint16 collision: 0x1 and 0x10001 have one 16-bit node id; choose a different raftID", Class::Refused(Refusal::NodeIdCollision)),
    (Code::FailedPrecondition, "encryption: writer_batch must have a row for every member; n3 (0x1) is missing", Class::Refused(Refusal::WriterBatch)),
    (Code::Unavailable, "startup rotation has not completed", Class::Refused(Refusal::RotationPending)),
    (Code::Unimplemented, "unknown service EncryptionAdmin", Class::Refused(Refusal::CallUnknown)),
];

#[test]
fn every_row_is_met_by_an_answer_and_by_no_row_above_it() {
    assert_eq!(ANSWERS.len(), ROWS.len(), "one answer per row, in order");
    for (at, (code, text, class)) in ANSWERS.iter().enumerate() {
        let fits = |row: &super::Row| row.codes.contains(code) && text.contains(row.text);
        assert_eq!(ROWS.iter().position(fits), Some(at), "{text}");
        assert_eq!(class_of(*code, text), *class, "{text}");
    }
}

#[test]
fn a_text_under_a_code_it_does_not_come_with_is_indeterminate() {
    for (_, text, class) in ANSWERS {
        if matches!(class, Class::Halts | Class::Indeterminate) {
            continue;
        }
        assert_eq!(
            class_of(Code::DataLoss, text),
            Class::Indeterminate,
            "{text}"
        );
    }
}

#[test]
fn what_is_not_in_the_table_is_indeterminate_unless_it_only_asked() {
    for status in [
        Status::unavailable("transport error"),
        Status::deadline_exceeded("context deadline exceeded"),
        Status::internal("encryption: proposer returned nil result"),
        Status::failed_precondition("something that a later release says"),
        Status::unknown(""),
    ] {
        let changing = of_status(&status, true);
        assert!(
            matches!(changing, NotAccepted::Indeterminate { .. }),
            "{changing}"
        );
        let asking = of_status(&status, false);
        assert!(matches!(asking, NotAccepted::Failed { .. }), "{asking}");
    }
}
