//! What holds of every night, over many seeds and beginnings.

use std::collections::{BTreeMap, BTreeSet};

use keyquake_rollout::Switch;

use super::*;
use crate::schedule::{Details, parse, to_toml, validate_with_spares};
use crate::target::Target;

const NIGHT: Duration = Duration::from_secs(25);
const LONG: Duration = Duration::from_secs(90);
const KINDS: [FaultName; 5] = [
    FaultName::Kill,
    FaultName::PartitionOne,
    FaultName::PartitionHalves,
    FaultName::Pause,
    FaultName::Restart,
];

fn beginning(setups: Vec<Setup>, calls: &[Call]) -> Beginning {
    Beginning {
        setups,
        spares: 1,
        calls: calls.to_vec(),
        releases: Release::ALL.to_vec(),
    }
}

/// Clusters at every stage, and a mixed one.
fn beginnings() -> Vec<Beginning> {
    use Call::{Bootstrap, EnableRaftEnvelope, EnableStorageEnvelope};
    let mixed = vec![
        Setup::bare(Release::R6A),
        Setup::bare(Release::R6B),
        Setup::bare(Release::R6B),
    ];
    vec![
        beginning(vec![Setup::bare(Release::R6F); 3], &[]),
        beginning(vec![Setup::bare(Release::R5D); 3], &[]),
        beginning(mixed, &[]),
        beginning(vec![Setup::full(Release::R6B); 3], &[Bootstrap]),
        beginning(
            vec![Setup::full(Release::R6D); 3],
            &[Bootstrap, EnableStorageEnvelope],
        ),
        beginning(
            vec![Setup::full(Release::R6F); 5],
            &[Bootstrap, EnableStorageEnvelope, EnableRaftEnvelope],
        ),
    ]
}

fn nights(seeds: u64, long: Duration) -> impl Iterator<Item = (u64, Beginning, Vec<PlannedFault>)> {
    let all = move |beginning: Beginning| {
        (0..seeds).map(move |seed| {
            let night = draw_night(seed, long, &KINDS, &beginning);
            (seed, beginning.clone(), night)
        })
    };
    beginnings().into_iter().flat_map(all)
}

#[test]
fn one_seed_gives_one_night_for_ever() {
    let begin = beginning(vec![Setup::bare(Release::R6F); 3], &[]);
    let drawn = to_toml(&draw_night(1, Duration::from_secs(60), &KINDS, &begin)).unwrap();
    assert_eq!(
        drawn,
        include_str!("../../../tests/night-from-seed-1.toml"),
        "stored plans stay, but seeds mean other nights now"
    );
}

#[test]
fn nights_can_be_carried_out_and_written_down() {
    for (seed, begin, night) in nights(60, NIGHT) {
        let nodes = begin.setups.len() as u16;
        let told = || format!("seed {seed}: {}", to_toml(&night).unwrap());
        let end = validate_with_spares(&night, nodes, begin.spares);
        assert!(end.unwrap_or_else(|error| panic!("{error}\n{}", told())) <= NIGHT);
        assert_eq!(parse(&to_toml(&night).unwrap()).unwrap(), night);
        assert_eq!(draw_night(seed, NIGHT, &KINDS, &begin), night);
        assert!(night.len() >= 5, "{}", told());
    }
}

#[test]
fn what_stands_over_a_node_names_it_and_what_hits_a_call_comes_at_once() {
    for (_, _, night) in nights(40, NIGHT) {
        for planned in &night {
            assert!(planned.when.is_none() || planned.at.is_zero());
        }
        for (number, planned) in night.iter().enumerate() {
            let over = planned.at + planned.hold;
            let next = night.get(number + 1).filter(|next| next.when.is_none());
            let meanwhile = next.is_some_and(|next| planned.when.is_none() && next.at < over);
            if meanwhile && !planned.fault.info().step {
                assert!(matches!(&planned.target, Target::Nodes(_)), "{planned:?}");
            }
        }
    }
}

/// What an entry is, in a word or two.
fn word(planned: &PlannedFault) -> String {
    match &planned.details {
        Details::Admin(request) => format!("{} {}", request.call, request.send),
        Details::Member(change, _) => change.to_string(),
        Details::Roll(roll) => match roll.tampers.first() {
            Some(tamper) => format!("tamper {tamper}"),
            None => "roll".to_owned(),
        },
        Details::None => planned.fault.to_string(),
    }
}

#[test]
fn every_kind_of_step_comes_and_none_that_destroys() {
    let mut seen = BTreeMap::<String, u32>::new();
    let mut flags = BTreeSet::new();
    let (mut hit, mut short, mut over, mut all) = (0, 0, 0, 0);
    for (_, _, night) in nights(50, LONG) {
        for (number, planned) in night.iter().enumerate() {
            *seen.entry(word(planned)).or_default() += 1;
            hit += u32::from(planned.when.is_some());
            all += u32::from(planned.fault == FaultName::Roll && planned.target == Target::All);
            let end = planned.at + planned.hold;
            let next = night.get(number + 1);
            over += u32::from(next.is_some_and(|next| next.when.is_none() && next.at < end));
            match &planned.details {
                Details::Admin(request) => short += u32::from(request.deadline.is_some()),
                Details::Roll(roll) => {
                    flags.extend(roll.flags.kek.map(|kek| kek.to_string()));
                    flags.extend(roll.flags.sidecar.map(|path| path.to_string()));
                    let rotates = roll.flags.rotate_on_startup == Some(Switch::On);
                    flags.extend(rotates.then(|| "rotate".to_owned()));
                    let off = roll.flags.flag == Some(Switch::Off);
                    flags.extend(off.then(|| "no flag".to_owned()));
                }
                _ => {}
            }
        }
    }
    let told = format!("{seen:#?} {flags:?} hit {hit} short {short} over {over} all {all}");
    for call in Call::ALL {
        for send in ["once", "twice", "concurrent", "late"] {
            assert!(
                seen.contains_key(&format!("{call} {send}")),
                "{call} {send}: {told}"
            );
        }
    }
    for step in [
        "roll",
        "save",
        "transfer",
        "add-learner",
        "add-voter",
        "promote",
        "remove",
        "replace",
        "tamper sidecar-removed",
        "tamper sidecar-older",
        "tamper sidecar-corrupt",
        "tamper sidecar-epoch-last",
        "tamper undone",
        "kill",
        "pause",
        "restart",
        "partition-one",
        "partition-halves",
    ] {
        assert!(seen.contains_key(step), "{step}: {told}");
    }
    for never in [
        "tamper data-wiped",
        "tamper data-cloned",
        "tamper data-older",
    ] {
        assert!(!seen.contains_key(never), "{never}: {told}");
    }
    for flag in [
        "absent",
        "missing",
        "wrong",
        "foreign",
        "group-readable",
        "undurable",
        "rotate",
        "no flag",
    ] {
        assert!(flags.contains(flag), "{flag}: {told}");
    }
    assert!(hit > 50 && short > 50 && over > 50 && all > 50, "{told}");
}
