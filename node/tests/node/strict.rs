//! Strict serializability of appends, decided exactly: every transaction appends one
//! unique item and reads the whole list, so the final list is the order, and every
//! answer must fit it and real time.

use std::collections::HashMap;
use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::cluster::{Cluster, PATIENCE};
use redis::aio::MultiplexedConnection;
use redis::{cmd, pipe};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

/// One acknowledged operation: the list it saw, and when.
struct Seen {
    /// The item it appended; `None` for a plain read.
    item: Option<String>,
    list: Vec<String>,
    from: Instant,
    to: Instant,
}

async fn operate(
    c: &mut MultiplexedConnection,
    item: Option<&str>,
) -> redis::RedisResult<Vec<String>> {
    match item {
        Some(item) => {
            let (_, list): (i64, Vec<String>) = pipe()
                .atomic()
                .cmd("RPUSH")
                .arg("l")
                .arg(item)
                .cmd("LRANGE")
                .arg("l")
                .arg(0)
                .arg(-1)
                .query_async(c)
                .await?;
            Ok(list)
        }
        None => cmd("LRANGE").arg("l").arg(0).arg(-1).query_async(c).await,
    }
}

async fn client(
    url: String,
    name: usize,
    stop: Arc<AtomicBool>,
    tried: Arc<AtomicU64>,
) -> Vec<Seen> {
    let mut seen = Vec::new();
    let patience =
        redis::AsyncConnectionConfig::new().set_response_timeout(Some(Duration::from_secs(6)));
    let Ok(redis) = redis::Client::open(url) else {
        return seen;
    };
    let mut number = 0;
    while !stop.load(Ordering::Relaxed) {
        let connecting = redis.get_multiplexed_async_connection_with_config(&patience);
        let Ok(Ok(mut c)) = timeout(Duration::from_secs(1), connecting).await else {
            sleep(Duration::from_millis(20)).await;
            continue;
        };
        while !stop.load(Ordering::Relaxed) {
            number += 1;
            let item = (number % 3 != 0).then(|| format!("{name}-{number}"));
            let from = Instant::now();
            tried.fetch_add(1, Ordering::Relaxed);
            match operate(&mut c, item.as_deref()).await {
                Ok(list) => seen.push(Seen {
                    item,
                    list,
                    from,
                    to: Instant::now(),
                }),
                Err(_) => break,
            }
            sleep(Duration::from_millis(5)).await;
        }
    }
    seen
}

/// Holds all answers against the final list.
fn check(mut seen: Vec<Seen>, end: &[String]) {
    let place: HashMap<&String, usize> = end.iter().zip(1..).collect();
    assert_eq!(place.len(), end.len(), "an item is there twice");
    for one in &seen {
        assert!(
            end.starts_with(&one.list),
            "an answer that is no prefix of the end"
        );
        if let Some(item) = &one.item {
            assert_eq!(
                one.list.last(),
                Some(item),
                "a transaction that does not see itself"
            );
        }
    }
    // In order of their ends, the longest list acknowledged before each beginning.
    let mut by_end: Vec<(Instant, usize)> = seen.iter().map(|s| (s.to, s.list.len())).collect();
    by_end.sort_unstable();
    seen.sort_unstable_by_key(|s| s.from);
    let (mut next, mut longest) = (0, 0);
    for one in &seen {
        while next < by_end.len() && by_end[next].0 < one.from {
            longest = longest.max(by_end[next].1);
            next += 1;
        }
        let least = longest + usize::from(one.item.is_some());
        assert!(
            one.list.len() >= least,
            "a stale answer: {} items, {least} were acknowledged before; {:?}",
            one.list.len(),
            one.item
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn appends_keep_one_order_under_kills_and_pauses() -> Result<(), Box<dyn Error>> {
    let mut cluster = Cluster::new(3);
    cluster
        .env
        .push(("ELASTICKV_RAFT_SNAPSHOT_COUNT".into(), "100".into()));
    cluster.start_all();
    cluster.leader().await;
    let stop = Arc::new(AtomicBool::new(false));
    let tried = Arc::new(AtomicU64::new(0));
    let mut clients = JoinSet::new();
    for name in 0..6 {
        let url = cluster.redis_url(name % 3);
        clients.spawn(client(url, name, stop.clone(), tried.clone()));
    }
    for round in 0..4 {
        let leader = cluster.leader().await;
        if round % 2 == 0 {
            cluster.kill(leader);
            cluster.leader().await;
            cluster.start(leader);
        } else {
            cluster.pause(leader);
            sleep(Duration::from_millis(1_500)).await;
            cluster.resume(leader);
        }
    }
    cluster.leader().await;
    stop.store(true, Ordering::Relaxed);
    let mut seen = Vec::new();
    while let Some(answers) = clients.join_next().await {
        seen.extend(answers?);
    }
    let mut c = cluster.redis(cluster.leader().await).await;
    let end = timeout(PATIENCE, operate(&mut c, None)).await??;
    assert!(
        seen.len() > 50,
        "{} of {} answered",
        seen.len(),
        tried.load(Ordering::Relaxed)
    );
    check(seen, &end);
    Ok(())
}
