//! The verifier refuses what is no proof: witnesses that were tampered with, and patterns claimed of
//! histories that are linearizable.

use elle_rs::certificate::{Certificate, Proof};
use elle_rs::linear::ModelName;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::random::history;
use crate::textbook::{edn, linearizable};
use crate::{checked, verified};

const PATTERNS: [&str; 15] = [
    "thin-air",
    "replaced-twice",
    "circle",
    "backwards",
    "crossed",
    "taken-twice",
    "overtaken",
    "never-free",
    "twice",
    "apart",
    "no-multiple",
    "out-of-bounds",
    "crowded",
    "search",
    "none",
];

/// The certificate of a linearizable history made into the claim that it is none, and its witness.
pub fn denied(mut certificate: Certificate) -> Option<(Certificate, Vec<u64>)> {
    let witness = certificate.parts.first_mut()?.witness.take().unwrap();
    certificate.parts.truncate(1);
    "violated".clone_into(&mut certificate.verdict);
    Some((certificate, witness))
}

/// Claims of a linearizable history that some of its operations make some pattern, and sees each claim
/// refused. How many there were.
pub fn refuses_any(rng: &mut ChaCha8Rng, text: &str, model: ModelName) -> u32 {
    const CLAIMS: u32 = 40;
    let certificate = checked(text, model).certificate().unwrap();
    let Some((mut certificate, _)) = denied(certificate) else {
        return 0;
    };
    let places: Vec<u64> = (0..)
        .zip(text.lines())
        .filter(|(_, line)| line.contains(":invoke"))
        .map(|(place, _)| place)
        .collect();
    for _ in 0..CLAIMS {
        let pattern = PATTERNS[rng.random_range(0..PATTERNS.len() - 1)].to_owned();
        let ops = (0..rng.random_range(1..=4)).map(|_| {
            rng.random_bool(0.95)
                .then(|| places[rng.random_range(0..places.len())])
        });
        certificate.parts[0].proof = Some(Proof {
            pattern,
            ops: ops.collect(),
        });
        let told = verified(&certificate, text);
        assert!(told.is_err(), "{model}:\n{text}{certificate:#?}\n{told:?}");
    }
    CLAIMS
}

/// Whatever pattern and operations are named, a linearizable history is not shown to be none.
#[test]
fn no_proof_of_a_violation_that_is_none() {
    let mut rng = ChaCha8Rng::seed_from_u64(3);
    let mut tried = 0;
    for model in ModelName::ALL {
        for _ in 0..1_500 {
            let operations = history(&mut rng, model);
            if !linearizable(model, &operations) {
                continue;
            }
            let text = edn(&operations);
            let certificate = checked(&text, model).certificate();
            let Some((mut certificate, _)) = certificate.and_then(denied) else {
                continue;
            };
            for _ in 0..20 {
                let places = operations.len() as u64 * 2;
                let pattern = PATTERNS[rng.random_range(0..PATTERNS.len())].to_owned();
                let ops = (0..rng.random_range(0..=operations.len().max(4)))
                    .map(|_| rng.random_bool(0.9).then(|| rng.random_range(0..places)));
                certificate.parts[0].proof = Some(Proof {
                    pattern,
                    ops: ops.collect(),
                });
                tried += 1;
                let told = verified(&certificate, &text);
                assert!(told.is_err(), "{model}:\n{text}{certificate:#?}\n{told:?}");
            }
        }
    }
    assert!(tried > 50_000, "{tried}");
}

/// A violated history has no witness: neither one of another history nor one made up.
#[test]
fn no_witness_of_a_history_that_has_none() {
    let mut rng = ChaCha8Rng::seed_from_u64(4);
    let mut tried = 0;
    for model in ModelName::ALL {
        for _ in 0..1_500 {
            let operations = history(&mut rng, model);
            if linearizable(model, &operations) {
                continue;
            }
            let text = edn(&operations);
            let mut certificate = checked(&text, model).certificate().unwrap();
            "valid".clone_into(&mut certificate.verdict);
            certificate.parts[0].proof = None;
            for _ in 0..20 {
                let mut places: Vec<u64> = (0..operations.len() as u64 * 2).collect();
                for at in (1..places.len()).rev() {
                    places.swap(at, rng.random_range(0..=at));
                }
                // Only places of invocations can be right.
                let lines: Vec<&str> = text.lines().collect();
                places.retain(|&place| {
                    let line = lines.get(place as usize);
                    line.is_some_and(|line| line.contains(":invoke")) && rng.random_bool(0.9)
                });
                certificate.parts[0].witness = Some(places);
                tried += 1;
                assert!(
                    verified(&certificate, &text).is_err(),
                    "{text}{certificate:#?}"
                );
            }
        }
    }
    assert!(tried > 50_000, "{tried}");
}

