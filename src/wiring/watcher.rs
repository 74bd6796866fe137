//! What the moments of a plan are seen by: the recorder's count, and the nodes' own answers.

use std::fmt::Display;
use std::time::Duration;

use async_trait::async_trait;
use keyquake_cluster::NodeSpec;
use keyquake_nemesis::{Progress, Question, Watcher};
use keyquake_systems::elastickv::encryption::Asking;
use keyquake_workloads::Recorder;

/// What a node answers that has nothing to say to a question.
const NOTHING: &str = "none";

/// How long a node may take to say how far it is.
const PROGRESS_WITHIN: Duration = Duration::from_millis(500);

/// Watches a run.
pub struct Watch {
    recorder: Recorder,
    /// One for each node; an error for one that has no address to be asked at.
    asking: Vec<Result<Asking, String>>,
}

impl Watch {
    /// Of the run that this recorder writes, on these nodes.
    pub fn of(recorder: Recorder, nodes: &[NodeSpec]) -> Self {
        Self {
            recorder,
            asking: nodes.iter().map(Asking::of).collect(),
        }
    }

    fn ask(&self, node: u16) -> Result<&Asking, String> {
        let asking = self.asking.get(usize::from(node));
        let asking = asking.ok_or_else(|| format!("there is no node at position {node}"))?;
        asking.as_ref().map_err(Clone::clone)
    }
}

#[async_trait]
impl Watcher for Watch {
    fn operations_done(&self) -> u64 {
        self.recorder.completed()
    }

    async fn answer(&self, node: u16, question: Question) -> Result<String, String> {
        let node = self.ask(node)?;
        Ok(match question {
            Question::Capable => {
                let capability = node.capability().await?;
                said(capability.map(|capability| capability.encryption_capable))
            }
            Question::Leader => {
                let view = node.raft_view().await?;
                let leader = view.map(|view| view.leader_id).unwrap_or_default();
                if leader.is_empty() {
                    // Between two leaders, it has not yet another one.
                    return Err("nobody leads in its eyes".to_owned());
                }
                leader
            }
            _ => {
                let state = node.sidecar_state().await?;
                match question {
                    Question::ActiveStorageKey => said(state.map(|state| state.active_storage_id)),
                    Question::ActiveRaftKey => said(state.map(|state| state.active_raft_id)),
                    Question::StorageCutover => {
                        said(state.map(|state| state.storage_envelope_active))
                    }
                    _ => said(state.map(|state| state.raft_envelope_cutover_index)),
                }
            }
        })
    }

    async fn progress(&self, node: u16) -> Result<Progress, String> {
        let asked = tokio::time::timeout(PROGRESS_WITHIN, self.ask(node)?.raft_view());
        let view = asked.await.map_err(|_| "no answer in time".to_owned())??;
        let view = view.ok_or_else(|| "it tells nothing of its log".to_owned())?;
        Ok(Progress {
            leads: view.leads,
            last_log: view.last_log_index,
            applied: view.applied_index,
            snapshot: view.last_snapshot_index,
        })
    }
}

fn said(answer: Option<impl Display>) -> String {
    answer.map_or_else(|| NOTHING.to_owned(), |answer| answer.to_string())
}
