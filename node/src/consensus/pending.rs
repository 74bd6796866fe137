//! Who waits for what: proposals by their place in the log, reads by their read
//! index. All of them end when leadership ends.

use std::collections::HashMap;

use super::Refusal;
use super::handle::{Answer, Applied, KeysApplied};
use crate::wire::Reply;

/// The answer a waiter is owed once its entry is applied.
pub enum Waiter {
    /// A command: the answer is what applying it said.
    Command(Answer<Applied>),
    /// A membership change: the answer is its index.
    Change(Answer<u64>),
    /// An encryption entry: the answer is its index.
    Keys(Answer<KeysApplied>),
}

/// Proposals of this process that are not applied yet.
pub struct Proposals {
    next_id: u64,
    waiting: HashMap<u64, (u64, Waiter)>,
}

impl Default for Proposals {
    /// Ids start at a random place in each process life, so that an entry of an earlier
    /// life, applied again after a restart, answers nobody.
    fn default() -> Self {
        Self {
            next_id: u64::from(rand::random::<u32>()) << 32,
            waiting: HashMap::new(),
        }
    }
}

impl Proposals {
    /// A proposal id never used by this process before.
    pub fn next_id(&mut self) -> u64 {
        self.next_id = self.next_id.wrapping_add(1);
        self.next_id
    }

    /// Remembers who waits for the proposal; it lies at `index` unless leadership is lost.
    pub fn wait(&mut self, id: u64, index: u64, waiter: Waiter) {
        self.waiting.insert(id, (index, waiter));
    }

    fn take(&mut self, id: u64, index: u64) -> Option<Waiter> {
        if self.waiting.get(&id)?.0 != index {
            return None;
        }
        self.waiting.remove(&id).map(|(_, waiter)| waiter)
    }

    /// Answers a command's waiter, if it waits here. A waiter that went away is no matter.
    pub fn applied(&mut self, id: u64, index: u64, reply: Reply) {
        if let Some(Waiter::Command(answer)) = self.take(id, index) {
            let _ = answer.send(Ok((reply, index)));
        }
    }

    /// Answers a membership change's waiter, if it waits here.
    pub fn changed(&mut self, id: u64, index: u64) {
        if let Some(Waiter::Change(answer)) = self.take(id, index) {
            let _ = answer.send(Ok(index));
        }
    }

    /// Answers an encryption entry's waiter, if it waits here.
    pub fn keys_applied(&mut self, id: u64, index: u64) {
        if let Some(Waiter::Keys(answer)) = self.take(id, index) {
            let already = false;
            let _ = answer.send(Ok(KeysApplied { index, already }));
        }
    }

    /// Ends all waiting.
    pub fn fail_all(&mut self, refusal: &Refusal) {
        for (_, (_, waiter)) in self.waiting.drain() {
            match waiter {
                Waiter::Command(answer) => drop(answer.send(Err(refusal.clone()))),
                Waiter::Change(answer) => drop(answer.send(Err(refusal.clone()))),
                Waiter::Keys(answer) => drop(answer.send(Err(refusal.clone()))),
            }
        }
    }
}

/// Reads on their way: one read index is asked for at a time, and all reads that
/// arrive meanwhile share the next.
#[derive(Default)]
pub struct Reads {
    next_context: u64,
    arrived: Vec<Answer<()>>,
    asked: Option<(u64, Vec<Answer<()>>)>,
    confirmed: Vec<(u64, Vec<Answer<()>>)>,
}

impl Reads {
    /// A read arrived.
    pub fn push(&mut self, answer: Answer<()>) {
        self.arrived.push(answer);
    }

    /// The context of the next read index to ask for, if it is time to.
    pub fn next(&mut self) -> Option<Vec<u8>> {
        if self.asked.is_some() || self.arrived.is_empty() {
            return None;
        }
        self.next_context += 1;
        self.asked = Some((self.next_context, std::mem::take(&mut self.arrived)));
        Some(self.next_context.to_be_bytes().to_vec())
    }

    /// A majority confirmed leadership for a context: its reads may go at `index`.
    pub fn confirm(&mut self, context: &[u8], index: u64) {
        let asked = self
            .asked
            .take_if(|(asked, _)| asked.to_be_bytes() == context);
        if let Some((_, answers)) = asked {
            self.confirmed.push((index, answers));
        }
    }

    /// Lets go all reads whose index is applied.
    pub fn release(&mut self, applied: u64) {
        let ready = self
            .confirmed
            .extract_if(.., |(index, _)| *index <= applied);
        for answer in ready.flat_map(|(_, answers)| answers) {
            let _ = answer.send(Ok(()));
        }
    }

    /// Ends all waiting.
    pub fn fail_all(&mut self, refusal: &Refusal) {
        let asked = self
            .asked
            .take()
            .into_iter()
            .flat_map(|(_, answers)| answers);
        let confirmed = self.confirmed.drain(..).flat_map(|(_, answers)| answers);
        for answer in self.arrived.drain(..).chain(asked).chain(confirmed) {
            let _ = answer.send(Err(refusal.clone()));
        }
    }
}
