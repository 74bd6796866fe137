//! Counters and latencies while a run goes on.

use std::fmt;
use std::time::Duration;

use elle_rs::history::{Action, Kind};
use hdrhistogram::Histogram;

/// Counters and latencies of one moment.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Live {
    /// By the workload's position in the plan.
    pub workloads: Vec<WorkloadLive>,
}

/// Counters and latencies of one workload.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct WorkloadLive {
    /// Operations that took effect.
    pub ok: u64,
    /// Operations that certainly did not.
    pub fail: u64,
    /// Operations of which nobody knows.
    pub info: u64,
    /// Operations under way.
    pub open: u64,
    /// The same by kind of operation; kinds that did not occur are left out.
    pub kinds: Vec<KindLive>,
    /// How much later than due operations were sent. High values mean that all clients were
    /// busy: the load was less than asked for.
    pub lag: Latency,
}

/// Counters and latencies of one kind of operation.
#[derive(Clone, Debug, PartialEq)]
pub struct KindLive {
    /// Which kind.
    pub name: OpName,
    /// Operations that took effect.
    pub ok: u64,
    /// Operations that certainly did not.
    pub fail: u64,
    /// Operations of which nobody knows.
    pub info: u64,
    /// From invocation to completion, of `ok` operations.
    pub latency: Latency,
}

/// Some percentiles. Exact to about 1 %.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Latency {
    /// How many were measured.
    pub count: u64,
    /// Half took at most this long.
    pub p50: Duration,
    /// 95 of 100 took at most this long.
    pub p95: Duration,
    /// 99 of 100 took at most this long.
    pub p99: Duration,
    /// The longest.
    pub max: Duration,
}

/// The kinds of operations.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum OpName {
    /// Read of a register.
    Read,
    /// Blind write.
    Write,
    /// Write that returns the old value.
    Swap,
    /// Compare-and-set.
    Cas,
    /// List-append transaction.
    Txn,
}

impl OpName {
    /// The kind of an action.
    pub fn of(action: &Action) -> Self {
        match action {
            Action::Read { .. } => Self::Read,
            Action::Write { .. } => Self::Write,
            Action::Swap { .. } => Self::Swap,
            Action::Cas { .. } => Self::Cas,
            Action::Txn { .. } => Self::Txn,
        }
    }
}

impl fmt::Display for OpName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Swap => "swap",
            Self::Cas => "cas",
            Self::Txn => "txn",
        })
    }
}

/// What is shorter than a microsecond counts as one.
const LOWEST_NS: u64 = 1_000;

/// What is longer than an hour counts as one.
const HIGHEST_NS: u64 = 3_600_000_000_000;

/// Durations in nanoseconds.
struct Times(Histogram<u64>);

impl Times {
    /// Two digits: at most 1 % off, and small.
    fn new() -> Self {
        let histogram = Histogram::new_with_bounds(LOWEST_NS, HIGHEST_NS, 2);
        Self(histogram.expect("the bounds are constants that the library takes"))
    }

    fn add(&mut self, nanoseconds: u64) {
        self.0.saturating_record(nanoseconds);
    }

    fn latency(&self) -> Latency {
        let at = |quantile| Duration::from_nanos(self.0.value_at_quantile(quantile));
        Latency {
            count: self.0.len(),
            p50: at(0.50),
            p95: at(0.95),
            p99: at(0.99),
            max: Duration::from_nanos(self.0.max()),
        }
    }
}

/// What a [`Live`] is made from.
#[derive(Default)]
pub(super) struct Counters {
    workloads: Vec<Workload>,
}

struct Workload {
    open: u64,
    kinds: Vec<(OpName, [u64; 3], Times)>,
    lag: Times,
}

impl Counters {
    fn workload(&mut self, position: u16) -> &mut Workload {
        let position = usize::from(position);
        while self.workloads.len() <= position {
            self.workloads.push(Workload {
                open: 0,
                kinds: Vec::new(),
                lag: Times::new(),
            });
        }
        &mut self.workloads[position]
    }

    pub(super) fn invoked(&mut self, workload: u16) {
        self.workload(workload).open += 1;
    }

    pub(super) fn completed(&mut self, workload: u16, name: OpName, kind: Kind, latency_ns: u64) {
        let workload = self.workload(workload);
        // A handful of kinds: looking through them is quicker than hashing.
        let place = match workload.kinds.iter().position(|entry| entry.0 == name) {
            Some(place) => place,
            None => {
                workload.kinds.push((name, [0; 3], Times::new()));
                workload.kinds.len() - 1
            }
        };
        let (_, counts, times) = &mut workload.kinds[place];
        match kind {
            Kind::Ok => {
                counts[0] += 1;
                times.add(latency_ns);
            }
            Kind::Fail => counts[1] += 1,
            Kind::Info => counts[2] += 1,
            Kind::Invoke => return,
        }
        workload.open = workload.open.saturating_sub(1);
    }

    pub(super) fn late(&mut self, workload: u16, lag: Duration) {
        let nanoseconds = u64::try_from(lag.as_nanos()).unwrap_or(u64::MAX);
        self.workload(workload).lag.add(nanoseconds);
    }

    pub(super) fn snapshot(&self) -> Live {
        let workloads = self.workloads.iter().map(|workload| {
            let mut kinds: Vec<KindLive> = workload
                .kinds
                .iter()
                .map(|(name, [ok, fail, info], times)| KindLive {
                    name: *name,
                    ok: *ok,
                    fail: *fail,
                    info: *info,
                    latency: times.latency(),
                })
                .collect();
            kinds.sort_by_key(|kind| kind.name);
            WorkloadLive {
                ok: kinds.iter().map(|kind| kind.ok).sum(),
                fail: kinds.iter().map(|kind| kind.fail).sum(),
                info: kinds.iter().map(|kind| kind.info).sum(),
                open: workload.open,
                kinds,
                lag: workload.lag.latency(),
            }
        });
        Live {
            workloads: workloads.collect(),
        }
    }
}
