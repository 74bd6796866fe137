//! Kinds of operation, and what is counted of each.

use elle_rs::history::{Action, Step};
use hdrhistogram::{Counter, Histogram};

use super::Counts;

/// A workload, told by its operations.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Workload {
    /// Reads, writes, swaps and compare-and-sets of single registers.
    Register,
    /// Transactions on lists.
    Append,
}

impl Workload {
    /// Its name in plans and on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Workload::Register => "register",
            Workload::Append => "append",
        }
    }
}

/// A kind of operation, as the table of a report tells them apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum OpKind {
    /// Read of a register.
    Read,
    /// Blind write of a register.
    Write,
    /// Write that returns the old value.
    Swap,
    /// Compare-and-set.
    Cas,
    /// Transaction of reads only.
    TxnRead,
    /// Transaction of appends only.
    TxnAppend,
    /// Transaction of both.
    TxnMixed,
}

impl OpKind {
    /// The kind of an operation.
    pub fn of(action: &Action) -> Self {
        match action {
            Action::Read { .. } => OpKind::Read,
            Action::Write { .. } => OpKind::Write,
            Action::Swap { .. } => OpKind::Swap,
            Action::Cas { .. } => OpKind::Cas,
            Action::Txn { steps } => {
                let reads = steps.iter().any(|step| matches!(step, Step::Read { .. }));
                let appends = steps.iter().any(|step| matches!(step, Step::Append { .. }));
                match (reads, appends) {
                    (_, false) => OpKind::TxnRead,
                    (false, true) => OpKind::TxnAppend,
                    (true, true) => OpKind::TxnMixed,
                }
            }
        }
    }

    /// The workload it belongs to.
    pub fn workload(self) -> Workload {
        match self {
            OpKind::Read | OpKind::Write | OpKind::Swap | OpKind::Cas => Workload::Register,
            OpKind::TxnRead | OpKind::TxnAppend | OpKind::TxnMixed => Workload::Append,
        }
    }

    /// Its name in a table.
    pub fn name(self) -> &'static str {
        match self {
            OpKind::Read => "read",
            OpKind::Write => "write",
            OpKind::Swap => "swap",
            OpKind::Cas => "compare-and-set",
            OpKind::TxnRead => "transaction, reads only",
            OpKind::TxnAppend => "transaction, appends only",
            OpKind::TxnMixed => "transaction, reads and appends",
        }
    }
}

/// What is counted of a kind of operation.
#[derive(Debug)]
pub struct KindStats {
    /// Invocations.
    pub invoked: u64,
    /// Completions.
    pub counts: Counts,
    /// Latency of the successful ones, in microseconds.
    pub latency_us: Histogram<u64>,
}

impl Default for KindStats {
    fn default() -> Self {
        KindStats {
            invoked: 0,
            counts: Counts::default(),
            latency_us: latency_histogram(3),
        }
    }
}

/// A histogram of microseconds up to an hour; what is longer counts as an hour.
pub(super) fn latency_histogram<C: Counter>(digits: u8) -> Histogram<C> {
    const HOUR_US: u64 = 3_600_000_000;
    Histogram::new_with_bounds(1, HOUR_US, digits)
        .expect("constant bounds that hdrhistogram accepts")
}
