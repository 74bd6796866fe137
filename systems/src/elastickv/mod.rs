//! elastickv, and the reference store that speaks its wire.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use keyquake_cluster::{NetworkKind, NodeSpec};
use keyquake_formats::canary::Canary;
use keyquake_rollout::{MemberChange, Setup};
use keyquake_workloads::{Capabilities, Connect, Protocol};
use tokio::time::Instant;

use crate::programs::Programs;
use crate::system::{NodeChange, System, SystemError, SystemName, SystemOptions};

mod addresses;
mod change;
mod connect;
pub mod disk;
pub mod encryption;
pub mod errors;
mod grpc;
mod health;
mod joining;
pub mod last_words;
mod launch;
mod ready;
mod resp;
mod setup;
mod spelling;

pub use change::key_files;
pub use joining::{begins, raft_id};
pub use setup::EncryptionFlag;

/// The suite's own reference store, started from the suite's own executable.
pub struct Reference {
    pub(crate) programs: Programs,
}

/// elastickv's production server, from programs given by the user, one for each release.
pub struct Elastickv {
    pub(crate) programs: Programs,
}

/// Both are the same but for how they are launched and how quick they are.
macro_rules! same_wire {
    ($store:ty, $name:expr, $recovery_bound_s:literal) => {
        #[async_trait]
        impl System for $store {
            fn name(&self) -> SystemName {
                $name
            }

            fn prepare(
                &self,
                nodes: u16,
                dir: &Path,
                network: &NetworkKind,
                options: &SystemOptions,
            ) -> Result<Vec<NodeSpec>, SystemError> {
                launch::prepare($name, &self.programs, nodes, dir, network, options)
            }

            fn setup(&self, node: &NodeSpec) -> Result<Setup, SystemError> {
                setup::of(node, &change::key_files(node)).map_err(SystemError::Flags)
            }

            fn changed(
                &self,
                node: &NodeSpec,
                change: &NodeChange,
            ) -> Result<NodeSpec, SystemError> {
                change::changed($name, &self.programs, node, change)
            }

            fn joining(
                &self,
                node: &NodeSpec,
                members: &[NodeSpec],
                change: MemberChange,
            ) -> NodeSpec {
                joining::joining($name, node, members, change)
            }

            async fn check_changed(
                &self,
                node: &NodeSpec,
                change: &NodeChange,
            ) -> Result<String, String> {
                change::check($name, node, change).await
            }

            async fn ready(&self, node: &NodeSpec, deadline: Instant) -> Result<(), SystemError> {
                ready::ready(node, deadline).await
            }

            async fn serving(
                &self,
                nodes: &[NodeSpec],
                deadline: Instant,
            ) -> Result<u16, SystemError> {
                ready::serving(nodes, deadline).await
            }

            async fn leader(&self, nodes: &[NodeSpec]) -> Option<u16> {
                ready::leader(nodes).await
            }

            fn connect(&self, nodes: &[NodeSpec], canary: Canary) -> Arc<dyn Connect> {
                Arc::new(connect::Connector::new(nodes, canary))
            }

            fn capabilities(&self, protocol: Protocol) -> Capabilities {
                connect::capabilities(protocol)
            }

            fn recovery_bound(&self) -> Duration {
                Duration::from_secs($recovery_bound_s)
            }
        }
    };
}

same_wire!(Reference, SystemName::Reference, 5);
// Its election takes 2 to 4 s, and a lease of 1.7 s must run out before.
same_wire!(Elastickv, SystemName::Elastickv, 15);
