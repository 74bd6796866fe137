//! Nodes come, get a vote, hand over and go; who may not is refused by name.

use keyquake_rollout::{Call, FlagChange, MemberChange, Outcome, Switch};
use keyquake_systems::SystemOptions;
use keyquake_systems::elastickv::disk::Disk;
use keyquake_systems::elastickv::encryption::{Membership, Order, Reply};

use crate::lab::{Lab, refused};

impl Lab {
    /// A spare is started so that it can join, and the change is asked for.
    async fn join(&mut self, node: u16, change: MemberChange) -> Reply {
        let place = usize::from(node);
        let members = &self.specs[..3];
        self.specs[place] = self.system.joining(&self.specs[place], members, change);
        self.start(node);
        self.change(node, change).await
    }

    async fn change(&self, node: u16, change: MemberChange) -> Reply {
        let reply = Membership::of(&self.specs).change(change, node).await;
        println!("{change} {node}: {reply:?}");
        reply
    }

    async fn transfer(&self, to: u16) -> Reply {
        let reply = Membership::of(&self.specs).transfer(to).await;
        println!("transfer to {to}: {reply:?}");
        reply
    }
}

fn spare(release: &str) -> SystemOptions {
    SystemOptions {
        release: Some(release.to_owned()),
        encryption: true,
        spares: 1,
        ..SystemOptions::default()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_spare_comes_leads_and_goes() {
    let mut lab = Lab::of(spare("6f")).await;
    for call in [
        Call::Bootstrap,
        Call::EnableStorageEnvelope,
        Call::EnableRaftEnvelope,
    ] {
        lab.accepted(call).await;
    }
    let learner = lab.join(3, MemberChange::AddLearner).await;
    assert_eq!(learner.outcome, Outcome::Accepted, "{}", learner.said);
    assert!(learner.said.contains("shows n4 as learner"));
    lab.ready(3).await;
    // It has the keys, and calls count it.
    let leader = lab.leader().await;
    let (own, theirs) = (lab.caller.state(3).await, lab.caller.state(leader).await);
    let (own, theirs) = (own.expect("keys"), theirs.expect("keys"));
    assert_eq!(own.active_storage_id, theirs.active_storage_id);
    assert_eq!(own.wrapped_deks_by_id, theirs.wrapped_deks_by_id);
    let voter = lab.change(3, MemberChange::Promote).await;
    assert_eq!(voter.outcome, Outcome::Accepted, "{}", voter.said);
    let again = lab.change(3, MemberChange::Promote).await;
    assert_eq!(again.outcome, refused("not-a-learner"));

    for to in [3, 0, 0] {
        let moved = lab.transfer(to).await;
        assert_eq!(moved.outcome, Outcome::Accepted, "{}", moved.said);
        assert_eq!(lab.leader().await, to);
    }
    let accepted = lab.order(Order::once(Call::RotateRaft), Some(0)).await;
    assert_eq!(accepted.outcome, Outcome::Accepted, "{}", accepted.said);

    let gone = lab.change(3, MemberChange::Remove).await;
    assert_eq!(gone.outcome, Outcome::Accepted, "{}", gone.said);
    assert!(gone.said.contains("shows n4 as no member"));
    lab.kill(3).await;
    // A member that lost its disk comes again under its name.
    let removed = lab.change(1, MemberChange::Remove).await;
    assert_eq!(removed.outcome, Outcome::Accepted, "{}", removed.said);
    lab.kill(1).await;
    let wiped = Disk::of(&lab.specs[1]).tamper(&[keyquake_rollout::Tamper::DataWiped], None);
    wiped.expect("an empty disk");
    let voter = lab.join(1, MemberChange::AddVoter).await;
    assert_eq!(voter.outcome, Outcome::Accepted, "{}", voter.said);
    lab.ready(1).await;
    lab.accepted(Call::RotateStorage).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_not_capable_is_not_let_in() {
    let mut lab = Lab::of(spare("6f")).await;
    lab.accepted(Call::Bootstrap).await;
    lab.accepted(Call::EnableStorageEnvelope).await;
    let off = FlagChange {
        encryption: Some(Switch::Off),
        ..FlagChange::default()
    };
    lab.roll(3, off, None);
    let reply = lab.join(3, MemberChange::AddVoter).await;
    assert_eq!(reply.outcome, refused("member-not-capable"));
    lab.kill(3).await;
    assert_eq!(lab.serving_members().await, 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_twin_is_not_let_in() {
    let mut lab = Lab::of(SystemOptions {
        collide: true,
        ..spare("6f")
    })
    .await;
    lab.accepted(Call::Bootstrap).await;
    for change in [MemberChange::AddLearner, MemberChange::AddVoter] {
        let reply = lab.join(3, change).await;
        assert_eq!(reply.outcome, refused("node-id-collision"), "{change}");
        lab.kill(3).await;
    }
    assert_eq!(lab.serving_members().await, 3);
}
