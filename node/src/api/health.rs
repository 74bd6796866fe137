//! Health: gRPC SERVING only while this node leads, and two HTTP paths.

use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;
use tokio::net::TcpListener;
use tonic_health::ServingStatus;
use tonic_health::server::HealthReporter;

use super::Executor;
use crate::consensus::Node;

/// How long a majority may take to confirm leadership.
const VERIFY: Duration = Duration::from_secs(1);
const SERVICES: [&str; 2] = ["", "RawKV"];

/// Keeps the gRPC health service in step with this node's part, for as long as it runs.
pub async fn watch_leadership(node: Node, reporter: HealthReporter) {
    let mut watch = node.watch();
    let mut leads = None;
    loop {
        let now = watch.borrow_and_update().is_leader();
        if leads != Some(now) {
            leads = Some(now);
            let status = if now {
                ServingStatus::Serving
            } else {
                ServingStatus::NotServing
            };
            for service in SERVICES {
                reporter.set_service_status(service, status).await;
            }
        }
        if watch.changed().await.is_err() {
            return;
        }
    }
}

/// Serves `/healthz` and `/healthz/leader`.
///
/// # Errors
/// The listener failed.
pub async fn serve_http(listener: TcpListener, executor: Executor) -> std::io::Result<()> {
    let leader = |State(executor): State<Executor>| async move {
        if executor.verify_leader(VERIFY).await {
            (StatusCode::OK, "ok")
        } else {
            (StatusCode::SERVICE_UNAVAILABLE, "not leader")
        }
    };
    let routes = Router::new()
        .route("/healthz", get(|| async { "ok" }))
        .route("/healthz/leader", get(leader))
        .with_state(executor);
    axum::serve(listener, routes).await
}
