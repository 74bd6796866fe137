//! A small part of the suite inside each node's pause container.
//!
//! The pause container owns the node's network and sees its processes; the agent, which is
//! its only program, does there what needs privileges or a place: it changes the neighbour
//! table, sends and hears probes, counts threads, stops and continues them. So the suite
//! needs nothing of the host but Docker's socket, and a node's image needs nothing at all.
//!
//! One request per line on a unix socket in a folder of the run, one answer per line, as JSON.

mod client;
mod server;

use std::net::{Ipv4Addr, SocketAddr};

use keyquake_cluster::{LinkRule, Mac, ThreadCensus};
use serde::{Deserialize, Serialize};

pub(crate) use client::Agent;
pub use server::main;

/// The folder of the sockets inside a pause container.
pub(crate) const SOCKETS: &str = "/run/keyquake";

/// What an agent is asked.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Request {
    /// Who it is.
    Hello,
    /// Open or cut the way to a neighbour.
    Link {
        to: Ipv4Addr,
        mac: Mac,
        rule: LinkRule,
    },
    /// Send the probes of a round.
    Send {
        round: u64,
        from: u16,
        to: Vec<(u16, SocketAddr)>,
    },
    /// Which probes of a round have arrived.
    Hear { round: u64, to: u16 },
    /// The threads of the node.
    Census,
    /// Send a signal to every process of the node.
    Signal(i32),
}

/// What it answers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Answer {
    Done,
    /// The node's Ethernet address, and where probes for it go.
    Hello {
        mac: Mac,
        probe: SocketAddr,
    },
    Heard(Vec<u16>),
    Census(ThreadCensus),
    Refused(String),
}
