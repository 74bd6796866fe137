//! How small counterexamples that were searched are, and that what they leave out can be left out.

use elle_rs::certificate::Proof;
use elle_rs::linear::{Method, ModelName};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::random::{history, rounds};
use crate::textbook::{edn, linearizable};
use crate::verifier::denied;
use crate::{checked, verified};

/// The operations that the certificate of a violated history names, checked.
fn conflict(text: &str, model: ModelName) -> Vec<u64> {
    let report = checked(text, model);
    assert_eq!(report.parts[0].method, Method::Search, "{report:#?}");
    let certificate = report.certificate().unwrap();
    assert_eq!(verified(&certificate, text).unwrap().verdict, "violated");
    let proof = certificate.parts[0].proof.clone().unwrap();
    let mut places: Vec<u64> = proof.ops.into_iter().flatten().collect();
    places.sort_unstable();
    places
}

/// Each line an operation that completes before the next one begins: `:f`, what is asked and what
/// comes back.
fn in_turn(operations: &[(&str, &str, &str)]) -> String {
    let lines = operations.iter().map(|(f, asked, answered)| {
        format!(
            "{{:type :invoke, :process 0, :f :{f}, :value {asked}}}\n\
             {{:type :ok, :process 0, :f :{f}, :value {answered}}}\n"
        )
    });
    lines.collect()
}

/// 1 was written twice; 2 to 9, written and read twice each, have nothing to do with it.
#[test]
fn other_values_of_a_register_are_left_out() {
    let others: Vec<String> = (2..10).map(|value| value.to_string()).collect();
    let mut operations = vec![("write", "1", "1"), ("write", "1", "1")];
    for value in &others {
        operations.extend([("write", &value[..], &value[..]); 2]);
        operations.push(("read", "nil", value));
    }
    operations.push(("read", "nil", "1"));
    let last = operations.len() as u64 * 2 - 2;
    let places = conflict(&in_turn(&operations), ModelName::Register);
    // 1 twice, the read of it, and one value that came between.
    assert_eq!(places.len(), 5, "{places:?}");
    assert!(
        places.starts_with(&[0, 2]) && places.ends_with(&[last]),
        "{places:?}"
    );
}

/// With a value goes what was put in its place.
#[test]
fn what_follows_a_value_is_left_out_with_it() {
    let text = in_turn(&[
        ("write", "2", "2"),
        ("write", "2", "2"),
        ("cas", "[2 3]", "[2 3]"),
        ("cas", "[3 4]", "[3 4]"),
        ("read", "nil", "4"),
        ("write", "1", "1"),
        ("write", "1", "1"),
        ("write", "5", "5"),
        ("read", "nil", "1"),
    ]);
    assert_eq!(conflict(&text, ModelName::CasRegister), [10, 12, 14, 16]);
}

#[test]
fn other_values_of_a_queue_are_left_out() {
    let text = in_turn(&[
        ("enqueue", "1", "1"),
        ("enqueue", "1", "1"),
        ("enqueue", "2", "2"),
        ("dequeue", "nil", "1"),
        ("dequeue", "nil", "1"),
        ("dequeue", "nil", "2"),
        ("enqueue", "3", "3"),
        ("enqueue", "3", "3"),
        ("enqueue", "4", "4"),
        ("dequeue", "nil", "4"),
    ]);
    let places = conflict(&text, ModelName::FifoQueue);
    assert_eq!(places, [12, 14, 16, 18], "{text}");
}

/// Whatever is left out, operations of a linearizable history have an order, so nobody shows that they
/// have none.
#[test]
fn no_operations_of_a_linearizable_history_are_in_conflict() {
    let mut rng = ChaCha8Rng::seed_from_u64(13);
    let mut tried = 0;
    for model in ModelName::ALL {
        for _ in 0..rounds() / 10 {
            let operations = history(&mut rng, model);
            if !linearizable(model, &operations) {
                continue;
            }
            let text = edn(&operations);
            let certificate = checked(&text, model).certificate();
            let Some((mut certificate, places)) = certificate.and_then(denied) else {
                continue;
            };
            for _ in 0..8 {
                let mut ops = places.clone();
                ops.retain(|_| rng.random_bool(0.7));
                if ops.is_empty() {
                    continue;
                }
                let first = rng.random_range(0..ops.len());
                ops.swap(0, first);
                certificate.parts[0].proof = Some(Proof {
                    pattern: "search".to_owned(),
                    ops: ops.into_iter().map(Some).collect(),
                });
                tried += 1;
                let told = verified(&certificate, &text);
                assert!(told.is_err(), "{model}:\n{text}{certificate:#?}\n{told:?}");
            }
        }
    }
    assert!(tried > 50_000, "{tried}");
}
