//! "What must work at any moment".

use keyquake_rollout::{Call, MemberChange, Outcome, Release, Send, Setup, Step};

use crate::kit::{ALL, Run, call, disturbed, halts, member, refused, sent, start};

/// The life of a cluster, on the newest release.
const LIFE: [Call; 6] = [
    Call::Bootstrap,
    Call::RotateStorage,
    Call::EnableStorageEnvelope,
    Call::RotateStorage,
    Call::EnableRaftEnvelope,
    Call::RotateRaft,
];

#[test]
fn any_member_restarts_at_any_point_and_serves() {
    let mut run = Run::new(&[ALL; 3]);
    for of in LIFE {
        for node in 0..3 {
            let step = start(node, ALL);
            let expected = run.expect(&step);
            assert_eq!(
                (expected.invariant, &expected.outcomes[..]),
                ("ROL-RESTART", &[Outcome::Serves][..])
            );
            run.comes_to(&step, Outcome::Serves);
            run.comes_to(&Step::Save { node }, Outcome::Serves);
        }
        run.comes_to(&call(of), Outcome::Accepted);
    }
}

#[test]
fn a_later_release_starts_where_an_earlier_one_stopped() {
    let mut run = Run::new(&[Setup::bare(Release::R5D); 3]);
    for release in &Release::ALL[1..] {
        let setup = match *release < Release::R6B {
            true => Setup::bare(*release),
            false => Setup::full(*release),
        };
        for node in 0..3 {
            let expected = run.expect(&start(node, setup));
            assert_eq!(expected.outcomes, [Outcome::Serves], "{release}");
            run.comes_to(&start(node, setup), Outcome::Serves);
        }
        let calls: &[Call] = match release {
            Release::R6B => &[Call::Bootstrap],
            Release::R6C => &[Call::RotateRaft],
            Release::R6D => &[Call::EnableStorageEnvelope, Call::RotateStorage],
            Release::R6E => &[Call::EnableRaftEnvelope, Call::RotateRaft],
            _ => &[],
        };
        for of in calls {
            run.comes_to(&call(*of), Outcome::Accepted);
        }
    }
    assert!(run.0.raft_cutover());
}

#[test]
fn a_refused_start_consumes_no_epoch() {
    let mut run = Run::with_keys(ALL);
    let foreign = start(
        1,
        crate::kit::with_kek(ALL, keyquake_rollout::KekFile::Foreign),
    );
    for _ in 0..3 {
        run.comes_to(&foreign, refused("ErrKEKMismatch"));
    }
    assert_eq!(run.expect(&start(1, ALL)).outcomes, [Outcome::Serves]);
}

#[test]
fn a_follower_that_was_away_comes_back_with_what_it_missed() {
    let mut run = Run::new(&[ALL; 3]);
    run.comes_to(&Step::Down { node: 2 }, Outcome::Serves);
    run.comes_to(&call(Call::Bootstrap), Outcome::Accepted);
    run.comes_to(&call(Call::RotateStorage), Outcome::Accepted);
    let expected = run.expect(&start(2, ALL));
    assert_eq!(expected.outcomes, [Outcome::Serves]);
    run.comes_to(&start(2, ALL), Outcome::Serves);
    run.comes_to(&call(Call::EnableStorageEnvelope), Outcome::Accepted);
}

#[test]
fn newcomers_and_replaced_voters_hold_what_they_need() {
    let mut run = Run::in_phase(2);
    run.comes_to(&member(MemberChange::AddLearner, 3, ALL), Outcome::Accepted);
    run.comes_to(&member(MemberChange::Promote, 3, ALL), Outcome::Accepted);
    run.comes_to(&member(MemberChange::Replace, 2, ALL), Outcome::Accepted);
    for node in [2, 3] {
        assert_eq!(run.expect(&start(node, ALL)).outcomes, [Outcome::Serves]);
        run.comes_to(&start(node, ALL), Outcome::Serves);
    }
}

#[test]
fn a_request_that_no_replica_could_apply_is_refused_by_name() {
    let foreign = crate::kit::with_kek(
        Setup::full(Release::R6B),
        keyquake_rollout::KekFile::Foreign,
    );
    let run = Run::new(&[foreign; 3]);
    run.assert_forbids(&call(Call::Bootstrap), "ROL-GATE", &[Outcome::Accepted]);
    run.assert_allows(&call(Call::Bootstrap), &[refused("kek-mismatch")]);
}

#[test]
fn late_duplicates_change_nothing_or_are_refused() {
    let mut run = Run::in_phase(2);
    run.comes_to(&call(Call::RotateStorage), Outcome::Accepted);
    for of in [
        Call::Bootstrap,
        Call::EnableStorageEnvelope,
        Call::EnableRaftEnvelope,
        Call::RotateStorage,
    ] {
        let late = sent(of, Send::Late);
        assert!(run.expect(&late).unchanged, "{of}");
        run.assert_allows(&late, &[Outcome::Accepted, Outcome::Refused(None)]);
    }
}

#[test]
fn an_answer_that_was_lost_leaves_both_courses_open_until_one_is_seen() {
    let mut run = Run::new(&[ALL; 3]);
    let step = disturbed(call(Call::Bootstrap));
    run.comes_to(&step, Outcome::Indeterminate);
    assert!(!run.0.is_bootstrapped());
    let rotate = call(Call::RotateStorage);
    run.assert_allows(&rotate, &[Outcome::Accepted, refused("not-bootstrapped")]);
    run.comes_to(&rotate, Outcome::Accepted);
    assert!(run.0.is_bootstrapped());
}

#[test]
fn what_a_node_shows_of_its_keys_decides_too() {
    let step = disturbed(call(Call::EnableStorageEnvelope));
    let mut run = Run::with_keys(ALL);
    run.comes_to(&step, Outcome::Indeterminate);
    // It may not have come to this node yet.
    run.0.saw_keys(true, false, false);
    assert!(!run.0.storage_cutover());
    run.0.saw_keys(true, true, false);
    assert!(run.0.storage_cutover());
    // What no world knows of is not taken in.
    run.0.saw_keys(true, true, true);
    assert!(!run.0.raft_cutover() && run.0.storage_cutover());
}

#[test]
fn a_call_ends_on_a_node_that_halts_meanwhile() {
    let old = Setup::bare(Release::R6A);
    let mut run = Run::new(&[Setup::full(Release::R6B), old, old]);
    let halted = halts("ErrKEKNotConfigured");
    let members = [(1, halted.clone()), (2, halted)];
    run.comes_to_with(&call(Call::Bootstrap), Outcome::Indeterminate, &members);
    // That no answer came does not say that it was not committed: members halted at it.
    assert!(run.0.is_bootstrapped());
}

#[test]
fn leadership_may_move_before_any_call() {
    let mut run = Run::in_phase(1);
    run.comes_to(&Step::Transfer { to: 2 }, Outcome::Accepted);
    run.comes_to(&call(Call::EnableRaftEnvelope), refused("not-leader"));
    assert!(!run.0.raft_cutover());
    run.comes_to(&call(Call::EnableRaftEnvelope), Outcome::Accepted);
}
