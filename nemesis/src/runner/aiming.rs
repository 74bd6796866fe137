//! Who is meant: found out when a fault or step begins.

use std::time::{Duration, Instant};

use super::{Aimed, Runner};
use crate::faults::aim;
use crate::target::Target;

/// How long somebody may take to lead before `leader` means nobody.
const LEADER_WITHIN: Duration = Duration::from_secs(3);
/// A step waits longer: it is there to be done, not to hit at a moment.
const STEP_LEADER_WITHIN: Duration = Duration::from_secs(15);
/// How often the leader is asked for meanwhile.
const ASK_EVERY: Duration = Duration::from_millis(50);

impl Runner<'_> {
    /// Finds the nodes that are meant, and says how.
    pub(super) async fn aim(&self, number: usize) -> Aimed {
        let planned = self.course.planned(number);
        let size = self.stage.cluster.node_count();
        let within = if planned.fault.info().step {
            STEP_LEADER_WITHIN
        } else {
            LEADER_WITHIN
        };
        let name = |node: u16| self.stage.cluster.id(node).to_owned();
        let (nodes, how) = match &planned.target {
            Target::Leader => {
                let leader = self.find_leader(size, within).await?;
                (
                    vec![leader],
                    format!("aimed at the leader, which is {}", name(leader)),
                )
            }
            Target::Follower => {
                let leader = self.find_leader(size, within).await?;
                // One that another fault has hold of is none to be had.
                let members = self.stage.insiders();
                let others = (1..size).map(|step| (leader + step) % size);
                let others: Vec<_> = others.filter(|node| members.contains(node)).collect();
                let is_free = |node: &&u16| !self.course.has_hold_of(**node);
                let follower = others.iter().find(is_free).or(others.first());
                let follower = *follower.ok_or("the leader is the only member")?;
                let how = format!(
                    "aimed at the follower after the leader {}, which is {}",
                    name(leader),
                    name(follower)
                );
                (vec![follower], how)
            }
            Target::Nodes(nodes) => (nodes.clone(), format!("aimed at {}", planned.target)),
            Target::All => (self.stage.insiders(), "aimed at all".to_owned()),
            Target::Groups(_) | Target::Cuts(_) => (vec![], format!("aimed at {}", planned.target)),
        };
        if let Some(stranger) = planned
            .target
            .named()
            .into_iter()
            .find(|&node| node >= size)
        {
            return Err(format!(
                "there is no n{}: the cluster has {size} nodes",
                u32::from(stranger) + 1
            ));
        }
        let flight = self.course.own_flight(number);
        let first = nodes.first().copied();
        Ok((aim(planned, nodes, size, flight)?, how, first))
    }

    async fn find_leader(&self, size: u16, within: Duration) -> Result<u16, String> {
        let deadline = Instant::now() + within;
        let mut ask = tokio::time::interval(ASK_EVERY);
        loop {
            ask.tick().await;
            let asked = tokio::time::timeout_at(deadline.into(), self.stage.leader.leader()).await;
            match asked.ok().flatten() {
                Some(leader) if leader < size => return Ok(leader),
                _ if Instant::now() >= deadline => {
                    return Err(format!(
                        "nobody led for {} s, so nobody could be hit",
                        within.as_secs()
                    ));
                }
                _ => {}
            }
        }
    }
}
