//! Every call is sent, and what the store says of it is told in the model's words.

use std::time::Duration;

use keyquake_rollout::{Call, Outcome, Send};
use keyquake_systems::SystemOptions;
use keyquake_systems::elastickv::encryption::Order;
use nix::sys::signal::Signal;

use crate::lab::{Lab, refused};

fn sent(call: Call, send: Send) -> Order {
    Order {
        send,
        ..Order::once(call)
    }
}

fn register(epoch: u32) -> Order {
    Order {
        epoch: Some(epoch),
        ..Order::once(Call::RegisterWriter)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_store_decides_about_every_call() {
    let mut lab = Lab::started("6f").await;
    let leader = lab.leader().await;
    let follower = (leader + 1) % 3;
    for call in Call::ALL {
        let reply = lab.order(Order::once(call), Some(follower)).await;
        assert_eq!(reply.outcome, refused("not-leader"), "{call}");
        let name = match call {
            Call::Bootstrap => continue,
            Call::Resync => "sidecar-missing",
            _ => "not-bootstrapped",
        };
        assert_eq!(lab.call(call).await.outcome, refused(name), "{call}");
    }
    let first = lab.accepted(Call::Bootstrap).await;
    let again = lab.call(Call::Bootstrap).await;
    assert_eq!(again.outcome, refused("already-bootstrapped"));
    let late = lab.order(sent(Call::Bootstrap, Send::Late), None).await;
    assert_eq!(late.outcome, refused("already-bootstrapped"));

    let all = [0, 1, 2];
    let mut before = first;
    for call in Call::ALL {
        if call == Call::Bootstrap {
            continue;
        }
        let index = lab.accepted(call).await;
        assert!(index >= before, "{call} at {index}");
        before = index;
        let deadline = tokio::time::Instant::now() + Duration::from_secs(5);
        let there = lab.caller.caught_up(index, &all, deadline).await;
        assert_eq!(there, all);
    }
    let out_of_range = lab.order(register(0x1_0000), None).await;
    assert_eq!(out_of_range.outcome, refused("invalid-argument"));

    // A later life of a node has a later epoch, and the one before is refused.
    for node in all {
        lab.kill(node).await;
    }
    for node in all {
        lab.start(node);
    }
    lab.serving().await;
    // By name: whether the node has registered its new life by itself yet is a matter of time.
    let later = lab.order(register(1), None).await;
    assert_eq!(later.outcome, Outcome::Accepted, "{}", later.said);
    let behind = lab.order(register(0), None).await;
    assert_eq!(behind.outcome, refused("epoch-behind-registry"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_come_twice_at_once_and_late() {
    let lab = Lab::started("6f").await;
    lab.accepted(Call::Bootstrap).await;
    let leader = lab.leader().await;
    let key = async || {
        let state = lab.caller.state(leader).await.expect("keys");
        (state.active_storage_id, state.wrapped_deks_by_id.len())
    };
    assert_eq!(key().await.1, 2);
    let rotate = Call::RotateStorage;
    let nothing = lab.order(sent(rotate, Send::Late), None).await;
    assert_eq!(nothing.outcome, Outcome::Failed);
    let twice = lab.order(sent(rotate, Send::Twice), None).await;
    assert_eq!(twice.outcome, Outcome::Accepted);
    assert!(twice.said.contains("; second: "), "{}", twice.said);
    assert_eq!(key().await.1, 3, "the same bytes are one key");
    let old = key().await.0;
    assert!(twice.said.matches(&old.to_string()).count() >= 2);
    let both = lab.order(sent(rotate, Send::Concurrent), None).await;
    assert_eq!(both.outcome, Outcome::Accepted);
    assert_eq!(key().await.1, 5, "two requests are two keys");
    let before = key().await;
    let late = lab.order(sent(rotate, Send::Late), None).await;
    assert!(late.index.is_some() || late.outcome != Outcome::Accepted);
    assert_eq!(key().await, before, "what comes late changes nothing");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_that_does_not_come_in_time_is_in_doubt() {
    let lab = Lab::started("6f").await;
    lab.accepted(Call::Bootstrap).await;
    let leader = lab.leader().await;
    let followers = [(leader + 1) % 3, (leader + 2) % 3];
    for node in followers {
        lab.signal(node, Signal::SIGSTOP);
    }
    let order = Order {
        deadline: Some(Duration::from_millis(200)),
        ..Order::once(Call::RotateStorage)
    };
    let begun = std::time::Instant::now();
    let reply = lab.order(order, Some(leader)).await;
    assert_eq!(reply.outcome, Outcome::Indeterminate, "{}", reply.said);
    assert!(begun.elapsed() < Duration::from_secs(3));
    // A node that can't be asked is told nothing, and that is no doubt.
    let deaf = lab
        .order(Order::once(Call::Bootstrap), Some(followers[0]))
        .await;
    assert_eq!(deaf.outcome, Outcome::Failed);
    for node in followers {
        lab.signal(node, Signal::SIGCONT);
    }
    lab.serving().await;
    // The bytes in doubt, again: one key more at most.
    let late = lab.order(sent(Call::RotateStorage, Send::Late), None).await;
    assert_eq!(late.outcome, Outcome::Accepted, "{}", late.said);
    let state = lab.caller.state(lab.leader().await).await.expect("keys");
    assert_eq!(state.wrapped_deks_by_id.len(), 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_not_capable_is_refused_by_name_at_once() {
    let mut lab = Lab::prepared(SystemOptions {
        release: Some("6e".to_owned()),
        node_releases: [("n3".to_owned(), "6c".to_owned())].into(),
        encryption: true,
        ..SystemOptions::default()
    });
    // The old member must not lead.
    for node in [0, 1] {
        lab.start(node);
    }
    lab.leader().await;
    lab.start(2);
    lab.serving().await;
    lab.accepted(Call::Bootstrap).await;
    let begun = std::time::Instant::now();
    for call in [Call::EnableStorageEnvelope, Call::EnableRaftEnvelope] {
        assert_eq!(lab.call(call).await.outcome, refused("member-not-capable"));
    }
    lab.kill(2).await;
    for call in [Call::EnableStorageEnvelope, Call::EnableRaftEnvelope] {
        assert_eq!(lab.call(call).await.outcome, refused("member-unreachable"));
    }
    assert!(
        begun.elapsed() < Duration::from_secs(15),
        "nothing is tried again"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_release_that_proposes_nothing_says_so() {
    let mut lab = Lab::prepared(SystemOptions {
        release: Some("6a".to_owned()),
        ..SystemOptions::default()
    });
    for node in 0..3 {
        lab.start(node);
    }
    lab.serving().await;
    for call in Call::ALL {
        let name = match call {
            Call::Resync => "sidecar-path-not-configured",
            _ => "proposer-not-configured",
        };
        assert_eq!(lab.call(call).await.outcome, refused(name), "{call}");
    }
    let begun = std::time::Instant::now();
    for node in 0..3 {
        lab.kill(node).await;
    }
    let nobody = lab.call(Call::Bootstrap).await;
    assert_eq!(nobody.outcome, Outcome::Failed);
    assert!(begun.elapsed() < Duration::from_secs(25));
}
