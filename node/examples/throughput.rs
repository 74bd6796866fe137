//! Measures three nodes on loopback: start times (new, and on a full data folder),
//! and writes per second from 32 clients. Run it from the workspace root:
//! `cargo build --release -p keyquake-node && cargo run --release -p keyquake-node --example throughput`

use std::error::Error;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use elastickv_wire::RawPutRequest;
use elastickv_wire::raw_kv_client::RawKvClient;

const NODES: usize = 3;
const CLIENTS: usize = 32;
const RUN: Duration = Duration::from_secs(10);

type Any = Box<dyn Error + Send + Sync>;

/// Kills its process when it goes.
struct Node(Child);

impl Drop for Node {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn free_ports(count: usize) -> Result<Vec<u16>, Any> {
    let listeners: Vec<_> = (0..count)
        .map(|_| TcpListener::bind("127.0.0.1:0"))
        .collect::<Result<_, _>>()?;
    Ok(listeners
        .iter()
        .map(|l| l.local_addr().map(|a| a.port()))
        .collect::<Result<_, _>>()?)
}

fn start(dir: &Path, ports: &[u16], node: usize) -> Result<Node, Any> {
    let program = std::env::current_exe()?
        .parent()
        .and_then(Path::parent)
        .ok_or("no target folder")?
        .join("keyquake-node");
    let members: Vec<_> = (0..NODES)
        .map(|i| format!("n{}=127.0.0.1:{}", i + 1, ports[2 * i]))
        .collect();
    Ok(Node(
        Command::new(program)
            .args(["--raftId", &format!("n{}", node + 1)])
            .args(["--address", &format!("127.0.0.1:{}", ports[2 * node])])
            .args([
                "--redisAddress",
                &format!("127.0.0.1:{}", ports[2 * node + 1]),
            ])
            .args(["--raftDataDir", &dir.to_string_lossy()])
            .args(["--raftBootstrapMembers", &members.join(",")])
            .stderr(if std::env::var_os("KEYQUAKE_NODE_LOGS").is_some() {
                Stdio::inherit()
            } else {
                Stdio::null()
            })
            .spawn()?,
    ))
}

/// Milliseconds until a write through this node is acknowledged.
async fn first_write(port: u16, since: Instant) -> Result<u128, Any> {
    loop {
        if let Ok(mut client) = RawKvClient::connect(format!("http://127.0.0.1:{port}")).await {
            let put = RawPutRequest {
                key: "start".into(),
                value: "x".into(),
            };
            if client.raw_put(put).await.is_ok() {
                return Ok(since.elapsed().as_millis());
            }
        }
        if since.elapsed() > Duration::from_secs(10) {
            return Err("no write within 10 s".into());
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

async fn listening(port: u16, since: Instant) -> u128 {
    while tokio::net::TcpStream::connect(("127.0.0.1", port))
        .await
        .is_err()
    {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    since.elapsed().as_millis()
}

#[tokio::main]
async fn main() -> Result<(), Any> {
    let dir = tempfile::tempdir()?;
    let ports = free_ports(2 * NODES)?;
    let since = Instant::now();
    let mut nodes = Vec::new();
    for node in 0..NODES {
        nodes.push(start(dir.path(), &ports, node)?);
    }
    println!(
        "new cluster: first write after {} ms",
        first_write(ports[0], since).await?
    );

    let until = Instant::now() + RUN;
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
    println!(
        "{CLIENTS} clients through all nodes: {} writes/s, slowest {} ms",
        total / RUN.as_secs(),
        worst.as_millis()
    );

    for node in 0..NODES {
        let own = nodes.remove(0);
        drop(own);
        let since = Instant::now();
        nodes.push(start(dir.path(), &ports, node)?);
        let open = listening(ports[2 * node], since).await;
        println!(
            "n{} killed and started again after {total} writes: listening after {open} ms, writes through it after {} ms",
            node + 1,
            first_write(ports[2 * node], since).await?
        );
    }
    Ok(())
}
