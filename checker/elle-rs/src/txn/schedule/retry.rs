//! What is done where nothing can be taken and nothing was plainly taken too early: a stretch of
//! the order is taken back, with what was guessed about it, and laid in another way.
//!
//! What is wrong is near, as a rule: who waits overlaps with who is in its way. So the stretch is
//! short at first and grows, and of what could be taken next, what it is shuffles a little. The
//! shuffle is drawn from the number of the try, so it is the same on every run.

use super::Scheduler;
use crate::graph::sort;
use crate::txn::store::NONE;

/// Tries that lay a stretch of one length, and the first length.
const TRIES_PER_LENGTH: u32 = 8;
const LENGTH_MIN: usize = 16;
/// Tries for one place.
const TRIES_MAX: u32 = 200;

/// Where the search stands.
#[derive(Default)]
pub(super) struct Trouble {
    /// The longest order there was when nothing could be taken.
    farthest: usize,
    /// How often it did not come farther.
    tries: u32,
    /// Moves what could be taken next; 0: nothing.
    salt: u64,
}

impl Trouble {
    /// When a state should be taken that ended at this tick.
    pub fn moved(&self, ended: u32, state: u32) -> u32 {
        if self.salt == 0 {
            return ended;
        }
        let spread = 2u64 << (self.tries % 6);
        ended.saturating_add((mixed(self.salt ^ u64::from(state)) % spread) as u32)
    }
}

/// SplitMix64's finish (Steele et al. 2014).
fn mixed(number: u64) -> u64 {
    let mut z = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

impl Scheduler<'_> {
    /// Takes a stretch back; `false` where there is no use in going on.
    pub(super) fn retry(&mut self) -> bool {
        // The first time, whether there can be an order at all.
        if self.trouble.farthest == 0 && sort(self.view).is_none() {
            return false;
        }
        if self.order.len() > self.trouble.farthest {
            self.trouble.farthest = self.order.len();
            self.trouble.tries = 0;
        }
        self.trouble.tries += 1;
        let tries = self.trouble.tries;
        if tries > TRIES_MAX {
            return false;
        }
        self.trouble.salt = mixed(u64::from(tries) << 32 | self.order.len() as u64) | 1;
        let stretch = LENGTH_MIN << (tries / TRIES_PER_LENGTH).min(24);
        self.take_back(self.trouble_at().saturating_sub(stretch));
        self.forget_guesses();
        true
    }

    /// Where what is in the way of who should have been taken first was put.
    fn trouble_at(&self) -> usize {
        let waiting = self.parked.iter().flat_map(|(&key, parked)| {
            let open = |&&state: &&u32| self.place[state as usize] == NONE;
            parked
                .iter()
                .filter(open)
                .map(move |&state| (self.view.node(state), key, state))
        });
        let first =
            waiting.min_by_key(|&(node, key, state)| (self.store.ended[node as usize], state, key));
        let early = first.map(|(_, key, state)| self.in_the_way(key, state).0);
        let place = early
            .filter(|&early| early != NONE)
            .map(|early| self.place[early as usize]);
        match place {
            Some(place) if place != NONE => place as usize + 1,
            _ => self.order.len(),
        }
    }

    /// What was guessed about what is not taken any more.
    fn forget_guesses(&mut self) {
        let guesses = std::mem::take(&mut self.guesses);
        for (waits, early) in guesses {
            if self.place[early as usize] != NONE {
                self.guesses.push((waits, early));
                continue;
            }
            if let Some(after) = self.put_after.get_mut(&waits)
                && let Some(at) = after.iter().position(|&state| state == early)
            {
                after.swap_remove(at);
                if self.place[waits as usize] == NONE {
                    self.before[early as usize] -= 1;
                    self.offer(early);
                }
            }
        }
    }
}
