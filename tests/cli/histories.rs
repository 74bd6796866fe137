//! Histories of other tools are checked by models, and the verdicts' certificates verified.

use crate::support::Scene;

const GOOD: &str = "
{:process 0, :type :invoke, :f :put, :key \"x\", :value \"a\"}
{:process 0, :type :ok, :f :put, :key \"x\", :value \"a\"}
{:process 1, :type :invoke, :f :append, :key \"x\", :value \"b\"}
{:process 0, :type :invoke, :f :get, :key \"x\", :value nil}
{:process 0, :type :ok, :f :get, :key \"x\", :value \"ab\"}
";

#[test]
fn verdicts_and_their_certificates() {
    let scene = Scene::new();
    let bad = GOOD.replace("\"ab\"", "\"b\"");
    for (name, text, code, verdict) in [
        ("good.edn", GOOD.to_owned(), 0, "valid"),
        ("bad.edn", bad, 1, "violated"),
        ("torn.edn", format!("{GOOD}{{:type :inv"), 3, "inconclusive"),
    ] {
        let file = scene.file(name, &text);
        let certificate = format!("{file}.certificate");
        let exported = format!("{file}.json");
        let picture = format!("{file}.svg");
        let said = scene.say(&[
            "check",
            &file,
            "--model",
            "kv-map",
            "--json",
            "--certificate",
            &certificate,
            "--export",
            &exported,
            "--picture",
            &picture,
        ]);
        assert_eq!(said.code, code, "{}{}", said.stdout, said.stderr);
        let told = said.json();
        assert_eq!(told["verdict"], verdict);
        assert_eq!(told["invariants"][0]["id"], "LIN");
        let drawn = std::fs::read_to_string(&picture).unwrap_or_default();
        assert_eq!(drawn.starts_with("<svg"), verdict == "violated", "{drawn}");
        assert_eq!(told["picture"].is_null(), drawn.is_empty());
        if verdict == "inconclusive" {
            assert!(told["certificate"].is_null() && said.stdout.contains("is torn"));
            continue;
        }
        for history in [&file, &exported] {
            let said = scene.say(&["verify", &certificate, history]);
            assert_eq!(said.code, 0, "{}{}", said.stdout, said.stderr);
            assert!(
                said.stdout.contains(&format!("holds: {verdict}")),
                "{}",
                said.stdout
            );
        }
        let other = scene.file("other.edn", GOOD);
        let said = scene.say(&["verify", &certificate, &other]);
        assert_eq!(
            said.code,
            i32::from(verdict == "violated"),
            "{}",
            said.stdout
        );
    }
}

#[test]
fn wrong_words_are_said() {
    let scene = Scene::new();
    let file = scene.file("h.edn", GOOD);
    for (arguments, words) in [
        (
            &["check", &file, "--model", "kvmap"][..],
            "is no model; there are register",
        ),
        (
            &["check", &file, "--model", "kv-map", "--format", "yaml"],
            "is no format",
        ),
        (&["check", &file, "--model", "mutex"], "the model is mutex"),
        (&["check", &file, "--format", "edn"], "--model"),
        (&["check", "no.edn", "--model", "mutex"], "no.edn"),
        (&["verify", &file, &file], "no certificate"),
    ] {
        let said = scene.say(arguments);
        assert_eq!(said.code, 2, "{arguments:?}: {}", said.stderr);
        assert!(said.stderr.contains(words), "{}", said.stderr);
    }
}

const LISTS: &str = "
{:process 0, :type :invoke, :f :txn, :value [[:append 1 1] [:r 2 nil]]}
{:process 1, :type :invoke, :f :txn, :value [[:append 2 1] [:r 1 nil]]}
{:process 0, :type :ok, :f :txn, :value [[:append 1 1] [:r 2 []]]}
{:process 1, :type :ok, :f :txn, :value [[:append 2 1] [:r 1 []]]}
{:process 2, :type :invoke, :f :txn, :value [[:r 1 nil] [:r 2 nil]]}
{:process 2, :type :ok, :f :txn, :value [[:r 1 [1]] [:r 2 [1]]]}
";

/// Each of the two saw nothing of the other: write skew, which only serializability forbids.
#[test]
fn transactions_are_judged_at_a_level() {
    let scene = Scene::new();
    let file = scene.file("skew.edn", LISTS);
    for (level, code, verdict) in [
        ("strict-serializable", 1, "violated"),
        ("serializable", 1, "violated"),
        ("snapshot-isolation", 0, "valid"),
    ] {
        let certificate = format!("{file}.{level}");
        let said = scene.say(&[
            "check",
            &file,
            "--model",
            "list-append",
            "--level",
            level,
            "--json",
            "--certificate",
            &certificate,
        ]);
        assert_eq!(said.code, code, "{}{}", said.stdout, said.stderr);
        let told = said.json();
        assert_eq!(told["verdict"], verdict);
        if code == 1 {
            assert_eq!(told["invariants"][0]["findings"][0]["anomaly"], "G2-item");
            assert_eq!(told["not"], serde_json::json!(["repeatable-read"]));
            let also = told["also_not"].as_array().expect("levels");
            assert!(also.contains(&"serializable".into()), "{also:?}");
        }
        let said = scene.say(&["verify", &certificate, &file]);
        assert_eq!(said.code, 0, "{}{}", said.stdout, said.stderr);
        let other = scene.file("other.edn", LISTS.replace("[:r 2 []]", "[:r 2 [1]]"));
        let said = scene.say(&["verify", &certificate, &other]);
        assert_eq!(said.code, 1, "{level}: {}", said.stdout);
    }
    for (arguments, words) in [
        (["--level", "serialisable"], "serializable"),
        (["--budget", "7"], "list-append is one of transactions"),
    ] {
        let said =
            scene.say(&[&["check", &file, "--model", "list-append"], &arguments[..]].concat());
        assert_eq!(said.code, 2, "{}", said.stdout);
        assert!(said.stderr.contains(words), "{}", said.stderr);
    }
}
