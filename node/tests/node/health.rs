//! Who says what about itself: HTTP and gRPC health, status, configuration.

use std::time::Duration;

use crate::cluster::{Cluster, PATIENCE};
use elastickv_wire::RaftAdminConfigurationRequest;
use tokio::time::{Instant, sleep};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

async fn http(url: String) -> (u16, String) {
    match reqwest::get(url).await {
        Ok(response) => {
            let code = response.status().as_u16();
            (code, response.text().await.unwrap_or_default())
        }
        Err(error) => (0, error.to_string()),
    }
}

async fn serving(cluster: &Cluster, node: usize, service: &str) -> ServingStatus {
    let mut health = HealthClient::new(cluster.patiently(node).await);
    let request = HealthCheckRequest {
        service: service.to_owned(),
    };
    match health.check(request).await {
        Ok(answer) => answer.into_inner().status(),
        Err(status) => panic!("health of n{}: {status}", node + 1),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_the_leader_is_healthy_as_a_leader() -> Result<(), Box<dyn std::error::Error>> {
    let mut cluster = Cluster::started(3).await;
    let leader = cluster.leader().await;
    for node in 0..3 {
        assert_eq!(
            http(cluster.http(node) + "/healthz").await,
            (200, "ok".to_owned())
        );
        let wanted = if node == leader {
            (200, "ok".to_owned())
        } else {
            (503, "not leader".to_owned())
        };
        assert_eq!(http(cluster.http(node) + "/healthz/leader").await, wanted);
        for service in ["", "RawKV"] {
            let wanted = if node == leader {
                ServingStatus::Serving
            } else {
                ServingStatus::NotServing
            };
            assert_eq!(
                serving(&cluster, node, service).await,
                wanted,
                "n{}",
                node + 1
            );
        }
        let status = cluster
            .until(node, "leader known", |s| !s.leader_id.is_empty())
            .await;
        assert_eq!(status.leader_id, format!("n{}", leader + 1));
        assert_eq!(status.leader_address, cluster.grpc(leader));
        assert_eq!(status.num_peers, 2);
        let mut admin = cluster.admin(node).await;
        let asked = admin
            .configuration(RaftAdminConfigurationRequest {})
            .await?;
        let servers = asked.into_inner().servers;
        let ids: Vec<_> = servers.iter().map(|s| (&*s.id, &*s.suffrage)).collect();
        assert_eq!(ids, [("n1", "voter"), ("n2", "voter"), ("n3", "voter")]);
    }

    // A leader alone cannot verify itself and soon knows it does not lead.
    for node in (0..3).filter(|&node| node != leader) {
        cluster.kill(node);
    }
    assert_eq!(http(cluster.http(leader) + "/healthz/leader").await.0, 503);
    let deadline = Instant::now() + PATIENCE;
    while serving(&cluster, leader, "").await == ServingStatus::Serving {
        assert!(Instant::now() < deadline, "still SERVING");
        sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(http(cluster.http(leader) + "/healthz").await.0, 200);
    let lonely = cluster.put(leader, "k", "v").await;
    assert!(lonely.is_err_and(|s| s.message().contains("leader not found")));
    Ok(())
}
