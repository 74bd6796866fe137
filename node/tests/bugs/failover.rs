//! What only histories show: reads, writes and appends around the death of leaders.

use std::collections::BTreeSet;
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{RedisError, cmd};
use tokio::time::{Instant, sleep, timeout};

use crate::cluster::PATIENCE;
use crate::kit::Setup;
use crate::run::{Run, Start, TOO_LONG};
use crate::symptom::{Finding, Symptom};

/// No encryption at all.
const BARE: Setup = Setup::bare("6f");
/// Leaders killed at most.
const ROUNDS: usize = 5;
/// Writes and appends per leader.
const COUNT: usize = 10;

/// A read without a majority has no answer.
pub async fn minority(bug: Option<&'static str>) -> Vec<Finding> {
    let mut run = Run::new(bug, &[BARE; 3]);
    run.lab.start_all();
    run.write("k", 1).await;
    run.caught_up().await;
    for node in [0, 1] {
        run.lab.kill(node);
    }
    let read = run.lab.cluster.get(2, "k-0").await;
    run.find_if(
        read.is_ok(),
        Symptom::StaleRead,
        format!("n3 alone: {read:?}"),
    );
    run.lab.start_all();
    run.write("goes-on", 5).await;
    run.check().await;
    run.found
}

/// Leader after leader dies right after it has acknowledged.
pub async fn failover(bug: Option<&'static str>) -> Vec<Finding> {
    let mut run = Run::new(bug, &[BARE; 3]);
    run.lab.start_all();
    refusals(&mut run).await;
    for round in 0..ROUNDS {
        let leader = run.leader().await;
        let mut redis = run.lab.cluster.redis(leader).await;
        // Out of step with the 100 ms in which `lost-write` holds appends back.
        sleep(Duration::from_millis(37 * round as u64)).await;
        let mut acknowledged = Vec::new();
        for number in 0..COUNT {
            let name = format!("{round}-{number}");
            let (mut set, mut append) = (cmd("SET"), cmd("RPUSH"));
            let set: Result<(), RedisError> = set.arg(&name).arg("v").query_async(&mut redis).await;
            let append: Result<i64, RedisError> =
                append.arg("list").arg(&name).query_async(&mut redis).await;
            if set.is_ok() && append.is_ok() {
                acknowledged.push(name);
            }
        }
        run.lab.kill(leader);
        if !takes_writes(&mut run).await {
            break;
        }
        let next = run.leader().await;
        let mut redis = run.lab.cluster.redis(next).await;
        compare(&mut run, &mut redis, &acknowledged).await;
        run.lab.start(leader);
        let start = run.started(leader).await;
        run.find_if(start != Start::Serves, Symptom::Stuck, format!("{start:?}"));
        if !run.found.is_empty() {
            break;
        }
    }
    run.found
}

/// What is refused for certain is not there.
async fn refusals(run: &mut Run) {
    let leader = run.leader().await;
    let kv = run.kv(leader).await;
    let puts = (0..150).map(|number| {
        let (mut kv, key) = (kv.clone(), format!("refused-{number}"));
        async move {
            let put = elastickv_wire::RawPutRequest {
                key: key.clone().into(),
                value: key.clone().into(),
            };
            let outcome = kv.raw_put(put).await;
            outcome.err().map(|status| (key, status))
        }
    });
    let failed = futures_util::future::join_all(puts).await;
    for (key, status) in failed.into_iter().flatten() {
        if !status.message().contains("write conflict") {
            continue;
        }
        let read = run.lab.cluster.get_at_last(leader, &key).await;
        let what = format!("{key}: {status}, then {read:?}");
        run.find_if(read.is_some(), Symptom::RefusedButApplied, what);
    }
}

/// Whether the next leader takes a write before it is too late.
async fn takes_writes(run: &mut Run) -> bool {
    let leader = run.leader().await;
    let deadline = Instant::now() + TOO_LONG;
    while Instant::now() < deadline {
        let leader = run.leader().await;
        if run.lab.cluster.put(leader, "after", "x").await.is_ok() {
            return true;
        }
    }
    let what = format!("n{} leads and takes no write", leader + 1);
    run.find(Symptom::LeaderIdle, what);
    false
}

/// What was acknowledged is there, once.
async fn compare(run: &mut Run, redis: &mut MultiplexedConnection, acknowledged: &[String]) {
    let list: Vec<String> = patiently(redis, &["LRANGE", "list", "0", "-1"]).await;
    let unique: BTreeSet<&String> = list.iter().collect();
    let twice = list.len() - unique.len();
    run.find_if(
        twice > 0,
        Symptom::DoubledAppend,
        format!("{twice} items twice"),
    );
    for name in acknowledged {
        let there: i64 = patiently(redis, &["EXISTS", name]).await;
        let what = format!("SET {name} was acknowledged");
        run.find_if(there == 0, Symptom::LostWrite, what);
        let what = format!("RPUSH {name} was acknowledged");
        run.find_if(!unique.contains(name), Symptom::LostWrite, what);
    }
}

/// Asks until there is an answer.
pub async fn patiently<T: redis::FromRedisValue>(
    redis: &mut MultiplexedConnection,
    words: &[&str],
) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let mut question = cmd(words[0]);
        for word in &words[1..] {
            question.arg(word);
        }
        let answer = timeout(TOO_LONG, question.query_async(redis)).await;
        match answer {
            Ok(Ok(answer)) => return answer,
            other => assert!(
                Instant::now() < deadline,
                "{words:?}: {:?}",
                other.map(|answer| answer.err())
            ),
        }
        sleep(Duration::from_millis(20)).await;
    }
}
