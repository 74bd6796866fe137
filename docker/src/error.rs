//! What can go wrong with containers.

use std::path::PathBuf;

use keyquake_cluster::NetworkError;
use keyquake_cluster::journal::JournalError;

/// The oldest engine API that will do, as (major, minor).
pub(crate) const API_MIN: (u32, u32) = (1, 41);

/// What went wrong with an engine, or with what was asked of it.
#[derive(Debug, thiserror::Error)]
pub enum DockerError {
    /// Nobody listens.
    #[error(
        "no Docker daemon answers at {endpoint} ({reason}); to get one on Debian: apt-get install docker.io, \
         and start it (systemctl start docker, or dockerd &); if yours listens elsewhere: DOCKER_HOST=unix:///path"
    )]
    NoDaemon {
        /// Where it was looked for.
        endpoint: String,
        /// The kernel's answer.
        reason: String,
    },
    /// Somebody listens, but not to us.
    #[error(
        "no permission to use the Docker daemon at {endpoint}; run as root, or let an administrator add you to \
         the socket's group (usermod -aG docker USER) and log in again"
    )]
    NoPermission {
        /// Where it listens.
        endpoint: String,
    },
    /// `DOCKER_HOST` names no socket of this machine.
    #[error(
        "DOCKER_HOST={value} can't be used: nodes' folders are mounted and nodes' addresses are dialled from here, \
         so the daemon must be this machine's: DOCKER_HOST=unix:///path"
    )]
    NotLocal {
        /// Its value.
        value: String,
    },
    /// An engine from before what is needed.
    #[error("the Docker engine at {endpoint} speaks API {version}, at least {}.{} is needed (Docker 20.10)", API_MIN.0, API_MIN.1)]
    TooOld {
        /// Where it listens.
        endpoint: String,
        /// The version it gave.
        version: String,
    },
    /// The engine refused.
    #[error("Docker failed to {what}: {reason}")]
    Refused {
        /// What was asked.
        what: String,
        /// Its answer.
        reason: String,
    },
    /// No such image.
    #[error(
        "this Docker engine has no image {0}; keyquake pulls none: docker pull it or docker build it first (docker images lists what is there)"
    )]
    NoImage(String),
    /// No image was given for a release, and none is built in.
    #[error(
        "there is no image for release {0}: give one with --image {0}=NAME (or --image NAME for all), or a static program with --binary"
    )]
    NoImageForRelease(String),
    /// A program that can't be made an image of.
    #[error("no image can be made of {}: {reason}", path.display())]
    BadProgram {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// All of the addresses that are tried are in use.
    #[error(
        "found no free network of 256 addresses in 10.64.0.0/10; docker network prune removes those that nobody uses"
    )]
    NoSubnet,
    /// A node's agent did not begin to answer.
    #[error(
        "the agent of {node} did not answer within {seconds} s ({last}){words}; if keyquake itself runs in a container, its \
         results folder must be mounted under the same path as on the host"
    )]
    NoAgent {
        /// The node.
        node: String,
        /// How long it was waited for.
        seconds: u64,
        /// What was seen last.
        last: String,
        /// Its last words, if it had any.
        words: String,
    },
    /// The network.
    #[error(transparent)]
    Network(#[from] NetworkError),
    /// The heal journal.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// A task was cancelled.
    #[error("the suite is ending")]
    Ending,
    /// The operating system refused.
    #[error("failed to {what}: {source}")]
    Io {
        /// What was tried.
        what: String,
        /// What it said.
        source: std::io::Error,
    },
}

impl DockerError {
    /// Whether the user's words are to blame, not the surroundings.
    pub fn is_input(&self) -> bool {
        matches!(
            self,
            Self::NoImage(_) | Self::NoImageForRelease(_) | Self::BadProgram { .. }
        )
    }
}

/// Turns an operating system's error into ours; the closure says what was being done.
pub(crate) fn io(what: impl FnOnce() -> String) -> impl FnOnce(std::io::Error) -> DockerError {
    |source| DockerError::Io {
        what: what(),
        source,
    }
}
