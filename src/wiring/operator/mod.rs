//! The operator's hands of the nemesis, on the store under test.

mod call;
mod files;
mod members;
mod remembered;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use keyquake_cluster::NodeSpec;
use keyquake_nemesis::{
    Answer, CallRequest, InFlight, KeyState, LastWords, MemberChange, Operator, Outcome,
    Remembered, Roll, Setup, Tamper,
};
use keyquake_systems::elastickv::disk::Disk;
use keyquake_systems::elastickv::encryption::{Asking, Membership, full_node_id, node_id};
use keyquake_systems::elastickv::{key_files, raft_id};
use keyquake_systems::{NodeChange, System, SystemName};

pub use self::members::Changes;

use super::programs::Expected;
use crate::keys::Keys;

/// How long a node may take to say how far it is.
const ASK_WITHIN: Duration = Duration::from_secs(1);

/// Does what a plan's steps ask for.
pub struct Hands {
    pub system: Arc<dyn System>,
    pub specs: Vec<NodeSpec>,
    /// `None` if the plan needs none.
    pub keys: Option<Arc<Keys>>,
    /// What the releases are.
    pub expected: Expected,
    pub changes: Changes,
}

#[async_trait]
impl Operator for Hands {
    async fn call(&self, request: &CallRequest, at: Option<u16>, flight: &InFlight) -> Answer {
        self.make_call(request, at, flight).await
    }

    async fn applied(&self, index: u64, of: &[u16]) -> Result<String, String> {
        let applied = self.keys()?.caught_up(index, of).await;
        let name = |&node: &u16| Some(self.specs.get(usize::from(node))?.id.as_str());
        let names: Vec<_> = applied.iter().filter_map(name).collect();
        let (count, of) = (names.len(), of.len());
        if count * 2 > of {
            Ok(format!(
                "the keys of {} are at index {index} or later",
                names.join(", ")
            ))
        } else {
            Err(format!(
                "only {count} of {of} nodes show it in their keys [{}]",
                names.join(", ")
            ))
        }
    }

    async fn applied_index(&self, node: u16) -> Option<u64> {
        let node = Asking::of(self.specs.get(usize::from(node))?).ok()?;
        let view = tokio::time::timeout(ASK_WITHIN, node.raft_view()).await;
        Some(view.ok()?.ok()??.applied_index)
    }

    async fn keys(&self, node: u16) -> Option<KeyState> {
        let state = self.keys.as_ref()?.state(node).await?;
        Some(KeyState {
            storage_key: state.active_storage_id,
            raft_key: state.active_raft_id,
            storage_cutover: state.storage_envelope_active,
            raft_cutover: state.raft_envelope_cutover_index,
        })
    }

    fn setup(&self, node: &NodeSpec) -> Result<Setup, String> {
        self.system.setup(node).map_err(|error| error.to_string())
    }

    fn rolled(&self, node: &NodeSpec, roll: &Roll) -> Result<NodeSpec, String> {
        self.roll(node, roll)
    }

    async fn check_rolled(&self, node: &NodeSpec, roll: &Roll) -> Result<String, String> {
        let said = self.system.check_changed(node, &node_change(roll)).await?;
        // The reference store names its release; the build of another store names none.
        if roll.release.is_none() || self.system.name() == SystemName::Reference {
            return Ok(said);
        }
        let runs = self.expected.check(node).await;
        let runs = runs.map_err(|error| format!("{error} ({said})"))?;
        Ok(format!("{said}; {runs}"))
    }

    fn joining(&self, node: &NodeSpec, change: MemberChange) -> Result<NodeSpec, String> {
        let members = self.changes.members(&self.specs);
        Ok(self.system.joining(node, &members, change))
    }

    async fn member(&self, change: MemberChange, node: &NodeSpec) -> Answer {
        let answer = call::answer(self.membership().change(change, node.index).await);
        if answer.outcome == Outcome::Accepted {
            self.changes.note(change, node.index);
        }
        answer
    }

    fn collides(&self, node: &NodeSpec) -> bool {
        let short = |spec: &NodeSpec| node_id(full_node_id(raft_id(spec)));
        let mut others = self.specs.iter().filter(|other| other.index != node.index);
        others.any(|other| short(other) == short(node))
    }

    async fn transfer(&self, to: u16) -> Answer {
        call::answer(self.membership().transfer(to).await)
    }

    fn save(&self, node: &NodeSpec) -> Result<String, String> {
        Disk::of(node).save()
    }

    fn tamper(
        &self,
        node: &NodeSpec,
        what: &[Tamper],
        from: Option<u16>,
    ) -> Result<Vec<String>, String> {
        files::tamper(node, what, from)
    }

    fn remember(&self, node: &NodeSpec) -> Result<Box<dyn Remembered>, String> {
        remembered::remember(self.system.name(), node)
    }

    fn last_words(&self, node: &NodeSpec, from: u64) -> Option<LastWords> {
        files::words(node, from)
    }
}

impl Hands {
    /// The node as a roll makes it, with the key file that it will look for.
    fn roll(&self, node: &NodeSpec, roll: &Roll) -> Result<NodeSpec, String> {
        let text = |error: &dyn std::fmt::Display| error.to_string();
        let changed = self.system.changed(node, &node_change(roll));
        let changed = changed.map_err(|error| text(&error))?;
        if let Some(kek) = roll.flags.kek {
            let made = key_files(node).provide(kek);
            made.map_err(|error| text(&error))?;
        }
        Ok(changed)
    }

    fn membership(&self) -> Membership {
        Membership::of(&self.specs)
    }

    fn keys(&self) -> Result<&Keys, String> {
        let keys = self.keys.as_deref();
        keys.ok_or_else(|| "the run has no keys to turn".to_owned())
    }
}

/// What a roll asks of a store.
pub fn node_change(roll: &Roll) -> NodeChange {
    NodeChange {
        release: roll.release.clone(),
        flags: roll.flags,
    }
}
