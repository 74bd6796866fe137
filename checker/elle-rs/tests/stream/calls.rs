//! Invocations and completions put together.

use elle_rs::history::stream::{Calls, Outcome};

use crate::reader;

fn calls(text: &str) -> Result<Vec<String>, String> {
    let mut calls = Calls::new(reader(text, None).map_err(|error| error.to_string())?);
    let mut told = Vec::new();
    while let Some(call) = calls.next_call().map_err(|error| error.to_string())? {
        let function = call.function.map_or("?", |f| call.symbols.spelling(f));
        told.push(format!(
            "{} by {}: {}..{} {:?} {function} {} -> {}",
            call.number,
            call.process,
            call.invoked,
            call.completed.map_or("?".to_owned(), |at| at.to_string()),
            call.outcome,
            call.input.display(call.symbols),
            call.output.display(call.symbols),
        ));
        assert_eq!(call.completed.is_none(), call.outcome == Outcome::Pending);
    }
    Ok(told)
}

#[test]
fn calls_come_as_they_complete() {
    let text = "
        {:type :invoke, :process 0, :f :write, :value [1 2]}
        {:type :invoke, :process 1, :f :read, :value nil}
        {:type :info, :process :nemesis, :f :start}
        {:type :ok, :process 1, :value 7}
        {:type :info, :process 0, :f :write}
        {:type :invoke, :process 0, :f :write, :value 3}
        {:type :invoke, :process 2, :f :read}
        {:type :invoke, :process 1, :f :read}
        {:type :fail, :process 0, :f :write, :value 3}";
    assert_eq!(
        calls(text).unwrap(),
        [
            "1 by 1: 1..3 Ok read nil -> 7",
            "0 by 0: 0..? Pending write [1 2] -> nil",
            "2 by 0: 5..8 Fail write 3 -> 3",
            "3 by 2: 6..? Pending read nil -> nil",
            "4 by 1: 7..? Pending read nil -> nil",
        ]
    );
}

#[test]
fn what_no_recorder_can_have_seen_is_an_error() {
    for (text, complaint) in [
        (
            "{:type :ok, :process 1, :f :read}",
            "h:1: process 1 completes an operation that it did not",
        ),
        (
            "{:type :invoke, :process 1, :f :read}\n{:type :invoke, :process 1, :f :read}",
            "h:2: process 1 invokes an operation while the one it invoked on line 1 is still open",
        ),
        (
            "{:type :invoke, :process 1, :f :read}\n\n{:type :ok, :process 1, :f :write}",
            "h:3: process 1 completes another operation than the one it invoked on line 1",
        ),
    ] {
        let error = calls(text).unwrap_err();
        assert!(error.contains(complaint), "{error}");
    }
}