const TEXT: &str = "
    {:type :invoke, :process 0, :f :write, :value [1 5]}
    {:type :ok, :process 0, :f :write, :value [1 5]}
    {:type :invoke, :process 0, :f :read, :value [1 nil]}
    {:type :ok, :process 0, :f :read, :value [1 5]}
    {:type :invoke, :process 0, :f :write, :value [2 5]}
    {:type :ok, :process 0, :f :write, :value [2 5]}
    {:type :invoke, :process 0, :f :write, :value [2 6]}
    {:type :fail, :process 0, :f :write, :value [2 6]}";

fn refused(tamper: impl Fn(&mut Certificate), words: &str) {
    let mut certificate = checked(TEXT, ModelName::Register).certificate().unwrap();
    assert!(verified(&certificate, TEXT).is_ok());
    tamper(&mut certificate);
    let error = verified(&certificate, TEXT).unwrap_err().to_string();
    assert!(error.contains(words), "{error}");
}

#[test]
fn tampering_is_noticed() {
    refused(|c| c.entries = 9, "9 entries, and this one has 8");
    refused(|c| c.kind = "opinion".to_owned(), "its kind");
    refused(|c| c.model = "stack".to_owned(), "stack");
    refused(|c| c.verdict = "fine".to_owned(), "its verdict");
    refused(|c| c.verdict = "violated".to_owned(), "one part");
    refused(
        |c| drop(c.parts.pop()),
        "1 keys of the history have no witness",
    );
    refused(|c| c.parts[1] = c.parts[0].clone(), "twice");
    refused(|c| c.parts[0].key = Some("7".to_owned()), "no key");
    refused(|c| c.parts[0].witness = None, "no witness");
    refused(|c| c.parts[0].witness = Some(vec![0]), "event 2 is missing");
    refused(|c| c.parts[0].witness = Some(vec![0, 2, 2]), "twice");
    refused(
        |c| c.parts[0].witness = Some(vec![2, 0]),
        "cannot have come back",
    );
    refused(
        |c| c.parts[1].witness = Some(vec![4, 6]),
        "event 6 invokes nothing",
    );
    refused(
        |c| c.parts[1].witness = Some(vec![0]),
        "event 0 invokes nothing",
    );
    for (text, words) in [
        ("{}", "missing field `format`"),
        (
            "{\"format\": 2}",
            "format version 2, and this release reads up to 1",
        ),
        ("{\"format\": 1}", "missing field `kind`"),
    ] {
        let error = Certificate::parse(text.as_bytes(), "c".as_ref())
            .unwrap_err()
            .to_string();
        assert!(error.starts_with("c: ") && error.contains(words), "{error}");
    }
}

/// The steps of a transaction say what it asks for, whether it has a name or not.
#[test]
fn transactions_need_no_name() {
    let text = "
        {:type :invoke, :process 0, :value [[:w 1 5] [:r 2 nil]]}
        {:type :ok, :process 0, :value [[:w 1 5] [:r 2 nil]]}";
    let certificate = checked(text, ModelName::MultiRegister).certificate();
    let told = verified(&certificate.unwrap(), text).unwrap();
    assert_eq!(told.verdict, "valid");
}

/// Nobody added the element that was seen twice.
#[test]
fn an_element_of_nobody_seen_twice() {
    let text = "
        {:type :invoke, :process 0, :f :read, :value nil}
        {:type :ok, :process 0, :f :read, :value [1 2 1]}";
    let certificate = checked(text, ModelName::Set).certificate().unwrap();
    let proof = certificate.parts[0].proof.as_ref().unwrap();
    assert_eq!(proof.pattern, "twice");
    assert_eq!(verified(&certificate, text).unwrap().verdict, "violated");
}

/// What a write is answered with says nothing of its key.
#[test]
fn a_write_is_where_it_was_asked() {
    let text = "
        {:type :invoke, :process 0, :f :write, :value 1}
        {:type :ok, :process 0, :f :write, :value [1 9]}
        {:type :invoke, :process 0, :f :read, :value nil}
        {:type :ok, :process 0, :f :read, :value 1}";
    let certificate = checked(text, ModelName::Register).certificate().unwrap();
    assert_eq!(verified(&certificate, text).unwrap().verdict, "valid");
}
