//! Containers: made, started, signalled, waited for, listened to, removed.

use std::collections::HashMap;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::pin::Pin;

use bollard::errors::Error;
use bollard::models::{
    ContainerCreateBody, EndpointIpamConfig, EndpointSettings, HostConfig, Mount, MountType,
    NetworkingConfig,
};
use bollard::query_parameters::{
    AttachContainerOptions, CreateContainerOptions, KillContainerOptions, ListContainersOptions,
    LogsOptions, RemoveContainerOptions, WaitContainerOptions,
};
use futures_util::{Stream, StreamExt, TryStreamExt};

use super::{Engine, Limits, refused, status};
use crate::error::DockerError;

/// What a container is made of.
#[derive(Clone, Debug)]
pub(crate) struct ContainerSpec {
    pub(crate) name: String,
    pub(crate) image: String,
    /// Program and arguments; the image's own entrypoint is not used.
    pub(crate) command: Vec<String>,
    pub(crate) env: Vec<String>,
    /// `uid:gid`; `None` is root.
    pub(crate) user: Option<String>,
    pub(crate) labels: HashMap<String, String>,
    /// Folders of the host, and where they are inside.
    pub(crate) folders: Vec<(PathBuf, PathBuf)>,
    pub(crate) joins: Joins,
    pub(crate) capabilities: Vec<String>,
    pub(crate) limits: Limits,
}

/// The network, and process ids, of a container.
#[derive(Clone, Debug)]
pub(crate) enum Joins {
    /// A place of its own on a network.
    Network {
        name: String,
        ip: Ipv4Addr,
        hostname: String,
    },
    /// Network and process ids of another container.
    Container(String),
}

/// How a container is, or how it ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ContainerState {
    /// The id of its image.
    pub(crate) image: String,
    pub(crate) running: bool,
    /// On the host; 0 when it doesn't run.
    pub(crate) pid: u32,
    pub(crate) exit_code: i64,
    pub(crate) oom_killed: bool,
}

