//! One start of one node's container: what it says, and how it ends.

use std::time::Duration;

use futures_util::StreamExt;
use keyquake_cluster::{Ending, LINE_BYTES_MAX, NodeLog};
use tokio::sync::watch;

use crate::engine::{ContainerState, Engine, Output};

/// An engine that doesn't answer is asked again after this.
const ASK_AGAIN: Duration = Duration::from_millis(200);
/// What an engine adds to the number of the signal that ended a container.
const SIGNALLED: i64 = 128;
const SIGKILL: i32 = nix::sys::signal::Signal::SIGKILL as i32;

/// A container that was started, by id.
pub(super) struct NodeContainer {
    pub(super) id: String,
    /// What it was made of: another start with the same needs no new container.
    pub(super) recipe: Vec<String>,
    /// On the engine's machine.
    pub(super) pid: u32,
    ended: watch::Sender<Option<Ending>>,
}

impl NodeContainer {
    pub(super) fn new(id: String, recipe: Vec<String>, pid: u32) -> Self {
        Self {
            id,
            recipe,
            pid,
            ended: watch::Sender::new(None),
        }
    }

    /// How it ended, if it has.
    pub(super) fn ending(&self) -> Option<Ending> {
        *self.ended.borrow()
    }

    pub(super) async fn end(&self) -> Option<Ending> {
        let mut ended = self.ended.subscribe();
        *ended.wait_for(Option::is_some).await.ok()?
    }

    /// Waits for the end, and makes it known. A daemon that goes away and comes back is asked again.
    pub(super) async fn watch(&self, engine: &Engine, log: &NodeLog) {
        let state = loop {
            let waited = engine.wait(&self.id).await;
            match engine.state(&self.id).await {
                Ok(state) if !state.running => break state,
                Ok(_) if waited.is_ok() => {}
                _ => tokio::time::sleep(ASK_AGAIN).await,
            }
        };
        let ending = ending(&state);
        log.note(&ending.to_string());
        self.ended.send_replace(Some(ending));
    }
}

fn ending(state: &ContainerState) -> Ending {
    let signal = state.exit_code - SIGNALLED;
    match i32::try_from(signal) {
        Ok(SIGKILL) if state.oom_killed => Ending::OutOfMemory,
        Ok(signal @ 1..=64) => Ending::Signal(signal),
        _ => Ending::Code(state.exit_code as i32),
    }
}

/// Writes all that a container says into its node's log, line by line.
pub(super) async fn listen(mut output: Output, log: NodeLog) {
    let mut lines = [("out", Vec::new()), ("err", Vec::new())];
    while let Some((stream, piece)) = output.next().await {
        for (name, rest) in lines.iter_mut().filter(|(name, _)| *name == stream) {
            rest.extend_from_slice(&piece);
            let longest = LINE_BYTES_MAX as usize;
            while let Some(length) = rest
                .iter()
                .position(|byte| *byte == b'\n')
                .map(|end| end + 1)
                .or((rest.len() >= longest).then_some(longest))
            {
                let length = length.min(longest);
                log.write(name, &rest[..length]);
                rest.drain(..length);
            }
        }
    }
    for (name, rest) in lines.iter().filter(|(_, rest)| !rest.is_empty()) {
        log.write(name, rest);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    fn ended(exit_code: i64, oom_killed: bool) -> Ending {
        ending(&ContainerState {
            image: String::new(),
            running: false,
            pid: 0,
            exit_code,
            oom_killed,
        })
    }

    #[test]
    fn an_engine_s_exit_codes_are_read_as_a_shell_s() {
        assert_eq!(ended(0, false), Ending::Code(0));
        assert_eq!(ended(137, false), Ending::Signal(9));
        assert_eq!(ended(137, true), Ending::OutOfMemory);
        assert_eq!(ended(143, false), Ending::Signal(15));
        assert_eq!(ended(255, false), Ending::Code(255));
        // Something it had started ran out of memory; it ended by itself.
        assert_eq!(ended(3, true), Ending::Code(3));
    }

    #[tokio::test]
    async fn lines_are_put_together_from_pieces() {
        let dir = tempfile::tempdir().unwrap();
        let log = NodeLog::open(dir.path(), "n1", Instant::now()).unwrap();
        let pieces = [
            ("out", "hel"),
            ("err", "bad\nwo"),
            ("out", "lo\n\nend"),
            ("err", "rse\n"),
        ];
        let output = futures_util::stream::iter(
            pieces.map(|(stream, text)| (stream, text.as_bytes().to_vec())),
        );
        listen(Box::pin(output), log).await;
        let text = std::fs::read_to_string(dir.path().join("n1.log")).unwrap();
        let said: Vec<_> = text
            .lines()
            .filter_map(|line| line.trim_start().split_once(' '))
            .map(|(_, said)| said)
            .collect();
        assert_eq!(
            said,
            ["err bad", "out hello", "out ", "err worse", "out end"]
        );
    }
}
