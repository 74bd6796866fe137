//! Starting a node: listeners first (a port that is taken must not touch the disk),
//! then the disk, then the consensus thread, then the services.

use std::fs;
use std::future::Future;
use std::io;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::{Arc, mpsc};
use std::time::Instant;

use elastickv_wire::raft_admin_server::RaftAdminServer;
use elastickv_wire::raw_kv_server::RawKvServer;
use raft::eraftpb::ConfState;
use thiserror::Error;
use tokio::net::TcpListener;
use tokio::sync::{oneshot, watch};
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use tracing_subscriber::EnvFilter;

use crate::api::{self, AdminService, Executor, ForwardService, RawKvService};
use crate::consensus::{Driver, EngineError, LogError, Node, RaftLog, Setup, Status};
use crate::flags::Flags;
use crate::fsm::{self, Fsm, FsmError};
use crate::peers::{self, Peer, Peers};
use crate::resp;
use crate::transport::{MESSAGE_LIMIT, RaftService, Transport};
use crate::wire::etcd_raft_server::EtcdRaftServer;
use crate::wire::forward_server::ForwardServer;

const SNAPSHOT_COUNT: &str = "ELASTICKV_RAFT_SNAPSHOT_COUNT";
const DEFAULT_SNAPSHOT_COUNT: u64 = 10_000;
/// The storage engine tells more than a person running a node wants to know.
const DEFAULT_LOG: &str = "info,fjall=warn,lsm_tree=warn";
const ENGINE: &str = "etcd";
/// Inputs queued for the consensus thread before more are refused or dropped.
const INBOX: usize = 16_384;

