//! Writes sample reports (valid, violated, inconclusive, one operation only), to look
//! at while changing the page: `cargo run --release -p keyquake-results --example sample_reports -- DIR`.

#[path = "../tests/results/support.rs"]
mod support;

use std::path::PathBuf;
use std::{env, fs};

use elle_rs::history::{Action, Event, FaultStep, Kind};
use keyquake_judge::{Judgement, Verdict};
use keyquake_results::Report;

fn main() -> std::io::Result<()> {
    let Some(folder) = env::args_os().nth(1).map(PathBuf::from) else {
        eprintln!("give the folder to write the sample reports to");
        std::process::exit(2);
    };
    fs::create_dir_all(&folder)?;
    let events = support::history(450);
    write(&folder, "valid", events.clone(), &support::valid())?;
    let too_little = support::invariant(
        "SELF-NONEMPTY",
        Verdict::Inconclusive,
        "1 successful operation, 100 needed",
        vec![],
    );
    let alone = support::judgement(Verdict::Inconclusive, vec![too_little]);
    write(&folder, "one-operation", support::one_operation(), &alone)?;
    write(&folder, "violated", events.clone(), &broken(&events))?;
    let without_effect = events
        .into_iter()
        .map(|mut event| {
            if let Event::Fault(fault) = &mut event
                && fault.fault == 2
                && fault.step == FaultStep::Effective
            {
                fault.step = FaultStep::Ineffective;
                fault.evidence = "2 of 11 threads still running (state S) after 500 ms".to_owned();
            }
            event
        })
        .collect();
    write(
        &folder,
        "inconclusive",
        without_effect,
        &support::inconclusive(),
    )
}

fn write(
    folder: &std::path::Path,
    name: &str,
    events: Vec<Event>,
    judgement: &Judgement,
) -> std::io::Result<()> {
    let mut run = support::run_info(42);
    if judgement.verdict == Verdict::Inconclusive {
        run.network.kind = "loopback".to_owned();
        run.network.cost = Some("No permission to create network namespaces, so the nodes shared 127.0.0.1 and no partition was injected.".to_owned());
    }
    let report = Report::build(&run, &support::plan(), events.into_iter(), judgement);
    let path = folder.join(format!("{name}.html"));
    fs::write(&path, &report.html)?;
    println!(
        "{:#}\n{:>9} bytes  {}\n",
        report.summary.with_report(&path),
        report.html.len(),
        path.display()
    );
    Ok(())
}

/// A stale read and a lost append, told about real operations of the history.
fn broken(events: &[Event]) -> Judgement {
    let invocations = |wanted: fn(&Action) -> bool| {
        events.iter().filter_map(move |event| match event {
            Event::Op(op) if op.kind == Kind::Invoke && wanted(&op.action) => Some(op.index),
            _ => None,
        })
    };
    let mut ops: Vec<u64> = invocations(|action| matches!(action, Action::Write { .. }))
        .skip(700)
        .take(2)
        .collect();
    ops.extend(
        invocations(|action| matches!(action, Action::Read { .. }))
            .skip(901)
            .step_by(9)
            .take(2),
    );
    let lost = events
        .iter()
        .enumerate()
        .find_map(|(at, event)| match event {
            Event::Op(op) if op.kind == Kind::Info && matches!(op.action, Action::Txn { .. }) => {
                events[..at].iter().rev().find_map(|earlier| match earlier {
                    Event::Op(asked) if asked.process == op.process => Some(asked.index),
                    _ => None,
                })
            }
            _ => None,
        });
    let txns = invocations(|action| matches!(action, Action::Txn { .. }))
        .skip(300)
        .step_by(7)
        .take(3);
    let mut all = support::violated(vec![support::finding(
        "stale-read",
        ops,
        "Read of 2114 by process 3 on n2 began at 11.902 s, after the write of 2120 by process 1 on n1 had completed at 11.640 s.\nA read may not return a value that was overwritten before it began.",
    )]);
    let cycle = support::finding(
        "G-single-realtime",
        lost.into_iter().chain(txns).collect(),
        "T1 appended 9 to key 4; T2 began after T1 had completed, and did not see it; T2 read key 5 before T1 appended to it.",
    );
    all.invariants[1] = support::invariant(
        "SSER",
        Verdict::Violated,
        "1 cycle among 2604 transactions on 46 lists",
        vec![cycle],
    );
    all
}
