//! Links: open, cut one way, open again; measured by datagrams and by TCP.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::{Duration, Instant};

use keyquake_cluster::{LinkRule, Matrix, Network};

use crate::stage::{block_on, enter_namespace};

pub fn cut_is_seen_exactly() {
    let started = Instant::now();
    let kind = enter_namespace();
    println!("entered in {:?}", started.elapsed());
    block_on(async {
        let started = Instant::now();
        let network = Network::build(&kind, 3).await.unwrap();
        let built = started.elapsed();
        let open = Matrix::all_open(3);
        assert_eq!(network.probe(&open).await.unwrap(), open);
        println!("built in {built:?}, probed after {:?}", started.elapsed());

        network.set_link(0, 2, LinkRule::Cut).await.unwrap();
        let mut wanted = open.clone();
        wanted.set(0, 2, false);
        // Whoever expects the cut sees it, and whoever doesn't sees it too.
        assert_eq!(network.probe(&wanted).await.unwrap(), wanted);
        let seen = network.probe(&open).await.unwrap();
        assert_eq!(
            seen.to_string(),
            "n1→n2 ok, n1→n3 cut, n2→n1 ok, n2→n3 ok, n3→n1 ok, n3→n2 ok"
        );

        network.set_link(0, 2, LinkRule::Open).await.unwrap();
        // An open link is found even by who expects a cut.
        assert_eq!(network.probe(&wanted).await.unwrap(), open);
    });
}

pub fn cut_silences_tcp() {
    let kind = enter_namespace();
    block_on(async {
        let network = Network::build(&kind, 2).await.unwrap();
        let address = SocketAddr::new(kind.node_ip(1), 7000);
        let listener = network
            .inside(1, || TcpListener::bind(address))
            .unwrap()
            .unwrap();
        let connect = || {
            network
                .inside(0, || {
                    TcpStream::connect_timeout(&address, Duration::from_millis(300))
                })
                .unwrap()
        };
        let mut near = connect().unwrap();
        let (mut far, _) = listener.accept().unwrap();
        for stream in [&near, &far] {
            stream
                .set_read_timeout(Some(Duration::from_millis(300)))
                .unwrap();
        }
        near.write_all(b"a").unwrap();
        assert_eq!(hear(&mut far), Some(b'a'));

        network.set_link(0, 1, LinkRule::Cut).await.unwrap();
        near.write_all(b"b").unwrap();
        far.write_all(b"c").unwrap();
        assert_eq!(hear(&mut far), None, "what the cut-off end says vanishes");
        assert_eq!(hear(&mut near), Some(b'c'), "what it is told arrives");
        assert_eq!(
            connect().err().map(|error| error.kind()),
            Some(ErrorKind::TimedOut),
            "a new connection gets no answer"
        );

        network.set_link(0, 1, LinkRule::Open).await.unwrap();
        far.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        assert_eq!(hear(&mut far), Some(b'b'), "TCP sends it again");
        connect().unwrap();
    });
}

pub fn hub_stays_connected() {
    let kind = enter_namespace();
    block_on(async {
        let network = Network::build(&kind, 3).await.unwrap();
        for (from, to) in Matrix::all_open(3).pairs() {
            network.set_link(from, to, LinkRule::Cut).await.unwrap();
        }
        let none = Matrix::all_cut(3);
        assert_eq!(network.probe(&none).await.unwrap(), none);
        for index in 0..3 {
            let address = SocketAddr::new(kind.node_ip(index), 7000);
            let listener = network
                .inside(index, || TcpListener::bind(address))
                .unwrap()
                .unwrap();
            let mut client = TcpStream::connect_timeout(&address, Duration::from_secs(5)).unwrap();
            let (mut server, peer) = listener.accept().unwrap();
            assert_eq!(peer.ip().to_string(), "10.77.0.254");
            client.write_all(b"x").unwrap();
            assert_eq!(hear(&mut server), Some(b'x'));
        }
    });
}

/// The next byte, or nothing in time.
fn hear(stream: &mut TcpStream) -> Option<u8> {
    let mut byte = [0];
    match stream.read_exact(&mut byte) {
        Ok(()) => Some(byte[0]),
        Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => None,
        Err(error) => panic!("{error}"),
    }
}
