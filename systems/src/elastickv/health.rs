//! HTTP health checks.

use std::net::SocketAddr;
use std::time::Duration;

/// Makes a client that asks once: no retry, no redirect, no kept connection, no proxy from the
/// environment.
pub(super) fn client(timeout: Duration) -> Result<reqwest::Client, String> {
    reqwest::Client::builder()
        .retry(reqwest::retry::never())
        .redirect(reqwest::redirect::Policy::none())
        .pool_max_idle_per_host(0)
        .no_proxy()
        .timeout(timeout)
        .build()
        .map_err(|error| super::errors::chain(&error))
}

/// Whether a node is the leader and a majority confirms it; or why that could not be asked.
pub(super) async fn is_verified_leader(
    client: &reqwest::Client,
    address: SocketAddr,
) -> Result<bool, String> {
    let answer = client
        .get(format!("http://{address}/healthz/leader"))
        .send()
        .await
        .map_err(|error| super::errors::chain(&error))?;
    match answer.status().as_u16() {
        200 => Ok(true),
        503 => Ok(false),
        other => Err(format!("/healthz/leader answered {other}")),
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    /// Answers each request with the given bytes and closes. Returns how many came.
    async fn asked(answer: &'static str) -> (Result<bool, String>, usize) {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (count, mut counted) = tokio::sync::watch::channel(0);
        let server = tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut received = Vec::new();
                while !received.ends_with(b"\r\n\r\n") {
                    if stream.read_buf(&mut received).await.unwrap_or(0) == 0 {
                        break;
                    }
                }
                assert!(received.starts_with(b"GET /healthz/leader HTTP/1.1"));
                count.send_modify(|count| *count += 1);
                stream.write_all(answer.as_bytes()).await.unwrap();
            }
        });
        let result = is_verified_leader(&client(Duration::from_secs(5)).unwrap(), address).await;
        server.abort();
        let requests = *counted.borrow_and_update();
        (result, requests)
    }

    #[tokio::test]
    async fn one_question_is_one_request() {
        let ok = "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nok\n";
        let not = "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n";
        let moved = "HTTP/1.1 307 Moved\r\nLocation: /healthz/leader\r\nContent-Length: 0\r\n\r\n";
        assert_eq!(asked(ok).await, (Ok(true), 1));
        assert_eq!(asked(not).await, (Ok(false), 1));
        let (result, requests) = asked(moved).await;
        assert!(result.unwrap_err().contains("answered 307"));
        assert_eq!(requests, 1);
        // It took the request and closed.
        let (result, requests) = asked("").await;
        assert!(result.is_err());
        assert_eq!(requests, 1);
    }
}
