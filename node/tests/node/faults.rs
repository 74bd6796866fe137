//! What is acknowledged stays, whatever dies; nobody reads the past.

use std::collections::BTreeSet;
use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::cluster::Cluster;
use elastickv_wire::RawPutRequest;
use elastickv_wire::raw_kv_client::RawKvClient;
use tokio::task::JoinSet;
use tokio::time::sleep;

/// Clients that put numbered keys through all nodes until told to stop; what was acknowledged.
struct Load {
    stop: Arc<AtomicBool>,
    clients: JoinSet<Vec<String>>,
}

impl Load {
    fn start(cluster: &Cluster, clients: usize) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let mut set = JoinSet::new();
        for client in 0..clients {
            let url = format!("http://{}", cluster.grpc(client % 3));
            let stop = stop.clone();
            set.spawn(async move {
                let mut acknowledged = Vec::new();
                let mut number = 0;
                while !stop.load(Ordering::Relaxed) {
                    let Ok(mut kv) = RawKvClient::connect(url.clone()).await else {
                        sleep(Duration::from_millis(20)).await;
                        continue;
                    };
                    while !stop.load(Ordering::Relaxed) {
                        let key = format!("load-{client}-{number}");
                        number += 1;
                        let put = RawPutRequest {
                            key: key.clone().into(),
                            value: key.clone().into(),
                        };
                        match kv.raw_put(put).await {
                            Ok(_) => acknowledged.push(key),
                            Err(_) => break,
                        }
                    }
                }
                acknowledged
            });
        }
        Self { stop, clients: set }
    }

    async fn stop(mut self) -> Result<Vec<String>, Box<dyn Error>> {
        self.stop.store(true, Ordering::Relaxed);
        let mut all = Vec::new();
        while let Some(client) = self.clients.join_next().await {
            all.extend(client?);
        }
        Ok(all)
    }
}

async fn assert_all_there(cluster: &Cluster, keys: &[String]) {
    let missing = {
        let mut missing = BTreeSet::new();
        for (i, key) in keys.iter().enumerate() {
            if cluster.get_at_last(i % 3, key).await.as_ref() != Some(key) {
                missing.insert(key);
            }
        }
        missing
    };
    assert!(
        missing.is_empty(),
        "{} of {} lost: {missing:?}",
        missing.len(),
        keys.len()
    );
}

