//! The command line of a node that joins a cluster which is there, in the place of one that begins
//! a cluster.

use keyquake_cluster::NodeSpec;
use keyquake_rollout::{MemberChange, Release};

use super::addresses::{self, GRPC};
use super::setup::stage_of;
use crate::system::SystemName;

const RAFT_ID: &str = "--raftId=";
const BOOTSTRAP: &str = "--raftBootstrapMembers=";
const JOIN: &str = "--raftJoinMembers=";
const AS_LEARNER: &str = "--raftJoinAsLearner";

/// The name of a node in its Raft group; the node's own, unless its ids are to collide.
pub fn raft_id(node: &NodeSpec) -> &str {
    let mut args = node.launch.args.iter();
    let id = args.find_map(|word| word.strip_prefix(RAFT_ID));
    id.unwrap_or(&node.id)
}

/// The node as it has to be started to be added by this change. Its listeners stay closed until
/// it is in the configuration.
pub(super) fn joining(name: SystemName, node: &NodeSpec, change: MemberChange) -> NodeSpec {
    let mut node = node.clone();
    let own = format!("{}={}", raft_id(&node), addresses::of(&node, GRPC));
    let known = node.launch.args.iter().find_map(|word| {
        let list = word.strip_prefix(BOOTSTRAP);
        list.or_else(|| word.strip_prefix(JOIN))
    });
    let known = known.unwrap_or_default().split(',');
    let mut members: Vec<_> = known.filter(|member| !member.is_empty()).collect();
    if !members.contains(&own.as_str()) {
        members.push(&own);
    }
    // Before HEAD elastickv has no flag for it: a node that is told everybody waits for them.
    let stage = stage_of(&node.release);
    let knows = name == SystemName::Reference || stage.is_none_or(|stage| stage >= Release::R6F);
    let flag = if knows { JOIN } else { BOOTSTRAP };
    let list = format!("{flag}{}", members.join(","));
    let is_of_joining =
        |word: &String| word == AS_LEARNER || word.starts_with(BOOTSTRAP) || word.starts_with(JOIN);
    node.launch.args.retain(|word| !is_of_joining(word));
    node.launch.args.push(list);
    if change == MemberChange::AddLearner && knows {
        node.launch.args.push(AS_LEARNER.to_owned());
    }
    node
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use keyquake_cluster::NetworkKind;

    use super::*;
    use crate::elastickv::encryption::{collisions, full_node_id, node_id};
    use crate::elastickv::launch::prepare;
    use crate::programs::Programs;
    use crate::system::SystemOptions;

    fn nodes(options: &SystemOptions) -> Vec<NodeSpec> {
        let programs = Programs {
            other: Some(std::env::current_exe().unwrap()),
            ..Programs::NONE
        };
        let (name, network) = (SystemName::Reference, NetworkKind::Namespace);
        let run = Path::new("/run-folder");
        prepare(name, &programs, 3, run, &network, options).unwrap()
    }

    #[test]
    fn a_spare_is_known_to_all_and_a_member_to_none() {
        let options = SystemOptions {
            spares: 1,
            ..SystemOptions::default()
        };
        let specs = nodes(&options);
        let (n1, n4) = (&specs[0].launch.args, &specs[3]);
        let starts = |word: &&String| word.starts_with(BOOTSTRAP);
        let members = n1.iter().find(starts).unwrap();
        assert!(members.ends_with("n3=10.77.0.3:20051"), "{members}");
        let map = n1.iter().find(|word| word.starts_with("--raftRedisMap="));
        assert!(map.unwrap().ends_with(",10.77.0.4:20051=10.77.0.4:20052"));
        assert_eq!((n4.id.as_str(), raft_id(n4)), ("n4", "n4"));

        let list = "--raftJoinMembers=n1=10.77.0.1:20051,n2=10.77.0.2:20051,n3=10.77.0.3:20051,n4=10.77.0.4:20051";
        let voter = joining(SystemName::Reference, n4, MemberChange::AddVoter);
        assert_eq!(voter.launch.args.last().unwrap(), list);
        let learner = joining(SystemName::Reference, &voter, MemberChange::AddLearner);
        assert!(
            learner
                .launch
                .args
                .ends_with(&[list.to_owned(), AS_LEARNER.to_owned()])
        );
        assert!(
            !learner
                .launch
                .args
                .iter()
                .any(|word| word.starts_with(BOOTSTRAP))
        );
        assert_eq!(
            joining(SystemName::Reference, &learner, MemberChange::AddVoter),
            voter
        );
        // A member that comes again names itself once.
        let again = joining(SystemName::Reference, &specs[1], MemberChange::Replace);
        assert_eq!(again.launch.args.last().unwrap().matches("n2=").count(), 1);
    }

    #[test]
    fn elastickv_before_head_is_told_everybody() {
        let mut n4 = nodes(&SystemOptions {
            spares: 1,
            ..SystemOptions::default()
        })
        .remove(3);
        n4.release = "6d".to_owned();
        let old = joining(SystemName::Elastickv, &n4, MemberChange::AddLearner);
        let last = old.launch.args.last().unwrap();
        assert!(last.starts_with(BOOTSTRAP) && last.ends_with("n4=10.77.0.4:20051"));
        n4.release = "head".to_owned();
        let head = joining(SystemName::Elastickv, &n4, MemberChange::AddLearner);
        assert_eq!(head.launch.args.last().unwrap(), AS_LEARNER);
    }

    #[test]
    fn a_spare_can_collide_with_a_member() {
        let options = SystemOptions {
            spares: 2,
            collide: true,
            ..SystemOptions::default()
        };
        let specs = nodes(&options);
        let ids: Vec<_> = specs.iter().map(raft_id).collect();
        assert_eq!(specs[3].id, "n4");
        assert!(ids[3].starts_with("n4-"), "{ids:?}");
        assert_eq!(
            specs[3].data_dir,
            Path::new("/run-folder/nodes").join(ids[3])
        );
        let found = collisions(ids.iter().copied());
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].raft_ids, ("n1".to_owned(), ids[3].to_owned()));
        assert_eq!(found[0].node_id, node_id(full_node_id("n1")));
        assert_ne!(full_node_id(ids[3]), full_node_id("n1"));
    }
}
