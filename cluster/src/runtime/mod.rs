//! What runs a node: a process, or a container (that is another crate's).

mod checks;
mod log;
pub(crate) mod proc;
mod process;
mod spawner;
mod tail;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use nix::sys::signal::Signal;

use crate::cgroup::Allowance;
use crate::journal::Undo;
use crate::spec::NodeSpec;
use crate::status::{Ending, NodeStatus};
pub use checks::check_directory;
pub use log::{LINE_BYTES_MAX, NodeLog};
pub use proc::{ThreadCensus, census_of_others};
pub use process::ProcessRuntime;
pub use tail::LogTail;

/// How long a signal's effect is waited for. A thread deep in the disk's queue
/// stops only when it comes back from there.
pub const EFFECT_SECONDS: u64 = 10;
/// How often threads are counted meanwhile.
const LOOK_AGAIN: Duration = Duration::from_millis(2);

/// Starts, stops and breaks nodes. Nodes are named by their id.
#[async_trait]
pub trait Runtime: Send + Sync {
    /// What has to be written down before this node is started; `None` if that was done when
    /// the runtime was made.
    fn undo(&self, spec: &NodeSpec) -> Option<Undo>;

    /// Starts a node that isn't up; gives its process id.
    ///
    /// # Errors
    /// When it is up already, or can't be started (which of its files, and why).
    async fn start(&self, spec: &NodeSpec) -> Result<u32, RuntimeError>;

    /// Sends a node that is up a signal; one that stops or continues goes to every process of
    /// it, so that none is forgotten.
    ///
    /// # Errors
    /// When it isn't up, or can't be signalled.
    async fn signal(&self, node: &str, signal: Signal) -> Result<(), RuntimeError>;

    /// SIGKILL, and waits until it is gone; gives how it ended.
    ///
    /// # Errors
    /// When it wasn't up, or can't be killed.
    async fn kill(&self, node: &str) -> Result<Ending, RuntimeError> {
        self.signal(node, Signal::SIGKILL).await?;
        let limit = Duration::from_secs(EFFECT_SECONDS);
        match tokio::time::timeout(limit, self.wait_exit(node)).await {
            Ok(ending) => ending,
            Err(_) => Err(self.no_effect(node, Signal::SIGKILL, "")),
        }
    }

    /// SIGTERM, and SIGKILL after `grace`; gives how it ended.
    ///
    /// # Errors
    /// When it wasn't up, or can't be killed.
    async fn stop(&self, node: &str, grace: Duration) -> Result<Ending, RuntimeError> {
        self.signal(node, Signal::SIGTERM).await?;
        // A paused process takes no notice of SIGTERM before it goes on.
        let _ = self.signal(node, Signal::SIGCONT).await;
        if let Ok(ending) = tokio::time::timeout(grace, self.wait_exit(node)).await {
            return ending;
        }
        match self.kill(node).await {
            Err(RuntimeError::NotUp {
                status: NodeStatus::Exited(ending),
                ..
            }) => Ok(ending),
            killed => killed,
        }
    }

    /// SIGSTOP, and waits until every thread was seen stopped.
    ///
    /// # Errors
    /// When it isn't up, or doesn't stop.
    async fn pause(&self, node: &str) -> Result<ThreadCensus, RuntimeError> {
        self.signal(node, Signal::SIGSTOP).await?;
        until_threads(self, node, Signal::SIGSTOP, ThreadCensus::is_all_stopped).await
    }

    /// SIGCONT, and waits until no thread is stopped.
    ///
    /// # Errors
    /// When it isn't up, or stays stopped.
    async fn resume(&self, node: &str) -> Result<ThreadCensus, RuntimeError> {
        self.signal(node, Signal::SIGCONT).await?;
        let goes_on = |census: &ThreadCensus| census.threads > 0 && census.stopped == 0;
        until_threads(self, node, Signal::SIGCONT, goes_on).await
    }

    /// The node's threads as the kernel shows them now.
    ///
    /// # Errors
    /// When it isn't up.
    fn census(&self, node: &str) -> Result<ThreadCensus, RuntimeError>;

    /// What the node runs, as the kernel or the engine shows it: no word of the node's own.
    ///
    /// # Errors
    /// When it isn't up.
    async fn running(&self, node: &str) -> Result<Running, RuntimeError>;

    /// How the node is now.
    fn status(&self, node: &str) -> NodeStatus;

    /// Waits until the node has ended; at once if it has.
    ///
    /// # Errors
    /// When it was never started.
    async fn wait_exit(&self, node: &str) -> Result<Ending, RuntimeError>;

    /// Gives a node so many processor cores (0.1 is a tenth of one), or all of them again; gives
    /// what was read back then. The limit stays when the node is started again.
    ///
    /// # Errors
    /// When this runtime can't, or it is refused.
    async fn limit_cpu(
        &self,
        node: &str,
        _cores: Option<f64>,
    ) -> Result<Option<f64>, RuntimeError> {
        Err(no_limits(node))
    }

