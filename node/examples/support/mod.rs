//! Three nodes on loopback, and a load on them.

use std::error::Error;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use elastickv_wire::RawPutRequest;
use elastickv_wire::raw_kv_client::RawKvClient;

pub const NODES: usize = 3;
pub const CLIENTS: usize = 32;

pub type Any = Box<dyn Error + Send + Sync>;

/// Kills its process when it goes.
pub struct Node(Child);

impl Drop for Node {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Two free ports for each node: gRPC, RESP.
pub fn free_ports() -> Result<Vec<u16>, Any> {
    let listeners: Vec<_> = (0..2 * NODES)
        .map(|_| TcpListener::bind("127.0.0.1:0"))
        .collect::<Result<_, _>>()?;
    Ok(listeners
        .iter()
        .map(|l| l.local_addr().map(|a| a.port()))
        .collect::<Result<_, _>>()?)
}

/// Starts a node with these flags besides its addresses.
pub fn start(dir: &Path, ports: &[u16], node: usize, more: &[String]) -> Result<Node, Any> {
    let program = std::env::current_exe()?
        .parent()
        .and_then(Path::parent)
        .ok_or("no target folder")?
        .join("keyquake-node");
    let members: Vec<_> = (0..NODES)
        .map(|i| format!("n{}=127.0.0.1:{}", i + 1, ports[2 * i]))
        .collect();
    let address = |port: usize| format!("127.0.0.1:{}", ports[port]);
    let logs = std::env::var_os("KEYQUAKE_NODE_LOGS").is_some();
    let process = Command::new(program)
        .args(["--raftId", &format!("n{}", node + 1)])
        .args(["--address", &address(2 * node)])
        .args(["--redisAddress", &address(2 * node + 1)])
        .args(["--raftDataDir", &dir.to_string_lossy()])
        .args(["--raftBootstrapMembers", &members.join(",")])
        .args(more)
        .stderr(if logs {
            Stdio::inherit()
        } else {
            Stdio::null()
        })
        .spawn()?;
    Ok(Node(process))
}

/// Writes from all clients for `time`; how many, and how long the slowest took.
pub async fn load(ports: &[u16], time: Duration) -> Result<(u64, Duration), Any> {
    let until = Instant::now() + time;
    let mut clients = tokio::task::JoinSet::new();
    for client in 0..CLIENTS {
        let port = ports[2 * (client % NODES)];
        clients.spawn(async move {
            let mut kv = RawKvClient::connect(format!("http://127.0.0.1:{port}")).await?;
            let (mut done, mut worst) = (0_u64, Duration::ZERO);
            while Instant::now() < until {
                let put = RawPutRequest {
                    key: format!("key-{client}-{}", done % 100).into(),
                    value: vec![b'v'; 100].into(),
                };
                let sent = Instant::now();
                kv.raw_put(put).await?;
                worst = worst.max(sent.elapsed());
                done += 1;
            }
            Ok::<_, Any>((done, worst))
        });
    }
    let (mut total, mut worst) = (0, Duration::ZERO);
    while let Some(client) = clients.join_next().await {
        let (done, slowest) = client??;
        total += done;
        worst = worst.max(slowest);
    }
    Ok((total, worst))
}
