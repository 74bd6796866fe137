//! Many clients that append to one list at once: an item that is there twice, or not at
//! all though it was acknowledged, is seen.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use tokio::task::JoinSet;

use super::Lab;

const LIST: &str = "pushed";

/// Running clients of one node.
pub struct Pushes {
    stop: Arc<AtomicBool>,
    clients: JoinSet<Vec<String>>,
}

impl Pushes {
    /// So many clients, all at this node.
    pub async fn start(lab: &Lab, node: usize, clients: usize) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let mut set = JoinSet::new();
        for client in 0..clients {
            let connection = lab.cluster.redis(node).await;
            set.spawn(run(connection, client, stop.clone()));
        }
        Self { stop, clients: set }
    }

    /// Ends the clients and holds the list against what was acknowledged.
    pub async fn check(mut self, lab: &Lab) {
        self.stop.store(true, Ordering::Relaxed);
        let mut acknowledged = Vec::new();
        while let Some(client) = self.clients.join_next().await {
            acknowledged.extend(client.expect("a client that ends well"));
        }
        let mut redis = lab.cluster.redis(lab.leader().await).await;
        let list: Vec<String> = redis::cmd("LRANGE")
            .arg(LIST)
            .arg(0)
            .arg(-1)
            .query_async(&mut redis)
            .await
            .expect("a list");
        let mut times: BTreeMap<&String, usize> = BTreeMap::new();
        for item in &list {
            *times.entry(item).or_default() += 1;
        }
        let twice: Vec<_> = times.iter().filter(|(_, times)| **times > 1).collect();
        assert!(twice.is_empty(), "pushed more than once: {twice:?}");
        let lost: Vec<_> = acknowledged
            .iter()
            .filter(|i| !times.contains_key(i))
            .collect();
        assert!(lost.is_empty(), "lost: {lost:?}");
        assert!(acknowledged.len() > 100, "{} pushes", acknowledged.len());
    }
}

async fn run(
    mut redis: MultiplexedConnection,
    client: usize,
    stop: Arc<AtomicBool>,
) -> Vec<String> {
    let mut acknowledged = Vec::new();
    for number in 0.. {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        let item = format!("{client}-{number}");
        let push = redis::cmd("RPUSH")
            .arg(LIST)
            .arg(&item)
            .query_async(&mut redis)
            .await;
        match push {
            Ok(()) => acknowledged.push(item),
            // Refused or not known; either way it is not pushed again.
            Err(_) => tokio::time::sleep(Duration::from_millis(5)).await,
        }
    }
    acknowledged
}
