//! The table of stages.

use keyquake_rollout::{Call, KekFile, Outcome, Release, Setup, SidecarPath};

use crate::kit::{ALL, Run, call, refused, start, with_kek};

/// Every call that changes something.
const MUTATORS: [Call; 6] = [
    Call::Bootstrap,
    Call::EnableStorageEnvelope,
    Call::EnableRaftEnvelope,
    Call::RotateStorage,
    Call::RotateRaft,
    Call::RegisterWriter,
];

#[test]
fn stages_5d_and_6a_refuse_every_mutator_whatever_the_flags() {
    for release in [Release::R5D, Release::R6A] {
        let rotating = Setup {
            rotate_on_startup: true,
            ..Setup::full(release)
        };
        for setup in [Setup::bare(release), Setup::full(release), rotating] {
            let run = Run::new(&[setup; 3]);
            for mutator in MUTATORS {
                run.assert_refused(&call(mutator), "ROL-6A-INERT", "proposer-not-configured");
            }
        }
    }
}

#[test]
fn stage_6b_mutates_only_with_flag_kek_and_sidecar_path() {
    for combination in 0..8_u8 {
        let setup = Setup {
            enabled: combination & 1 != 0,
            kek: match combination & 2 {
                0 => KekFile::Absent,
                _ => KekFile::Own,
            },
            sidecar: match combination & 4 {
                0 => SidecarPath::Off,
                _ => SidecarPath::On,
            },
            ..Setup::bare(Release::R6B)
        };
        let run = Run::new(&[setup; 3]);
        let bootstrap = call(Call::Bootstrap);
        if combination == 7 {
            run.assert_allows(&bootstrap, &[Outcome::Accepted]);
            let wrong = refused("proposer-not-configured");
            run.assert_forbids(&bootstrap, "ROL-GATE", &[wrong]);
        } else {
            run.assert_refused(&bootstrap, "ROL-GATE", "proposer-not-configured");
        }
    }
}

#[test]
fn stage_6b_takes_bootstrap_rotations_and_registrations() {
    let mut run = Run::with_keys(Setup::full(Release::R6B));
    for mutator in [Call::RotateStorage, Call::RotateRaft, Call::RegisterWriter] {
        run.comes_to(&call(mutator), Outcome::Accepted);
    }
}

#[test]
fn stage_6d_brings_phase_1_and_stage_6e_phase_2() {
    for (release, storage, raft) in [
        (Release::R6B, false, false),
        (Release::R6C, false, false),
        (Release::R6D, true, false),
        (Release::R6E, true, true),
        (Release::R6F, true, true),
    ] {
        let mut run = Run::with_keys(Setup::full(release));
        let step = call(Call::EnableStorageEnvelope);
        if storage {
            run.comes_to(&step, Outcome::Accepted);
        } else {
            run.assert_refused(&step, "ROL-CAPABLE", "member-not-capable");
        }
        let step = call(Call::EnableRaftEnvelope);
        if raft {
            run.comes_to(&step, Outcome::Accepted);
        } else {
            run.assert_refused(&step, "ROL-CAPABLE", "member-not-capable");
        }
    }
}

#[test]
fn stage_6d_bootstraps_first_or_says_that_there_are_no_keys() {
    let run = Run::new(&[ALL; 3]);
    let step = call(Call::EnableStorageEnvelope);
    run.assert_allows(&step, &[Outcome::Accepted, refused("not-bootstrapped")]);
    let mut run = Run::new(&[ALL; 3]);
    run.comes_to(&step, Outcome::Accepted);
    assert!(run.0.is_bootstrapped() && run.0.storage_cutover());
}

#[test]
fn stage_6e_refuses_phase_2_before_the_bootstrap() {
    let run = Run::new(&[ALL; 3]);
    let step = call(Call::EnableRaftEnvelope);
    run.assert_refused(&step, "ROL-REFUSE", "not-bootstrapped");
}

#[test]
fn stage_6f_may_rotate_by_itself_and_earlier_ones_do_not() {
    let rotating = |release| Setup {
        rotate_on_startup: true,
        ..Setup::full(release)
    };
    for (release, may) in [(Release::R6E, false), (Release::R6F, true)] {
        let mut run = Run::with_keys(Setup::full(Release::R6B));
        run.comes_to(&start(0, rotating(release)), Outcome::Serves);
        // A rotation is seen in that it halts who can't apply it.
        run.comes_to(&start(2, Setup::bare(Release::R6A)), Outcome::Serves);
        let expected = run.expect(&start(1, Setup::full(Release::R6B)));
        let halted = expected.members.get(&2).is_some_and(|outcomes| {
            outcomes.contains(&Outcome::Halts(Some("ErrKEKNotConfigured".to_owned())))
        });
        assert!(halted, "{expected:#?}");
        let expected = run.expect(&call(Call::RotateStorage));
        assert_eq!(expected.allows(&refused("rotation-pending")), may);
    }
}

#[test]
fn what_is_repeated_changes_nothing() {
    let mut run = Run::in_phase(2);
    let bootstrap = call(Call::Bootstrap);
    let allowed = [Outcome::Accepted, refused("already-bootstrapped")];
    run.assert_allows(&bootstrap, &allowed);
    for again in [
        Call::Bootstrap,
        Call::EnableStorageEnvelope,
        Call::EnableRaftEnvelope,
    ] {
        assert!(run.expect(&call(again)).unchanged, "{again}");
        run.comes_to(&call(again), Outcome::Accepted);
    }
    let _ = with_kek(ALL, KekFile::Own);
}