/// Why a node does not start, or ended.
#[derive(Debug, Error)]
pub enum StartError {
    /// The command line does not make sense as a whole.
    #[error("{0}")]
    Usage(String),
    /// An address cannot be listened on.
    #[error(
        "failed to listen on {address} (--{flag}): {source}; choose another or stop who has it"
    )]
    Listen {
        /// The address.
        address: String,
        /// Its flag.
        flag: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// The data folder cannot be used.
    #[error("data folder {path}: {source}")]
    Disk {
        /// The folder or file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The log could not be opened.
    #[error(transparent)]
    Log(#[from] LogError),
    /// The state could not be opened.
    #[error(transparent)]
    Fsm(#[from] FsmError),
    /// The engine ended while the node ran.
    #[error("failed to serve: raft group 1 engine stopped: {0}")]
    Engine(String),
    /// A service ended while the node ran.
    #[error("failed to serve: {0}")]
    Serve(String),
}

/// Logs go to stderr, one line each, with time; `RUST_LOG` chooses how much.
pub fn log_to_stderr() {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(DEFAULT_LOG));
    // Whoever embeds this store may have set a subscriber up already.
    let _ = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(false)
        .with_writer(io::stderr)
        .try_init();
}

/// Runs a node with these flags until it fails.
///
/// # Errors
/// [`StartError`].
pub fn run(flags: Flags) -> Result<(), StartError> {
    let members = check(&flags)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(|error| StartError::Serve(error.to_string()))?;
    let outcome = runtime.block_on(serve(flags, members));
    // Connections that are still open must not hold the process back.
    runtime.shutdown_background();
    outcome
}

/// Who the members are to begin with, and how this node comes among them.
struct Beginning {
    members: Vec<Peer>,
    joins: bool,
}

fn check(flags: &Flags) -> Result<Beginning, StartError> {
    let usage = |text: String| Err(StartError::Usage(text));
    if flags.raft_id.is_empty() {
        return usage("flag --raftId is required".to_owned());
    }
    if flags.raft_id.contains(['/', '\0']) || flags.raft_id.starts_with('.') {
        return usage(format!("--raftId '{}' cannot name a folder", flags.raft_id));
    }
    if flags.raft_engine != ENGINE {
        return usage(format!(
            "--raftEngine '{}': only etcd is known",
            flags.raft_engine
        ));
    }
    let own = Peer {
        id: flags.raft_id.clone(),
        address: flags.address.clone(),
    };
    let bootstraps = !flags.raft_bootstrap_members.is_empty() || flags.raft_bootstrap;
    let joins = !flags.raft_join_members.is_empty();
    if flags.raft_join_as_learner && (!joins || bootstraps) {
        return usage("--raftJoinAsLearner needs --raftJoinMembers and no bootstrap flag".into());
    }
    let (flag, list) = if joins {
        ("raftJoinMembers", &flags.raft_join_members)
    } else {
        ("raftBootstrapMembers", &flags.raft_bootstrap_members)
    };
    let members = if flags.raft_bootstrap && list.is_empty() {
        vec![own.clone()]
    } else {
        peers::parse_list(list).map_err(|text| StartError::Usage(format!("--{flag}: {text}")))?
    };
    if !members.is_empty() && !members.contains(&own) {
        return usage(format!(
            "--{flag} must contain this node as {}={} (its --raftId and --address)",
            own.id, own.address
        ));
    }
    Ok(Beginning { members, joins })
}

async fn bind(flag: &'static str, address: &str) -> Result<TcpListener, StartError> {
    TcpListener::bind(address)
        .await
        .map_err(|source| StartError::Listen {
            address: address.to_owned(),
            flag,
            source,
        })
}

/// The listeners clients use besides gRPC.
struct Public {
    redis: TcpListener,
    http: Vec<TcpListener>,
}

async fn bind_public(flags: &Flags) -> Result<Public, StartError> {
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

fn own_dir(flags: &Flags) -> Result<PathBuf, StartError> {
    let dir = fsm::node_dir(Path::new(&flags.raft_data_dir), &flags.raft_id);
    let disk = |path: &Path, source| StartError::Disk {
        path: path.to_owned(),
        source,
    };
    fs::create_dir_all(&dir).map_err(|source| disk(&dir, source))?;
    let marker = dir.join("raft-engine");
    match fs::read_to_string(&marker) {
        Ok(engine) if engine.trim() == ENGINE => {}
        Ok(engine) => {
            let text = format!(
                "{} is of another engine: '{}'",
                dir.display(),
                engine.trim()
            );
            return Err(StartError::Usage(text));
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            fs::write(&marker, ENGINE).map_err(|source| disk(&marker, source))?;
        }
        Err(source) => return Err(disk(&marker, source)),
    }
    Ok(dir)
}

/// Opens log and state and makes them agree. `true` = a new cluster begins here.
fn open(dir: &Path, beginning: &Beginning) -> Result<(RaftLog, Fsm, bool), StartError> {
    let mut log = RaftLog::open(dir)?;
    let fsm = Fsm::open(dir)?;
    if log.is_initialized() {
        let snapshot = log.snapshot_index();
        if fsm.applied()? < snapshot {
            tracing::warn!(
                snapshot,
                "state is behind the log; loading the snapshot again"
            );
            fsm.install(snapshot)?;
        }
        return Ok((log, fsm, false));
    }
    if beginning.members.is_empty() {
        let text = "etcd raft refuses to self-bootstrap: the data folder is empty; give \
                    --raftBootstrapMembers, --raftBootstrap or --raftJoinMembers";
        return Err(StartError::Usage(text.to_owned()));
    }
    let members: Peers = beginning
        .members
        .iter()
        .map(|peer| (peers::raft_id(&peer.id), peer.clone()))
        .collect();
    if members.len() != beginning.members.len() {
        let text = "two members' raftIds have one hash; choose a different raftID";
        return Err(StartError::Usage(text.to_owned()));
    }
    if beginning.joins {
        log.set_peers(members)?;
        return Ok((log, fsm, false));
    }
    let state = ConfState {
        voters: members.keys().copied().collect(),
        ..ConfState::default()
    };
    fsm.skip(1)?;
    fsm.write_snapshot(&fsm.moment(), 1)?;
    fsm.sync()?;
    log.bootstrap(state, members)?;
    Ok((log, fsm, true))
}

fn snapshot_count() -> u64 {
    match std::env::var(SNAPSHOT_COUNT) {
        Ok(text) => match text.parse() {
            Ok(count) if count > 0 => count,
            _ => {
                tracing::warn!(
                    "{SNAPSHOT_COUNT}='{text}' is not a positive number; using the default"
                );
                DEFAULT_SNAPSHOT_COUNT
            }
        },
        Err(_) => DEFAULT_SNAPSHOT_COUNT,
    }
}

fn announce(flags: &Flags) {
    tracing::info!(release = %flags.release, raft_id = flags.raft_id, "node starting");
    if !flags.unused.is_empty() {
        tracing::info!("flags accepted without effect: {}", flags.unused.join(", "));
    }
    for bug in &flags.bugs {
        tracing::warn!("seeded bug {} is on", bug.name());
    }
}

async fn serve(flags: Flags, beginning: Beginning) -> Result<(), StartError> {
    let started = Instant::now();
    announce(&flags);
    let grpc = bind("address", &flags.address).await?;
    let waits = flags.raft_join_as_learner;
    let public = if waits {
        None
    } else {
        Some(bind_public(&flags).await?)
    };
    let dir = own_dir(&flags)?;
    let (log, fsm, new) = open(&dir, &beginning)?;
    let fsm = Arc::new(fsm);
    let (node, ended) = spawn_engine(&flags, &beginning, log, fsm.clone(), new)?;
    let executor = Executor::new(node.clone(), fsm.clone(), &flags.bugs);

    let grpc = serve_grpc(grpc, node.clone(), executor.clone(), &fsm);
    let clients = async {
        let public = match public {
            Some(public) => public,
            None => {
                // Listeners of a joining node stay closed until it has caught up.
                if node
                    .watch()
                    .wait_for(|status| status.has_joined())
                    .await
                    .is_err()
                {
                    return Ok(());
                }
                bind_public(&flags).await?
            }
        };
        let elapsed_ms = started.elapsed().as_millis();
        tracing::info!(address = flags.address, redis = flags.redis_address, %elapsed_ms, "serving");
        serve_public(public, executor).await
    };
    let engine = async {
        Err(match ended.await {
            Ok(Ok(())) => StartError::Engine("closed".to_owned()),
            Ok(Err(error)) => {
                tracing::error!("etcd raft engine shutting down due to error: {error}");
                StartError::Engine(error.to_string())
            }
            Err(_) => StartError::Engine("panicked; see above".to_owned()),
        })
    };
    tokio::select! {
        outcome = grpc => outcome,
        outcome = clients => outcome,
        outcome = engine => outcome,
    }
}

type Ended = oneshot::Receiver<Result<(), EngineError>>;

fn spawn_engine(
    flags: &Flags,
    beginning: &Beginning,
    log: RaftLog,
    fsm: Arc<Fsm>,
    new: bool,
) -> Result<(Node, Ended), StartError> {
    let id = peers::raft_id(&flags.raft_id);
    let (reports, inbox) = mpsc::sync_channel(INBOX);
    let (status, watched) = watch::channel(Arc::new(Status::default()));
    let node = Node::new(reports.clone(), watched);
    let runtime = tokio::runtime::Handle::current();
    let outbox = Transport::new(id, runtime, node.clone(), fsm.files().clone());
    let first = beginning.members.first();
    let driver = Driver::new(Setup {
        id,
        log,
        fsm,
        outbox,
        inbox,
        reports,
        status,
        snapshot_count: snapshot_count(),
        campaign_first: new && first.is_some_and(|peer| peer.id == flags.raft_id),
        bugs: flags.bugs.clone(),
    })
    .map_err(|error| StartError::Engine(error.to_string()))?;
    let (end, ended) = oneshot::channel();
    std::thread::Builder::new()
        .name("consensus".to_owned())
        .spawn(move || {
            // The node is gone already if nobody listens.
            let _ = end.send(driver.run());
        })
        .map_err(|error| StartError::Serve(error.to_string()))?;
    Ok((node, ended))
}

async fn serve_grpc(
    listener: TcpListener,
    node: Node,
    executor: Executor,
    fsm: &Fsm,
) -> Result<(), StartError> {
    let (reporter, health) = tonic_health::server::health_reporter();
    tokio::spawn(api::watch_leadership(node.clone(), reporter));
    let raw_kv = RawKvServer::new(RawKvService(executor.clone()))
        .max_decoding_message_size(MESSAGE_LIMIT)
        .max_encoding_message_size(MESSAGE_LIMIT);
    let forward = ForwardServer::new(ForwardService(executor))
        .max_decoding_message_size(MESSAGE_LIMIT)
        .max_encoding_message_size(MESSAGE_LIMIT);
    let raft = EtcdRaftServer::new(RaftService::new(node.clone(), fsm.files().clone()))
        .max_decoding_message_size(MESSAGE_LIMIT);
    Server::builder()
        .add_service(health)
        .add_service(raw_kv)
        .add_service(RaftAdminServer::new(AdminService(node)))
        .add_service(forward)
        .add_service(raft)
        .serve_with_incoming(TcpIncoming::from(listener).with_nodelay(Some(true)))
        .await
        .map_err(|error| StartError::Serve(error.to_string()))
}

type Service = Pin<Box<dyn Future<Output = io::Result<()>> + Send>>;

async fn serve_public(public: Public, executor: Executor) -> Result<(), StartError> {
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
