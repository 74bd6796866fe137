//! What each format says comes out, and goes back in.

use std::io::Write;

use elle_rs::history::stream::{Format, Reader, Token, known};
use elle_rs::history::{Action, Event, Kind, Op, Step, file};

use crate::{reader, to_edn, to_json, values};

#[test]
fn edn_with_all_its_liberties() {
    let text = r#"
        ; a comment, then a tagged map, a discarded one, and one of the nemesis
        #jepsen.history.Op{:index 3, :time 17, :type :invoke, :process 1, :f :read, :value nil}
        #_{:type :nonsense}
        {:type :info, :process :nemesis, :f :start, :value {:n1 #{:n2 "x;y"}}}
        {:type :ok :process 1 :f :read :value [7 42], :error [:net "gone \" away"] :extra 1.5e3}
        ({:type :invoke, :f :cas, :value [7 [1 2]]} {:type :ok, :f :cas, :value [1 2], :swapped false})
        [{:type :invoke, :f :write, :value 5N} [{:type :invoke, :f :swap, "odd" 1, :value -6}]]
        {:type :ok, :value [[:append 1 2] (:r 3 [4 5]) [:r \a \newline]], :key "k\u00e9\n"}
        {:type :info :value 99999999999999999999 :f "quoted"}
    "#;
    let (edn, torn) = to_edn(reader(text, None).unwrap()).unwrap();
    assert_eq!(torn, None);
    let expected = [
        "{:index 3, :time 17, :type :invoke, :process 1, :f :read, :value nil}",
        r#"{:index 1, :type :info, :process :nemesis, :f :start, :value {:n1 #{:n2 "x;y"}}}"#,
        r#"{:index 2, :type :ok, :process 1, :f :read, :value [7 42], :error [:net "gone \" away"]}"#,
        "{:index 3, :type :invoke, :process nil, :f :cas, :value [7 [1 2]]}",
        "{:index 4, :type :ok, :process nil, :f :cas, :value [1 2], :swapped false}",
        "{:index 5, :type :invoke, :process nil, :f :write, :value 5}",
        "{:index 6, :type :invoke, :process nil, :f :swap, :value -6}",
        r#"{:index 7, :type :ok, :process nil, :key "ké\n", :value [[:append 1 2] [:r 3 [4 5]] [:r \a \newline]]}"#,
        "{:index 8, :type :info, :process nil, :f :quoted, :value 99999999999999999999}",
    ];
    assert_eq!(edn.lines().collect::<Vec<_>>(), expected);
    let (again, _) = to_edn(reader(&edn, Some(Format::Edn)).unwrap()).unwrap();
    assert_eq!(again, edn, "what was written reads as it was");
}

#[test]
fn json_in_lines_and_in_an_array() {
    let lines = r#"{"type":"invoke","process":0,"f":"txn","value":[["append",5,1],["r",6,null]],"time":12,"index":0}
{"type": "ok", "process": 0, "f": "txn", "value": [["append", 5, 1], ["r", 6, [1, -2]]], "time": 13, "more": {"a": [1.5, true]}}
{"type":"info","process":"nemesis","f":"stop","value":"\u00e9\ud83d\ude00\/"}"#;
    let array = format!("[{}]", lines.replace('\n', ","));
    let one = to_json(reader(lines, None).unwrap());
    assert_eq!(one, to_json(reader(&array, None).unwrap()));
    assert_eq!(one, to_json(reader(&one, Some(Format::Json)).unwrap()));
    assert_eq!(
        one.lines().nth(1),
        Some(
            r#"{"index":1,"time":13,"type":"ok","process":0,"f":"txn","value":[["append",5,1],["r",6,[1,-2]]]}"#
        )
    );
    assert_eq!(
        values(lines),
        [
            r#"[["append" 5 1] ["r" 6 nil]]"#,
            r#"[["append" 5 1] ["r" 6 [1 -2]]]"#,
            "\"é😀/\""
        ]
    );
}

/// A tool that asks for names reads EDN and JSON alike.
#[test]
fn edn_and_json_have_the_same_names() {
    let edn = "{:type :invoke, :process 3, :f :txn, :value [[:append 1 2] [:w 3 4]]}";
    let json = to_json(reader(edn, None).unwrap());
    for text in [edn, &json] {
        let mut reader = reader(text, None).unwrap();
        let entry = reader.next_entry().unwrap().unwrap();
        assert_eq!((entry.process, entry.kind), (Token::Int(3), Kind::Invoke));
        assert_eq!(entry.function, Some(known::TXN));
        let steps: Vec<_> = entry.value.parts().unwrap().collect();
        let names = steps
            .iter()
            .map(|step| step.parts().unwrap().next().unwrap().name());
        assert_eq!(
            names.collect::<Vec<_>>(),
            [Some(known::APPEND), Some(known::W)]
        );
    }
}

#[test]
fn porcupines_logs_and_lines() {
    let log = "INFO  jepsen.core - starting\nINFO  jepsen.util - 4\t:invoke\t:cas\t[2 3]\n\
               INFO  jepsen.util - 4\t:fail\t:cas\t[2 3]\nINFO  jepsen.util - 3\t:invoke\t:write\t1\r\n\
               INFO  jepsen.util - 3\t:info\t:write\t:timed-out\n:nemesis\t:info\t:start\tnil\n\
               2\t:ok\t:read\tnil";
    let (edn, torn) = to_edn(reader(log, None).unwrap()).unwrap();
    assert_eq!(torn, None);
    let expected = [
        "{:index 0, :type :invoke, :process 4, :f :cas, :value [2 3]}",
        "{:index 1, :type :ok, :process 4, :f :cas, :value [2 3], :swapped false}",
        "{:index 2, :type :invoke, :process 3, :f :write, :value 1}",
        "{:index 3, :type :info, :process 3, :f :write, :value nil, :error :timed-out}",
        "{:index 4, :type :info, :process :nemesis, :f :start, :value nil}",
        "{:index 5, :type :ok, :process 2, :f :read, :value nil}",
    ];
    assert_eq!(edn.lines().collect::<Vec<_>>(), expected);
    let lines = r#"{:process 0, :type :invoke, :f :get, :key "7", :value nil}"#;
    for format in [None, Some(Format::Porcupine)] {
        let (edn, _) = to_edn(reader(lines, format).unwrap()).unwrap();
        assert_eq!(
            edn,
            "{:index 0, :type :invoke, :process 0, :f :get, :key \"7\", :value nil}\n"
        );
    }
}

fn recorded() -> Vec<Event> {
    let actions = [
        (
            Kind::Invoke,
            Action::Read {
                key: 1,
                value: None,
            },
        ),
        (
            Kind::Ok,
            Action::Read {
                key: 1,
                value: Some(9),
            },
        ),
        (
            Kind::Ok,
            Action::Swap {
                key: 1,
                value: 4,
                old: None,
            },
        ),
        (
            Kind::Ok,
            Action::Cas {
                key: 2,
                expected: 1,
                value: 3,
                swapped: false,
            },
        ),
        (
            Kind::Ok,
            Action::Txn {
                steps: vec![
                    Step::Append {
                        key: 1,
                        value: u64::MAX,
                    },
                    Step::Read {
                        key: 2,
                        list: Some(vec![1, 2]),
                    },
                    Step::Read { key: 3, list: None },
                ],
            },
        ),
    ];
    (10..)
        .zip(actions)
        .map(|(index, (kind, action))| {
            Event::Op(Op {
                index,
                time_ns: index * 7,
                process: 2,
                kind,
                action,
                node: Some(0),
                error: (index == 12).then(|| "odd".to_owned()),
            })
        })
        .collect()
}

#[test]
fn our_own_packed_or_not() {
    let mut writer = file::Writer::new(Vec::new()).unwrap();
    recorded()
        .iter()
        .for_each(|event| writer.append(event).unwrap());
    let bytes = writer.finish().unwrap();
    let (edn, torn) = to_edn(reader(&bytes, None).unwrap()).unwrap();
    assert_eq!(torn, None);
    let expected = [
        "{:index 10, :time 70, :type :invoke, :process 2, :f :read, :key 1, :value nil}",
        "{:index 11, :time 77, :type :ok, :process 2, :f :read, :key 1, :value 9}",
        "{:index 12, :time 84, :type :ok, :process 2, :f :swap, :key 1, :value [nil 4], :error \"odd\"}",
        "{:index 13, :time 91, :type :ok, :process 2, :f :cas, :key 2, :value [1 3], :swapped false}",
        "{:index 14, :time 98, :type :ok, :process 2, :f :txn, \
         :value [[:append 1 18446744073709551615] [:r 2 [1 2]] [:r 3 nil]]}",
    ];
    assert_eq!(edn.lines().collect::<Vec<_>>(), expected);
    let cut = reader(&bytes[..bytes.len() - 3], None).unwrap();
    let (nothing, torn) = to_edn(cut).unwrap();
    assert!(nothing.is_empty() && torn.unwrap().contains("is torn"));

    let folder = tempfile::tempdir().unwrap();
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(edn.as_bytes()).unwrap();
    let gzip = gzip.finish().unwrap();
    let zstd = zstd::bulk::compress(edn.as_bytes(), 1).unwrap();
    let own = zstd::bulk::compress(&bytes, 1).unwrap();
    for (name, packed) in [("h.edn.gz", gzip), ("h.edn.zst", zstd), ("h.kqh.zst", own)] {
        let path = folder.path().join(name);
        std::fs::write(&path, packed).unwrap();
        let (read, torn) = to_edn(Reader::open(&path, None).unwrap()).unwrap();
        assert_eq!((read, torn), (edn.clone(), None), "{name}");
    }
}
