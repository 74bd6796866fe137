//! The table of startup guards: each trips exactly on its trigger.

use keyquake_rollout::{
    Call, KekFile, MemberChange, Outcome, Release, Setup, SidecarPath, Step, Tamper,
};

use crate::kit::{ALL, Run, call, member, start, tampered, unflagged, with_kek};

const GUARDED: [Release; 4] = [Release::R6C, Release::R6D, Release::R6E, Release::R6F];

/// The start is refused so; then, the trigger gone, the node starts.
fn trips(run: &mut Run, step: &Step, name: &str) {
    run.assert_refused(step, "ROL-REFUSE", name);
    run.comes_to(step, crate::kit::refused(name));
    let Step::Start {
        node,
        setup,
        tampers,
        ..
    } = step
    else {
        panic!("a start");
    };
    let undone = [Tamper::Undone];
    let tampers = if tampers.is_empty() { &[][..] } else { &undone };
    let back = tampered(*node, Setup::full(setup.release), tampers);
    let expected = run.expect(&back);
    assert_eq!(expected.outcomes, [Outcome::Serves], "{expected:#?}");
    assert_eq!(expected.invariant, "ROL-REFUSE");
    run.comes_to(&back, Outcome::Serves);
}

#[test]
fn a_sidecar_without_the_flag() {
    for release in GUARDED {
        let mut run = Run::with_keys(Setup::full(release));
        for kek in [KekFile::Own, KekFile::Absent] {
            let step = start(1, with_kek(unflagged(Setup::full(release)), kek));
            trips(&mut run, &step, "ErrSidecarPresentWithoutFlag");
        }
        // Without a sidecar the flag may be off.
        let run = Run::new(&[Setup::full(release); 3]);
        let step = start(1, unflagged(Setup::full(release)));
        assert_eq!(run.expect(&step).outcomes, [Outcome::Serves]);
    }
}

#[test]
fn the_flag_without_a_kek() {
    for release in GUARDED {
        let keyless = with_kek(Setup::full(release), KekFile::Absent);
        let mut run = Run::with_keys(Setup::full(release));
        trips(&mut run, &start(1, keyless), "ErrKEKRequiredWithFlag");
        let mut run = Run::new(&[Setup::full(release); 3]);
        trips(&mut run, &start(1, keyless), "ErrKEKRequiredWithFlag");
    }
}

#[test]
fn another_clusters_kek() {
    for release in GUARDED {
        let foreign = with_kek(Setup::full(release), KekFile::Foreign);
        let mut run = Run::with_keys(Setup::full(release));
        trips(&mut run, &start(1, foreign), "ErrKEKMismatch");
        // Before there are keys nothing tells it from the cluster's own.
        let run = Run::new(&[Setup::full(release); 3]);
        assert_eq!(run.expect(&start(1, foreign)).outcomes, [Outcome::Serves]);
    }
}

#[test]
fn a_kek_file_that_is_none() {
    for kek in [KekFile::Missing, KekFile::Wrong, KekFile::GroupReadable] {
        let run = Run::with_keys(ALL);
        let step = start(1, with_kek(ALL, kek));
        run.assert_allows(&step, &[Outcome::Refused(None)]);
        run.assert_forbids(&step, "ROL-REFUSE", &[Outcome::Serves]);
    }
}

#[test]
fn a_sidecar_behind_the_log() {
    let mut run = Run::with_keys(ALL);
    run.comes_to(&call(Call::Resync), Outcome::Accepted);
    run.comes_to(&Step::Save { node: 1 }, Outcome::Serves);
    run.comes_to(&call(Call::RotateStorage), Outcome::Accepted);
    let older = tampered(1, ALL, &[Tamper::SidecarOlder]);
    trips(&mut run, &older, "ErrSidecarBehindRaftLog");
    let removed = tampered(1, ALL, &[Tamper::SidecarRemoved]);
    trips(&mut run, &removed, "ErrSidecarBehindRaftLog");
}

#[test]
fn the_gap_may_hold_the_raft_cutover() {
    let mut run = Run::in_phase(1);
    run.comes_to(&Step::Save { node: 1 }, Outcome::Serves);
    run.comes_to(&call(Call::EnableRaftEnvelope), Outcome::Accepted);
    let older = tampered(1, ALL, &[Tamper::SidecarOlder]);
    let names = ["ErrSidecarBehindRaftLog", "ErrEnvelopeCutoverDivergence"];
    run.assert_allows(&older, &names.map(crate::kit::refused));
    run.assert_forbids(&older, "ROL-REFUSE", &[Outcome::Serves]);
}

#[test]
fn a_folder_that_cannot_be_synced() {
    let undurable = Setup {
        sidecar: SidecarPath::Undurable,
        ..ALL
    };
    let mut run = Run::new(&[ALL; 3]);
    trips(&mut run, &start(1, undurable), "ErrUnsupportedFilesystem");
}

