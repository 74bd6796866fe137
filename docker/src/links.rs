//! The links between containers, cut and measured through their agents.

use std::io;
use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use keyquake_cluster::{
    LinkRule, Links, Matrix, NetworkError, ProbeSocket, Station, node_name, probe,
};
use tokio::sync::Mutex;

use crate::agent::Agent;

/// No single measurement takes longer. More than for namespaces: agents are processes, which
/// want their turn on a busy machine.
const PROBE_WITHIN: Duration = Duration::from_secs(1);
/// How long new links may take to carry packets.
const OPEN_WITHIN: Duration = Duration::from_secs(10);

/// The links of a run's containers.
pub(crate) struct ContainerLinks {
    agents: Vec<Agent>,
    addresses: Vec<Ipv4Addr>,
    /// One probe at a time: they share the sockets.
    probing: Mutex<()>,
}

impl ContainerLinks {
    /// Writes every node's address for ever into every other's neighbour table, so that no
    /// address resolution can heal a cut; then waits until all links carry packets, and the
    /// nodes hear the suite, which has the address `suite` on their network.
    pub(crate) async fn open(
        agents: Vec<Agent>,
        addresses: Vec<Ipv4Addr>,
        suite: Ipv4Addr,
    ) -> Result<Self, NetworkError> {
        let links = Self {
            agents,
            addresses,
            probing: Mutex::new(()),
        };
        for (from, to) in Matrix::all_open(links.node_count()).pairs() {
            links.set_link(from, to, LinkRule::Open).await?;
        }
        links.wait_until_open(suite).await?;
        Ok(links)
    }

    async fn wait_until_open(&self, suite: Ipv4Addr) -> Result<(), NetworkError> {
        let own = ProbeSocket::at(suite).map_err(measuring)?;
        let mut stations = self.stations();
        stations.push(&own);
        let nodes = self.node_count();
        let mut needed = Matrix::all_open(nodes + 1);
        // A firewall of the machine may keep the nodes from calling it, and need not let them.
        for node in 0..nodes {
            needed.set(node, nodes, false);
        }
        let deadline = Instant::now() + OPEN_WITHIN;
        loop {
            let seen = probe(&stations, &needed, PROBE_WITHIN)
                .await
                .map_err(measuring)?;
            let missing = needed
                .pairs()
                .any(|(from, to)| needed.is_open(from, to) && !seen.is_open(from, to));
            if !missing {
                return Ok(());
            }
            if Instant::now() > deadline {
                return Err(NetworkError::NotOpen {
                    seconds: OPEN_WITHIN.as_secs(),
                    seen,
                });
            }
        }
    }

    fn stations(&self) -> Vec<&dyn Station> {
        self.agents
            .iter()
            .map(|agent| agent as &dyn Station)
            .collect()
    }
}

#[async_trait]
impl Links for ContainerLinks {
    fn node_count(&self) -> u16 {
        self.agents.len() as u16
    }

    async fn set_link(&self, from: u16, to: u16, rule: LinkRule) -> Result<(), NetworkError> {
        let nodes = self.node_count();
        let at = |index: u16| {
            let place = usize::from(index);
            let node = self.agents.get(place).zip(self.addresses.get(place));
            node.ok_or(NetworkError::NoSuchNode { index, nodes })
        };
        let ((sender, _), (receiver, address)) = (at(from)?, at(to)?);
        let set = sender.set_link(*address, receiver.mac, rule).await;
        set.map_err(|source| NetworkError::Io {
            what: format!(
                "set the link from {} to {} through its agent",
                node_name(from),
                node_name(to)
            ),
            source,
        })
    }

    async fn probe(&self, expected: &Matrix) -> Result<Matrix, NetworkError> {
        let _alone = self.probing.lock().await;
        probe(&self.stations(), expected, PROBE_WITHIN)
            .await
            .map_err(measuring)
    }
}

fn measuring(source: io::Error) -> NetworkError {
    NetworkError::Io {
        what: "measure the links".into(),
        source,
    }
}
