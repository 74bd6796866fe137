//! The one place that speaks with Docker: typed, and without bollard's models outside.
//!
//! bollard sends its URLs without a version, so every engine answers in its newest; what is
//! used here means the same since API 1.41.

mod containers;
mod images;
mod limits;
mod networks;

use std::error::Error;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bollard::Docker;

pub(crate) use containers::{ContainerSpec, ContainerState, Joins, Output};
pub(crate) use images::ImageFacts;
pub(crate) use limits::Limits;

use crate::error::{API_MIN, DockerError};
use crate::labels::MARKER;

const DEFAULT_SOCKET: &str = "/var/run/docker.sock";
/// No single request may take longer; the answer of a wait comes in pieces and is not meant.
const REQUEST_SECONDS: u64 = 60;

/// A Docker engine of this machine that answers, and is new enough.
#[derive(Clone)]
pub struct Engine {
    docker: Docker,
    endpoint: Arc<str>,
    version: Arc<str>,
}

impl Engine {
    /// The engine that `DOCKER_HOST` names, or the machine's own.
    ///
    /// # Errors
    /// When there is none, it can't be used, or it is too old; the text says what to do.
    pub async fn find() -> Result<Self, DockerError> {
        let endpoint = match std::env::var("DOCKER_HOST") {
            Ok(value) if !value.is_empty() => value,
            _ => format!("unix://{}", usual_socket().display()),
        };
        Self::at(&endpoint).await
    }

    /// The engine that listens there (`unix:///path`).
    ///
    /// # Errors
    /// As [`Engine::find`].
    pub async fn at(endpoint: &str) -> Result<Self, DockerError> {
        let path = endpoint
            .strip_prefix("unix://")
            .ok_or_else(|| DockerError::NotLocal {
                value: endpoint.to_owned(),
            })?;
        let none = |reason: String| DockerError::NoDaemon {
            endpoint: endpoint.to_owned(),
            reason,
        };
        // bollard's own error doesn't tell a missing permission from a missing daemon.
        UnixStream::connect(path).map_err(|error| match error.kind() {
            std::io::ErrorKind::PermissionDenied => DockerError::NoPermission {
                endpoint: endpoint.to_owned(),
            },
            _ => none(error.to_string()),
        })?;
        let docker = Docker::connect_with_unix(path, REQUEST_SECONDS, bollard::API_DEFAULT_VERSION)
            .map_err(|error| none(chain(&error)))?;
        let answer = docker
            .version()
            .await
            .map_err(|error| none(chain(&error)))?;
        let version = answer.api_version.unwrap_or_default();
        if parse_version(&version).is_none_or(|version| version < API_MIN) {
            return Err(DockerError::TooOld {
                endpoint: endpoint.to_owned(),
                version,
            });
        }
        Ok(Self {
            docker,
            endpoint: endpoint.into(),
            version: answer.version.unwrap_or_default().into(),
        })
    }

    /// Where it listens.
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// What there is of the run with this marker: its containers, then its network, by name.
    ///
    /// # Errors
    /// When the engine doesn't answer.
    pub async fn of_run(&self, marker: &str) -> Result<Vec<String>, DockerError> {
        let mut found = self.containers(MARKER, marker).await?;
        found.extend(self.networks(MARKER, marker).await?);
        Ok(found.into_iter().map(|(_, name)| name).collect())
    }

    /// Its version (`20.10.24`).
    pub fn version(&self) -> &str {
        &self.version
    }
}

/// The system's socket, or a rootless daemon's where only that is there.
fn usual_socket() -> PathBuf {
    let rootless = std::env::var_os("XDG_RUNTIME_DIR")
        .map(|folder| Path::new(&folder).join("docker.sock"))
        .filter(|path| path.exists());
    match rootless {
        Some(path) if !Path::new(DEFAULT_SOCKET).exists() => path,
        _ => DEFAULT_SOCKET.into(),
    }
}

fn parse_version(text: &str) -> Option<(u32, u32)> {
    let (major, minor) = text.split_once('.')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}

/// An error of bollard's as ours; the closure says what was asked.
fn refused(what: impl FnOnce() -> String) -> impl FnOnce(bollard::errors::Error) -> DockerError {
    |error| DockerError::Refused {
        what: what(),
        reason: chain(&error),
    }
}

/// The engine's own words, or an error with all its causes.
fn chain(error: &bollard::errors::Error) -> String {
    if let bollard::errors::Error::DockerResponseServerError { message, .. } = error {
        return message.trim().to_owned();
    }
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(deeper) = cause {
        let words = deeper.to_string();
        if !text.contains(&words) {
            text = format!("{text}: {words}");
        }
        cause = deeper.source();
    }
    text
}

/// The HTTP status of an answer that is an error.
fn status(error: &bollard::errors::Error) -> Option<u16> {
    match error {
        bollard::errors::Error::DockerResponseServerError { status_code, .. } => Some(*status_code),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_as_numbers() {
        assert_eq!(parse_version("1.41"), Some((1, 41)));
        assert!(parse_version("1.9") < Some(API_MIN));
        assert_eq!(parse_version("new"), None);
    }

    #[tokio::test]
    async fn without_a_daemon_the_error_says_how_to_get_one() {
        let dir = tempfile::tempdir().unwrap();
        let endpoint = format!("unix://{}/none.sock", dir.path().display());
        let error = Engine::at(&endpoint).await.err().unwrap().to_string();
        assert!(
            error.contains("apt-get install docker.io") && error.contains("DOCKER_HOST"),
            "{error}"
        );
        let error = Engine::at("tcp://far:2375").await.err().unwrap();
        assert!(matches!(error, DockerError::NotLocal { .. }));
    }

    #[tokio::test]
    async fn a_daemon_that_hangs_up_is_none() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("deaf.sock");
        let listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
        std::thread::spawn(move || {
            while let Ok((stream, _)) = listener.accept() {
                drop(stream);
            }
        });
        let endpoint = format!("unix://{}", path.display());
        let error = Engine::at(&endpoint).await.err().unwrap();
        assert!(matches!(error, DockerError::NoDaemon { .. }), "{error}");
    }
}
