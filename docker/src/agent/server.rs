//! The agent itself.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::net::Ipv4Addr;
use std::os::unix::fs::{PermissionsExt, chown};
use std::process::ExitCode;
use std::sync::Arc;

use keyquake_cluster::{Endpoint, Mac, Station, census_of_others};
use nix::errno::Errno;
use nix::sys::signal::{SigHandler, Signal, kill, signal};
use nix::unistd::{Pid, getpid};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};

use super::{Answer, Request, SOCKETS};

/// The only interface of a container on one network.
const INTERFACE: &str = "eth0";

/// Runs the agent: `NODE IP UID GID`. It ends with its container only.
pub fn main(words: impl Iterator<Item = OsString>) -> ExitCode {
    match serve(words) {
        Ok(never) => match never {},
        Err(error) => {
            eprintln!("keyquake agent: {error}");
            ExitCode::from(4)
        }
    }
}

fn serve(words: impl Iterator<Item = OsString>) -> io::Result<std::convert::Infallible> {
    let usage = || {
        io::Error::other(
            "this is the suite's own part of a pause container; it takes NODE IP UID GID",
        )
    };
    let words = words
        .map(|word| word.into_string().map_err(|_| usage()))
        .collect::<Result<Vec<_>, _>>()?;
    let [node, ip, uid, gid] = words.as_slice() else {
        return Err(usage());
    };
    // It signals every process that it sees: those must be the node's alone.
    if getpid() != Pid::from_raw(1) {
        return Err(usage());
    }
    let ip: Ipv4Addr = ip.parse().map_err(|_| usage())?;
    let owner = (
        uid.parse().map_err(|_| usage())?,
        gid.parse().map_err(|_| usage())?,
    );
    // SAFETY: no handler of ours runs. As the first process it inherits orphans of the node;
    // ignored, they vanish by themselves.
    unsafe { signal(Signal::SIGCHLD, SigHandler::SigIgn) }?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let end = Endpoint::open(&tokio::runtime::Handle::current(), INTERFACE, ip)?;
        let text = fs::read_to_string(format!("/sys/class/net/{INTERFACE}/address"))?;
        let mac = parse_mac(&text)
            .ok_or_else(|| io::Error::other(format!("strange Ethernet address {text:?}")))?;
        let place = Arc::new(Place { end, mac });
        let path = format!("{SOCKETS}/{node}.sock");
        let _ = fs::remove_file(&path);
        let listener = UnixListener::bind(&path)?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600))?;
        chown(&path, Some(owner.0), Some(owner.1))?;
        loop {
            let (stream, _) = listener.accept().await?;
            let place = Arc::clone(&place);
            tokio::spawn(async move {
                // An error is that whoever asked has gone: nobody else is concerned.
                let _ = converse(&place, stream).await;
            });
        }
    })
}

/// Where the agent stands.
struct Place {
    end: Endpoint,
    mac: Mac,
}

async fn converse(place: &Place, stream: UnixStream) -> io::Result<()> {
    let (read, mut write) = stream.into_split();
    let mut lines = BufReader::new(read).lines();
    while let Some(line) = lines.next_line().await? {
        let answer = match serde_json::from_str(&line) {
            Ok(request) => place
                .answer(request)
                .await
                .unwrap_or_else(|error| Answer::Refused(error.to_string())),
            Err(error) => Answer::Refused(format!("{error} in {line:?}")),
        };
        let mut text = serde_json::to_vec(&answer)?;
        text.push(b'\n');
        write.write_all(&text).await?;
    }
    Ok(())
}

impl Place {
    async fn answer(&self, request: Request) -> io::Result<Answer> {
        match request {
            Request::Hello => Ok(Answer::Hello {
                mac: self.mac,
                probe: self.end.probe().address(),
            }),
            Request::Link { to, mac, rule } => {
                let set = self.end.set_link(to, mac, rule).await;
                set.map_err(|error| io::Error::other(error.to_string()))?;
                Ok(Answer::Done)
            }
            Request::Send { round, from, to } => {
                self.end.probe().send(round, from, &to).await?;
                Ok(Answer::Done)
            }
            Request::Hear { round, to } => {
                Ok(Answer::Heard(self.end.probe().hear(round, to).await?))
            }
            Request::Census => Ok(Answer::Census(census_of_others()?)),
            Request::Signal(number) => {
                signal_others(Signal::try_from(number)?)?;
                Ok(Answer::Done)
            }
        }
    }
}

/// Signals every process but this one: the node and all that it has started.
fn signal_others(signal: Signal) -> io::Result<()> {
    for entry in fs::read_dir("/proc")? {
        let name = entry?.file_name();
        let pid = name.to_str().and_then(|name| name.parse::<i32>().ok());
        let Some(pid) = pid.filter(|pid| *pid != getpid().as_raw()) else {
            continue;
        };
        match kill(Pid::from_raw(pid), signal) {
            // It has just ended.
            Ok(()) | Err(Errno::ESRCH) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// `02:42:0a:4d:00:01`
fn parse_mac(text: &str) -> Option<Mac> {
    let bytes = text
        .trim()
        .split(':')
        .map(|byte| u8::from_str_radix(byte, 16))
        .collect::<Result<Vec<_>, _>>()
        .ok()?;
    bytes.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ethernet_address_is_read_as_the_kernel_writes_it() {
        let mac = parse_mac("02:42:0a:4d:00:FE\n");
        assert_eq!(mac, Some([0x02, 0x42, 0x0a, 0x4d, 0, 0xfe]));
        assert_eq!(parse_mac("02:42"), None);
    }

    #[test]
    fn outside_of_a_container_it_refuses_to_run() {
        let words = ["n1", "10.64.0.1", "0", "0"].map(OsString::from);
        let error = serve(words.into_iter()).unwrap_err().to_string();
        assert!(error.contains("pause container"), "{error}");
    }
}
