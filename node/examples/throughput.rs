//! Measures three nodes on loopback: start times (new, and on a full data folder),
//! and writes per second from 32 clients. Run it from the workspace root:
//! `cargo build --release -p keyquake-node && cargo run --release -p keyquake-node --example throughput`

mod support;

use std::time::{Duration, Instant};

use elastickv_wire::RawPutRequest;
use elastickv_wire::raw_kv_client::RawKvClient;

use support::{Any, CLIENTS, NODES, free_ports, load, start};

const RUN: Duration = Duration::from_secs(10);

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
    let ports = free_ports()?;
    let since = Instant::now();
    let mut nodes = Vec::new();
    for node in 0..NODES {
        nodes.push(start(dir.path(), &ports, node, &[])?);
    }
    println!(
        "new cluster: first write after {} ms",
        first_write(ports[0], since).await?
    );

    let (total, worst) = load(&ports, RUN).await?;
    println!(
        "{CLIENTS} clients through all nodes: {} writes/s, slowest {} ms",
        total / RUN.as_secs(),
        worst.as_millis()
    );

    for node in 0..NODES {
        let own = nodes.remove(0);
        drop(own);
        let since = Instant::now();
        nodes.push(start(dir.path(), &ports, node, &[])?);
        let open = listening(ports[2 * node], since).await;
        println!(
            "n{} killed and started again after {total} writes: listening after {open} ms, writes through it after {} ms",
            node + 1,
            first_write(ports[2 * node], since).await?
        );
    }
    Ok(())
}
