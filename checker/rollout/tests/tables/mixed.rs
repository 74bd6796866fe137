//! The table of mixed versions.

use keyquake_rollout::{Call, KekFile, MemberChange, Outcome, Release, Setup};

use crate::kit::{
    ALL, KEK_NOT_CONFIGURED, Run, call, call_at, halts, member, refused, start, unflagged, with_kek,
};

const OLD: Setup = Setup::bare(Release::R6A);
const NEW: Setup = Setup::full(Release::R6B);

#[test]
fn a_6b_leader_without_the_flag_among_6a_refuses() {
    let run = Run::new(&[unflagged(NEW), OLD, OLD]);
    for mutator in [Call::Bootstrap, Call::RotateStorage] {
        run.assert_refused(&call(mutator), "ROL-GATE", "proposer-not-configured");
    }
}

#[test]
fn bootstrap_halts_every_6a_member_until_it_can_apply_it() {
    let mut run = Run::new(&[NEW, OLD, NEW]);
    let step = call(Call::Bootstrap);
    let given = run.expect(&step).given(&Outcome::Accepted);
    assert_eq!(given.members[&1], [halts(KEK_NOT_CONFIGURED)]);
    assert!(!given.members.contains_key(&2));
    run.comes_to_with(&step, Outcome::Accepted, &[(1, halts(KEK_NOT_CONFIGURED))]);
    assert!(run.0.majority_applies());
    for _ in 0..2 {
        // Again at the same index, at every start of the same release.
        run.assert_forbids(&start(1, OLD), "ROL-HALT", &[Outcome::Serves]);
        run.comes_to(&start(1, OLD), halts(KEK_NOT_CONFIGURED));
    }
    let recovers = run.expect(&start(1, NEW));
    assert_eq!(
        (recovers.invariant, &recovers.outcomes[..]),
        ("ROL-RECOVER", &[Outcome::Serves][..])
    );
    run.comes_to(&start(1, NEW), Outcome::Serves);
}

#[test]
fn a_6a_member_that_goes_on_past_a_bootstrap_is_a_finding() {
    let run = Run::new(&[NEW, OLD, NEW]);
    let expected = run.expect(&call(Call::Bootstrap));
    let wrong = expected.disagreements(&crate::kit::seen(Outcome::Accepted));
    assert_eq!(
        (wrong.len(), wrong[0].invariant, wrong[0].member),
        (1, "ROL-HALT", Some(1))
    );
}

#[test]
fn availability_lasts_as_long_as_a_majority_applies() {
    let mut run = Run::new(&[NEW, OLD, OLD]);
    let halted = [
        (1, halts(KEK_NOT_CONFIGURED)),
        (2, halts(KEK_NOT_CONFIGURED)),
    ];
    run.comes_to_with(&call(Call::Bootstrap), Outcome::Indeterminate, &halted);
    assert!(!run.0.majority_applies());
    for node in [1, 2] {
        run.comes_to(&start(node, NEW), Outcome::Serves);
    }
    assert!(run.0.majority_applies());
    run.comes_to(&call(Call::RotateStorage), Outcome::Accepted);
}

#[test]
fn a_member_back_on_6a_halts_at_the_next_rotation() {
    let mut run = Run::with_keys(NEW);
    run.comes_to(&start(2, OLD), Outcome::Serves);
    for rotation in [Call::RotateStorage, Call::RotateRaft] {
        let given = run.expect(&call(rotation)).given(&Outcome::Accepted);
        assert_eq!(given.members[&2], [halts(KEK_NOT_CONFIGURED)], "{rotation}");
    }
}

#[test]
fn members_without_kek_or_of_5d_halt_too() {
    for (setup, outcome) in [
        (Setup::bare(Release::R6B), halts(KEK_NOT_CONFIGURED)),
        (with_kek(NEW, KekFile::Foreign), Outcome::Halts(None)),
        (Setup::bare(Release::R5D), Outcome::Halts(None)),
    ] {
        let run = Run::new(&[NEW, setup, NEW]);
        let given = run.expect(&call(Call::Bootstrap)).given(&Outcome::Accepted);
        assert_eq!(given.members[&1], [outcome]);
    }
}

