//! Starting, killing, stopping, pausing, replacing.

use std::time::{Duration, Instant};

use keyquake_cluster::{Ending, LinkRule, NodeStatus, Running, RuntimeError};
use keyquake_docker::Images;

use crate::stage::{Fixture, RELEASES, block_on, own, until};

pub fn kill() {
    block_on(async {
        let fixture = Fixture::new(1, "idle").await;
        fixture.start(0).await;
        assert!(matches!(fixture.cluster.status(0), NodeStatus::Running { pid } if pid > 1));
        assert_eq!(fixture.cluster.kill(0).await.unwrap(), Ending::Signal(9));
        let ended = NodeStatus::Exited(Ending::Signal(9));
        assert_eq!(fixture.cluster.status(0), ended);
        let begun = Instant::now();
        fixture.start(0).await;
        println!("started again in {:?}", begun.elapsed());
        assert_eq!(fixture.starts(0), 2, "its data is still there");
        let log = fixture.log(0);
        assert!(log.contains("--- ended by signal 9 (SIGKILL)"), "{log}");
        assert!(log.contains("in image keyquake:one-"), "{log}");
        fixture.end().await;
    });
}

pub fn down() {
    block_on(async {
        let fixture = Fixture::new(1, "exit").await;
        let never = fixture.cluster.kill(0).await.unwrap_err().to_string();
        assert!(never.contains("never started"), "{never}");
        fixture.cluster.start(0).await.unwrap();
        let ending = fixture.cluster.wait_exit(0).await.unwrap();
        assert_eq!(ending, Ending::Code(3));
        for refused in [
            fixture.cluster.kill(0).await.map(drop),
            fixture.cluster.pause(0).await.map(drop),
            fixture.cluster.resume(0).await.map(drop),
        ] {
            let error = refused.unwrap_err().to_string();
            assert!(error.contains("exited with code 3"), "{error}");
        }
        fixture.end().await;
    });
}

pub fn stop() {
    block_on(async {
        let fixture = Fixture::new(2, "stubborn").await;
        fixture.start(0).await;
        let begun = Instant::now();
        let grace = Duration::from_millis(300);
        let status = fixture.cluster.stop(0, grace).await.unwrap();
        assert_eq!(status, NodeStatus::Exited(Ending::Signal(9)));
        assert!(begun.elapsed() >= grace);

        // One that is not stubborn goes by the default action of SIGTERM: it is not process 1.
        let mut spec = fixture.cluster.spec(1).await.unwrap();
        spec.launch.env[0].1 = "idle".into();
        fixture.cluster.restart(1, spec).await.unwrap();
        fixture.up_again(1, 0).await;
        let status = fixture.cluster.stop(1, Duration::from_secs(10)).await;
        assert_eq!(status.unwrap(), NodeStatus::Exited(Ending::Signal(15)));
        fixture.end().await;
    });
}

pub fn pause() {
    block_on(async {
        let fixture = Fixture::new(1, "busy").await;
        fixture.cluster.start(0).await.unwrap();
        // The node's four threads, and its child's three.
        until("all threads are there", || {
            fixture
                .cluster
                .census(0)
                .is_ok_and(|census| census.threads == 7)
        })
        .await;
        let stopped = fixture.cluster.pause(0).await.unwrap();
        assert_eq!((stopped.threads, stopped.stopped), (7, 7));
        assert!(matches!(
            fixture.cluster.status(0),
            NodeStatus::Paused { .. }
        ));
        tokio::time::sleep(Duration::from_millis(150)).await;
        let later = fixture.cluster.census(0).unwrap();
        assert_eq!(stopped, later, "none of them has run");
        fixture.cluster.resume(0).await.unwrap();
        until("it runs", || {
            fixture
                .cluster
                .census(0)
                .is_ok_and(|census| census.switches > later.switches)
        })
        .await;
        // A paused node can be killed, with all it has started.
        fixture.cluster.pause(0).await.unwrap();
        assert_eq!(fixture.cluster.kill(0).await.unwrap(), Ending::Signal(9));
        let gone = fixture.cluster.census(0).unwrap_err().to_string();
        assert!(gone.contains("not up"), "{gone}");
        fixture.end().await;
    });
}

pub fn replace() {
    block_on(async {
        let fixture = Fixture::new(2, "idle").await;
        fixture.start(0).await;
        fixture.start(1).await;
        fixture.cluster.set_link(0, 1, LinkRule::Cut).await.unwrap();
        let cut = fixture.cluster.links();
        assert_eq!(fixture.cluster.probe_matrix().await.unwrap(), cut);

        let before = fixture.cluster.running(0).await.unwrap();
        assert_eq!(before, fixture.cluster.running(1).await.unwrap());
        let mut spec = fixture.cluster.spec(0).await.unwrap();
        spec.release = RELEASES[1].into();
        fixture.cluster.restart(0, spec).await.unwrap();
        fixture.up_again(0, 1).await;
        assert!(fixture.log(0).contains("in image keyquake:two-"));
        let images = Images::prepare(&fixture.engine, &own()).await.unwrap();
        let other = images.of(RELEASES[1]).unwrap().id.clone();
        let after = fixture.cluster.running(0).await.unwrap();
        assert_eq!(after, Running::Image(other));
        assert_ne!(after, before);
        assert_eq!(fixture.starts(0), 2);
        assert_eq!(fixture.cluster.probe_matrix().await.unwrap(), cut);

        let mut spec = fixture.cluster.spec(0).await.unwrap();
        spec.release = "three".into();
        let error = fixture.cluster.restart(0, spec).await.unwrap_err();
        let keyquake_cluster::ClusterError::Runtime(RuntimeError::Engine { .. }) = &error else {
            panic!("{error}");
        };
        assert!(error.to_string().contains("--image three=NAME"), "{error}");
        fixture.end().await;
    });
}

pub fn on_disk() {
    // Where the engine sees it, only root mounts.
    if !nix::unistd::geteuid().is_root() {
        return;
    }
    block_on(async {
        let fixture = Fixture::on_disks(1, "idle", 4 << 20).await;
        fixture.start(0).await;
        assert!(fixture.cluster.disk(0).unwrap().is_used());
        assert!(fixture.path("disks/n1/data/notes").is_file());
        fixture.end().await;
    });
}
