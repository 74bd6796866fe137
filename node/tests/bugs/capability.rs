//! Members that are not capable, when phases begin and when members come.

use crate::kit::members::As;
use crate::kit::{Purpose, Setup};
use crate::run::{ALL, Run, TOO_LONG};
use crate::symptom::{Finding, Symptom};
use tokio::time::{Instant, sleep};

/// The member that is not capable; it can hold keys all the same.
const FOURTH: usize = 3;
const INCAPABLE: Setup = Setup {
    enabled: false,
    ..ALL
};

/// A cutover asks every member, learners too, and takes no silence for an answer.
pub async fn cutovers(bug: Option<&'static str>) -> Vec<Finding> {
    let mut run = Run::new(bug, &[ALL; 3]);
    run.lab.start_all();
    run.write("clear", 5).await;
    run.learner(FOURTH, INCAPABLE).await;
    run.bootstrap().await.expect("a bootstrap");
    let accepted = run.enable(Purpose::Storage).await;
    let what = format!("n4 has no flag: {accepted:?}");
    run.find_if(accepted.is_ok(), Symptom::CutOverWithIncapable, what);
    run.lab.remove(FOURTH).await;
    run.lab.kill(FOURTH);
    let follower = run.follower().await;
    run.lab.kill(follower);
    let accepted = run.enable(Purpose::Raft).await;
    let what = format!("n{} is down: {accepted:?}", follower + 1);
    run.find_if(accepted.is_ok(), Symptom::CutOverWithSilent, what);
    run.lab.start(follower);
    run.write("goes-on", 5).await;
    run.caught_up().await;
    run.check().await;
    run.found
}

/// A newcomer is capable and has its rows before it is a member.
pub async fn members(bug: Option<&'static str>) -> Vec<Finding> {
    let mut run = Run::new(bug, &[ALL; 3]);
    run.lab.start_all();
    run.write("clear", 5).await;
    run.enter_phase_1().await;
    run.lab.start_newcomer(FOURTH, INCAPABLE);
    run.lab.cluster.patiently(FOURTH).await;
    let accepted = run.lab.add(run.leader().await, FOURTH, As::Learner).await;
    let what = format!("n4 has no flag: index {accepted:?}");
    run.find_if(accepted.is_ok(), Symptom::AddedIncapable, what);
    if accepted.is_ok() {
        run.lab.remove(FOURTH).await;
    }
    run.lab.kill(FOURTH);
    run.lab.setups.remove(&FOURTH);
    let fifth = FOURTH + 1;
    run.learner(fifth, ALL).await;
    run.write("goes-on", 5).await;
    run.caught_up().await;
    let keys = run.lab.keys_of(fifth).keys;
    let rows = run.lab.registered(run.lab.full_node_id(fifth)).await;
    let rows = rows.expect("the registry");
    let missing = keys
        .keys()
        .filter(|id| rows.iter().all(|(row, _)| row != *id));
    let missing: Vec<_> = missing.collect();
    let what = format!("n5 is a member without rows under {missing:?}");
    run.find_if(!missing.is_empty(), Symptom::LearnerWithoutRows, what);
    run.check().await;
    run.found
}

impl Run {
    /// Starts a newcomer and adds it as a learner.
    async fn learner(&mut self, node: usize, setup: Setup) {
        self.lab.start_newcomer(node, setup);
        self.lab.cluster.patiently(node).await;
        let deadline = Instant::now() + TOO_LONG;
        loop {
            let leader = self.leader().await;
            match self.lab.add(leader, node, As::Learner).await {
                Ok(_) => break,
                Err(status) => assert!(Instant::now() < deadline, "n{}: {status}", node + 1),
            }
            sleep(std::time::Duration::from_millis(50)).await;
        }
        self.caught_up().await;
    }
}
