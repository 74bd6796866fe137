//! Clients append while the cluster enters phase 2.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use redis::cmd;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

use crate::failover::patiently;
use crate::kit::Purpose;
use crate::run::{ALL, Run, TOO_LONG};
use crate::symptom::{Finding, Symptom};

/// Clients that append without a pause: some append is always under way.
const CLIENTS: usize = 12;
/// Appends acknowledged before and after the cutover.
const ENOUGH: usize = 60;

pub async fn barrier(bug: Option<&'static str>) -> Vec<Finding> {
    let mut run = Run::new(bug, &[ALL; 3]);
    run.lab.start_all();
    run.enter_phase_1().await;
    run.caught_up().await;
    let leader = run.leader().await;
    let call = run.lab.enable_call(Purpose::Raft).await;
    let (stop, done) = (
        Arc::new(AtomicBool::new(false)),
        Arc::new(AtomicUsize::new(0)),
    );
    let mut clients = JoinSet::new();
    for client in 0..CLIENTS {
        let redis = run.lab.cluster.redis(leader).await;
        clients.spawn(append(redis, client, stop.clone(), done.clone()));
    }
    more(&done).await;
    let cut_over = run.call(&call).await;
    cut_over.expect("phase 2");
    let reopened = more(&done).await;
    stop.store(true, Ordering::Relaxed);
    let what = "no append is acknowledged after the cutover";
    run.find_if(!reopened, Symptom::BarrierShut, what);
    if !reopened {
        return run.found;
    }
    let mut redis = run.lab.cluster.redis(run.leader().await).await;
    while let Some(ended) = clients.join_next().await {
        let (list, acknowledged) = ended.expect("a client that ends well");
        let there: Vec<String> = patiently(&mut redis, &["LRANGE", &list, "0", "-1"]).await;
        let mut times: BTreeMap<&str, usize> = BTreeMap::new();
        for item in &there {
            *times.entry(item.as_str()).or_default() += 1;
        }
        for item in &acknowledged {
            let lost = !times.contains_key(item.as_str());
            run.find_if(lost, Symptom::BarrierLost, format!("{list}: {item}"));
        }
        for (item, times) in times.iter().filter(|(_, times)| **times > 1) {
            run.find(
                Symptom::BarrierDoubled,
                format!("{list}: {item} {times} times"),
            );
        }
    }
    run.write("goes-on", 5).await;
    run.check().await;
    run.found
}

/// Waits for more appends; `false` = there are none.
async fn more(done: &AtomicUsize) -> bool {
    let goal = done.load(Ordering::Relaxed) + ENOUGH;
    let deadline = Instant::now() + TOO_LONG;
    while done.load(Ordering::Relaxed) < goal {
        if Instant::now() > deadline {
            return false;
        }
        sleep(std::time::Duration::from_millis(5)).await;
    }
    true
}

/// Appends to a list of its own; the list and what was acknowledged.
async fn append(
    mut redis: redis::aio::MultiplexedConnection,
    client: usize,
    stop: Arc<AtomicBool>,
    done: Arc<AtomicUsize>,
) -> (String, Vec<String>) {
    let list = format!("list-{client}");
    let mut acknowledged = Vec::new();
    let mut number = 0;
    while !stop.load(Ordering::Relaxed) {
        number += 1;
        let item = format!("{client}-{number}");
        let append = cmd("RPUSH").arg(&list).arg(&item).to_owned();
        let answer = timeout(TOO_LONG, append.query_async::<i64>(&mut redis)).await;
        if matches!(answer, Ok(Ok(_))) {
            acknowledged.push(item);
            done.fetch_add(1, Ordering::Relaxed);
        } else {
            sleep(std::time::Duration::from_millis(20)).await;
        }
    }
    (list, acknowledged)
}
