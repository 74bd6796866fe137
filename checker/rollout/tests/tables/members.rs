//! Members that come, go, and get their vote.

use keyquake_rollout::{Call, KekFile, MemberChange, Outcome, Release, Setup};

use crate::kit::{ALL, KEK_NOT_CONFIGURED, Run, call, halts, member, start, unflagged, with_kek};

#[test]
fn before_keys_anyone_is_taken() {
    for setup in [Setup::bare(Release::R5D), Setup::bare(Release::R6F), ALL] {
        let mut run = Run::new(&[ALL; 3]);
        run.comes_to(&member(MemberChange::AddVoter, 3, setup), Outcome::Accepted);
        assert_eq!(run.0.voters(), [0, 1, 2, 3]);
    }
}

#[test]
fn a_newcomer_that_cannot_apply_the_bootstrap_halts() {
    let mut run = Run::with_keys(Setup::full(Release::R6B));
    let step = member(MemberChange::AddLearner, 3, Setup::bare(Release::R6B));
    let given = run.expect(&step).given(&Outcome::Accepted);
    assert_eq!(given.members[&3], [halts(KEK_NOT_CONFIGURED)]);
    run.comes_to_with(&step, Outcome::Accepted, &[(3, halts(KEK_NOT_CONFIGURED))]);
    assert!(!run.0.is_up(3));
}

#[test]
fn a_newcomer_with_another_clusters_kek_never_serves() {
    let step = member(MemberChange::AddLearner, 3, with_kek(ALL, KekFile::Foreign));
    let run = Run::in_phase(1);
    run.assert_allows(&step, &[Outcome::Refused(None)]);
    let given = run.expect(&step).given(&Outcome::Accepted);
    assert_eq!(given.members[&3], [Outcome::Halts(None)]);
}

#[test]
fn a_learner_is_promoted_only_while_it_is_capable() {
    let mut run = Run::with_keys(ALL);
    run.comes_to(&member(MemberChange::AddLearner, 3, ALL), Outcome::Accepted);
    run.comes_to(&call(Call::EnableStorageEnvelope), Outcome::Accepted);
    run.comes_to(&keyquake_rollout::Step::Down { node: 3 }, Outcome::Serves);
    let promote = member(MemberChange::Promote, 3, ALL);
    run.assert_forbids(&promote, "ROL-MEMBER", &[Outcome::Accepted]);
    run.comes_to(&start(3, ALL), Outcome::Serves);
    run.comes_to(&promote, Outcome::Accepted);
    assert_eq!(run.0.voters(), [0, 1, 2, 3]);
}

#[test]
fn a_removed_member_counts_no_more() {
    let mut run = Run::new(&[ALL, ALL, ALL, unflagged(ALL)]);
    run.comes_to(&call(Call::Bootstrap), Outcome::Accepted);
    let cutover = call(Call::EnableStorageEnvelope);
    run.assert_refused(&cutover, "ROL-CAPABLE", "member-not-capable");
    run.comes_to(&member(MemberChange::Remove, 3, ALL), Outcome::Accepted);
    run.comes_to(&cutover, Outcome::Accepted);
}

#[test]
fn a_removal_that_leaves_no_majority_is_never_drawn() {
    let mut run = Run::new(&[ALL; 3]);
    run.comes_to(&keyquake_rollout::Step::Down { node: 1 }, Outcome::Serves);
    let step = member(MemberChange::Remove, 0, ALL);
    assert!(run.0.destroys(&step).is_some());
}