#[test]
fn a_member_without_flag_or_kek_bars_both_cutovers() {
    let keyless = with_kek(unflagged(ALL), KekFile::Absent);
    for lame in [unflagged(ALL), keyless] {
        let mut run = Run::new(&[ALL, ALL, lame]);
        let gone: Vec<_> = match lame.kek {
            KekFile::Absent => vec![(2, halts(KEK_NOT_CONFIGURED))],
            _ => Vec::new(),
        };
        let name = match gone.is_empty() {
            true => "member-not-capable",
            false => "member-unreachable",
        };
        run.comes_to_with(&call(Call::Bootstrap), Outcome::Accepted, &gone);
        for cutover in [Call::EnableStorageEnvelope, Call::EnableRaftEnvelope] {
            run.assert_refused(&call(cutover), "ROL-CAPABLE", name);
        }
        run.comes_to(&start(2, ALL), Outcome::Serves);
        run.comes_to(&call(Call::EnableStorageEnvelope), Outcome::Accepted);
        run.comes_to(&call(Call::EnableRaftEnvelope), Outcome::Accepted);
    }
}

#[test]
fn a_member_that_cannot_be_asked_bars_the_cutover() {
    let run = Run::with_keys(ALL);
    let mut step = call(Call::EnableStorageEnvelope);
    if let keyquake_rollout::Step::Call { unreachable, .. } = &mut step {
        unreachable.push(1);
    }
    run.assert_allows(&step, &[refused("member-unreachable")]);
    run.assert_forbids(&step, "ROL-CAPABLE", &[Outcome::Accepted]);
}

#[test]
fn a_learner_on_an_old_binary_bars_the_cutover() {
    let mut run = Run::new(&[ALL; 3]);
    let old = Setup::full(Release::R6C);
    run.comes_to(&member(MemberChange::AddLearner, 3, old), Outcome::Accepted);
    run.comes_to(&call(Call::Bootstrap), Outcome::Accepted);
    let step = call(Call::EnableStorageEnvelope);
    run.assert_refused(&step, "ROL-CAPABLE", "member-not-capable");
    run.comes_to(&start(3, ALL), Outcome::Serves);
    run.comes_to(&step, Outcome::Accepted);
}

#[test]
fn phase_1_or_2_is_not_undone_by_a_start_without_the_flag() {
    for phase in 1..=2 {
        let run = Run::in_phase(phase);
        for release in [Release::R6C, Release::R6D, Release::R6E, Release::R6F] {
            let step = start(2, unflagged(Setup::full(release)));
            run.assert_refused(&step, "ROL-DOWNGRADE", "ErrSidecarPresentWithoutFlag");
        }
    }
}

#[test]
fn the_known_unsafe_roll_is_named_and_never_drawn() {
    for phase in 1..=2 {
        let run = Run::in_phase(phase);
        for release in [Release::R5D, Release::R6A, Release::R6B] {
            let step = start(2, Setup::full(release));
            let expected = run.expect(&step);
            assert_eq!(expected.invariant, "ROL-DOWNGRADE");
            assert_eq!(expected.outcomes[0], Outcome::Any);
            assert!(expected.because.contains("reported"));
            assert!(run.0.destroys(&step).is_some());
            assert!(!run.0.legal().contains(&step));
        }
    }
}

#[test]
fn a_newcomer_must_be_capable_once_a_phase_is_on() {
    let lame = [
        Setup::bare(Release::R6F),
        unflagged(ALL),
        NEW,
        Setup::bare(Release::R5D),
    ];
    for change in [MemberChange::AddLearner, MemberChange::AddVoter] {
        let run = Run::in_phase(1);
        for setup in lame {
            run.assert_refused(
                &member(change, 3, setup),
                "ROL-MEMBER",
                "member-not-capable",
            );
        }
        let mut run = run;
        run.comes_to(&member(change, 3, ALL), Outcome::Accepted);
        assert_eq!(run.0.members(), [0, 1, 2, 3]);
    }
}

#[test]
fn the_barrier_may_end_in_a_refusal_when_it_is_disturbed_and_only_then() {
    let run = Run::in_phase(1);
    let calm = call(Call::EnableRaftEnvelope);
    assert!(!run.expect(&calm).allows(&refused("writes-not-drained")));
    assert_eq!(run.expect(&calm).invariant, "ROL-BARRIER");
    let stormy = crate::kit::disturbed(calm);
    assert!(run.expect(&stormy).allows(&refused("writes-not-drained")));
    let follower = call_at(Call::EnableRaftEnvelope, 1);
    assert!(run.expect(&follower).allows(&Outcome::Accepted));
}
