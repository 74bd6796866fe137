//! What is wrong with a history is said with its line; a torn end is no error, and said.

use std::io::Write;

use elle_rs::history::stream::{Format, Reader};

use crate::{reader, to_edn};

#[test]
fn complains_with_file_line_and_reason() {
    for (text, complaint) in [
        ("{:type :ok\n :f}", "h:2: the map has a key without a value"),
        ("\n\n]", "h:3: ']' closes nothing"),
        (
            "\n{:type :done}",
            "h:2: :type must be :invoke, :ok, :fail or :info, not :done",
        ),
        ("{:type 7}", "h:1: :type must be"),
        ("{:f :read}", "h:1: the map has no :type"),
        ("17", "expected the map of an operation, found 17"),
        (
            "[[:append 1 2]]",
            "expected the map of an operation, found :append",
        ),
        (
            "{:type :ok, :swapped 3}",
            ":swapped must be true or false, not 3",
        ),
        ("{:type :ok, :value {1}}", "a map has a key without a value"),
        ("{:type :ok, :value \"\\q\"}", "\\q is no escape"),
        ("{\"type\":\"done\"}", ":type must be"),
        (
            "{\"type\":\"ok\" \"value\" 3}",
            "expected ':' behind a name",
        ),
        (
            "{\"type\":\"ok\",\n\"value\":yes}",
            "h:2: yes is no JSON value",
        ),
        (
            "[{\"type\":\"ok\"},3]",
            "expected the object of an operation, found 3",
        ),
        ("{\"type\":\"ok\",\"value\":\"\\ud800\"}", "half a letter"),
        (
            "INFO  jepsen.util - 4\t:ok\t:cas\t[2 [3]]\n",
            "h:1: [2 [3]] is no value",
        ),
    ] {
        let error = reader(text, None).and_then(to_edn).unwrap_err().to_string();
        assert!(
            error.starts_with("h:") && error.contains(complaint),
            "{text}: {error}"
        );
    }
    for open in ["[", "{:type :ok :value [[", "#{#{", "{:type :ok :value "] {
        let deep = open.repeat(100_000);
        let error = reader(&deep, Some(Format::Edn))
            .and_then(to_edn)
            .unwrap_err();
        assert!(error.to_string().contains("nested more than"), "{error}");
    }
    let deep = format!("{{\"type\":\"ok\",\"value\":{}", "[".repeat(100_000));
    let error = reader(&deep, None).and_then(to_edn).unwrap_err();
    assert!(error.to_string().contains("nested more than"), "{error}");
    let not_text = reader(b"{:type :ok, :value \"\xff\xfe\"}", None).and_then(to_edn);
    assert!(not_text.unwrap_err().to_string().contains("not UTF-8 text"));
    let missing = Reader::open("no/such.edn".as_ref(), None).err().unwrap();
    assert!(missing.to_string().contains("no/such.edn"), "{missing}");
}

/// Cut anywhere, a history reads as its whole events, and says that it was cut, and where.
#[test]
fn a_torn_end_is_said() {
    let events = [
        "{:type :invoke, :process 0, :f :write, :value [1 \"a b\"]}\n",
        "{:type :ok, :process 0, :f :write, :value [1 \"a b\"]}\n",
    ];
    let text = events.concat();
    let whole = |prefix: usize| match prefix {
        prefix if prefix >= text.len() - 1 => 2,
        prefix if prefix >= events[0].len() - 1 => 1,
        _ => 0,
    };
    for end in 0..text.len() {
        let (edn, torn) = to_edn(reader(&text[..end], Some(Format::Edn)).unwrap()).unwrap();
        assert_eq!(edn.lines().count(), whole(end), "cut at {end}");
        let is_clean = [0, events[0].len() - 1, events[0].len(), text.len() - 1].contains(&end);
        assert_eq!(torn.is_none(), is_clean, "cut at {end}: {torn:?}");
        let line = 1 + usize::from(end >= events[0].len());
        assert!(torn.is_none_or(|torn| torn.contains(&format!("on line {line}"))));
        // In a vector, its end is missing wherever it is cut.
        let vector = format!("[{}", &text[..end]);
        let (edn, torn) = to_edn(reader(&vector, Some(Format::Edn)).unwrap()).unwrap();
        assert_eq!((edn.lines().count(), torn.is_some()), (whole(end), true));
    }
    let json = "{\"type\":\"ok\",\"value\":1}\n{\"type\":\"o";
    let (edn, torn) = to_edn(reader(json, None).unwrap()).unwrap();
    assert!(edn.lines().count() == 1 && torn.unwrap().contains("on line 2"));
    let log = "INFO  jepsen.util - 4\t:ok\t:read\t1\nINFO  jepsen.util - 4\t:ok\t:cas\t[2";
    let (edn, torn) = to_edn(reader(log, None).unwrap()).unwrap();
    assert!(edn.lines().count() == 1 && torn.unwrap().contains("on line 2"));
}

#[test]
fn a_torn_package_is_said() {
    let line = "{:type :invoke, :process 0, :f :write, :value 17}\n";
    let text: String = (0..50_000)
        .map(|n| line.replace("17", &n.to_string()))
        .collect();
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(text.as_bytes()).unwrap();
    let gzip = gzip.finish().unwrap();
    let zstd = zstd::bulk::compress(text.as_bytes(), 1).unwrap();
    for packed in [gzip, zstd] {
        let (edn, torn) = to_edn(reader(&packed[..packed.len() / 2], None).unwrap()).unwrap();
        let read = edn.lines().count();
        assert!(read > 10_000 && read < 50_000, "{read}");
        assert!(torn.unwrap().contains("cut short"));
        let (edn, torn) = to_edn(reader(&packed[..40], None).unwrap()).unwrap();
        assert!(edn.is_empty() && torn.is_some());
    }
}