/// What a container says: the stream's name (`out`, `err`) and some bytes.
pub(crate) type Output = Pin<Box<dyn Stream<Item = (&'static str, Vec<u8>)> + Send>>;

impl Engine {
    /// Makes a container; gives its id.
    pub(crate) async fn create(&self, spec: &ContainerSpec) -> Result<String, DockerError> {
        let body = body(spec);
        let options = CreateContainerOptions {
            name: Some(spec.name.clone()),
            ..Default::default()
        };
        let made = self.docker.create_container(Some(options), body).await;
        match made {
            Ok(made) => Ok(made.id),
            Err(error) if status(&error) == Some(404) => {
                Err(DockerError::NoImage(spec.image.clone()))
            }
            Err(error) => Err(refused(|| format!("make the container {}", spec.name))(
                error,
            )),
        }
    }

    pub(crate) async fn start(&self, id: &str) -> Result<(), DockerError> {
        let started = self.docker.start_container(id, None).await;
        started.map_err(refused(|| "start the container".into()))
    }

    /// Sends a signal to the container's first process; false if it doesn't run.
    pub(crate) async fn signal(&self, id: &str, signal: &str) -> Result<bool, DockerError> {
        let options = KillContainerOptions {
            signal: signal.to_owned(),
        };
        match self.docker.kill_container(id, Some(options)).await {
            Ok(()) => Ok(true),
            Err(error) if matches!(status(&error), Some(404 | 409)) => Ok(false),
            Err(error) => Err(refused(|| format!("send {signal} to the container"))(error)),
        }
    }

    /// Removes a container, running or not; no harm if it is gone.
    pub(crate) async fn remove(&self, id: &str) -> Result<(), DockerError> {
        let options = RemoveContainerOptions {
            force: true,
            v: true,
            ..Default::default()
        };
        match self.docker.remove_container(id, Some(options)).await {
            Ok(()) => Ok(()),
            Err(error) if status(&error) == Some(404) => Ok(()),
            // Somebody else removes it at this moment.
            Err(error) if status(&error) == Some(409) => Ok(()),
            Err(error) => Err(refused(|| format!("remove the container {id}"))(error)),
        }
    }

    /// Waits until a container that was started doesn't run any more.
    pub(crate) async fn wait(&self, id: &str) -> Result<(), DockerError> {
        let options = WaitContainerOptions {
            condition: "not-running".into(),
        };
        let answer = self.docker.wait_container(id, Some(options)).next().await;
        match answer {
            // An exit code that isn't 0 comes as an error.
            None | Some(Ok(_)) | Some(Err(Error::DockerContainerWaitError { .. })) => Ok(()),
            Some(Err(error)) => Err(refused(|| "wait for the container".into())(error)),
        }
    }

    pub(crate) async fn state(&self, id: &str) -> Result<ContainerState, DockerError> {
        let answer = self.docker.inspect_container(id, None).await;
        let answer = answer.map_err(refused(|| "look at the container".into()))?;
        let state = answer.state.unwrap_or_default();
        Ok(ContainerState {
            image: answer.image.unwrap_or_default(),
            running: state.running.unwrap_or(false),
            pid: state
                .pid
                .and_then(|pid| u32::try_from(pid).ok())
                .unwrap_or(0),
            exit_code: state.exit_code.unwrap_or(0),
            oom_killed: state.oom_killed.unwrap_or(false),
        })
    }

    /// The network mode of a container (`bridge`, `host`, …), if there is one of this id and it runs.
    pub(crate) async fn network_mode(&self, id: &str) -> Result<Option<String>, DockerError> {
        match self.docker.inspect_container(id, None).await {
            Ok(answer) => {
                let running = answer
                    .state
                    .and_then(|state| state.running)
                    .unwrap_or(false);
                let mode = answer.host_config.and_then(|host| host.network_mode);
                Ok(running.then(|| mode.unwrap_or_default()))
            }
            Err(error) if status(&error) == Some(404) => Ok(None),
            Err(error) => Err(refused(|| format!("look at the container {id}"))(error)),
        }
    }

    /// All that a container says from now on. Ask before it is started, and nothing is lost.
    pub(crate) async fn attach(&self, id: &str) -> Result<Output, DockerError> {
        let options = AttachContainerOptions {
            stream: true,
            stdout: true,
            stderr: true,
            ..Default::default()
        };
        let attached = self.docker.attach_container(id, Some(options)).await;
        let attached = attached.map_err(refused(|| "listen to the container".into()))?;
        Ok(Box::pin(attached.output.filter_map(|piece| {
            // After an error nothing comes any more.
            std::future::ready(piece.ok().map(|piece| {
                let stream = match &piece {
                    bollard::container::LogOutput::StdErr { .. } => "err",
                    _ => "out",
                };
                (stream, piece.into_bytes().to_vec())
            }))
        })))
    }

    /// The last lines that a container has said.
    pub(crate) async fn last_words(&self, id: &str) -> Result<String, DockerError> {
        let options = LogsOptions {
            stdout: true,
            stderr: true,
            tail: "5".into(),
            ..Default::default()
        };
        let lines = self
            .docker
            .logs(id, Some(options))
            .map_ok(|piece| String::from_utf8_lossy(&piece.into_bytes()).into_owned())
            .try_collect::<String>()
            .await;
        lines.map_err(refused(|| "read the container's log".into()))
    }

    /// All containers with a label, running or not: id and name.
    pub(crate) async fn containers(
        &self,
        label: &str,
        value: &str,
    ) -> Result<Vec<(String, String)>, DockerError> {
        let options = ListContainersOptions {
            all: true,
            filters: Some(labelled(label, value)),
            ..Default::default()
        };
        let found = self.docker.list_containers(Some(options)).await;
        let found = found.map_err(refused(|| "list the containers".into()))?;
        Ok(found
            .into_iter()
            .filter_map(|container| {
                let names = container.names.unwrap_or_default();
                let name = names.first().map(|name| name.trim_start_matches('/'));
                Some((container.id?, name.unwrap_or("?").to_owned()))
            })
            .collect())
    }
}

/// A filter of lists.
pub(super) fn labelled(label: &str, value: &str) -> HashMap<String, Vec<String>> {
    HashMap::from([("label".to_owned(), vec![format!("{label}={value}")])])
}

fn body(spec: &ContainerSpec) -> ContainerCreateBody {
    let mounts = spec
        .folders
        .iter()
        .map(|(outside, inside)| Mount {
            // Unlike `binds`, this refuses a folder that isn't there.
            typ: Some(MountType::BIND),
            source: Some(outside.display().to_string()),
            target: Some(inside.display().to_string()),
            ..Default::default()
        })
        .collect();
    let mut host = HostConfig {
        mounts: Some(mounts),
        cap_add: Some(spec.capabilities.clone()),
        ..Default::default()
    };
    spec.limits.of_new(&mut host);
    let mut networking = None;
    let mut hostname = None;
    match &spec.joins {
        Joins::Container(id) => {
            host.network_mode = Some(format!("container:{id}"));
            host.pid_mode = Some(format!("container:{id}"));
        }
        Joins::Network {
            name,
            ip,
            hostname: own,
        } => {
            host.network_mode = Some(name.clone());
            hostname = Some(own.clone());
            networking = Some(NetworkingConfig {
                endpoints_config: Some(HashMap::from([(name.clone(), endpoint(*ip))])),
            });
        }
    }
    let (program, args) = spec.command.split_at(1.min(spec.command.len()));
    ContainerCreateBody {
        hostname,
        user: spec.user.clone(),
        attach_stdout: Some(true),
        attach_stderr: Some(true),
        env: Some(spec.env.clone()),
        entrypoint: Some(program.to_vec()),
        cmd: Some(args.to_vec()),
        image: Some(spec.image.clone()),
        labels: Some(spec.labels.clone()),
        host_config: Some(host),
        networking_config: networking,
        ..Default::default()
    }
}

/// A place on a network.
pub(super) fn endpoint(ip: Ipv4Addr) -> EndpointSettings {
    EndpointSettings {
        ipam_config: Some(EndpointIpamConfig {
            ipv4_address: Some(ip.to_string()),
            ..Default::default()
        }),
        ..Default::default()
    }
}
