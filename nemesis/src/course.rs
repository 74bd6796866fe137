//! How far the entries of a schedule have come, for those that wait for one another, and what
//! they hold of the cluster.

use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use crate::group::{self, Touch};
use crate::in_flight::InFlight;
use crate::schedule::PlannedFault;

/// Where an entry stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Come {
    /// Its time, or its group's, is not there.
    Waiting,
    /// With `at`: its time is there, and so the moments of its group are armed. With `when`: its
    /// moment is armed.
    Armed,
    /// It is carried out.
    Running,
    /// It was carried out, or never will be.
    Over,
}

/// A schedule under way.
pub(crate) struct Course<'a> {
    schedule: &'a [PlannedFault],
    come: watch::Sender<Vec<Come>>,
    /// One for each entry; only those of calls are ever told anything.
    flights: Vec<InFlight>,
    held: Mutex<Vec<(usize, Touch)>>,
}

impl<'a> Course<'a> {
    pub(crate) fn of(schedule: &'a [PlannedFault]) -> Self {
        Self {
            schedule,
            come: watch::Sender::new(vec![Come::Waiting; schedule.len()]),
            flights: schedule.iter().map(|_| InFlight::default()).collect(),
            held: Mutex::default(),
        }
    }

    pub(crate) fn planned(&self, number: usize) -> &'a PlannedFault {
        &self.schedule[number]
    }

    /// An entry's turn; over when that is dropped.
    pub(crate) fn turn(&self, number: usize) -> Turn<'_> {
        Turn {
            course: self,
            number,
        }
    }

    pub(crate) fn comes_to(&self, number: usize, come: Come) {
        self.come.send_modify(|all| all[number] = come);
    }

    async fn until(&self, holds: impl FnMut(&Vec<Come>) -> bool) {
        // The sender lives as long as this.
        let _ = self.come.subscribe().wait_for(holds).await;
    }

    /// Waits until an entry with `at` may begin, its time being there: all before it have begun,
    /// those that the plan has over by then are over, and no step is being carried out.
    pub(crate) async fn way_is_free(&self, number: usize) {
        let at = self.schedule[number].at;
        let lets = |earlier: usize, come: Come| {
            let planned = &self.schedule[earlier];
            let begun = planned.when.is_some() || come >= Come::Running;
            let busy = planned.fault.info().step && come == Come::Running;
            let over = come == Come::Over || group::ends(self.schedule, earlier) > at;
            begun && over && !busy
        };
        self.until(|all| (0..number).all(|earlier| lets(earlier, all[earlier])))
            .await;
    }

    /// Waits until the moments of an entry's group are to be armed.
    pub(crate) async fn group_begins(&self, number: usize) {
        if let Some(anchor) = group::anchor(self.schedule, number) {
            self.until(|all| all[anchor] >= Come::Armed).await;
        }
    }

    /// Waits until all moments of an entry's group are armed.
    pub(crate) async fn moments_are_armed(&self, number: usize) {
        let anchor = group::anchor(self.schedule, number);
        self.until(|all| {
            group::moments(self.schedule, anchor).all(|moment| all[moment] >= Come::Armed)
        })
        .await;
    }

    /// Whether all steps are over that the plan has within the time in which an entry may be held.
    pub(crate) fn steps_within_are_over(&self, number: usize) -> bool {
        let from = group::begins(self.schedule, number);
        let to = group::ends(self.schedule, number);
        let all = self.come.borrow();
        (0..self.schedule.len()).all(|other| {
            let begins = group::begins(self.schedule, other);
            let within = from <= begins && begins < to;
            let is_step = self.schedule[other].fault.info().step;
            !(within && is_step) || all[other] == Come::Over
        })
    }

    /// The flight of the call that an entry's moment belongs to.
    pub(crate) fn flight_to_hit(&self, number: usize) -> InFlight {
        let call = group::call_of(self.schedule, number);
        call.map_or_else(InFlight::default, |call| self.flights[call].clone())
    }

    /// The flight of a call that something may hit.
    pub(crate) fn own_flight(&self, number: usize) -> Option<&InFlight> {
        group::is_struck(self.schedule, number).then(|| &self.flights[number])
    }

    fn holds(&self) -> MutexGuard<'_, Vec<(usize, Touch)>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes hold of what an entry touches that is aimed at these nodes, until its turn is
    /// over; an error if another one has hold of it.
    pub(crate) fn hold(&self, number: usize, nodes: &[u16]) -> Result<(), String> {
        let ours = Touch::of(&self.schedule[number], nodes);
        let mut holds = self.holds();
        for (other, theirs) in holds.iter() {
            if let Some(what) = ours.shares(theirs) {
                let title = self.schedule[*other].title();
                return Err(format!(
                    "{what} by fault {other} ({title}), which is in force"
                ));
            }
        }
        holds.push((number, ours));
        Ok(())
    }

    /// Whether something has hold of a node.
    pub(crate) fn has_hold_of(&self, node: u16) -> bool {
        let node = Touch::Nodes(vec![node]);
        let holds = self.holds();
        holds.iter().any(|(_, held)| node.shares(held).is_some())
    }
}

/// An entry's turn.
pub(crate) struct Turn<'a> {
    course: &'a Course<'a>,
    number: usize,
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let (course, number) = (self.course, self.number);
        course.holds().retain(|(holder, _)| *holder != number);
        // Also where the call was never made.
        course.flights[number].over();
        course.comes_to(number, Come::Over);
    }
}
