//! JUnit XML and the terminal lines, as a CI and a person read them.

use super::support;
use std::path::Path;

use keyquake_judge::{Judgement, Verdict};
use keyquake_results::Report;
use quick_xml::Reader;
use quick_xml::events::Event as Xml;

fn report(judgement: &Judgement) -> Report {
    Report::build(
        &support::run_info(42),
        "",
        support::history(450).into_iter(),
        judgement,
    )
}

/// Every element of the document with its attributes, in order; the end tags must fit.
fn elements(xml: &str) -> Vec<(String, String)> {
    let mut reader = Reader::from_str(xml);
    reader.config_mut().check_end_names = true;
    let mut found = Vec::new();
    loop {
        match reader.read_event().expect("well-formed XML") {
            Xml::Start(tag) | Xml::Empty(tag) => {
                let attributes: Vec<String> = tag
                    .attributes()
                    .map(|attribute| attribute.expect("a well-formed attribute"))
                    .map(|one| {
                        let name = String::from_utf8_lossy(one.key.as_ref()).into_owned();
                        format!("{name}={}", String::from_utf8_lossy(&one.value))
                    })
                    .collect();
                found.push((
                    String::from_utf8_lossy(tag.name().as_ref()).into_owned(),
                    attributes.join(" "),
                ));
            }
            Xml::Eof => return found,
            _ => {}
        }
    }
}

fn count(elements: &[(String, String)], name: &str) -> usize {
    elements
        .iter()
        .filter(|(element, _)| element == name)
        .count()
}

#[test]
fn each_invariant_is_a_case_and_only_valid_passes() {
    let valid = elements(&report(&support::valid()).junit);
    assert_eq!(
        (
            count(&valid, "testcase"),
            count(&valid, "failure"),
            count(&valid, "error")
        ),
        (7, 0, 0)
    );

    let finding = support::finding("stale-read", vec![3, 9], "read after overwrite");
    let violated = report(&support::violated(vec![finding])).junit;
    let found = elements(&violated);
    assert_eq!(
        (
            count(&found, "testcase"),
            count(&found, "failure"),
            count(&found, "error")
        ),
        (7, 1, 0)
    );
    assert!(violated.contains("read after overwrite") && violated.contains("[3, 9]"));

    let inconclusive = elements(&report(&support::inconclusive()).junit);
    assert_eq!(
        (
            count(&inconclusive, "failure"),
            count(&inconclusive, "error")
        ),
        (0, 1)
    );
}

#[test]
fn a_run_that_is_not_valid_never_passes_even_without_an_invariant() {
    for (verdict, name) in [
        (Verdict::Inconclusive, "error"),
        (Verdict::Violated, "failure"),
    ] {
        let found = elements(&report(&support::judgement(verdict, vec![])).junit);
        assert_eq!(count(&found, name), 1);
    }
}

#[test]
fn seed_and_command_are_properties() {
    let found = elements(&report(&support::valid()).junit);
    let has = |text: &str| {
        found
            .iter()
            .any(|(name, attributes)| name == "property" && attributes.contains(text))
    };
    assert!(has("name=seed value=42"));
    assert!(has("keyquake run --seed 42"));
}

#[test]
fn hostile_texts_stay_text() {
    let hostile = "]]></failure><error/>\u{0}\u{7}\u{1b}[31m & \"quotes\"";
    let found = elements(
        &report(&support::violated(vec![support::finding(
            hostile,
            vec![],
            hostile,
        )]))
        .junit,
    );
    assert_eq!(
        (
            count(&found, "testcase"),
            count(&found, "failure"),
            count(&found, "error")
        ),
        (7, 1, 0)
    );
}

#[test]
fn the_terminal_is_told_verdict_findings_report_and_command() {
    let findings =
        (0..5).map(|n| support::finding("stale-read", vec![n], "line one\nline two\u{1b}[2J"));
    let summary = report(&support::violated(findings.collect()))
        .summary
        .with_report(Path::new("runs/x/report.html"));
    let text = summary.to_string();
    assert!(text.starts_with("VIOLATED"), "{text}");
    assert!(text.contains("stale-read: line one line two"), "{text}");
    assert!(
        text.contains("and 2 findings more, in the report"),
        "{text}"
    );
    assert!(text.contains("6 of 6 faults proven"), "{text}");
    assert!(text.ends_with("repeat  keyquake run --seed 42 --time 30s --nodes 3 --workload register,append --faults kill,pause,partition\n"));
    assert!(text.contains("report  runs/x/report.html"));
    assert!(
        !text.contains('\u{1b}'),
        "a store's text reached the terminal with its control codes"
    );
    assert_eq!(
        text.lines().filter(|line| line.contains(" valid ")).count(),
        6
    );
    assert!(
        format!("{summary:#}").contains("\u{1b}[1;31m"),
        "colours where they are asked for"
    );
}
