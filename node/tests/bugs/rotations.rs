//! `--encryption-rotate-on-startup` on one member.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::kit::Setup;
use crate::run::{ALL, Run, TOO_LONG};
use crate::symptom::{Finding, Symptom};

pub async fn rotations(bug: Option<&'static str>) -> Vec<Finding> {
    let mut run = Run::new(bug, &[ALL; 3]);
    run.lab.start_all();
    run.enter_phase_2().await;
    run.write("first", 5).await;
    let node = run.follower().await;
    let term = run.term().await;
    let rotating = Setup {
        rotate_on_startup: true,
        ..ALL
    };
    run.lab.restart_as(node, rotating);
    // Its public port opens once a rotation at its start is done.
    drop(run.lab.cluster.redis(node).await);
    run.caught_up().await;
    run.write("second", 5).await;
    let keys = run.keys().await;
    // A request of whoever has led since would be another matter.
    let led = run.term().await != term;
    let what = format!("{keys} keys, and n{} has not led", node + 1);
    run.find_if(keys != 2 && !led, Symptom::FollowerRotated, what);
    if keys == 2 {
        run.lab.lead(node).await;
        let made = run.keys_made(keys).await;
        let what = format!("{made} keys for one leadership");
        run.find_if(made > 2, Symptom::RotatedTwice, what);
    }
    run.write("goes-on", 5).await;
    run.check().await;
    run.found
}

impl Run {
    async fn term(&self) -> u64 {
        let leader = self.leader().await;
        let status = self.lab.cluster.status(leader).await;
        status.expect("a status").term
    }

    /// Keys that the leader knows.
    async fn keys(&self) -> usize {
        self.lab.keys_of(self.leader().await).keys.len()
    }

    /// Keys made until no more come.
    async fn keys_made(&self, from: usize) -> usize {
        let deadline = Instant::now() + TOO_LONG;
        let mut last = (0, Instant::now());
        while Instant::now() < deadline {
            let made = self.keys().await - from;
            if made != last.0 {
                last = (made, Instant::now());
            }
            if made >= 2 && last.1.elapsed() > Duration::from_secs(1) {
                break;
            }
            sleep(Duration::from_millis(50)).await;
        }
        last.0
    }
}
