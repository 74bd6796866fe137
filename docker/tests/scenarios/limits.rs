//! Less memory and less processor time, and that it shows.

use std::time::Duration;

use keyquake_cluster::{Ending, NodeStatus, Runtime};

use crate::stage::{Fixture, block_on, until};

const MEMORY: u64 = 96 << 20;

pub fn memory() {
    block_on(async {
        let fixture = Fixture::new(1, "greedy").await;
        let down = fixture.runtime.limit_memory("n1", Some(MEMORY)).await;
        assert!(down.unwrap_err().to_string().contains("not up"));
        fixture.start(0).await;
        let read = fixture.runtime.limit_memory("n1", Some(MEMORY)).await;
        assert_eq!(read.unwrap(), Some(MEMORY));
        // How often the limit was met is gone with the process, which may be at once.
        let ending = fixture.cluster.wait_exit(0).await.unwrap();
        assert_eq!(ending, Ending::OutOfMemory);
        assert!(fixture.log(0).contains("out of memory"));
        // The limit outlives the container; once lifted, a new one lives longer.
        fixture.start(0).await;
        let ending = fixture.cluster.wait_exit(0).await.unwrap();
        assert_eq!(ending, Ending::OutOfMemory);
        // Lifted while it is down, too.
        let lifted = fixture.runtime.limit_memory("n1", None).await.unwrap();
        assert_eq!(lifted, None);
        fixture.start(0).await;
        let lifted = fixture.runtime.limit_memory("n1", None).await.unwrap();
        assert!(
            lifted.is_none_or(|bytes| bytes > 100 * MEMORY),
            "{lifted:?}"
        );
        tokio::time::sleep(Duration::from_millis(1500)).await;
        assert!(matches!(
            fixture.cluster.status(0),
            NodeStatus::Running { .. }
        ));
        fixture.end().await;
    });
}

pub fn processor() {
    block_on(async {
        let fixture = Fixture::new(1, "busy").await;
        fixture.cluster.start(0).await.unwrap();
        until("it counts", || count(&fixture) > 0).await;
        let free = work(&fixture).await;
        let read = fixture.runtime.limit_cpu("n1", Some(0.05)).await.unwrap();
        assert_eq!(read, Some(0.05));
        let before = fixture.runtime.allowance("n1").await.unwrap();
        let limited = work(&fixture).await;
        let after = fixture.runtime.allowance("n1").await.unwrap();
        assert_eq!(after.cores, Some(0.05));
        assert!(after.throttled > before.throttled, "{after:?}");
        assert_eq!(fixture.runtime.limit_cpu("n1", None).await.unwrap(), None);
        let lifted = work(&fixture).await;
        println!("free {free}, limited {limited}, lifted {lifted}");
        assert!(limited < free / 2 && limited < lifted / 2);
        fixture.end().await;
    });
}

/// How far the node counts in a second.
async fn work(fixture: &Fixture) -> u64 {
    // What was allowed before a change of the limit is used up first.
    tokio::time::sleep(Duration::from_millis(300)).await;
    let before = count(fixture);
    tokio::time::sleep(Duration::from_secs(1)).await;
    count(fixture) - before
}

/// The highest number in its log: its child counts too, and they are about as far.
fn count(fixture: &Fixture) -> u64 {
    let log = fixture.log(0);
    let said = log.lines().filter_map(|line| line.split_once(" out "));
    said.filter_map(|(_, number)| number.parse().ok())
        .max()
        .unwrap_or(0)
}
