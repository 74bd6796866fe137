//! No client library sends an operation twice behind our back.
//!
//! A server takes the request and then breaks off, in each way that a library may take for
//! "safe to try again". What it saw of requests is counted over all connections.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use elle_rs::history::{Action, Step};
use keyquake_cluster::{Launch, NodeAddresses, NodeSpec};
use keyquake_systems::{Canary, SystemName, system};
use keyquake_workloads::{Outcome, Protocol};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// How the server breaks off once it has the request.
#[derive(Clone, Copy, Debug)]
enum Break {
    /// Closes the connection.
    Close,
    /// Closes it without a goodbye.
    Reset,
    /// HTTP/2: refuses the stream, which says that nothing was done with it.
    RefuseStream,
    /// HTTP/2: goes away, saying that it has taken no stream.
    GoAway,
}

/// Counts requests, and answers none.
struct Server {
    address: SocketAddr,
    requests: Arc<AtomicUsize>,
    task: JoinHandle<()>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Server {
    /// `requests_in` counts the complete requests in what a connection has sent so far.
    async fn start(how: Break, requests_in: fn(&[u8]) -> usize) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let requests = Arc::new(AtomicUsize::new(0));
        let task = tokio::spawn({
            let requests = requests.clone();
            async move {
                while let Ok((stream, _)) = listener.accept().await {
                    tokio::spawn(serve(stream, how, requests_in, requests.clone()));
                }
            }
        });
        Self {
            address,
            requests,
            task,
        }
    }

    fn requests(&self) -> usize {
        self.requests.load(Ordering::SeqCst)
    }
}

