//! Budgets, names, what is said of what was not understood, and that nothing depends on threads.

use elle_rs::linear::{CheckError, Method, ModelName, Options, Outcome, check};

use crate::{checked, is_valid, reader};

/// Many writers of few values at once, answered in the other order: hard.
fn crowd(key: u32, writers: u32) -> String {
    let mut text = String::new();
    let process = |writer: u32| key * 1_000 + writer;
    for writer in 0..writers {
        let value = writer % 5;
        let process = process(writer);
        text +=
            &format!("{{:type :invoke, :process {process}, :f :write, :value [{key} {value}]}}\n");
    }
    let reads = process(writers);
    // Five times 3 with others between: four writers of it are not enough where there are 20.
    for value in [3, 4, 3, 4, 3, 4, 3, 4, 3] {
        text += &format!("{{:type :invoke, :process {reads}, :f :read, :value [{key} nil]}}\n");
        text += &format!("{{:type :ok, :process {reads}, :f :read, :value [{key} {value}]}}\n");
    }
    for writer in (0..writers).rev() {
        let process = process(writer);
        text += &format!("{{:type :ok, :process {process}, :f :write, :value [{key} 0]}}\n");
    }
    text
}

#[test]
fn an_exhausted_budget_is_undecided_and_says_where() {
    let text = crowd(7, 20);
    let options = Options {
        budget: 10,
        ..Options::new(ModelName::Register)
    };
    let report = check(reader(&text), &options).unwrap();
    assert_eq!(report.certificate(), None);
    let part = &report.parts[0];
    assert_eq!(part.method, Method::Search);
    assert!(
        part.note
            .as_ref()
            .unwrap()
            .contains("written more than once")
    );
    let Outcome::Undecided { reason } = &part.outcome else {
        panic!("{part:?}")
    };
    for words in [
        "of key 7",
        "gave up after 10 steps",
        "between events",
        "operations were open",
    ] {
        assert!(reason.contains(words), "{reason}");
    }
    assert!(
        !is_valid(&checked(&text, ModelName::Register)),
        "nobody wrote 9"
    );
}

#[test]
fn the_same_bytes_on_any_number_of_threads() {
    let text: String = (1..6).map(|key| crowd(key, 6)).collect();
    let on = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .unwrap();
        pool.install(|| {
            let report = checked(&text, ModelName::CasRegister);
            (format!("{report:?}"), report.certificate().unwrap().text())
        })
    };
    let alone = on(1);
    for threads in [2, 3, 7] {
        assert_eq!(on(threads), alone, "{threads} threads");
    }
}

#[test]
fn names_are_exact() {
    for model in ModelName::ALL {
        assert_eq!(model.name().parse(), Ok(model));
    }
    let error = "cas_register".parse::<ModelName>().unwrap_err().to_string();
    assert!(error.contains("cas_register") && error.contains("cas-register, multi-register"));
}

#[test]
fn what_the_model_has_not_is_an_error() {
    let text = "{:type :invoke, :f :write, :value 1}\n{:type :invoke, :process 1, :f :enqueue, :value 1}\n";
    for model in ModelName::ALL {
        let error = check(reader(text), &Options::new(model)).unwrap_err();
        let CheckError::NotOfModel { line, reason, .. } = &error else {
            panic!("{error}")
        };
        let first = matches!(
            model,
            ModelName::Register | ModelName::CasRegister | ModelName::KvMap
        );
        assert_eq!(*line, if first { 2 } else { 1 }, "{model}");
        assert!(reason.contains("is not known; there are"), "{reason}");
        assert!(error.to_string().contains(model.name()));
    }
}

#[test]
fn a_torn_history_is_never_valid() {
    let text = "{:type :invoke, :f :write, :value 1}\n{:type :ok, :f :wri";
    let report = checked(text, ModelName::Register);
    assert!(report.torn.is_some() && report.certificate().is_none());
}

/// Nothing that is appended is something that a recorder lost.
#[test]
fn an_append_of_nothing_is_an_error() {
    let text = "{:type :invoke, :f :append, :key 1, :value nil}\n{:type :ok, :f :append, :key 1}";
    let error = check(reader(text), &Options::new(ModelName::KvMap)).unwrap_err();
    assert!(error.to_string().contains(":append of a text"), "{error}");
}

/// Where the question and the answer both name a key, they name the same.
#[test]
fn an_answer_about_another_key_is_an_error() {
    let text = "{:type :invoke, :f :read, :value [1 nil]}\n{:type :ok, :f :read, :value [2 5]}";
    let error = check(reader(text), &Options::new(ModelName::Register)).unwrap_err();
    assert!(
        error.to_string().contains("the key that was asked for"),
        "{error}"
    );
}
