//! Measures which node's packets reach which: datagrams from each namespace to
//! each other one, independent of what the nodes' processes do.

use std::io::{self, ErrorKind};
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::matrix::Matrix;

/// Nobody waits longer than this for a datagram.
const LONGEST: Duration = Duration::from_millis(250);
/// A pair that was not heard from is asked again after this.
const AGAIN: Duration = Duration::from_millis(25);
/// How long to listen for what should not arrive, once all else has.
const SETTLE: Duration = Duration::from_millis(25);
/// Marks our datagrams.
const MAGIC: &[u8; 8] = b"kqprobe1";

/// One end of the measurement.
pub(super) struct Station<'a> {
    /// Non-blocking, bound in the node's namespace.
    pub(super) socket: &'a UdpSocket,
    /// The node's address.
    pub(super) ip: Ipv4Addr,
}

/// Measures the matrix. Ends as soon as all that `expected` calls open was
/// heard and what it calls cut had its chance to be heard too.
pub(super) async fn probe(stations: &[Station<'_>], expected: &Matrix) -> io::Result<Matrix> {
    static ROUNDS: AtomicU64 = AtomicU64::new(0);
    let nonce = ROUNDS.fetch_add(1, Ordering::Relaxed);
    let mut seen = Matrix::all_cut(stations.len() as u16);
    let mut pairs = seen.pairs().collect::<Vec<_>>();
    // What should not arrive is sent first, so that it had more time than the rest.
    pairs.sort_by_key(|&(from, to)| expected.is_open(from, to));
    let addresses = stations
        .iter()
        .map(|station| {
            Ok(SocketAddr::from((
                station.ip,
                station.socket.local_addr()?.port(),
            )))
        })
        .collect::<io::Result<Vec<_>>>()?;

    let mut end = Instant::now() + LONGEST;
    let mut settling = false;
    let mut next_send = Instant::now();
    while Instant::now() < end {
        if Instant::now() >= next_send {
            next_send = Instant::now() + AGAIN;
            for &(from, to) in pairs.iter().filter(|&&(from, to)| !seen.is_open(from, to)) {
                send(
                    stations[usize::from(from)].socket,
                    addresses[usize::from(to)],
                    nonce,
                    from,
                    to,
                )?;
            }
        }
        for (to, station) in stations.iter().enumerate() {
            hear(station.socket, nonce, to as u16, &mut seen)?;
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

fn send(socket: &UdpSocket, address: SocketAddr, nonce: u64, from: u16, to: u16) -> io::Result<()> {
    let datagram = [
        &MAGIC[..],
        &nonce.to_be_bytes(),
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

/// Notes every datagram of this round that lies in the socket of node `to`.
fn hear(socket: &UdpSocket, nonce: u64, to: u16, seen: &mut Matrix) -> io::Result<()> {
    let mut buffer = [0; 64];
    loop {
        let length = match socket.recv_from(&mut buffer) {
            Ok((length, _)) => length,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
            Err(error) if is_of_the_link(&error) || error.kind() == ErrorKind::Interrupted => {
                continue;
            }
            Err(error) => return Err(error),
        };
        let expected = [&MAGIC[..], &nonce.to_be_bytes()].concat();
        if length == 20 && buffer.starts_with(&expected) && buffer[18..20] == to.to_be_bytes() {
            seen.set(u16::from_be_bytes([buffer[16], buffer[17]]), to, true);
        }
    }
}
