//! Measures which node's packets reach which: datagrams from each node's network to
//! each other one's, independent of what the nodes' processes do.

use std::io::{self, ErrorKind};
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use async_trait::async_trait;

use crate::matrix::Matrix;

/// A pair that was not heard from is asked again after this.
const AGAIN: Duration = Duration::from_millis(25);
/// How long to listen for what should not arrive, once all else has.
const SETTLE: Duration = Duration::from_millis(25);
/// Marks our datagrams.
const MAGIC: &[u8; 8] = b"kqprobe1";

/// One end of the measurement: a socket in a node's network, wherever that is.
#[async_trait]
pub trait Station: Send + Sync {
    /// Where datagrams for it go.
    fn address(&self) -> SocketAddr;

    /// Sends one datagram of a round to each of these, as the node at position `from`.
    ///
    /// # Errors
    /// With what the socket refused, unless that is of the link.
    async fn send(&self, round: u64, from: u16, to: &[(u16, SocketAddr)]) -> io::Result<()>;

    /// Which nodes' datagrams of this round, sent to the node at position `to`, have arrived
    /// since it was asked last.
    ///
    /// # Errors
    /// With what the socket refused.
    async fn hear(&self, round: u64, to: u16) -> io::Result<Vec<u16>>;
}

/// Measures the matrix. Ends as soon as all that `expected` calls open was heard and what it
/// calls cut had its chance to be heard too; nobody waits longer than `longest`.
///
/// # Errors
/// With what a station refused.
pub async fn probe(
    stations: &[&dyn Station],
    expected: &Matrix,
    longest: Duration,
) -> io::Result<Matrix> {
    static ROUNDS: AtomicU64 = AtomicU64::new(0);
    let round = ROUNDS.fetch_add(1, Ordering::Relaxed);
    let mut seen = Matrix::all_cut(stations.len() as u16);
    let pairs = seen.pairs().collect::<Vec<_>>();

    let mut end = Instant::now() + longest;
    let mut settling = false;
    let mut next_send = Instant::now();
    while Instant::now() < end {
        if Instant::now() >= next_send {
            next_send = Instant::now() + AGAIN;
            // What should not arrive is sent first, so that it had more time than the rest.
            for open in [false, true] {
                for (from, station) in (0..).zip(stations) {
                    let silent = pairs.iter().filter(|&&(sender, to)| {
                        sender == from
                            && !seen.is_open(from, to)
                            && expected.is_open(from, to) == open
                    });
                    let to = silent
                        .map(|&(_, to)| (to, stations[usize::from(to)].address()))
                        .collect::<Vec<_>>();
                    if !to.is_empty() {
                        station.send(round, from, &to).await?;
                    }
                }
            }
        }
        for (to, station) in (0..).zip(stations) {
            for from in station.hear(round, to).await? {
                seen.set(from, to, true);
            }
        }
        if !settling
            && pairs
                .iter()
                .all(|&(from, to)| seen.is_open(from, to) || !expected.is_open(from, to))
        {
            if seen.is_all_open() {
                break;
            }
            settling = true;
            next_send = Instant::now();
            end = end.min(Instant::now() + SETTLE);
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    Ok(seen)
}

/// A socket for probes in the network it was made in, whatever thread uses it.
pub struct ProbeSocket {
    socket: UdpSocket,
    address: SocketAddr,
}

impl ProbeSocket {
    /// In the network of the calling thread, where it has this address.
    ///
    /// # Errors
    /// When the kernel refuses a socket.
    pub fn at(ip: Ipv4Addr) -> io::Result<Self> {
        let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
        socket.set_nonblocking(true)?;
        let address = SocketAddr::from((ip, socket.local_addr()?.port()));
        Ok(Self { socket, address })
    }
}

#[async_trait]
impl Station for ProbeSocket {
    fn address(&self) -> SocketAddr {
        self.address
    }

    async fn send(&self, round: u64, from: u16, to: &[(u16, SocketAddr)]) -> io::Result<()> {
        to.iter()
            .try_for_each(|&(to, address)| send(&self.socket, address, round, from, to))
    }

    async fn hear(&self, round: u64, to: u16) -> io::Result<Vec<u16>> {
        hear(&self.socket, round, to)
    }
}

/// Sends one datagram.
fn send(socket: &UdpSocket, address: SocketAddr, round: u64, from: u16, to: u16) -> io::Result<()> {
    let datagram = [
        &MAGIC[..],
        &round.to_be_bytes(),
        &from.to_be_bytes(),
        &to.to_be_bytes(),
    ]
    .concat();
    match socket.send_to(&datagram, address) {
        // The node's own doing (an interface switched off, a full queue): not open, but no error of ours.
        Err(error) if is_of_the_link(&error) => Ok(()),
        sent => sent.map(drop),
    }
}

fn is_of_the_link(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::WouldBlock
            | ErrorKind::NetworkUnreachable
            | ErrorKind::HostUnreachable
            | ErrorKind::NetworkDown
            | ErrorKind::ConnectionRefused
    )
}

/// The senders of every datagram of this round that lies in the socket of node `to`.
fn hear(socket: &UdpSocket, round: u64, to: u16) -> io::Result<Vec<u16>> {
    let expected = [&MAGIC[..], &round.to_be_bytes()].concat();
    let mut senders = Vec::new();
    let mut buffer = [0; 64];
    loop {
        let length = match socket.recv_from(&mut buffer) {
            Ok((length, _)) => length,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(senders),
            Err(error) if is_of_the_link(&error) || error.kind() == ErrorKind::Interrupted => {
                continue;
            }
            Err(error) => return Err(error),
        };
        if length == 20 && buffer.starts_with(&expected) && buffer[18..20] == to.to_be_bytes() {
            senders.push(u16::from_be_bytes([buffer[16], buffer[17]]));
        }
    }
}
