//! What holds of the model whatever comes: any steps, in any order, with any outcome.

use std::collections::BTreeMap;

use keyquake_rollout::{
    Call, KekFile, MemberChange, Model, Outcome, Release, Seen, Send, Setup, SidecarPath, Step,
    Tamper,
};
use proptest::prelude::*;

mod walk;

/// Members at the beginning, and the nodes that may be added.
const MEMBERS: u16 = 3;
const SPARES: u16 = 2;
const NODES: u16 = MEMBERS + SPARES;

const KEKS: [KekFile; 6] = [
    KekFile::Own,
    KekFile::Absent,
    KekFile::Missing,
    KekFile::Wrong,
    KekFile::Foreign,
    KekFile::GroupReadable,
];
const PATHS: [SidecarPath; 3] = [SidecarPath::On, SidecarPath::Off, SidecarPath::Undurable];
const SENDS: [Send; 4] = [Send::Once, Send::Twice, Send::Concurrent, Send::Late];

fn any_setup() -> impl Strategy<Value = Setup> {
    let odd = (
        prop::sample::select(Release::ALL.to_vec()),
        any::<bool>(),
        prop::sample::select(KEKS.to_vec()),
        prop::sample::select(PATHS.to_vec()),
        any::<bool>(),
    );
    let odd = odd.prop_map(
        |(release, enabled, kek, sidecar, rotate_on_startup)| Setup {
            release,
            enabled,
            kek,
            sidecar,
            rotate_on_startup,
        },
    );
    let whole = prop::sample::select(Release::ALL.to_vec()).prop_map(Setup::full);
    prop_oneof![3 => whole, 1 => odd]
}

fn any_step() -> impl Strategy<Value = Step> {
    let node = 0..NODES;
    let tampers = prop::collection::vec(prop::sample::select(Tamper::ALL.to_vec()), 0..2);
    let start = (node.clone(), any_setup(), tampers, any::<bool>());
    let call = (
        prop::sample::select(Call::ALL.to_vec()),
        node.clone(),
        any::<bool>(),
        prop::sample::select(SENDS.to_vec()),
        prop::option::weighted(0.2, 0..0x2_0000_u32),
        any::<bool>(),
        prop::collection::vec(node.clone(), 0..2),
    );
    let member = (
        prop::sample::select(MemberChange::ALL.to_vec()),
        node.clone(),
        any_setup(),
        any::<bool>(),
        any::<bool>(),
    );
    prop_oneof![
        4 => start.prop_map(|(node, setup, tampers, was_serving)| Step::Start {
            node,
            setup,
            tampers,
            cloned: None,
            was_serving,
        }),
        1 => node.clone().prop_map(|node| Step::Save { node }),
        1 => node.clone().prop_map(|node| Step::Down { node }),
        1 => node.prop_map(|to| Step::Transfer { to }),
        6 => call.prop_map(|(call, at, leads, send, epoch, disturbed, unreachable)| Step::Call {
            call,
            at,
            leads,
            send,
            epoch,
            disturbed,
            unreachable,
        }),
        1 => member.prop_map(|(change, node, setup, collides, disturbed)| Step::Member {
            change,
            node,
            setup,
            collides,
            disturbed,
        }),
    ]
}

fn any_outcome() -> impl Strategy<Value = Outcome> {
    prop::sample::select(vec![
        Outcome::Accepted,
        Outcome::Refused(None),
        Outcome::Refused(Some("not-leader".to_owned())),
        Outcome::Refused(Some("ErrKEKMismatch".to_owned())),
        Outcome::Halts(None),
        Outcome::Halts(Some("ErrKEKNotConfigured".to_owned())),
        Outcome::Serves,
        Outcome::Failed,
        Outcome::Indeterminate,
        Outcome::Unknown,
    ])
}

/// What is seen of a step: one of what is expected, by its number, or anything at all.
#[derive(Clone, Debug)]
enum Came {
    Expected(usize),
    Anything(Outcome, BTreeMap<u16, Outcome>),
}

fn any_came() -> impl Strategy<Value = Came> {
    let members = prop::collection::btree_map(0..NODES, any_outcome(), 0..2);
    prop_oneof![
        4 => (0..6_usize).prop_map(Came::Expected),
        1 => (any_outcome(), members).prop_map(|(outcome, members)| Came::Anything(outcome, members)),
    ]
}

/// Takes in one of the outcomes that are expected.
fn goes_as_expected(model: &mut Model, step: &Step, number: usize) -> Seen {
    let expected = model.expect(step);
    let outcome = match &expected.outcomes[number % expected.outcomes.len()] {
        Outcome::Any => Outcome::Serves,
        outcome => outcome.clone(),
    };
    let given = expected.given(&outcome);
    let members = given.members.iter().filter_map(|(node, outcomes)| {
        let outcome = &outcomes[number % outcomes.len()];
        (*outcome != Outcome::Serves).then(|| (*node, outcome.clone()))
    });
    let members = members.collect();
    let seen = Seen { outcome, members };
    assert_eq!(expected.disagreements(&seen), [], "{step:?}");
    model.observe(step, &seen);
    seen
}

