//! What is known of every node's process, in all worlds alike.

use std::collections::BTreeMap;

use crate::outcome::Outcome;
use crate::release::Release;
use crate::setup::{KekFile, Setup, SidecarPath};
use crate::step::Call;

/// What a node's process is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// A spare that was never a member, or one that was removed.
    Idle,
    Up,
    Down,
    /// Ended at an entry that it can't apply.
    Halted,
    /// Ended before it served.
    Refused,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Node {
    pub setup: Setup,
    pub state: State,
    /// Whether something came of it that may not: nothing is expected of it any more.
    pub harmed: bool,
}

/// The nodes, and what was sent to them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Nodes {
    pub nodes: Vec<Node>,
    /// What came of the last request of each call.
    pub sent: BTreeMap<&'static str, Outcome>,
    /// Whether the last step started a process: its registration may be under way.
    pub started: bool,
}

impl Nodes {
    pub fn get(&self, node: u16) -> Option<&Node> {
        self.nodes.get(usize::from(node))
    }

    pub fn get_mut(&mut self, node: u16) -> Option<&mut Node> {
        self.nodes.get_mut(usize::from(node))
    }

    pub fn is_up(&self, node: u16) -> bool {
        self.get(node).is_some_and(|node| node.state == State::Up)
    }

    pub fn is_harmed(&self, node: u16) -> bool {
        self.get(node).is_none_or(|node| node.harmed)
    }

    pub fn setup(&self, node: u16) -> Setup {
        self.get(node)
            .map_or(Setup::bare(Release::R5D), |node| node.setup)
    }

    pub fn harm(&mut self, node: u16) {
        if let Some(node) = self.get_mut(node) {
            node.harmed = true;
        }
    }

    /// Whether a process that is up may rotate when it leads.
    pub fn rotator_up(&self) -> bool {
        let mut nodes = self.nodes.iter();
        nodes.any(|node| node.state == State::Up && rotates(&node.setup))
    }

    /// Whether the last request of this call is known to have done nothing that is still to come.
    pub fn settled(&self, call: Call) -> bool {
        self.sent.get(call.as_str()) == Some(&Outcome::Accepted)
    }
}

/// Whether flag, KEK and sidecar path are all given, and good.
pub(crate) fn full(setup: &Setup) -> bool {
    setup.enabled && setup.kek == KekFile::Own && setup.sidecar == SidecarPath::On
}

/// Whether the process was asked to rotate when it leads, and can.
pub(crate) fn rotates(setup: &Setup) -> bool {
    setup.rotate_on_startup && setup.release >= Release::R6F && full(setup)
}
