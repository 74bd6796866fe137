//! The faults, one file each: what it does, how it shows that it was in force,
//! how it is undone and how that is shown.
//!
//! No fault here makes anything that outlives the suite: nodes stand in the heal
//! journal from their start (and a stopped process can be killed as well), cut
//! links go with their namespaces. A fault that makes more (a mount, a cgroup)
//! records its undo before it is applied.

pub(crate) mod admin;
pub(crate) mod crash_loop;
mod down;
pub(crate) mod full_disk;
mod halting;
pub(crate) mod kill;
mod links;
pub(crate) mod member;
pub(crate) mod memory_limit;
mod outcome;
pub(crate) mod partition_halves;
pub(crate) mod partition_majority_ring;
pub(crate) mod partition_one;
pub(crate) mod partition_one_way;
pub(crate) mod pause;
mod reach;
pub(crate) mod restart;
pub(crate) mod roll;
pub(crate) mod save;
pub(crate) mod slow_cpu;
mod starting;
pub(crate) mod transfer;

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use keyquake_cluster::{Cluster, node_name};
use keyquake_rollout::Outcome;

use crate::active::{ActiveFault, ActiveFaults};
use crate::catalogue::FaultName;
use crate::in_flight::InFlight;
use crate::operator::Operator;
use crate::record::FaultSink;
use crate::rollout::{Expect, Rollout};
use crate::runner::{Health, LeaderFinder};
use crate::schedule::{Details, PlannedFault};
use crate::target::Target;

/// How long undoing a fault may take before it counts as failed.
pub(crate) const HEAL_WITHIN: Duration = Duration::from_secs(30);

/// How long a node that is asked to end may take before it is killed.
const GRACE: Duration = Duration::from_secs(5);

/// How often a question is asked again meanwhile.
const ASK_EVERY: Duration = Duration::from_millis(50);

/// What faults act on.
#[derive(Clone, Copy)]
pub(crate) struct Stage<'a> {
    pub(crate) cluster: &'a Arc<Cluster>,
    pub(crate) health: &'a dyn Health,
    pub(crate) leader: &'a dyn LeaderFinder,
    pub(crate) operator: &'a dyn Operator,
    pub(crate) rollout: &'a Rollout,
    pub(crate) sink: &'a dyn FaultSink,
    pub(crate) active: &'a ActiveFaults,
    /// The number of the fault that acts.
    pub(crate) fault: u32,
}

impl Stage<'_> {
    /// The other faults in force.
    fn others(&self) -> impl Iterator<Item = ActiveFault> {
        let mut all = self.active.now();
        all.retain(|fault| fault.fault != self.fault);
        all.into_iter()
    }

    /// Whether another fault is in force that may end or cut off nodes.
    fn is_disturbed(&self) -> bool {
        self.others().any(|fault| !fault.name.info().step)
    }

    /// The nodes that are members, as far as the steps before made them so.
    pub(crate) fn insiders(&self) -> Vec<u16> {
        let is_in = |&node: &u16| !self.rollout.is_outside(node);
        (0..self.cluster.node_count()).filter(is_in).collect()
    }

    /// The nodes that are up.
    fn members_now(&self) -> Vec<u16> {
        let is_up = |&node: &u16| self.cluster.status(node).is_up();
        (0..self.cluster.node_count()).filter(is_up).collect()
    }

    /// Waits until a node that is up serves, but not longer than it lives.
    async fn serves(&self, node: u16, deadline: Instant) -> Result<(), String> {
        tokio::select! {
            ready = self.health.wait_ready(node, deadline) => ready,
            ending = self.cluster.wait_exit(node) => Err(ending.map_or_else(
                |error| error.to_string(),
                |ending| format!("it {ending}; its log says why"),
            )),
        }
    }

    /// The name of who leads, once somebody does.
    async fn someone_leads(&self, deadline: Instant) -> Result<String, String> {
        loop {
            let asked = tokio::time::timeout_at(deadline.into(), self.leader.leader()).await;
            match asked.ok().flatten() {
                Some(leader) => return Ok(self.cluster.id(leader).to_owned()),
                None if Instant::now() >= deadline => return Err("nobody leads since".to_owned()),
                None => tokio::time::sleep(ASK_EVERY).await,
            }
        }
    }
}