fn takes(model: &mut Model, step: &Step, came: Came) {
    match came {
        Came::Expected(number) => drop(goes_as_expected(model, step, number)),
        Came::Anything(outcome, members) => model.observe(step, &Seen { outcome, members }),
    }
}

/// What must hold at every moment.
fn assert_sound(model: &Model, before: (bool, bool, bool)) {
    let (keys, storage, raft) = phases(model);
    assert!(keys || !(storage || raft), "a cutover without keys");
    assert!(
        keys >= before.0 && storage >= before.1 && raft >= before.2,
        "it went back"
    );
    assert!(model.voters().len() + model.learners().len() == model.members().len());
}

fn phases(model: &Model) -> (bool, bool, bool) {
    (
        model.is_bootstrapped(),
        model.storage_cutover(),
        model.raft_cutover(),
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_comes_there_is_a_world_and_nothing_goes_back(
        setup in any_setup(),
        steps in prop::collection::vec((any_step(), any_came()), 1..20),
    ) {
        let mut model = Model::new(&[setup; MEMBERS as usize], SPARES);
        for (step, came) in steps {
            let expected = model.expect(&step);
            prop_assert!(!expected.outcomes.is_empty());
            prop_assert!(!expected.because.is_empty());
            prop_assert_eq!(&expected, &model.expect(&step), "it says the same again");
            let before = phases(&model);
            takes(&mut model, &step, came);
            assert_sound(&model, before);
        }
    }

    #[test]
    fn a_call_that_is_refused_changes_no_expectation(
        setup in any_setup(),
        steps in prop::collection::vec(any_step(), 0..8),
        of in prop::sample::select(Call::ALL.to_vec()),
    ) {
        let mut model = Model::new(&[setup; MEMBERS as usize], SPARES);
        for step in &steps {
            goes_as_expected(&mut model, step, 0);
        }
        let call = |call| Step::Call {
            call, at: 0, leads: true, send: Send::Once, epoch: None, disturbed: false, unreachable: Vec::new(),
        };
        // Two questions first, so that what has just been started is settled.
        for _ in 0..2 {
            goes_as_expected(&mut model, &call(Call::Resync), 0);
        }
        let refused = Outcome::Refused(Some("not-leader".to_owned()));
        prop_assume!(model.expect(&call(of)).allows(&refused));
        let mut after = model.clone();
        after.observe(&call(of), &Seen { outcome: refused, members: BTreeMap::new() });
        for probe in Call::ALL {
            prop_assert_eq!(model.expect(&call(probe)), after.expect(&call(probe)), "{}", probe);
        }
        // But that the request can now arrive late.
        let fresh = |model: &Model| {
            let late = |step: &Step| matches!(step, Step::Call { send: Send::Late, .. });
            model.legal().into_iter().filter(|step| !late(step)).collect::<Vec<_>>()
        };
        prop_assert_eq!(fresh(&model), fresh(&after));
    }

    #[test]
    fn nights_keep_a_majority_and_destroy_nothing(
        picks in prop::collection::vec((any::<prop::sample::Index>(), 0..6_usize), 1..24),
    ) {
        let mut model = Model::new(&[Setup::bare(Release::R6A); MEMBERS as usize], SPARES);
        for (pick, number) in picks {
            let legal = model.legal();
            prop_assert_eq!(&legal, &model.legal(), "always the same, in the same order");
            prop_assert!(!legal.is_empty());
            let step = pick.get(&legal);
            prop_assert_eq!(model.destroys(step), None);
            let expected = model.expect(step);
            let passive = matches!(step, Step::Down { .. } | Step::Transfer { .. });
            prop_assert!(passive || !expected.outcomes.contains(&Outcome::Any), "{:?}: {:?}", step, expected);
            goes_as_expected(&mut model, step, number);
            prop_assert!(model.majority_applies(), "{:?}\n{:?}", step, model);
        }
    }
}

#[test]
fn what_no_world_allows_harms_the_node_and_is_told_once() {
    let all = Setup::full(Release::R6F);
    let mut model = Model::new(&[all; 3], 0);
    let start = Step::Start {
        node: 1,
        setup: all,
        tampers: Vec::new(),
        cloned: None,
        was_serving: true,
    };
    let refused = Seen {
        outcome: Outcome::Refused(Some("ErrLocalEpochRollback".to_owned())),
        members: BTreeMap::new(),
    };
    let wrong = model.expect(&start).disagreements(&refused);
    assert_eq!((wrong.len(), wrong[0].invariant), (1, "ROL-RESTART"));
    model.observe(&start, &refused);
    assert!(model.is_harmed(1) && !model.is_harmed(0));
    assert_eq!(model.expect(&start).outcomes, [Outcome::Any]);
    assert_eq!(model.expect(&start).disagreements(&refused), []);
}
