//! The page: well-formed, complete, harmless whatever a store said, and small.

use super::support;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use elle_rs::history::{Action, Event, FaultStep, Kind};
use html5gum::{Token, Tokenizer};
use keyquake_judge::{Judgement, Verdict};
use keyquake_results::Report;

const VOID: [&str; 4] = ["meta", "br", "hr", "img"];

fn page(events: Vec<Event>, judgement: &Judgement) -> String {
    Report::build(
        &support::run_info(42),
        &support::plan(),
        events.into_iter(),
        judgement,
    )
    .html
}

/// Tokenizes as a browser does; every element must be closed in order, and every id be unique.
/// Gives the text outside of `style`.
fn checked(html: &str) -> String {
    let (mut open, mut ids, mut text) = (Vec::new(), Vec::new(), String::new());
    for token in Tokenizer::new(html) {
        let Ok(token) = token;
        match token {
            Token::StartTag(tag) => {
                let name = String::from_utf8_lossy(&tag.name).into_owned();
                for (attribute, value) in &tag.attributes {
                    let attribute = String::from_utf8_lossy(attribute).into_owned();
                    let value = String::from_utf8_lossy(value).into_owned();
                    assert!(
                        !attribute.starts_with("on") && attribute != "src",
                        "{name} has {attribute}"
                    );
                    if attribute == "href" {
                        assert!(value.starts_with('#'), "{name} links to {value}");
                    }
                    if attribute == "id" {
                        assert!(!ids.contains(&value), "id {value} twice");
                        ids.push(value);
                    }
                }
                assert!(
                    !["script", "link", "iframe", "object", "base"].contains(&name.as_str()),
                    "{name}"
                );
                if !VOID.contains(&name.as_str()) && !tag.self_closing {
                    open.push(name);
                }
            }
            Token::EndTag(tag) => {
                let name = String::from_utf8_lossy(&tag.name).into_owned();
                assert_eq!(
                    open.pop().as_ref(),
                    Some(&name),
                    "closed in the wrong order"
                );
            }
            Token::String(string) if open.last().is_none_or(|name| name != "style") => {
                text.push_str(&String::from_utf8_lossy(&string));
                text.push(' ');
            }
            Token::Error(error) => panic!("not HTML: {error:?}"),
            _ => {}
        }
    }
    assert!(open.is_empty(), "left open: {open:?}");
    text
}

#[test]
fn a_page_says_what_was_decided_and_on_what() {
    let events = support::history(450);
    let html = page(events.clone(), &support::valid());
    let text = checked(&html);
    for expected in [
        "Valid",
        "All 7 invariants",
        "LIN",
        "SELF-NONEMPTY",
        "5412 operations on 8 keys linearize",
    ] {
        assert!(text.contains(expected), "{expected} is missing");
    }
    for expected in [
        "signal 9, by us",
        "partition-majority-ring n1 n2 n3",
        "effective, healed",
        "6 of 6",
    ] {
        assert!(text.contains(expected), "{expected} is missing");
    }
    for expected in [
        "timeout: no answer within 3s",
        "6.1.0-40-amd64",
        "--seed 42",
        "target = \"leader\"",
    ] {
        assert!(text.contains(expected), "{expected} is missing");
    }
    // The counts of the table are those of the history.
    let reads = events.iter().filter(|event| {
        matches!(event, Event::Op(op) if op.kind == Kind::Invoke && matches!(op.action, Action::Read { .. }))
    });
    assert!(
        text.contains(&format!("read {}", reads.count())),
        "the table of kinds is wrong"
    );
}

#[test]
fn a_finding_is_told_with_its_operations() {
    let explanation = "read of 7 by process 0 began after the write of 8 had completed";
    let judgement = support::violated(vec![support::finding(
        "stale-read",
        vec![0, 999_999],
        explanation,
    )]);
    let html = page(support::one_operation(), &judgement);
    let text = checked(&html);
    for expected in [
        "Violated",
        "LIN is broken: 1 finding.",
        "stale-read",
        explanation,
        "read key 1 → 7",
    ] {
        assert!(text.contains(expected), "{expected} is missing");
    }
    assert!(text.contains("1 operation named by this finding is not in the history"));
    assert!(html.contains("Timeline of 1 operations by process"));
    assert!(text.contains("0.005000 s") && text.contains("0.007000 s"));
}

#[test]
fn an_inconclusive_run_never_reads_as_a_pass() {
    let mut events = support::history(450);
    for event in &mut events {
        if let Event::Fault(fault) = event
            && fault.step == FaultStep::Effective
        {
            fault.step = FaultStep::Ineffective;
        }
    }
    let text = checked(&page(events, &support::inconclusive()));
    for expected in [
        "Inconclusive",
        "This is not a pass",
        "is not decided: fault 2",
        "no effect",
        "0 of 6",
    ] {
        assert!(text.contains(expected), "{expected} is missing");
    }
}

