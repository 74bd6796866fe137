//! What runs the nodes.

use std::fmt;

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

/// What runs the nodes of a cluster.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum RuntimeName {
    /// Processes of this machine
    #[default]
    Process,
    /// Containers of this machine's Docker engine
    Docker,
}

impl RuntimeName {
    /// Whether it is what a plan means that says nothing.
    pub fn is_process(&self) -> bool {
        *self == RuntimeName::Process
    }
}

impl fmt::Display for RuntimeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            RuntimeName::Process => "process",
            RuntimeName::Docker => "docker",
        })
    }
}
