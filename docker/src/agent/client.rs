//! The suite's side of an agent's socket.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use keyquake_cluster::{LinkRule, Mac, Station, ThreadCensus};
use nix::sys::signal::Signal;

use super::{Answer, Request};

/// An agent answers at once; on a machine that is badly overloaded within this.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);

/// One node's agent, which has said hello.
#[derive(Clone)]
pub(crate) struct Agent {
    line: Line,
    /// The node's Ethernet address.
    pub(crate) mac: Mac,
    /// Where its probes are sent to.
    probe: SocketAddr,
}

/// The way to a socket.
#[derive(Clone)]
struct Line {
    /// A socket's path may have 107 bytes, and a results folder can lie deep: it is reached
    /// through this descriptor.
    folder: Arc<File>,
    node: Arc<str>,
}

impl Agent {
    /// Greets the agent of a node, whose socket is in `folder`.
    pub(crate) async fn greet(folder: &Path, node: &str) -> io::Result<Self> {
        let line = Line {
            folder: Arc::new(File::open(folder)?),
            node: node.into(),
        };
        match line.ask(Request::Hello).await? {
            Answer::Hello { mac, probe } => Ok(Self { line, mac, probe }),
            other => Err(unexpected(&other)),
        }
    }

    /// Opens or cuts the way from this node to another.
    pub(crate) async fn set_link(&self, to: Ipv4Addr, mac: Mac, rule: LinkRule) -> io::Result<()> {
        self.line.order(Request::Link { to, mac, rule }).await
    }

    /// Signals every process of the node.
    pub(crate) async fn signal(&self, signal: Signal) -> io::Result<()> {
        self.line.order(Request::Signal(signal as i32)).await
    }

    /// The node's threads. Waits for the answer: well under a millisecond.
    pub(crate) fn census(&self) -> io::Result<ThreadCensus> {
        match self.line.ask_now(&Request::Census)? {
            Answer::Census(census) => Ok(census),
            other => Err(unexpected(&other)),
        }
    }
}

#[async_trait]
impl Station for Agent {
    fn address(&self) -> SocketAddr {
        self.probe
    }

    async fn send(&self, round: u64, from: u16, to: &[(u16, SocketAddr)]) -> io::Result<()> {
        let to = to.to_vec();
        self.line.order(Request::Send { round, from, to }).await
    }

    async fn hear(&self, round: u64, to: u16) -> io::Result<Vec<u16>> {
        match self.line.ask(Request::Hear { round, to }).await? {
            Answer::Heard(senders) => Ok(senders),
            other => Err(unexpected(&other)),
        }
    }
}

impl Line {
    async fn order(&self, request: Request) -> io::Result<()> {
        match self.ask(request).await? {
            Answer::Done => Ok(()),
            other => Err(unexpected(&other)),
        }
    }

    async fn ask(&self, request: Request) -> io::Result<Answer> {
        let line = self.clone();
        tokio::task::spawn_blocking(move || line.ask_now(&request))
            .await
            .map_err(|_| io::Error::other("the suite is ending"))?
    }

    fn ask_now(&self, request: &Request) -> io::Result<Answer> {
        let descriptor = self.folder.as_raw_fd();
        let path = format!("/proc/self/fd/{descriptor}/{}.sock", self.node);
        let mut stream = UnixStream::connect(path)?;
        stream.set_read_timeout(Some(ANSWER_WITHIN))?;
        stream.set_write_timeout(Some(ANSWER_WITHIN))?;
        let mut text = serde_json::to_vec(request)?;
        text.push(b'\n');
        stream.write_all(&text)?;
        let mut answer = String::new();
        BufReader::new(stream).read_line(&mut answer)?;
        match serde_json::from_str(&answer)? {
            Answer::Refused(reason) => Err(io::Error::other(reason)),
            answer => Ok(answer),
        }
    }
}

fn unexpected(answer: &Answer) -> io::Error {
    io::Error::other(format!("the agent answered {answer:?}"))
}
