//! The operator's hands of the nemesis, on the store under test.

use std::sync::Arc;

use async_trait::async_trait;
use keyquake_cluster::NodeSpec;
use keyquake_nemesis::{Accepted, AdminCall, InFlight, NotAccepted, Operator, Roll, Switch};
use keyquake_systems::elastickv::encryption::{
    self as store, CallWatch, KeyChange, NotDone, Purpose,
};
use keyquake_systems::{NodeChange, System};

use crate::keys::Keys;

/// Does what a plan's steps ask for.
pub struct Hands {
    pub system: Arc<dyn System>,
    pub specs: Vec<NodeSpec>,
    /// `None` if the plan needs none.
    pub keys: Option<Arc<Keys>>,
}

#[async_trait]
impl Operator for Hands {
    async fn call(&self, call: AdminCall, flight: &InFlight) -> Result<Accepted, NotAccepted> {
        let keys = self.keys().map_err(NotAccepted::Refused)?;
        let watch: Arc<dyn CallWatch> = Arc::new(Flight(flight.clone()));
        let turned = keys.turn_watched(change_of(call), &watch).await;
        let turned = turned.map_err(|error| {
            let lost = matches!(
                error,
                NotDone::Store(store::NotAccepted::Indeterminate { .. })
            );
            let text = error.to_string();
            match lost {
                true => NotAccepted::Lost(text),
                false => NotAccepted::Refused(text),
            }
        })?;
        Ok(Accepted {
            answer: turned.what,
            index: turned.index,
        })
    }

    async fn applied(&self, index: u64) -> Result<String, String> {
        let applied = self.keys()?.caught_up(index).await;
        let names: Vec<_> = applied
            .iter()
            .filter_map(|&position| Some(self.specs.get(position)?.id.as_str()))
            .collect();
        let (count, of) = (names.len(), self.specs.len());
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

    fn rolled(&self, node: &NodeSpec, roll: &Roll) -> Result<NodeSpec, String> {
        let changed = self.system.changed(node, &node_change(roll));
        changed.map_err(|error| error.to_string())
    }

    async fn check_rolled(&self, node: u16, roll: &Roll) -> Result<String, String> {
        let Some(spec) = self.specs.get(usize::from(node)) else {
            return Err(format!("there is no node at position {node}"));
        };
        self.system.check_changed(spec, &node_change(roll)).await
    }
}

/// Tells the nemesis when a call is in flight.
#[derive(Debug)]
struct Flight(InFlight);

impl CallWatch for Flight {
    fn sent(&self) {
        self.0.sent();
    }

    fn answered(&self) {
        self.0.answered();
    }
}

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
        encryption: roll.encryption.map(|flags| flags == Switch::On),
    }
}

fn change_of(call: AdminCall) -> KeyChange {
    match call {
        AdminCall::Bootstrap => KeyChange::Bootstrap,
        AdminCall::EnableStorageEnvelope => KeyChange::EnableStorageEnvelope,
        AdminCall::EnableRaftEnvelope => KeyChange::EnableRaftEnvelope,
        AdminCall::RotateStorage => KeyChange::Rotate(Purpose::Storage),
        AdminCall::RotateRaft => KeyChange::Rotate(Purpose::Raft),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_is_named_alike_in_plan_and_store() {
        for call in AdminCall::ALL {
            assert_eq!(change_of(call).to_string(), call.to_string());
        }
    }
}
