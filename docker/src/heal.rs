//! Removing what a run has at an engine: at its end, and after its death.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use keyquake_cluster::journal::{Undo, Undoer};
use tokio::task::JoinSet;

use crate::engine::Engine;
use crate::error::{DockerError, io};
use crate::labels::MARKER;

/// The engine may still carry out what the suite asked for right before it died. Once nothing has
/// come for this long, nothing will: making a network takes a tenth of a second when nobody else
/// keeps the engine busy.
const QUIET: Duration = Duration::from_secs(3);
/// How often it is looked at meanwhile.
const LOOK_AGAIN: Duration = Duration::from_millis(100);
/// How long removed containers may take to vanish.
const GONE_WITHIN: Duration = Duration::from_secs(10);

/// Removes containers and networks with this marker, and the sockets; gives what there was.
/// May be repeated, and be interrupted anywhere.
pub(crate) async fn remove(
    engine: &Engine,
    marker: &str,
    sockets: &Path,
) -> Result<Vec<String>, DockerError> {
    let mut undone = remove_containers(engine, marker).await?;
    // After the containers: a network with guests can't be removed. One that is left is the
    // suite's own container.
    for (id, name) in engine.networks(MARKER, marker).await? {
        undone.extend(remove_network(engine, marker, &id).await?);
        undone.push(format!("network {name}"));
    }
    match fs::remove_dir_all(sockets) {
        Ok(()) => undone.push(format!("sockets in {}", sockets.display())),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => return Err(io(|| format!("remove {}", sockets.display()))(error)),
    }
    Ok(undone)
}

/// A container that was in the making may join a network between the look at its guests and its removal:
/// then all of it is done again. Gives the containers that had come so.
async fn remove_network(
    engine: &Engine,
    marker: &str,
    network: &str,
) -> Result<Vec<String>, DockerError> {
    let deadline = Instant::now() + GONE_WITHIN;
    let mut undone = Vec::new();
    loop {
        for guest in engine.guests(network).await? {
            engine.disconnect(network, &guest).await?;
        }
        match engine.remove_network(network).await {
            Ok(()) => return Ok(undone),
            Err(error) if Instant::now() > deadline => return Err(error),
            Err(_) => {
                tokio::time::sleep(LOOK_AGAIN).await;
                undone.extend(remove_containers(engine, marker).await?);
            }
        }
    }
}

/// Until none is there any more: one may have been in the making, and another may be being
/// removed by somebody else.
async fn remove_containers(engine: &Engine, marker: &str) -> Result<Vec<String>, DockerError> {
    let deadline = Instant::now() + GONE_WITHIN;
    let mut undone = Vec::new();
    loop {
        let left = engine.containers(MARKER, marker).await?;
        let Some((_, first)) = left.first() else {
            return Ok(undone);
        };
        if Instant::now() > deadline {
            return Err(DockerError::Refused {
                what: format!("remove the container {first}"),
                reason: format!("it is still there after {} s", GONE_WITHIN.as_secs()),
            });
        }
        let mut removals = JoinSet::new();
        for (id, name) in left {
            let line = format!("container {name}");
            if !undone.contains(&line) {
                undone.push(line);
            }
            let engine = engine.clone();
            removals.spawn(async move { engine.remove(&id).await });
        }
        while let Some(removed) = removals.join_next().await {
            removed.map_err(|_| DockerError::Ending)??;
        }
    }
}

/// Undoes what dead runs left at an engine, for `keyquake heal`.
#[derive(Clone, Copy, Debug, Default)]
pub struct ContainerUndoer;

impl Undoer for ContainerUndoer {
    fn undo(&self, marker: &str, what: &Undo) -> Option<Result<Vec<String>, String>> {
        let Undo::Containers { engine, sockets } = what else {
            return None;
        };
        Some(undo(marker, engine, sockets).map_err(|error| error.to_string()))
    }
}

/// On a runtime without threads: a run enters its network after healing, and must have one only.
fn undo(marker: &str, engine: &str, sockets: &Path) -> Result<Vec<String>, DockerError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(io(|| "start an async runtime".into()))?;
    runtime.block_on(async {
        let engine = Engine::at(engine).await?;
        let mut undone = remove(&engine, marker, sockets).await?;
        let mut quiet = Instant::now();
        while quiet.elapsed() < QUIET {
            tokio::time::sleep(LOOK_AGAIN).await;
            let late = remove(&engine, marker, sockets).await?;
            if !late.is_empty() {
                undone.extend(late);
                quiet = Instant::now();
            }
        }
        Ok(undone)
    })
}
