//! Members come, are promoted, hand over, and go; what cannot be done is refused by name.

use std::error::Error;

use crate::cluster::Cluster;
use elastickv_wire::{
    RaftAdminAddLearnerRequest, RaftAdminAddVoterRequest, RaftAdminConfigurationRequest,
    RaftAdminPromoteLearnerRequest, RaftAdminRemoveServerRequest,
    RaftAdminTransferLeadershipRequest,
};

async fn suffrages(cluster: &Cluster, node: usize) -> Result<Vec<String>, Box<dyn Error>> {
    let mut admin = cluster.admin(node).await;
    let answer = admin
        .configuration(RaftAdminConfigurationRequest {})
        .await?;
    let servers = answer.into_inner().servers;
    Ok(servers
        .into_iter()
        .map(|s| format!("{} {}", s.id, s.suffrage))
        .collect())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_learner_comes_is_promoted_and_goes() -> Result<(), Box<dyn Error>> {
    let mut cluster = Cluster::started(3).await;
    let leader = cluster.leader().await;
    for i in 0..20 {
        cluster.put(leader, &format!("k{i}"), "v").await?;
    }
    let list = cluster.member_list(4);
    cluster.start_with(3, &["--raftJoinAsLearner", "--raftJoinMembers", &list]);
    let mut admin = cluster.admin(leader).await;
    let added = admin
        .add_learner(RaftAdminAddLearnerRequest {
            id: "n4".into(),
            address: cluster.grpc(3),
            previous_index: 0,
        })
        .await?
        .into_inner()
        .index;
    // Its public listeners open only once it has caught up, so this waits for that.
    let mut redis = cluster.redis(3).await;
    let _: () = redis::cmd("SET")
        .arg("via")
        .arg("learner")
        .query_async(&mut redis)
        .await?;
    assert_eq!(cluster.get(3, "k19").await?.as_deref(), Some("v"));
    assert_eq!(suffrages(&cluster, 3).await?[3], "n4 learner");
    let learner = cluster.status(3).await?;
    assert!(
        learner.last_snapshot_index >= added,
        "newcomers come by snapshot"
    );
    assert_eq!(learner.configuration_index, added);

    let promote = |min_applied_index, previous_index, skip| RaftAdminPromoteLearnerRequest {
        id: "n4".into(),
        previous_index,
        min_applied_index,
        skip_min_applied_check: skip,
    };
    for (request, wanted) in [
        (
            promote(u64::MAX, 0, false),
            "has not caught up to min_applied_index",
        ),
        (promote(0, 0, false), "requires min_applied_index>0 unless"),
        (
            promote(1, added + 1, false),
            "configuration index does not match",
        ),
    ] {
        let refused = admin.promote_learner(request).await;
        assert!(
            refused.is_err_and(|s| s.message().contains(wanted)),
            "{wanted}"
        );
    }
    admin.promote_learner(promote(added, added, false)).await?;
    assert_eq!(suffrages(&cluster, leader).await?[3], "n4 voter");
    let again = admin.promote_learner(promote(added, 0, false)).await;
    assert!(again.is_err_and(|s| s.message().contains("target is not a learner")));

    // Two of four are no majority; with the newcomer voting, three are.
    let follower = (0..3).find(|&n| n != leader).ok_or("a follower")?;
    cluster.kill(follower);
    cluster.put(leader, "three-of-four", "v").await?;
    cluster.start(follower);

    let remove = |id: &str| RaftAdminRemoveServerRequest {
        id: id.into(),
        previous_index: 0,
    };
    admin.remove_server(remove("n4")).await?;
    assert_eq!(suffrages(&cluster, leader).await?.len(), 3);
    let gone = admin.remove_server(remove("n4")).await;
    assert!(gone.is_err_and(|s| s.message().contains("not a member")));
    cluster.kill(3);
    cluster.put(leader, "after", "v").await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_that_is_removed_makes_way() -> Result<(), Box<dyn Error>> {
    let mut cluster = Cluster::started(3).await;
    let leader = cluster.leader().await;
    let mut admin = cluster.admin(leader).await;
    admin
        .remove_server(RaftAdminRemoveServerRequest {
            id: format!("n{}", leader + 1),
            previous_index: 0,
        })
        .await?;
    cluster.until(leader, "step down", |s| s.state != 3).await;
    cluster.kill(leader);
    let next = cluster.leader().await;
    assert_eq!(suffrages(&cluster, next).await?.len(), 2);
    // It may come back under its name as a voter, with an empty disk.
    std::fs::remove_dir_all(cluster.data_dir(leader))?;
    let list = cluster.member_list(3);
    cluster.start_with(leader, &["--raftJoinMembers", &list]);
    let mut admin = cluster.admin(next).await;
    admin
        .add_voter(RaftAdminAddVoterRequest {
            id: format!("n{}", leader + 1),
            address: cluster.grpc(leader),
            previous_index: 0,
        })
        .await?;
    cluster
        .until(leader, "membership", |s| s.num_peers == 2 && s.state == 1)
        .await;
    assert_eq!(
        cluster.get_at_last(leader, "leader-probe").await.as_deref(),
        Some("x")
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn leadership_is_handed_over() -> Result<(), Box<dyn Error>> {
    let cluster = Cluster::started(3).await;
    let leader = cluster.leader().await;
    let target = (leader + 1) % 3;
    let to = |node: usize| RaftAdminTransferLeadershipRequest {
        target_id: format!("n{}", node + 1),
        target_address: cluster.grpc(node),
        ..RaftAdminTransferLeadershipRequest::default()
    };
    let mut admin = cluster.admin(leader).await;
    admin.transfer_leadership(to(target)).await?;
    cluster.until(target, "leadership", |s| s.state == 3).await;
    let from_follower = admin.transfer_leadership(to(leader)).await;
    assert!(from_follower.is_err_and(|s| s.message().contains("etcd raft engine is not leader")));

    let mut admin = cluster.admin(target).await;
    let stranger = RaftAdminTransferLeadershipRequest {
        target_id: "n9".into(),
        target_address: cluster.grpc(8),
        ..RaftAdminTransferLeadershipRequest::default()
    };
    let refused = admin.transfer_leadership(stranger).await;
    assert!(refused.is_err_and(|s| s.message().contains("target is not a voter")));
    let half = RaftAdminTransferLeadershipRequest {
        target_id: "n1".into(),
        ..RaftAdminTransferLeadershipRequest::default()
    };
    let refused = admin.transfer_leadership(half).await;
    assert!(refused.is_err_and(|s| s.code() == tonic::Code::InvalidArgument));
    admin
        .transfer_leadership(RaftAdminTransferLeadershipRequest::default())
        .await?;
    cluster
        .until(target, "stepping down", |s| s.state == 1)
        .await;
    Ok(())
}
