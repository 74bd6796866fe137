//! Starting a node: listeners first (a port that is taken must not touch the disk),
//! then the disk, then the consensus thread, then the services.

mod beginning;
mod encryption;
mod registration;
mod rotation;
mod services;

use std::io;
use std::path::PathBuf;
use std::sync::{Arc, mpsc};
use std::time::Instant;

use thiserror::Error;
use tokio::sync::{oneshot, watch};
use tracing_subscriber::EnvFilter;

use self::beginning::{Beginning, check, open, own_dir};
use self::rotation::StartupRotation;
use self::services::{Shared, bind, bind_public, serve_grpc, serve_public};
use crate::api::Executor;
use crate::consensus::{Driver, EngineError, LogError, Node, RaftLog, Setup, Status};
use crate::encryption::{Encryption, GuardError, KekError, SidecarError};
use crate::flags::Flags;
use crate::fsm::{Fsm, FsmError};
use crate::peers;
use crate::release::Release;
use crate::transport::Transport;

const SNAPSHOT_COUNT: &str = "ELASTICKV_RAFT_SNAPSHOT_COUNT";
const DEFAULT_SNAPSHOT_COUNT: u64 = 10_000;
/// The storage engine tells more than a person running a node wants to know.
const DEFAULT_LOG: &str = "info,fjall=warn,lsm_tree=warn";
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
    /// The KEK file cannot be used.
    #[error(transparent)]
    Kek(#[from] KekError),
    /// A startup guard refuses, or what it would have refused came to light later.
    #[error("{0}")]
    Guard(String),
    /// The sidecar could not be written.
    #[error(transparent)]
    Sidecar(#[from] SidecarError),
    /// The engine ended while the node ran.
    #[error("failed to serve: raft group 1 engine stopped: {0}")]
    Engine(String),
    /// A service ended while the node ran.
    #[error("failed to serve: {0}")]
    Serve(String),
}

impl From<GuardError> for StartError {
    fn from(error: GuardError) -> Self {
        StartError::Guard(error.0)
    }
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
    let encryption = encryption::load(&flags)?;
    let grpc = bind("address", &flags.address).await?;
    let waits = flags.raft_join_as_learner;
    let public = if waits {
        None
    } else {
        Some(bind_public(&flags).await?)
    };
    let dir = own_dir(&flags)?;
    let (log, fsm, new) = open(&dir, &beginning, encryption.clone())?;
    encryption::settle(&encryption, &fsm, &log, &beginning, &dir).await?;
    let fsm = Arc::new(fsm);
    let (node, ended) = spawn_engine(&flags, &beginning, log, &fsm, &encryption, new)?;
    let executor = Executor::new(node.clone(), fsm.clone());
    let shared = Shared {
        node: node.clone(),
        executor: executor.clone(),
        fsm: fsm.clone(),
        encryption: encryption.clone(),
    };
    let grpc = serve_grpc(grpc, shared);
    let rotates = flags.encryption_rotate_on_startup
        && flags.release >= Release::Stage6F
        && encryption.may_mutate();
    let rotation = rotates.then(|| StartupRotation {
        node: node.clone(),
        fsm,
        encryption: encryption.clone(),
    });
    let registration = registration::keep(node.clone(), encryption);
    let clients = async {
        let public = match public {
            Some(public) => public,
            None => {
                // Listeners of a joining node stay closed until it has caught up.
                let mut watch = node.watch();
                if watch.wait_for(|status| status.has_joined()).await.is_err() {
                    // The engine has ended, and says why itself.
                    return std::future::pending().await;
                }
                bind_public(&flags).await?
            }
        };
        if let Some(rotation) = rotation {
            rotation.begin().await;
        }
        let elapsed_ms = started.elapsed().as_millis();
        tracing::info!(address = flags.address, redis = flags.redis_address, %elapsed_ms, "serving");
        serve_public(public, executor).await
    };
    let engine = async {
        Err(match ended.await {
            Ok(Ok(())) => StartError::Engine("closed".to_owned()),
            Ok(Err(error)) => {
                tracing::error!("etcd raft engine shutting down due to error: {error}");
                encryption::mark_if_seeded(&dir);
                StartError::Engine(error.to_string())
            }
            Err(_) => StartError::Engine("panicked; see above".to_owned()),
        })
    };
    tokio::select! {
        outcome = grpc => outcome,
        outcome = clients => outcome,
        outcome = engine => outcome,
        refused = registration => Err(refused),
    }
}

type Ended = oneshot::Receiver<Result<(), EngineError>>;

fn spawn_engine(
    flags: &Flags,
    beginning: &Beginning,
    log: RaftLog,
    fsm: &Arc<Fsm>,
    encryption: &Arc<Encryption>,
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
        fsm: fsm.clone(),
        encryption: encryption.clone(),
        outbox,
        inbox,
        reports,
        status,
        snapshot_count: snapshot_count(),
        campaign_first: new && first.is_some_and(|peer| peer.id == flags.raft_id),
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