#[test]
fn an_epoch_that_is_used_up() {
    let mut run = Run::with_keys(ALL);
    let last = tampered(1, ALL, &[Tamper::SidecarEpochLast]);
    trips(&mut run, &last, "ErrLocalEpochExhausted");
    // One before the last serves once more.
    run.comes_to(
        &tampered(1, ALL, &[Tamper::SidecarEpochNear]),
        Outcome::Serves,
    );
    run.assert_refused(&start(1, ALL), "ROL-REFUSE", "ErrLocalEpochExhausted");
    // Under a new key epochs begin anew, or go on where they were.
    run.comes_to(&call(Call::RotateStorage), Outcome::Accepted);
    let exhausted = crate::kit::refused("ErrLocalEpochExhausted");
    run.assert_allows(&start(1, ALL), &[Outcome::Serves, exhausted.clone()]);
    run.comes_to(&start(1, ALL), Outcome::Serves);
    assert!(!run.expect(&start(1, ALL)).allows(&exhausted));
}

#[test]
fn a_sidecar_or_a_disk_from_an_older_copy() {
    for release in [Release::R6D, Release::R6F] {
        let setup = Setup::full(release);
        for tamper in [Tamper::SidecarOlder, Tamper::DataOlder] {
            let mut run = Run::with_keys(setup);
            run.comes_to(&call(Call::Resync), Outcome::Accepted);
            run.comes_to(&Step::Save { node: 1 }, Outcome::Serves);
            run.comes_to(&start(1, setup), Outcome::Serves);
            let step = tampered(1, setup, &[tamper]);
            assert_eq!(run.0.destroys(&step), None);
            trips(&mut run, &step, "ErrLocalEpochRollback");
        }
    }
}

#[test]
fn an_older_disk_that_nothing_shows_is_never_drawn() {
    let mut run = Run::new(&[ALL; 3]);
    run.comes_to(&Step::Save { node: 1 }, Outcome::Serves);
    for tamper in [Tamper::DataOlder, Tamper::DataWiped, Tamper::DataCloned] {
        let step = tampered(1, ALL, &[tamper]);
        assert!(run.0.destroys(&step).is_some(), "{tamper}");
        assert_eq!(run.expect(&step).outcomes, [Outcome::Any], "{tamper}");
        assert!(!run.0.legal().contains(&step), "{tamper}");
    }
}

#[test]
fn members_that_share_sixteen_bits() {
    let colliding = |change, collides| {
        let mut step = member(change, 3, ALL);
        if let Step::Member { collides: of, .. } = &mut step {
            *of = collides;
        }
        step
    };
    // Once there are keys no namesake is let in.
    let run = Run::with_keys(ALL);
    let step = colliding(MemberChange::AddLearner, true);
    run.assert_refused(&step, "ROL-MEMBER", "node-id-collision");
    // Without keys they may live together, but can't be given any.
    let mut run = Run::new(&[ALL; 3]);
    run.comes_to(&step, Outcome::Accepted);
    run.assert_refused(&call(Call::Bootstrap), "ROL-REFUSE", "node-id-collision");
    run.comes_to(&member(MemberChange::Remove, 3, ALL), Outcome::Accepted);
    run.comes_to(&call(Call::Bootstrap), Outcome::Accepted);
}

#[test]
fn a_cutover_that_the_snapshot_does_not_know() {
    let mut run = Run::in_phase(2);
    let step = tampered(1, ALL, &[Tamper::SidecarCutover]);
    trips(&mut run, &step, "ErrEnvelopeCutoverDivergence");
    // Before phase 2 there is no index to lower.
    let run = Run::in_phase(1);
    assert_eq!(run.expect(&step).outcomes, [Outcome::Serves]);
}

#[test]
fn an_epoch_over_sixteen_bits_on_the_wire() {
    let run = Run::with_keys(ALL);
    let mut step = call(Call::RegisterWriter);
    if let Step::Call { epoch, .. } = &mut step {
        *epoch = Some(0x1_0000);
    }
    run.assert_refused(&step, "ROL-REFUSE", "ErrLocalEpochOutOfRange");
}

#[test]
fn a_sidecar_that_cannot_be_read() {
    let run = Run::with_keys(ALL);
    let step = tampered(1, ALL, &[Tamper::SidecarCorrupt]);
    run.assert_forbids(&step, "ROL-REFUSE", &[Outcome::Serves]);
    let expected = run.expect(&step);
    assert!(expected.unchanged && expected.allows(&Outcome::Refused(None)));
}

#[test]
fn a_release_without_guards_refuses_nothing_for_certain() {
    let run = Run::with_keys(Setup::full(Release::R6B));
    let step = start(1, unflagged(Setup::full(Release::R6B)));
    run.assert_allows(&step, &[Outcome::Serves]);
}