async fn serve(
    mut stream: TcpStream,
    how: Break,
    requests_in: fn(&[u8]) -> usize,
    requests: Arc<AtomicUsize>,
) {
    let mut received = Vec::new();
    let mut counted = 0;
    while let Ok(1..) = stream.read_buf(&mut received).await {
        let now = requests_in(&received);
        requests.fetch_add(now - counted, Ordering::SeqCst);
        let first = counted == 0 && now > 0;
        counted = now;
        if !first {
            continue;
        }
        match how {
            Break::Close => return,
            Break::Reset => {
                stream.set_zero_linger().unwrap();
                return;
            }
            // Empty SETTINGS, then the frame; the connection stays open.
            Break::RefuseStream => {
                let reset = [0, 0, 4, 3, 0, 0, 0, 0, 1, 0, 0, 0, 7];
                stream
                    .write_all(&[0, 0, 0, 4, 0, 0, 0, 0, 0])
                    .await
                    .unwrap();
                stream.write_all(&reset).await.unwrap();
            }
            Break::GoAway => {
                let away = [0, 0, 8, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
                stream
                    .write_all(&[0, 0, 0, 4, 0, 0, 0, 0, 0])
                    .await
                    .unwrap();
                stream.write_all(&away).await.unwrap();
            }
        }
    }
}

/// HTTP/2 frames that open a stream.
fn http2_requests(received: &[u8]) -> usize {
    const PREFACE: usize = 24;
    let mut rest = received.get(PREFACE..).unwrap_or_default();
    let mut headers = 0;
    while let [a, b, c, kind, _, _, _, _, _, after @ ..] = rest {
        let length = usize::from(*a) << 16 | usize::from(*b) << 8 | usize::from(*c);
        if after.len() < length {
            break;
        }
        headers += usize::from(*kind == 1);
        rest = &after[length..];
    }
    headers
}

fn occurrences(received: &[u8], word: &[u8]) -> usize {
    received
        .windows(word.len())
        .filter(|window| *window == word)
        .count()
}

fn sets(received: &[u8]) -> usize {
    occurrences(received, b"\r\nSET\r\n")
}

fn execs(received: &[u8]) -> usize {
    occurrences(received, b"\r\nEXEC\r\n")
}

fn canary() -> Canary {
    Canary::of_seed(1)
}

/// A node whose every port is this server's.
fn node(address: SocketAddr) -> NodeSpec {
    let services = ["grpc", "resp", "dynamo", "s3", "sqs", "metrics"];
    NodeSpec {
        id: "n1".to_owned(),
        index: 0,
        release: "6f".to_owned(),
        data_dir: PathBuf::new(),
        log_dir: PathBuf::new(),
        addresses: NodeAddresses {
            ip: address.ip(),
            ports: services
                .map(|service| (service.to_owned(), address.port()))
                .into(),
        },
        launch: Launch {
            program: PathBuf::new(),
            args: Vec::new(),
            env: Vec::new(),
        },
    }
}

/// One operation against such a server: how it ended, and how often it was sent.
async fn ask(
    protocol: Protocol,
    how: Break,
    requests_in: fn(&[u8]) -> usize,
    action: &Action,
) -> (Outcome, usize) {
    let server = Server::start(how, requests_in).await;
    let connect = system(SystemName::Elastickv).connect(&[node(server.address)], canary());
    let mut client = connect.connect(protocol, 0);
    let outcome = tokio::time::timeout(Duration::from_secs(10), client.invoke(action))
        .await
        .expect("an answer that the operation broke off");
    (outcome, server.requests())
}

const WRITE: Action = Action::Write { key: 1, value: 2 };
const READ: Action = Action::Read {
    key: 1,
    value: None,
};

#[tokio::test]
async fn grpc_sends_once() {
    for how in [
        Break::Close,
        Break::Reset,
        Break::RefuseStream,
        Break::GoAway,
    ] {
        let (outcome, requests) = ask(Protocol::Grpc, how, http2_requests, &WRITE).await;
        assert_eq!(requests, 1, "{how:?}: {outcome:?}");
        assert!(matches!(outcome, Outcome::Info(_)), "{how:?}: {outcome:?}");
        let (outcome, requests) = ask(Protocol::Grpc, how, http2_requests, &READ).await;
        assert_eq!(requests, 1, "{how:?}: {outcome:?}");
        assert!(matches!(outcome, Outcome::Fail(_)), "{how:?}: {outcome:?}");
    }
}

#[tokio::test]
async fn resp_sends_once() {
    let transaction = Action::Txn {
        steps: vec![Step::Append { key: 1, value: 2 }],
    };
    for how in [Break::Close, Break::Reset] {
        let (outcome, requests) = ask(Protocol::Resp, how, sets, &WRITE).await;
        assert_eq!(requests, 1, "{how:?}: {outcome:?}");
        assert!(matches!(outcome, Outcome::Info(_)), "{how:?}: {outcome:?}");
        let (outcome, requests) = ask(Protocol::Resp, how, execs, &transaction).await;
        assert_eq!(requests, 1, "{how:?}: {outcome:?}");
        assert!(matches!(outcome, Outcome::Info(_)), "{how:?}: {outcome:?}");
    }
}

#[tokio::test]
async fn a_client_goes_on_after_a_broken_connection() {
    let server = Server::start(Break::Close, sets).await;
    let connect = system(SystemName::Elastickv).connect(&[node(server.address)], canary());
    let mut client = connect.connect(Protocol::Resp, 0);
    for done in 1..=3 {
        assert!(matches!(client.invoke(&WRITE).await, Outcome::Info(_)));
        assert_eq!(server.requests(), done);
    }
}

#[tokio::test]
async fn without_a_connection_nothing_was_sent() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let connect = system(SystemName::Elastickv).connect(&[node(address)], canary());
    for protocol in [Protocol::Grpc, Protocol::Resp] {
        match connect.connect(protocol, 0).invoke(&WRITE).await {
            Outcome::Fail(text) => assert!(text.starts_with("connect: "), "{text}"),
            other => panic!("{protocol}: {other:?}"),
        }
    }
}

/// Health and status questions are no operations; still, each look is one.
#[tokio::test]
async fn a_node_that_only_breaks_off_is_never_ready() {
    let server = Server::start(Break::Close, http2_requests).await;
    let spec = node(server.address);
    let store = system(SystemName::Reference);
    let deadline = tokio::time::Instant::now() + Duration::from_millis(200);
    let error = store.ready(&spec, deadline).await.unwrap_err().to_string();
    assert!(
        error.starts_with("n1 is not ready: its gRPC port does not answer"),
        "{error}"
    );
    assert!(error.contains("see its log n1.log"), "{error}");
    assert_eq!(store.leader(&[spec]).await, None);
}
