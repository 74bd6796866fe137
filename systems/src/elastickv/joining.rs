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

/// Whether a node is one of those that begin the cluster.
pub fn begins(node: &NodeSpec) -> bool {
    let own = entry(node);
    let mut args = node.launch.args.iter();
    let list = args.find_map(|word| word.strip_prefix(BOOTSTRAP));
    list.is_some_and(|list| list.split(',').any(|member| member == own))
}

/// A node in a list of members.
fn entry(node: &NodeSpec) -> String {
    format!("{}={}", raft_id(node), addresses::of(node, GRPC))
}

/// The node as it has to be started to be added by this change to these members: whoever leads
/// must be among them, as a newcomer asks for what is known of its id. Its listeners stay closed
/// until it is in the configuration.
pub(super) fn joining(
    name: SystemName,
    node: &NodeSpec,
    members: &[NodeSpec],
    change: MemberChange,
) -> NodeSpec {
    let mut members: Vec<_> = members.iter().map(entry).collect();
    let own = entry(node);
    if !members.contains(&own) {
        members.push(own);
    }
    let mut node = node.clone();
    let flag = match takes_join(name, &node.release, change) {
        true => JOIN,
        false => BOOTSTRAP,
    };
    let list = format!("{flag}{}", members.join(","));
    let is_of_joining =
        |word: &String| word == AS_LEARNER || word.starts_with(BOOTSTRAP) || word.starts_with(JOIN);
    node.launch.args.retain(|word| !is_of_joining(word));
    node.launch.args.push(list);
    if change == MemberChange::AddLearner && flag == JOIN {
        node.launch.args.push(AS_LEARNER.to_owned());
    }
    node
}

/// Whether the program can be told that it joins. elastickv has a flag for it at HEAD, and for
/// learners alone (`--raftJoinMembers requires --raftJoinAsLearner`); otherwise a node that is
/// given everybody as members waits for them.
fn takes_join(name: SystemName, release: &str, change: MemberChange) -> bool {
    let head = stage_of(release).is_none_or(|stage| stage >= Release::R6F);
    name == SystemName::Reference || (head && change == MemberChange::AddLearner)
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
        let join = |node, members: &[NodeSpec], change| {
            joining(SystemName::Reference, node, members, change)
        };
        let members = &specs[..3];
        let voter = join(n4, members, MemberChange::AddVoter);
        assert_eq!(voter.launch.args.last().unwrap(), list);
        let learner = join(&voter, members, MemberChange::AddLearner);
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
        assert_eq!(join(&learner, members, MemberChange::AddVoter), voter);
        // A member that comes again names itself once, and those that came since.
        let again = join(&specs[1], &specs, MemberChange::Replace);
        let list = again.launch.args.last().unwrap();
        assert_eq!(list.matches("n2=").count(), 1);
        assert!(list.ends_with(",n4=10.77.0.4:20051"), "{list}");
        let beginners: Vec<_> = specs.iter().map(begins).collect();
        assert_eq!(beginners, [true, true, true, false]);
    }

    #[test]
    fn elastickv_is_told_everybody_but_as_a_learner_at_head() {
        let mut members = nodes(&SystemOptions {
            spares: 1,
            ..SystemOptions::default()
        });
        let mut n4 = members.remove(3);
        n4.release = "6d".to_owned();
        let old = joining(
            SystemName::Elastickv,
            &n4,
            &members,
            MemberChange::AddLearner,
        );
        let last = old.launch.args.last().unwrap();
        assert!(last.starts_with(BOOTSTRAP) && last.ends_with("n4=10.77.0.4:20051"));
        n4.release = "head".to_owned();
        let head = joining(
            SystemName::Elastickv,
            &n4,
            &members,
            MemberChange::AddLearner,
        );
        assert_eq!(head.launch.args.last().unwrap(), AS_LEARNER);
        let voter = joining(
            SystemName::Elastickv,
            &head,
            &members,
            MemberChange::AddVoter,
        );
        assert_eq!(voter.launch.args, old.launch.args);
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