/// One fault, aimed. Each step gives what was seen, or what is wrong.
#[async_trait]
pub(crate) trait Fault: Send {
    /// The nodes it touches, for the record.
    fn nodes(&self) -> Vec<u16>;
    /// Applies it.
    async fn apply(&mut self, stage: &Stage<'_>) -> Result<String, String>;
    /// Whether it is in force now, and was since it was applied.
    async fn check(&mut self, stage: &Stage<'_>) -> Result<String, String>;
    /// Undoes it, even where it was applied only in part, and has seen that.
    async fn heal(&mut self, stage: &Stage<'_>) -> Result<String, String>;
}

/// Whether a kind of fault can be aimed so.
pub(crate) fn check_target(fault: FaultName, target: &Target) -> Result<(), String> {
    let fits = match fault {
        FaultName::Kill => kill::fits(target),
        FaultName::Pause => pause::fits(target),
        FaultName::PartitionOne => partition_one::fits(target),
        FaultName::PartitionHalves => partition_halves::fits(target),
        FaultName::PartitionMajorityRing => partition_majority_ring::fits(target),
        FaultName::PartitionOneWay => partition_one_way::fits(target),
        FaultName::Restart => restart::fits(target),
        FaultName::CrashLoop => crash_loop::fits(target),
        FaultName::SlowCpu => slow_cpu::fits(target),
        FaultName::MemoryLimit => memory_limit::fits(target),
        FaultName::FullDisk => full_disk::fits(target),
        FaultName::Roll => roll::fits(target),
        FaultName::Admin => admin::fits(target),
        FaultName::Member => member::fits(target),
        FaultName::Transfer => transfer::fits(target),
        FaultName::Save => save::fits(target),
    };
    fits.map_err(|wanted| format!("`{fault}` is aimed at {wanted}, not at `{target}`"))?;
    let mut named = target.named();
    named.sort_unstable();
    let twice = named
        .windows(2)
        .find(|pair| pair[0] == pair[1])
        .map(|pair| pair[0]);
    match (target, twice) {
        (Target::Nodes(_) | Target::Groups(_), Some(node)) => {
            Err(format!("{} is named twice", node_name(node)))
        }
        _ => Ok(()),
    }
}

/// Whether a fault that must speak of every node does.
pub(crate) fn check_size(planned: &PlannedFault, nodes: u16) -> Result<(), String> {
    let place = match planned.fault {
        FaultName::PartitionHalves => "in neither half",
        FaultName::PartitionMajorityRing => "not in the ring",
        _ => return Ok(()),
    };
    let named = planned.target.named();
    match (0..nodes).find(|node| !named.contains(node)) {
        Some(missing) => Err(format!(
            "{} is {place}; every node must be",
            node_name(missing)
        )),
        None => Ok(()),
    }
}

/// Makes a fault of nodes that are known by now. `nodes` is what `Leader`,
/// `Follower` or `Nodes` came to.
pub(crate) fn aim(
    planned: &PlannedFault,
    nodes: Vec<u16>,
    cluster_size: u16,
    flight: Option<&InFlight>,
) -> Result<Box<dyn Fault>, String> {
    let cuts = match planned.fault {
        FaultName::Kill => return Ok(Box::new(kill::Kill::new(nodes))),
        FaultName::Pause => return Ok(Box::new(pause::Pause::new(nodes))),
        FaultName::Restart => return Ok(Box::new(restart::Restart::new(nodes))),
        FaultName::CrashLoop => return Ok(Box::new(crash_loop::CrashLoop::new(nodes))),
        FaultName::SlowCpu => return Ok(Box::new(slow_cpu::SlowCpu::new(nodes))),
        FaultName::MemoryLimit => {
            return Ok(Box::new(memory_limit::MemoryLimit::new(nodes)));
        }
        FaultName::FullDisk => return Ok(Box::new(full_disk::FullDisk::new(nodes))),
        FaultName::Roll | FaultName::Admin | FaultName::Member => {
            return of_details(planned, nodes, flight);
        }
        FaultName::Transfer => {
            let expect = planned.expect.clone();
            return Ok(Box::new(transfer::Transfer::new(nodes, expect)));
        }
        FaultName::Save => return Ok(Box::new(save::Save::new(nodes, planned.expect.clone()))),
        FaultName::PartitionOne => partition_one::cuts(&nodes, cluster_size),
        FaultName::PartitionHalves => partition_halves::cuts(&planned.target),
        FaultName::PartitionMajorityRing => partition_majority_ring::cuts(&nodes),
        FaultName::PartitionOneWay => {
            partition_one_way::cuts(&planned.target, &nodes, cluster_size)
        }
    };
    Ok(Box::new(links::Partition::new(cuts)))
}

/// A step that says what it does.
fn of_details(
    planned: &PlannedFault,
    nodes: Vec<u16>,
    flight: Option<&InFlight>,
) -> Result<Box<dyn Fault>, String> {
    let expect = planned.expect.clone();
    Ok(match planned.details.clone() {
        Details::Roll(change) => Box::new(roll::Roll::new(nodes, change, expect)),
        Details::Admin(request) => {
            let (target, flight) = (&planned.target, flight.cloned());
            Box::new(admin::Admin::new(nodes, target, request, expect, flight))
        }
        Details::Member(change, roll) => Box::new(member::Member::new(nodes, change, roll, expect)),
        Details::None => return Err(format!("`{}` does not say what to do", planned.fault)),
    })
}

/// `Ok` for one or more nodes by role or name: what faults of processes and roll take.
fn fits_nodes(target: &Target) -> Result<(), &'static str> {
    match target {
        Target::Leader | Target::Follower | Target::All | Target::Nodes(_) => Ok(()),
        Target::Groups(_) | Target::Cuts(_) => {
            Err("\"leader\", \"follower\", \"all\" or nodes (\"n2\", [\"n1\", \"n2\"])")
        }
    }
}

/// `Ok` for exactly one node by role or name.
fn is_one_node(target: &Target) -> bool {
    match target {
        Target::Leader | Target::Follower => true,
        Target::Nodes(nodes) => nodes.len() == 1,
        Target::All | Target::Groups(_) | Target::Cuts(_) => false,
    }
}

/// Both directions of a link.
fn both_ways((one, other): (u16, u16)) -> [(u16, u16); 2] {
    [(one, other), (other, one)]
}

/// Starts a node if it is down, and waits until it serves, or ends as it must.
async fn bring_up(stage: &Stage<'_>, node: u16) -> Result<String, String> {
    let begun = Instant::now();
    let name = stage.cluster.id(node);
    let status = stage.cluster.status(node);
    if !status.is_up() {
        return start_again(stage, node).await;
    }
    let how = format!("{name} is {status}");
    let ready = stage.serves(node, begun + HEAL_WITHIN).await;
    ready.map_err(|error| format!("{how}, but doesn't serve: {error}"))?;
    match stage.cluster.status(node) {
        status if status.is_up() => Ok(format!(
            "{how}, and serves after {} ms",
            begun.elapsed().as_millis()
        )),
        status => Err(format!("{how}, but then {status}")),
    }
}

/// Starts a node that is down as it was.
async fn start_again(stage: &Stage<'_>, node: u16) -> Result<String, String> {
    let start = starting::Start {
        node,
        spec: None,
        tampers: &[],
        saves: false,
        expect: &Expect::default(),
        step: false,
    };
    let started = start.perform(stage).await?;
    match started.outcome {
        Outcome::Serves => Ok(started.said),
        // That is an outcome of its own, and judged as one.
        Outcome::Refused(_) | Outcome::Halts(_) if started.judged => Ok(started.said),
        _ => Err(started.said),
    }
}

/// Joins what was seen at several nodes; the first failure makes it one.
fn join(seen: Vec<Result<String, String>>) -> Result<String, String> {
    let failed = seen.iter().any(Result::is_err);
    let text = seen
        .into_iter()
        .map(|one| one.unwrap_or_else(|text| text))
        .collect::<Vec<_>>()
        .join("; ");
    if failed { Err(text) } else { Ok(text) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fault_says_what_it_is_aimed_at() {
        let all = [
            Target::Leader,
            Target::Nodes(vec![0]),
            Target::Nodes(vec![0, 1, 2]),
            Target::Groups(vec![vec![0], vec![1, 2]]),
            Target::Cuts(vec![(0, 1)]),
        ];
        for fault in FaultName::ALL {
            let errors = all
                .iter()
                .filter_map(|target| check_target(fault, target).err())
                .collect::<Vec<_>>();
            assert!(
                !errors.is_empty() && errors.len() < all.len(),
                "{fault}: {errors:?}"
            );
            assert!(
                errors
                    .iter()
                    .all(|error| error.starts_with(&format!("`{fault}` is aimed at "))),
                "{errors:?}"
            );
        }
        let twice = check_target(FaultName::Kill, &Target::Nodes(vec![1, 0, 1]));
        assert_eq!(twice, Err("n2 is named twice".into()));
    }
}
