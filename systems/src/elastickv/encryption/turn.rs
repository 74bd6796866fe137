//! Changes of keys as a run makes them: on whoever leads, and again, for a bounded time, as
//! long as it is certain that nothing was done.

use std::fmt;
use std::time::Duration;

use futures_util::future::join_all;
use keyquake_cluster::NodeSpec;
use tokio::time::Instant;

use super::files::run_folder;
use super::{AdminClient, Kek, KeyFiles, Leader, NotAccepted, NotDone, Purpose, Refusal};
use crate::elastickv::addresses::{self, GRPC};

/// Between two tries.
const TRY_AGAIN: Duration = Duration::from_millis(100);

/// A change of keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyChange {
    /// The first two keys, and every member as a writer.
    Bootstrap,
    /// Phase 1.
    EnableStorageEnvelope,
    /// Phase 2.
    EnableRaftEnvelope,
    /// A new active key.
    Rotate(Purpose),
}

/// A change that was accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Turned {
    /// What the answer said, for a person.
    pub what: String,
    /// The log index.
    pub index: u64,
}

impl fmt::Display for KeyChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            KeyChange::Bootstrap => f.write_str("bootstrap"),
            KeyChange::EnableStorageEnvelope => f.write_str("enable-storage-envelope"),
            KeyChange::EnableRaftEnvelope => f.write_str("enable-raft-envelope"),
            KeyChange::Rotate(purpose) => write!(f, "rotate-{purpose}"),
        }
    }
}

/// Admin clients of these nodes, in their order; each call may take `timeout`. They know where
/// the nodes' sidecars lie.
pub fn clients(nodes: &[NodeSpec], timeout: Duration) -> Vec<AdminClient> {
    let client = |node: &NodeSpec| {
        let files = KeyFiles::of_run(run_folder(&node.data_dir));
        AdminClient::new(addresses::of(node, GRPC).to_string(), timeout)
            .with_sidecar(files.sidecar(&node.id))
    };
    nodes.iter().map(client).collect()
}

/// Makes a change on whoever leads. Where nobody led, or the leader had just changed, was busy,
/// or a member registered meanwhile, nothing was done: then the leader is looked for again until
/// `deadline`. Everything
/// else is final, above all what may have been committed.
///
/// # Errors
/// [`NotDone`], the last one.
pub async fn turn(
    clients: &[AdminClient],
    kek: &Kek,
    change: KeyChange,
    deadline: Instant,
) -> Result<Turned, NotDone> {
    loop {
        let outcome = match Leader::find(clients).await {
            Ok(leader) => once(&leader, kek, change).await,
            Err(error) => Err(error),
        };
        match outcome {
            Err(error) if nothing_done_yet(&error) && Instant::now() < deadline => {
                tokio::time::sleep_until(deadline.min(Instant::now() + TRY_AGAIN)).await;
            }
            outcome => return outcome,
        }
    }
}

async fn once(leader: &Leader, kek: &Kek, change: KeyChange) -> Result<Turned, NotDone> {
    Ok(match change {
        KeyChange::Bootstrap => {
            let made = leader.bootstrap(kek).await?;
            Turned {
                what: format!(
                    "storage key {}, raft key {}, {} writers, at index {}",
                    made.storage, made.raft, made.writers, made.index
                ),
                index: made.index,
            }
        }
        KeyChange::EnableStorageEnvelope => enabled(leader.enable_storage_envelope(None).await?),
        KeyChange::EnableRaftEnvelope => enabled(leader.enable_raft_envelope(None).await?),
        KeyChange::Rotate(purpose) => {
            let made = leader.rotate(kek, purpose, None).await?;
            Turned {
                what: format!("{purpose} key {}, at index {}", made.key, made.index),
                index: made.index,
            }
        }
    })
}

fn enabled(done: super::Enabled) -> Turned {
    let how = if done.already { "active since" } else { "at" };
    Turned {
        what: format!("{how} index {}", done.index),
        index: done.index,
    }
}

/// Whether the change was certainly not made, and may be possible a moment later.
fn nothing_done_yet(error: &NotDone) -> bool {
    match error {
        NotDone::Unsent { name, .. } => *name == Refusal::NotLeader.name(),
        NotDone::Store(NotAccepted::Failed { .. }) => true,
        NotDone::Store(NotAccepted::Refused { refusal, .. }) => matches!(
            refusal,
            Refusal::NotLeader
                | Refusal::LeaderNotVerified
                | Refusal::RacedRotation
                | Refusal::AnotherChangePending
                | Refusal::WritesNotDrained
                | Refusal::RotationPending
                // A node that has just started registers its epoch anew.
                | Refusal::EpochBehindRegistry
                | Refusal::EpochNotRegistered
                | Refusal::WriterNotRegistered
                | Refusal::MemberNotRegistered
        ),
        // It has not registered yet.
        NotDone::EpochUnknown { .. } => true,
        _ => false,
    }
}

/// Waits until the nodes' own key state has come to a log index, at most until `deadline`;
/// gives the positions of those that have.
pub async fn caught_up(clients: &[AdminClient], index: u64, deadline: Instant) -> Vec<usize> {
    loop {
        let states = join_all(clients.iter().map(AdminClient::sidecar_state)).await;
        let there: Vec<usize> = (0..)
            .zip(&states)
            .filter(|(_, state)| matches!(state, Ok(state) if state.latest_applied_index >= index))
            .map(|(position, _)| position)
            .collect();
        if there.len() == clients.len() || Instant::now() >= deadline {
            return there;
        }
        tokio::time::sleep_until(deadline.min(Instant::now() + TRY_AGAIN)).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_certainly_did_nothing_is_tried_again() {
        let refused = |refusal| {
            NotDone::Store(NotAccepted::Refused {
                refusal,
                text: String::new(),
            })
        };
        let text = String::new;
        assert!(nothing_done_yet(&refused(Refusal::NotLeader)));
        assert!(nothing_done_yet(&refused(Refusal::EpochBehindRegistry)));
        assert!(nothing_done_yet(&NotDone::EpochUnknown { key: 7 }));
        assert!(nothing_done_yet(&NotDone::Store(NotAccepted::Failed {
            text: text()
        })));
        assert!(nothing_done_yet(&NotDone::Unsent {
            name: "not-leader",
            text: text()
        }));
        for last in [
            refused(Refusal::ProposerNotConfigured),
            refused(Refusal::MemberNotCapable),
            NotDone::Store(NotAccepted::Indeterminate { text: text() }),
            NotDone::Store(NotAccepted::Halts { text: text() }),
            NotDone::Unsent {
                name: "already-bootstrapped",
                text: text(),
            },
        ] {
            assert!(!nothing_done_yet(&last), "{last}");
        }
    }

    #[tokio::test]
    async fn a_cluster_that_is_not_there_is_given_up_at_the_deadline() {
        let clients = [AdminClient::new("127.0.0.1:1", Duration::from_secs(1))];
        let kek = Kek::generate().unwrap();
        let deadline = Instant::now() + Duration::from_millis(250);
        let outcome = turn(&clients, &kek, KeyChange::Bootstrap, deadline).await;
        let error = outcome.unwrap_err().to_string();
        assert!(error.contains("nothing was changed"), "{error}");
        assert!(Instant::now() >= deadline);
        assert_eq!(
            caught_up(&clients, 1, Instant::now()).await,
            [] as [usize; 0]
        );
    }
}
