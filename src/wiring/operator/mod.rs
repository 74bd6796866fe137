//! The operator's hands of the nemesis, on the store under test.

mod call;
mod files;

use std::sync::Arc;

use async_trait::async_trait;
use keyquake_cluster::NodeSpec;
use keyquake_nemesis::{
    Answer, CallRequest, InFlight, KeyState, LastWords, MemberChange, Operator, Outcome, Release,
    Roll, Setup, Switch, Tamper,
};
use keyquake_systems::elastickv::disk::Disk;
use keyquake_systems::{NodeChange, System, SystemName};

use super::programs::Expected;
use crate::keys::Keys;

/// Does what a plan's steps ask for.
pub struct Hands {
    pub system: Arc<dyn System>,
    pub specs: Vec<NodeSpec>,
    /// `None` if the plan needs none.
    pub keys: Option<Arc<Keys>>,
    /// What the releases are.
    pub expected: Expected,
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
        let release: Release = node.release.parse().map_err(|e| format!("{e}"))?;
        Ok(Setup::bare(release))
    }

    fn rolled(&self, node: &NodeSpec, roll: &Roll) -> Result<NodeSpec, String> {
        let changed = self.system.changed(node, &node_change(roll));
        changed.map_err(|error| error.to_string())
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

    fn joining(&self, _: &NodeSpec, _: MemberChange) -> Result<NodeSpec, String> {
        Err("not built yet".to_owned())
    }

    async fn member(&self, _: MemberChange, _: &NodeSpec) -> Answer {
        NOT_BUILT
    }

    fn collides(&self, _: &NodeSpec) -> bool {
        false
    }

    async fn transfer(&self, _: u16) -> Answer {
        NOT_BUILT
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

    fn fingerprint(&self, node: &NodeSpec) -> Result<String, String> {
        Disk::of(node).fingerprint()
    }

    fn last_words(&self, node: &NodeSpec, from: u64) -> Option<LastWords> {
        files::words(node, from)
    }
}

const NOT_BUILT: Answer = Answer {
    outcome: Outcome::Failed,
    index: None,
    said: String::new(),
};

impl Hands {
    fn keys(&self) -> Result<&Keys, String> {
        let keys = self.keys.as_deref();
        keys.ok_or_else(|| "the run has no keys to turn".to_owned())
    }
}

/// What a roll asks of a store.
pub fn node_change(roll: &Roll) -> NodeChange {
    NodeChange {
        release: roll.release.clone(),
        encryption: roll.flags.encryption.map(|flags| flags == Switch::On),
    }
}
