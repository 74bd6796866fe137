//! The EDN reader: what it understands, how it complains, and that no text makes it panic.

use std::io::Write;
use std::path::Path;

use elle_rs::history::{Action, Event, Kind, Op, Step, edn};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

fn parse(text: &str) -> Result<Vec<Op>, String> {
    let events = edn::parse(text, Path::new("h.edn")).map_err(|error| error.to_string())?;
    let ops = events.into_iter().filter_map(|event| match event {
        Event::Op(op) => Some(op),
        _ => None,
    });
    Ok(ops.collect())
}

#[test]
fn understands_all_it_says_it_does() {
    let text = r#"
        ; a comment, then a tagged map, a discarded one, and one of the nemesis
        #jepsen.history.Op{:index 3, :time 17, :type :invoke, :process 1, :f :read, :value nil}
        #_{:type :nonsense}
        {:type :info, :process :nemesis, :f :start, :value {:n1 #{:n2 "x;y"}}}
        {:type :ok :process 1 :f :read :value [7 42], :error [:net "gone \" away"] :extra 1.5e3}
        ({:type :invoke, :f :cas, :value [7 [1 2]]} {:type :ok, :f :cas, :value [1 2], :swapped false})
        [{:type :invoke, :f :write, :value 5N} {:type :invoke, :f :swap, :value 6} {:type :ok, :f :swap, :value [nil 6]}]
        {:type :ok, :value [[:append 1 2] [:r 3 [4 5]] [:r 6 nil]]}
    "#;
    let ops = parse(text).unwrap();
    let actions: Vec<&Action> = ops.iter().map(|op| &op.action).collect();
    let steps = vec![
        Step::Append { key: 1, value: 2 },
        Step::Read {
            key: 3,
            list: Some(vec![4, 5]),
        },
        Step::Read { key: 6, list: None },
    ];
    assert_eq!(
        actions,
        [
            &Action::Read {
                key: 0,
                value: None
            },
            &Action::Read {
                key: 7,
                value: Some(42)
            },
            &Action::Cas {
                key: 7,
                expected: 1,
                value: 2,
                swapped: false
            },
            &Action::Cas {
                key: 0,
                expected: 1,
                value: 2,
                swapped: false
            },
            &Action::Write { key: 0, value: 5 },
            &Action::Swap {
                key: 0,
                value: 6,
                old: None
            },
            &Action::Swap {
                key: 0,
                value: 6,
                old: None
            },
            &Action::Txn { steps },
        ]
    );
    assert_eq!(
        (ops[0].index, ops[0].time_ns, ops[0].process, ops[0].kind),
        (3, 17, 1, Kind::Invoke)
    );
    assert_eq!(ops[1].error.as_deref(), Some("[:net \"gone \\\" away\"]"));
    assert_eq!(
        ops.iter().map(|op| op.index).collect::<Vec<_>>(),
        [3, 4, 5, 6, 7, 8, 9, 10]
    );
}

#[test]
fn complains_with_file_line_and_reason() {
    for (text, complaint) in [
        (
            "{:type :ok\n :f}",
            "h.edn:2: the map has a key, :f, without a value",
        ),
        ("{:type :ok\n :f", "h.edn:2: the text ends within a form"),
        ("\n\n]", "h.edn:3: ']' closes nothing"),
        (
            "{:type :ok, :f :read, :value \"x",
            "h.edn:1: a string that does not end",
        ),
        ("\n{:type :done}", "h.edn:2: :type must be"),
        (
            "{:type :ok, :f :enqueue, :value 1}",
            "h.edn:1: :f :enqueue is not known",
        ),
        (
            "{:type :ok, :f :write, :value :x}",
            "expected a whole number, found :x",
        ),
        ("{:type :ok, :f :write, :value -1}", "-1 is below zero"),
        (
            "{:type :ok, :f :write, :value 99999999999999999999}",
            "out of bounds",
        ),
        (
            "{:type :ok, :value [[:w 1 2]]}",
            "[:w 1 2] is not a step that is known",
        ),
        ("17", "expected the map of an operation, found 17"),
        (
            "{:type :ok, :process 99999999999}",
            "process 99999999999 is out of bounds",
        ),
    ] {
        let error = parse(text).unwrap_err();
        assert!(error.contains(complaint), "{text}: {error}");
    }
    let deep = "[".repeat(100_000);
    assert!(parse(&deep).unwrap_err().contains("nested more than"));
    let missing = edn::read(Path::new("no/such.edn")).unwrap_err();
    assert!(missing.to_string().contains("no/such.edn"), "{missing}");
}

#[test]
fn opens_gzip() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("h.edn.gz");
    let file = std::fs::File::create(&path).unwrap();
    let mut packer = flate2::write::GzEncoder::new(file, flate2::Compression::fast());
    packer
        .write_all(b"{:type :invoke, :f :write, :value 5}")
        .unwrap();
    packer.finish().unwrap();
    assert_eq!(edn::read(&path).unwrap().len(), 1);
    let cut = std::fs::read(&path).unwrap();
    std::fs::write(&path, &cut[..cut.len() / 2]).unwrap();
    assert!(
        edn::read(&path)
            .unwrap_err()
            .to_string()
            .contains("h.edn.gz")
    );
}

#[test]
fn no_text_makes_it_panic() {
    let mut rng = ChaCha8Rng::seed_from_u64(9);
    let pieces = [
        "{",
        "}",
        "[",
        "]",
        "(",
        ")",
        "#{",
        "#_",
        "#",
        "\"",
        "\\",
        ";",
        "\n",
        " ",
        ",",
        ":",
        ":type",
        ":ok",
        ":invoke",
        ":f",
        ":txn",
        ":read",
        ":cas",
        ":value",
        "nil",
        "0",
        "7",
        "-1",
        ":append",
        ":r",
        "é",
        "\u{0}",
        "x",
        "{:type :invoke, :f :txn, :value [[:append 1 2]]}",
    ];
    let mut read = 0;
    for _ in 0..200_000 {
        let text: String = (0..rng.random_range(1..25))
            .map(|_| pieces[rng.random_range(0..pieces.len())])
            .collect();
        read += usize::from(parse(&text).is_ok());
    }
    assert!(read > 0);
}
