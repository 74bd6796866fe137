//! What a container may use of processor and memory.

use bollard::models::{ContainerUpdateBody, HostConfig};
use bollard::query_parameters::StatsOptions;
use futures_util::StreamExt;
use keyquake_cluster::Allowance;

use super::{Engine, refused};
use crate::error::DockerError;

/// The span, in microseconds, over which processor time is counted.
const PERIOD: i64 = 100_000;
/// More memory than any machine has: an engine takes no other word for "all of it".
const ALL_MEMORY: i64 = 1 << 50;

/// How much swap goes with a limit of memory, in bytes: hardly any.
const SWAP: i64 = 1 << 20;
/// Version 2 of control groups doesn't tell an engine how often a limit was met, but how many
/// pages were looked through to stay below it.
const RECLAIMED: &str = "pgscan";

/// What a container may use; `None` is all there is.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Limits {
    /// Processor cores.
    pub(crate) cores: Option<f64>,
    /// Bytes of memory, with hardly any swap beside.
    pub(crate) memory: Option<u64>,
}

impl Limits {
    fn quota(self) -> i64 {
        // Less than a hundredth of a core is refused by the kernel.
        self.cores
            .map_or(-1, |cores| ((cores * PERIOD as f64) as i64).max(1_000))
    }

    fn memory(self) -> i64 {
        self.memory
            .and_then(|bytes| i64::try_from(bytes).ok())
            .map_or(ALL_MEMORY, |bytes| bytes.min(ALL_MEMORY))
    }

    /// Memory and swap together. With as much as memory alone, version 1 of control groups would
    /// count refusals where no engine shows them.
    fn with_swap(self) -> i64 {
        let memory = self.memory();
        (memory + SWAP).min(ALL_MEMORY)
    }

    /// Puts the limits on a container that is yet to be made.
    pub(super) fn of_new(self, host: &mut HostConfig) {
        if self.cores.is_some() {
            host.cpu_period = Some(PERIOD);
            host.cpu_quota = Some(self.quota());
        }
        if self.memory.is_some() {
            host.memory = Some(self.memory());
            host.memory_swap = Some(self.with_swap());
        }
    }
}

impl Engine {
    /// Sets the processor time that a container may use, and reads back what it has now.
    pub(crate) async fn limit_cores(
        &self,
        id: &str,
        limits: Limits,
    ) -> Result<Option<f64>, DockerError> {
        let body = ContainerUpdateBody {
            cpu_period: Some(PERIOD),
            cpu_quota: Some(limits.quota()),
            ..Default::default()
        };
        let updated = self.docker.update_container(id, body).await;
        updated.map_err(refused(|| "limit the container's processor time".into()))?;
        self.cores(id).await
    }

    /// Sets the memory that a container may use, running or not.
    pub(crate) async fn limit_memory(&self, id: &str, limits: Limits) -> Result<(), DockerError> {
        let body = ContainerUpdateBody {
            memory: Some(limits.memory()),
            memory_swap: Some(limits.with_swap()),
            ..Default::default()
        };
        let updated = self.docker.update_container(id, body).await;
        updated.map_err(refused(|| "limit the container's memory".into()))
    }

    /// What a container may use, and what came of it, since it was started last.
    pub(crate) async fn allowance(&self, id: &str) -> Result<Allowance, DockerError> {
        let options = StatsOptions {
            stream: false,
            one_shot: true,
        };
        let stats = self.docker.stats(id, Some(options)).next().await;
        let stats = stats
            .transpose()
            .map_err(refused(|| "look at what the container uses".into()))?
            .unwrap_or_default();
        let throttling = stats.cpu_stats.and_then(|cpu| cpu.throttling_data);
        let memory = stats.memory_stats.unwrap_or_default();
        let limit = memory.limit.filter(|&bytes| bytes < ALL_MEMORY as u64);
        Ok(Allowance {
            cores: self.cores(id).await?,
            throttled: throttling
                .and_then(|data| data.throttled_periods)
                .unwrap_or_default(),
            memory: limit,
            used: memory.usage.unwrap_or_default(),
            reached: memory.failcnt.unwrap_or_default()
                + memory
                    .stats
                    .and_then(|counts| counts.get(RECLAIMED).copied())
                    .unwrap_or_default(),
        })
    }

    /// What the engine has on record.
    async fn cores(&self, id: &str) -> Result<Option<f64>, DockerError> {
        let answer = self.docker.inspect_container(id, None).await;
        let answer = answer.map_err(refused(|| "look at the container's limits".into()))?;
        let host = answer.host_config.unwrap_or_default();
        let period = host.cpu_period.filter(|period| *period > 0);
        let quota = host.cpu_quota.filter(|quota| *quota > 0);
        Ok(quota
            .zip(period)
            .map(|(quota, period)| quota as f64 / period as f64))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_an_engine_s_numbers() {
        let limits = Limits {
            cores: Some(0.25),
            memory: Some(64 << 20),
        };
        assert_eq!((limits.quota(), limits.memory()), (25_000, 64 << 20));
        let none = Limits::default();
        assert_eq!((none.quota(), none.memory()), (-1, ALL_MEMORY));
    }
}