#[test]
fn nothing_a_store_says_becomes_markup() {
    let hostile =
        "</style></svg><script>alert('\"&')</script><img src=x onerror=alert(1)>\u{0}\u{202e}";
    let read = Action::Read {
        key: 1,
        value: None,
    };
    let mut events = vec![
        support::op(0, 1, 0, Kind::Invoke, read.clone(), None),
        support::op(1, 2, 0, Kind::Fail, read, Some(hostile)),
    ];
    let fault = support::history(450)
        .into_iter()
        .find(|event| matches!(event, Event::Fault(_)));
    if let Some(Event::Fault(mut fault)) = fault {
        fault.name = hostile.to_owned();
        fault.evidence = hostile.to_owned();
        events.push(Event::Fault(fault));
    }
    let judgement = support::judgement(
        Verdict::Violated,
        vec![support::invariant(
            hostile,
            Verdict::Violated,
            hostile,
            vec![support::finding(hostile, vec![0], hostile)],
        )],
    );
    let mut run = support::run_info(1);
    run.command = hostile.to_owned();
    run.id = hostile.to_owned();
    run.ended_early = Some(hostile.to_owned());
    run.nodes[0].id = hostile.to_owned();
    let report = Report::build(&run, hostile, events.into_iter(), &judgement);
    let html = report.html.replace('\u{0}', "");
    let text = checked(&html);
    assert!(
        text.contains("<script>alert('\"&')</script>"),
        "it is shown as text"
    );
    assert!(!html.contains("<script") && !html.contains("<img"));
    assert!(!report.summary.to_string().contains('\u{0}'));
}

#[test]
fn an_empty_history_and_one_operation_are_pages_too() {
    let text = checked(&page(
        vec![],
        &support::judgement(Verdict::Inconclusive, vec![]),
    ));
    assert!(text.contains("No operation was recorded") && text.contains("No fault was injected"));
    assert!(text.contains("cut short"));
    let html = page(support::one_operation(), &support::inconclusive());
    let text = checked(&html);
    assert!(
        text.contains("2.00 ms"),
        "the latency of the only operation"
    );
    assert!(
        !html.contains("NaN") && !html.replace("info", "").contains("inf"),
        "a place that is no number"
    );
}

#[test]
fn a_large_run_is_a_small_page() {
    // About 100,000 operations, a thousand findings, each text of an error different.
    let mut events = support::history(4800);
    for event in &mut events {
        if let Event::Op(op) = event {
            op.error = op.error.take().map(|text| format!("{text} {}", op.index));
        }
    }
    let invocations = events
        .iter()
        .filter(|event| matches!(event, Event::Op(op) if op.kind == Kind::Invoke))
        .count();
    assert!(invocations >= 100_000, "only {invocations} operations");
    let findings = (0..1000)
        .map(|n| support::finding("lost-update", (n..n + 40).collect(), &"why ".repeat(400)));
    let html = page(events, &support::violated(findings.collect()));
    checked(&html);
    assert!(html.len() < 1_500_000, "{} bytes", html.len());
}

#[test]
fn the_same_run_is_the_same_page() {
    let make = || page(support::history(450), &support::valid());
    assert_eq!(make(), make());
}

/// Whether this browser is here.
fn browser() -> Option<&'static str> {
    ["chromium-headless-shell", "chromium"]
        .into_iter()
        .find(|name| {
            let found = Command::new(name)
                .arg("--version")
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .status();
            found.is_ok_and(|status| status.success())
        })
}

#[test]
fn a_browser_renders_it_without_a_complaint() {
    let Some(browser) = browser() else {
        println!(
            "skipped: neither chromium-headless-shell nor chromium is installed (Debian has packages of both)"
        );
        return;
    };
    let temp = tempfile::tempdir().expect("a temporary folder");
    let file = temp.path().join("report.html");
    fs::write(&file, page(support::history(450), &support::valid())).expect("the page");
    let (dom, log) = dump_dom(browser, temp.path(), &file);
    assert!(
        dom.contains("All 7 invariants"),
        "the page was not rendered: {dom:.300}"
    );
    assert_eq!(
        dom.matches("role=\"img\"").count(),
        2,
        "one picture per workload"
    );
    assert!(!log.contains("CONSOLE"), "the browser complained: {log}");
}

fn dump_dom(browser: &str, profile: &Path, file: &Path) -> (String, String) {
    let log = profile.join("browser.log");
    let dom = profile.join("dom.html");
    let create = |path: &Path| fs::File::create(path).expect("a file for the browser's output");
    let mut child = Command::new(browser)
        .args([
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--enable-logging=stderr",
            "--v=0",
            "--dump-dom",
        ])
        .arg(format!(
            "--user-data-dir={}",
            profile.join("profile").display()
        ))
        .arg(format!("file://{}", file.display()))
        .stdout(create(&dom))
        .stderr(create(&log))
        .spawn()
        .expect("the browser starts");
    let deadline = std::time::Instant::now() + Duration::from_secs(60);
    loop {
        if let Some(status) = child.try_wait().expect("the browser's state") {
            assert!(status.success(), "the browser failed: {status}");
            break;
        }
        if std::time::Instant::now() > deadline {
            child.kill().expect("the browser ends");
            child.wait().expect("the browser ended");
            panic!("the browser did not end within a minute");
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    let read = |path: &Path| {
        String::from_utf8_lossy(&fs::read(path).expect("the browser's output")).into_owned()
    };
    (read(&dom), read(&log))
}
