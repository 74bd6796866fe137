//! Which faults are in force now, for those who watch a run.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use crate::catalogue::FaultName;

/// A fault that is being applied, held or healed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ActiveFault {
    /// Its position in the schedule.
    pub fault: u32,
    /// Its name.
    pub name: FaultName,
    /// The same with what a step does.
    pub title: String,
    /// The nodes it is aimed at.
    pub nodes: Vec<u16>,
    /// Since when.
    pub since: Instant,
}

/// A live view of the active faults; clones show the same.
#[derive(Clone, Debug, Default)]
pub struct ActiveFaults {
    inner: Arc<Mutex<Vec<ActiveFault>>>,
}

impl ActiveFaults {
    /// The faults active now, in the order they began.
    pub fn now(&self) -> Vec<ActiveFault> {
        self.inner
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Shows a fault until the guard is dropped.
    pub(crate) fn show(&self, fault: ActiveFault) -> Shown<'_> {
        let number = fault.fault;
        self.inner
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(fault);
        Shown {
            faults: self,
            number,
        }
    }
}

/// Takes its fault out of the view when dropped.
pub(crate) struct Shown<'a> {
    faults: &'a ActiveFaults,
    number: u32,
}

impl Drop for Shown<'_> {
    fn drop(&mut self) {
        let mut faults = self
            .faults
            .inner
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        faults.retain(|fault| fault.fault != self.number);
    }
}