    /// Gives a node so many bytes of memory, or all of it again; gives what was read back then.
    /// The limit stays when the node is started again.
    ///
    /// # Errors
    /// When this runtime can't, or it is refused (less than it already uses, for one).
    async fn limit_memory(
        &self,
        node: &str,
        _bytes: Option<u64>,
    ) -> Result<Option<u64>, RuntimeError> {
        Err(no_limits(node))
    }

    /// What a node may use, and what came of that.
    ///
    /// # Errors
    /// When this runtime can't limit it, or it was never started.
    async fn allowance(&self, node: &str) -> Result<Allowance, RuntimeError> {
        Err(no_limits(node))
    }

    /// That a signal did nothing, with how the node is instead.
    #[doc(hidden)]
    fn no_effect(&self, node: &str, signal: Signal, seen: &str) -> RuntimeError {
        RuntimeError::NoEffect {
            node: node.to_owned(),
            signal: signal.as_str(),
            seconds: EFFECT_SECONDS,
            seen: format!("it is {}{seen}", self.status(node)),
        }
    }
}

fn no_limits(node: &str) -> RuntimeError {
    RuntimeError::NoGroup {
        node: node.to_owned(),
    }
}

/// Waits until the node's threads show what a signal did to them.
async fn until_threads<R: Runtime + ?Sized>(
    runtime: &R,
    node: &str,
    signal: Signal,
    shows: impl Fn(&ThreadCensus) -> bool + Send,
) -> Result<ThreadCensus, RuntimeError> {
    let deadline = Instant::now() + Duration::from_secs(EFFECT_SECONDS);
    loop {
        let census = runtime.census(node)?;
        if shows(&census) {
            return Ok(census);
        }
        if Instant::now() > deadline {
            return Err(runtime.no_effect(node, signal, &format!(": {census}")));
        }
        tokio::time::sleep(LOOK_AGAIN).await;
    }
}

/// What was done to a node by a signal, for an error.
pub fn done_by(signal: Signal) -> &'static str {
    match signal {
        Signal::SIGKILL => "killed",
        Signal::SIGTERM => "stopped",
        Signal::SIGSTOP => "paused",
        Signal::SIGCONT => "resumed",
        _ => "signalled",
    }
}

/// What a node that is up runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Running {
    /// Where its program can be read, whatever was put at the program's path since.
    Program(PathBuf),
    /// The id of its container's image.
    Image(String),
}

/// What went wrong with a node.
#[derive(Debug, thiserror::Error)]
pub enum RuntimeError {
    /// Only a node that is down can be started.
    #[error("{node} can't be started: it is {status}")]
    AlreadyUp {
        /// The node.
        node: String,
        /// How it is.
        status: NodeStatus,
    },
    /// Only a node that is up can be signalled.
    #[error("{node} can't be {done}: it is not up ({status})")]
    NotUp {
        /// The node.
        node: String,
        /// What should have been done: `killed`, `paused`, ….
        done: &'static str,
        /// How it is.
        status: NodeStatus,
    },
    /// No such program.
    #[error("{node} can't be started: there is no program {}; build it, or give the right path", program.display())]
    ProgramNotFound {
        /// The node.
        node: String,
        /// The program.
        program: PathBuf,
    },
    /// The file is no program, or not for this user.
    #[error("{node} can't be started: {} can't be executed ({reason}); check that it is a program and its mode (chmod +x)", program.display())]
    NotExecutable {
        /// The node.
        node: String,
        /// The program.
        program: PathBuf,
        /// The kernel's answer.
        reason: String,
    },
    /// A directory of the node can't be used.
    #[error("{node} can't be started: its {role} directory {} can't be {done}: {source}; check its owner and mode, or choose another --results", path.display())]
    Directory {
        /// The node.
        node: String,
        /// `data` or `log`.
        role: &'static str,
        /// The directory.
        path: PathBuf,
        /// `made` or `written to`.
        done: &'static str,
        /// The kernel's answer.
        source: std::io::Error,
    },
    /// A system call for the node failed.
    #[error("failed to {what} {node}: {source}")]
    Io {
        /// The node.
        node: String,
        /// What was being done.
        what: &'static str,
        /// The kernel's answer.
        source: std::io::Error,
    },
    /// What runs the node's container refused something.
    #[error("failed to {what} {node}: {source}")]
    Engine {
        /// The node.
        node: String,
        /// What was being done.
        what: &'static str,
        /// The engine's answer.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A limit was asked for, and there is nothing to limit by.
    #[error("{node} can't be limited: it has no control group of its own")]
    NoGroup {
        /// The node.
        node: String,
    },
    /// Something of its control group was refused.
    #[error("failed to {what} {node}: {source}")]
    Group {
        /// The node.
        node: String,
        /// What was being done.
        what: &'static str,
        /// What was refused.
        source: crate::cgroup::CgroupError,
    },
    /// A signal was sent, and its effect did not come.
    #[error("{node} was sent {signal}, but {seconds} s later {seen}")]
    NoEffect {
        /// The node.
        node: String,
        /// The signal.
        signal: &'static str,
        /// How long its effect was waited for.
        seconds: u64,
        /// What was there instead.
        seen: String,
    },
}