/// Every so many acknowledged keys, so that a test stays quick.
fn sample(keys: &[String], count: usize) -> Vec<String> {
    let every = (keys.len() / count).max(1);
    let newest = keys.len().saturating_sub(50);
    let mut sample: Vec<_> = keys.iter().step_by(every).cloned().collect();
    sample.extend(keys[newest..].iter().cloned());
    sample
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killing_leaders_under_load_loses_nothing() -> Result<(), Box<dyn Error>> {
    let mut cluster = Cluster::started(3).await;
    let load = Load::start(&cluster, 9);
    for _ in 0..3 {
        let leader = cluster.leader().await;
        cluster.kill(leader);
        cluster.leader().await;
        cluster.start(leader);
        let led = cluster.leader().await;
        let commit = cluster
            .until(led, "commit", |s| s.commit_index > 1)
            .await
            .commit_index;
        cluster
            .until(leader, "catching up", move |s| s.applied_index >= commit)
            .await;
    }
    let acknowledged = load.stop().await?;
    assert!(
        acknowledged.len() > 100,
        "only {} writes",
        acknowledged.len()
    );
    assert_all_there(&cluster, &sample(&acknowledged, 300)).await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cluster_killed_whole_comes_back_with_its_data() -> Result<(), Box<dyn Error>> {
    let mut cluster = Cluster::new(3);
    cluster
        .env
        .push(("ELASTICKV_RAFT_SNAPSHOT_COUNT".into(), "50".into()));
    cluster.start_all();
    cluster.leader().await;
    let mut all = Vec::new();
    for _ in 0..3 {
        let load = Load::start(&cluster, 6);
        sleep(Duration::from_millis(300)).await;
        for node in 0..3 {
            cluster.kill(node);
        }
        all.extend(load.stop().await?);
        cluster.start_all();
        cluster.leader().await;
    }
    assert!(all.len() > 100, "only {} writes", all.len());
    assert_all_there(&cluster, &sample(&all, 300)).await;
    let snapshots = std::fs::read_dir(cluster.data_dir(0).join("fsm-snap"))?.count();
    assert!((1..=4).contains(&snapshots), "{snapshots} snapshot files");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_follower_far_behind_is_brought_by_snapshot() -> Result<(), Box<dyn Error>> {
    let mut cluster = Cluster::new(3);
    cluster
        .env
        .push(("ELASTICKV_RAFT_SNAPSHOT_COUNT".into(), "50".into()));
    cluster.start_all();
    let leader = cluster.leader().await;
    let follower = (leader + 1) % 3;
    let mut redis = cluster.redis(leader).await;
    let _: () = redis::cmd("RPUSH")
        .arg("l")
        .arg("old")
        .query_async(&mut redis)
        .await?;
    cluster.put(leader, "deleted", "v").await?;
    cluster
        .until(follower, "log", |s| s.applied_index > 2)
        .await;
    cluster.kill(follower);
    let mut kv = cluster.kv(leader).await;
    let deletion = elastickv_wire::RawDeleteRequest {
        key: "deleted".into(),
    };
    kv.raw_delete(deletion).await?;
    for i in 0..200 {
        cluster
            .put(leader, &format!("k{}", i % 60), &format!("v{i}"))
            .await?;
    }
    let _: () = redis::cmd("RPUSH")
        .arg("l")
        .arg("new")
        .query_async(&mut redis)
        .await?;
    let ahead = cluster
        .until(leader, "snapshot", |s| s.last_snapshot_index >= 150)
        .await;
    cluster.start(follower);
    let caught_up = cluster
        .until(follower, "catching up", move |s| {
            s.applied_index >= ahead.commit_index
        })
        .await;
    assert!(caught_up.last_snapshot_index >= 150, "it came by snapshot");
    assert!(cluster.log(follower).contains("installing a snapshot"));

    // Its own state is whole: it serves it as the leader.
    let mut admin = cluster.admin(leader).await;
    admin
        .transfer_leadership(elastickv_wire::RaftAdminTransferLeadershipRequest {
            target_id: format!("n{}", follower + 1),
            target_address: cluster.grpc(follower),
            ..Default::default()
        })
        .await?;
    assert_eq!(cluster.get(follower, "k19").await?.as_deref(), Some("v199"));
    assert_eq!(cluster.get(follower, "deleted").await?, None);
    let mut redis = cluster.redis(follower).await;
    let list: Vec<String> = redis::cmd("LRANGE")
        .arg("l")
        .arg(0)
        .arg(-1)
        .query_async(&mut redis)
        .await?;
    assert_eq!(list, ["old", "new"]);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_that_slept_serves_nothing_old() -> Result<(), Box<dyn Error>> {
    let cluster = Cluster::started(3).await;
    for round in 0..3 {
        let leader = cluster.leader().await;
        let (old, new) = (format!("old{round}"), format!("new{round}"));
        cluster.put(leader, "k", &old).await?;
        cluster.pause(leader);
        let other = (leader + 1) % 3;
        // The next leader's first writes are answered while the old one sleeps.
        let deadline = tokio::time::Instant::now() + crate::cluster::PATIENCE;
        while cluster.put(other, "k", &new).await.is_err() {
            assert!(tokio::time::Instant::now() < deadline, "no new leader");
        }
        // A read that waits in the sleeper's socket when it wakes.
        let mut waiting = JoinSet::new();
        for _ in 0..4 {
            let url = format!("http://{}", cluster.grpc(leader));
            waiting.spawn(async move {
                let mut kv = RawKvClient::connect(url).await.map_err(|e| e.to_string())?;
                let get = elastickv_wire::RawGetRequest {
                    key: "k".into(),
                    ..Default::default()
                };
                let answer = kv.raw_get(get).await.map_err(|e| e.to_string())?;
                Ok::<_, String>(answer.into_inner().value)
            });
        }
        sleep(Duration::from_millis(50)).await;
        cluster.resume(leader);
        while let Some(read) = waiting.join_next().await {
            if let Ok(value) = read? {
                assert_eq!(value, new.as_bytes(), "a stale read");
            }
        }
        assert_eq!(cluster.get_at_last(leader, "k").await, Some(new));
    }
    Ok(())
}
