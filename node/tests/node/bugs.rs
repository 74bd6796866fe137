//! Each seeded bug does its harm, and only when it is on.

use std::error::Error;
use std::time::Duration;

use crate::cluster::Cluster;
use redis::cmd;
use tokio::time::sleep;

async fn with_bug(bug: Option<&str>) -> Cluster {
    let mut cluster = Cluster::new(3);
    if let Some(bug) = bug {
        cluster.args = vec!["--bug".into(), bug.into()];
    }
    cluster.start_all();
    cluster.leader().await;
    cluster
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stale_read_answers_without_a_majority() -> Result<(), Box<dyn Error>> {
    for bug in [None, Some("stale-read")] {
        let mut cluster = with_bug(bug).await;
        let written = cluster.put(0, "k", "v").await?;
        cluster
            .until(2, "log", |s| s.applied_index >= written)
            .await;
        cluster.kill(0);
        cluster.kill(1);
        let read = cluster.get(2, "k").await;
        match bug {
            None => assert!(read.is_err(), "{read:?}"),
            Some(_) => assert_eq!(read?.as_deref(), Some("v")),
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lost_write_loses_what_it_acknowledged() -> Result<(), Box<dyn Error>> {
    for bug in [None, Some("lost-write")] {
        let mut cluster = with_bug(bug).await;
        let mut lost = 0;
        for round in 0..5 {
            let leader = cluster.leader().await;
            let mut redis = cluster.redis(leader).await;
            // Out of step with the 100 ms in which appends are held.
            sleep(Duration::from_millis(37 * round)).await;
            for i in 0..10 {
                let key = format!("k{round}-{i}");
                let _: () = cmd("SET").arg(key).arg("v").query_async(&mut redis).await?;
            }
            cluster.kill(leader);
            let next = cluster.leader().await;
            let mut redis = cluster.redis(next).await;
            for i in 0..10 {
                let key = format!("k{round}-{i}");
                let there: i64 = cmd("EXISTS").arg(key).query_async(&mut redis).await?;
                lost += 1 - there;
            }
            cluster.start(leader);
            if lost > 0 {
                break;
            }
        }
        assert_eq!(lost > 0, bug.is_some(), "{bug:?}: {lost} lost");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn double_apply_appends_twice() -> Result<(), Box<dyn Error>> {
    for bug in [None, Some("double-apply")] {
        let mut cluster = with_bug(bug).await;
        let mut twice = false;
        for round in 0..5 {
            let leader = cluster.leader().await;
            let mut redis = cluster.redis(leader).await;
            for i in 0..20 {
                let item = format!("{round}-{i}");
                let _: i64 = cmd("RPUSH")
                    .arg("l")
                    .arg(item)
                    .query_async(&mut redis)
                    .await?;
            }
            cluster.kill(leader);
            let next = cluster.leader().await;
            let mut redis = cluster.redis(next).await;
            let list: Vec<String> = cmd("LRANGE")
                .arg("l")
                .arg(0)
                .arg(-1)
                .query_async(&mut redis)
                .await?;
            let unique: std::collections::BTreeSet<_> = list.iter().collect();
            assert_eq!(unique.len(), 20 * (round + 1), "nothing is lost");
            twice |= unique.len() < list.len();
            cluster.start(leader);
            if twice {
                break;
            }
        }
        assert_eq!(twice, bug.is_some(), "{bug:?}");
    }
    Ok(())
}
