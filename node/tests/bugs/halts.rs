//! A member of release 6A meets a bootstrap, which it cannot apply.

use tokio::time::{Instant, sleep};

use crate::kit::{Setup, disk};
use crate::run::{Run, Start, TOO_LONG};
use crate::symptom::{Finding, Symptom};

/// The member that cannot.
const OLD: usize = 2;

pub async fn halts(bug: Option<&'static str>) -> Vec<Finding> {
    let now = Setup::all("6b");
    let mut run = Run::new(bug, &[now, now, Setup::all("6a")]);
    run.lab.start_all();
    // Only a 6B can propose.
    run.lab.lead(0).await;
    run.lab.cluster.put(0, "k", "old").await.expect("a write");
    run.caught_up().await;
    let call = run.lab.bootstrap_call().await;
    let index = run.call(&call).await.expect("a bootstrap").index;
    run.lab.cluster.put(0, "k", "new").await.expect("a write");
    if watch(&mut run, index).await {
        let applied = disk::applied(&run.lab.data_dir(OLD));
        let what = format!("applied {applied}, halted at {index}");
        run.find_if(applied >= index, Symptom::AppliedMovedAtHalt, what);
    } else {
        run.lab.kill(OLD);
    }
    // With a KEK, it goes on from where it was.
    run.lab.setups.insert(OLD, now);
    run.lab.start(OLD);
    match run.started(OLD).await {
        Start::Serves => run.caught_up().await,
        Start::Ended(said) => run.find(Symptom::NotRecovered, said),
    }
    run.write("goes-on", 5).await;
    run.check().await;
    run.found
}

/// Whether the old member ends by itself, and not too late.
async fn watch(run: &mut Run, index: u64) -> bool {
    let deadline = Instant::now() + TOO_LONG;
    while Instant::now() < deadline {
        if run.ended(OLD).await {
            return true;
        }
        let status = run.lab.cluster.status(OLD).await;
        if let Some(status) = status.ok().filter(|status| status.applied_index >= index) {
            let what = format!("runs on at {}, past {index}", status.applied_index);
            run.find(Symptom::HaltPassed, what);
            return false;
        }
        // A read that a member before its halt sends on, or that one after it does not answer.
        let read = run.lab.cluster.get(OLD, "k").await;
        if let Ok(read) = read
            && read.as_deref() != Some("new")
        {
            run.find(Symptom::HaltedReadWrong, format!("k is {read:?}"));
            return false;
        }
        sleep(std::time::Duration::from_millis(20)).await;
    }
    run.find(Symptom::Stuck, "it neither ends nor goes on");
    false
}
