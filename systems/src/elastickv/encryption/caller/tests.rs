//! Who is asked again, and whom nobody asks.

use std::net::Ipv4Addr;

use keyquake_cluster::NetworkKind;
use keyquake_rollout::Outcome;

use super::super::request::Done;
use super::*;
use crate::elastickv::addresses::GRPC;
use crate::elastickv::launch::prepare;
use crate::{Programs, SystemName, SystemOptions};

fn nobody() -> Caller {
    let run = std::path::Path::new("/run-folder");
    let options = SystemOptions::default();
    let (name, network) = (SystemName::Reference, NetworkKind::Namespace);
    let programs = Programs {
        other: Some(std::env::current_exe().unwrap()),
        ..Programs::NONE
    };
    let made = prepare(name, &programs, 1, run, &network, &options);
    let mut nodes = made.unwrap();
    nodes[0].addresses.ip = Ipv4Addr::LOCALHOST.into();
    nodes[0].addresses.ports.insert(GRPC.to_owned(), 1);
    Caller::new(&nodes, Kek::generate().unwrap())
}

fn tried(answer: Result<Done, NotAccepted>) -> Tried {
    Tried::Answered {
        node: "n1".to_owned(),
        answer,
    }
}

fn refused(refusal: Refusal) -> Tried {
    tried(Err(NotAccepted::Refused {
        refusal,
        text: String::new(),
    }))
}

#[test]
fn only_what_certainly_did_nothing_is_tried_again() {
    let caller = nobody();
    let line = |order| Line {
        caller: &caller,
        order,
        at: None,
        watch: None,
    };
    let rotate = Order::once(Call::RotateStorage);
    let again = |tried: &Tried| line(&rotate).nothing_done_yet(tried, Words::Own);
    let text = String::new;
    assert!(again(&Tried::Unsent(text())));
    assert!(again(&tried(Err(NotAccepted::Failed { text: text() }))));
    assert!(again(&refused(Refusal::NotLeader)));
    assert!(again(&refused(Refusal::EpochBehindRegistry)));
    for last in [
        refused(Refusal::ProposerNotConfigured),
        refused(Refusal::MemberNotCapable),
        refused(Refusal::NotBootstrapped),
        refused(Refusal::AlreadyBootstrapped),
        tried(Err(NotAccepted::InvalidArgument { text: text() })),
        tried(Err(NotAccepted::Indeterminate { text: text() })),
        tried(Err(NotAccepted::Halts { text: text() })),
        tried(Ok(Done {
            index: 1,
            already: false,
        })),
    ] {
        assert!(!again(&last));
    }
    // An epoch that the plan chose, or that stands in old bytes, stays as wrong as it is.
    let behind = refused(Refusal::EpochBehindRegistry);
    let register = Order {
        epoch: Some(0),
        ..Order::once(Call::RegisterWriter)
    };
    assert!(!line(&register).nothing_done_yet(&behind, Words::Own));
    let bytes = Request::Resync(elastickv_wire::ResyncSidecarRequest::default());
    let same = Words::Same(&bytes);
    assert!(!line(&rotate).nothing_done_yet(&behind, same));
    assert!(line(&rotate).nothing_done_yet(&refused(Refusal::NotLeader), same));
}

#[tokio::test]
async fn what_was_never_sent_can_not_come_late() {
    let order = Order {
        send: Send::Late,
        ..Order::once(Call::RotateRaft)
    };
    let reply = nobody().call(&order, None, None).await;
    assert_eq!(reply.outcome, Outcome::Failed);
    assert_eq!(reply.said, "no rotate-raft was sent before");
}

#[tokio::test]
async fn one_node_gets_one_try() {
    let caller = nobody();
    let begun = Instant::now();
    for call in Call::ALL {
        let reply = caller.call(&Order::once(call), Some(0), None).await;
        assert_eq!(reply.outcome, Outcome::Failed, "{}", reply.said);
        assert!(
            reply.said.starts_with("nothing was sent: "),
            "{}",
            reply.said
        );
        assert_eq!(caller.last(call), None);
    }
    assert!(begun.elapsed() < FIND_WITHIN);
    let stranger = caller.call(&Order::once(Call::Resync), Some(9), None).await;
    assert!(stranger.said.contains("no node at position 9"));
    assert_eq!(
        caller.state(0).await.map(|state| state.active_raft_id),
        None
    );
    assert_eq!(
        caller.caught_up(1, &[0], Instant::now()).await,
        [] as [u16; 0]
    );
}

#[test]
fn a_sidecar_with_keys_and_no_index_is_of_a_release_that_keeps_none() {
    let state = |latest_applied_index, active_storage_id| SidecarStateReport {
        latest_applied_index,
        active_storage_id,
        ..SidecarStateReport::default()
    };
    assert!(keeps_no_index(&state(0, 7)));
    assert!(!keeps_no_index(&state(5, 7)));
    assert!(!keeps_no_index(&state(0, 0)), "it has no keys yet");
}
