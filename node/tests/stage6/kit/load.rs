//! Clients that write while something else happens: what was acknowledged must be there
//! afterwards, what was definitely refused must not.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use elastickv_wire::RawPutRequest;
use elastickv_wire::raw_kv_client::RawKvClient;
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::Lab;

/// Refusals after which nothing was proposed.
const DEFINITE: [&str; 3] = [
    "envelope cutover in progress",
    "writer not yet registered",
    "leader not found",
];
/// Puts in flight at each client at once.
const CLIENTS_PER_NODE: usize = 2;

/// What became of the writes.
#[derive(Default)]
pub struct Outcome {
    pub acknowledged: BTreeMap<String, String>,
    /// Refused for certain.
    pub refused: Vec<String>,
}

/// Running clients.
pub struct Load {
    stop: Arc<AtomicBool>,
    done: Arc<AtomicUsize>,
    clients: JoinSet<Outcome>,
}

impl Load {
    /// Two clients at each of the cluster's first `nodes` nodes. Keys start with `prefix`.
    pub fn start(lab: &Lab, nodes: usize, prefix: &str) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let done = Arc::new(AtomicUsize::new(0));
        let mut clients = JoinSet::new();
        for client in 0..nodes * CLIENTS_PER_NODE {
            let url = format!("http://{}", lab.cluster.grpc(client % nodes));
            let name = format!("{prefix}-{client}");
            clients.spawn(run(url, name, stop.clone(), done.clone()));
        }
        Self {
            stop,
            done,
            clients,
        }
    }

    /// Waits until so many more writes were acknowledged.
    pub async fn more(&self, count: usize) {
        let goal = self.done.load(Ordering::Relaxed) + count;
        super::wait("more acknowledged writes", async || {
            match self.done.load(Ordering::Relaxed) {
                done if done >= goal => Ok(()),
                done => Err(format!("{done} of {goal}")),
            }
        })
        .await;
    }

    pub async fn stop(mut self) -> Outcome {
        self.stop.store(true, Ordering::Relaxed);
        let mut all = Outcome::default();
        while let Some(client) = self.clients.join_next().await {
            let client = client.expect("a client that ends well");
            all.acknowledged.extend(client.acknowledged);
            all.refused.extend(client.refused);
        }
        all
    }
}

async fn run(url: String, name: String, stop: Arc<AtomicBool>, done: Arc<AtomicUsize>) -> Outcome {
    let mut outcome = Outcome::default();
    let mut number = 0;
    while !stop.load(Ordering::Relaxed) {
        let Ok(mut kv) = RawKvClient::connect(url.clone()).await else {
            sleep(Duration::from_millis(20)).await;
            continue;
        };
        while !stop.load(Ordering::Relaxed) {
            number += 1;
            let (key, value) = (format!("{name}-{number}"), format!("value-{name}-{number}"));
            let put = RawPutRequest {
                key: key.clone().into(),
                value: value.clone().into(),
            };
            match tokio::time::timeout(Duration::from_secs(8), kv.raw_put(put)).await {
                Ok(Ok(_)) => {
                    done.fetch_add(1, Ordering::Relaxed);
                    outcome.acknowledged.insert(key, value);
                }
                Ok(Err(status)) if DEFINITE.iter().any(|d| status.message().contains(d)) => {
                    outcome.refused.push(key);
                    sleep(Duration::from_millis(5)).await;
                }
                _ => break,
            }
            // The disk under a test is slow enough without a queue on it.
            sleep(Duration::from_millis(2)).await;
        }
    }
    outcome
}
