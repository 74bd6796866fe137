//! The labels that everything of a run carries, so that it can be found and removed.

use std::collections::HashMap;

/// The run's name, for a person who looks.
pub(crate) const RUN: &str = "keyquake.run";
/// The run's marker in its heal journal: what removal goes by.
pub(crate) const MARKER: &str = "keyquake.marker";
/// Which node a container belongs to.
pub(crate) const NODE: &str = "keyquake.node";
/// `pause` (it holds the network, with the agent) or `node`.
pub(crate) const ROLE: &str = "keyquake.role";
/// On images of our making, and containers of them: the digest of what is in them.
pub(crate) const CONTENT: &str = "keyquake.content";

/// What a run is called, in labels and names.
#[derive(Clone, Debug)]
pub(crate) struct RunLabels {
    pub(crate) run: String,
    pub(crate) marker: String,
}

impl RunLabels {
    /// Labels of something that belongs to the run as a whole.
    pub(crate) fn of_run(&self) -> HashMap<String, String> {
        HashMap::from([
            (RUN.to_owned(), self.run.clone()),
            (MARKER.to_owned(), self.marker.clone()),
        ])
    }

    /// Labels of a node's container.
    pub(crate) fn of_node(&self, node: &str, role: &str, content: &str) -> HashMap<String, String> {
        let mut labels = self.of_run();
        labels.insert(NODE.to_owned(), node.to_owned());
        labels.insert(ROLE.to_owned(), role.to_owned());
        labels.insert(CONTENT.to_owned(), content.to_owned());
        labels
    }

    /// A name that is unique on the machine. Docker allows letters, digits, `_.-`.
    pub(crate) fn name(&self, what: &str) -> String {
        let marker: String = self
            .marker
            .chars()
            .map(|letter| match letter {
                'a'..='z' | 'A'..='Z' | '0'..='9' | '.' | '_' | '-' => letter,
                _ => '-',
            })
            .collect();
        format!("keyquake-{marker}-{what}")
    }
}
