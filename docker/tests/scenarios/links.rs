//! Links: cut and open, measured by datagrams and by TCP.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use keyquake_cluster::{LinkRule, Matrix};

use crate::parts::PORT;
use crate::stage::{Fixture, block_on};

pub fn partitions() {
    block_on(async {
        let fixture = Fixture::new(4, "idle").await;
        let cluster = &fixture.cluster;
        let open = Matrix::all_open(4);
        assert_eq!(cluster.probe_matrix().await.unwrap(), open);
        let half = |node: u16| node < 2;
        type Cut<'a> = &'a dyn Fn(u16, u16) -> bool;
        let kinds: [(&str, Cut); 4] = [
            ("one", &|from, to| from == 2 || to == 2),
            ("one way", &|from, _| from == 1),
            ("halves", &|from, to| half(from) != half(to)),
            ("ring", &|from, to| (from + 2) % 4 == to),
        ];
        for (name, cut) in kinds {
            for (from, to) in open.pairs().filter(|&(from, to)| cut(from, to)) {
                cluster.set_link(from, to, LinkRule::Cut).await.unwrap();
            }
            let wanted = cluster.links();
            assert!(!wanted.is_all_open());
            let seen = cluster.probe_matrix().await.unwrap();
            assert_eq!(seen, wanted, "{name}");
            cluster.heal_links().await.unwrap();
            assert_eq!(cluster.probe_matrix().await.unwrap(), open, "{name} healed");
        }
        fixture.end().await;
    });
}

pub fn silence() {
    block_on(async {
        let fixture = Fixture::new(2, "sink").await;
        fixture.start(0).await;
        fixture.start(1).await;
        fixture.cluster.kill(0).await.unwrap();
        fixture.cluster.set_link(0, 1, LinkRule::Cut).await.unwrap();
        fixture.start(0).await;
        let cut = fixture.cluster.links();
        assert_eq!(fixture.cluster.probe_matrix().await.unwrap(), cut);
        // The suite reaches every node, whatever is cut between them.
        for node in 0..2 {
            let ip = fixture.cluster.spec(node).await.unwrap().addresses.ip;
            let address = SocketAddr::new(ip, PORT);
            let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(5)).unwrap();
            stream.write_all(b"x").unwrap();
            let mut heard = [0];
            stream.read_exact(&mut heard).unwrap();
            assert_eq!(&heard, b"x");
        }
        fixture.end().await;
    });
}
