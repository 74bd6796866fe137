//! A node's listeners and what answers on them.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;

use elastickv_wire::encryption_admin_server::EncryptionAdminServer;
use elastickv_wire::raft_admin_server::RaftAdminServer;
use elastickv_wire::raw_kv_server::RawKvServer;
use tokio::net::TcpListener;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;

use super::StartError;
use crate::api::{
    self, AdminService, Admission, EncryptionService, Executor, ForwardService, RawKvService,
};
use crate::consensus::Node;
use crate::encryption::Encryption;
use crate::flags::Flags;
use crate::fsm::Fsm;
use crate::resp;
use crate::transport::{MESSAGE_LIMIT, RaftService};
use crate::wire::etcd_raft_server::EtcdRaftServer;
use crate::wire::forward_server::ForwardServer;

/// HTTP/2 windows: large values and snapshots must not crawl.
const STREAM_WINDOW: u32 = 4 << 20;
const CONNECTION_WINDOW: u32 = 16 << 20;

pub(super) async fn bind(flag: &'static str, address: &str) -> Result<TcpListener, StartError> {
    TcpListener::bind(address)
        .await
        .map_err(|source| StartError::Listen {
            address: address.to_owned(),
            flag,
            source,
        })
}

/// The listeners clients use besides gRPC.
pub(super) struct Public {
    pub(super) redis: TcpListener,
    pub(super) http: Vec<TcpListener>,
}

pub(super) async fn bind_public(flags: &Flags) -> Result<Public, StartError> {
    let redis = bind("redisAddress", &flags.redis_address).await?;
    let mut http = Vec::new();
    for (flag, address) in [
        ("dynamoAddress", &flags.dynamo_address),
        ("s3Address", &flags.s3_address),
    ] {
        if !address.is_empty() {
            http.push(bind(flag, address).await?);
        }
    }
    Ok(Public { redis, http })
}

/// What every service stands on.
pub(super) struct Shared {
    pub(super) node: Node,
    pub(super) executor: Executor,
    pub(super) fsm: Arc<Fsm>,
    pub(super) encryption: Arc<Encryption>,
}

pub(super) async fn serve_grpc(listener: TcpListener, shared: Shared) -> Result<(), StartError> {
    let Shared {
        node,
        executor,
        fsm,
        encryption,
    } = shared;
    let (reporter, health) = tonic_health::server::health_reporter();
    tokio::spawn(api::watch_leadership(node.clone(), reporter));
    let raw_kv = RawKvServer::new(RawKvService(executor.clone()))
        .max_decoding_message_size(MESSAGE_LIMIT)
        .max_encoding_message_size(MESSAGE_LIMIT);
    let raft = EtcdRaftServer::new(RaftService::new(node.clone(), fsm.files().clone()))
        .max_decoding_message_size(MESSAGE_LIMIT);
    let admission = Admission::new(node.clone(), fsm.clone(), encryption.clone());
    let admin = AdminService::new(node.clone(), admission);
    let encryption = EncryptionService::new(node, executor.clone(), fsm, encryption);
    let forward = ForwardServer::new(ForwardService(executor))
        .max_decoding_message_size(MESSAGE_LIMIT)
        .max_encoding_message_size(MESSAGE_LIMIT);
    Server::builder()
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .add_service(health)
        .add_service(raw_kv)
        .add_service(RaftAdminServer::new(admin))
        .add_service(EncryptionAdminServer::new(encryption))
        .add_service(forward)
        .add_service(raft)
        .serve_with_incoming(TcpIncoming::from(listener).with_nodelay(Some(true)))
        .await
        .map_err(|error| StartError::Serve(error.to_string()))
}

type Service = Pin<Box<dyn Future<Output = io::Result<()>> + Send>>;

pub(super) async fn serve_public(public: Public, executor: Executor) -> Result<(), StartError> {
    let mut services: Vec<Service> = vec![Box::pin(resp::serve(public.redis, executor.clone()))];
    for listener in public.http {
        services.push(Box::pin(api::serve_http(listener, executor.clone())));
    }
    let mut running: tokio::task::JoinSet<io::Result<()>> = services.into_iter().collect();
    let failed = |error: String| Err(StartError::Serve(error));
    match running.join_next().await {
        Some(Ok(Ok(()))) | None => failed("a listener closed".to_owned()),
        Some(Ok(Err(error))) => failed(error.to_string()),
        Some(Err(error)) => failed(error.to_string()),
    }
}
