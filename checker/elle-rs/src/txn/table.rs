//! A small hash table that is filled anew for every key.

use super::store::NONE;

/// From the values of one key to who wrote them, by open addressing.
#[derive(Default)]
pub(crate) struct Table {
    slots: Vec<(u32, u32)>,
    mask: usize,
}

impl Table {
    pub fn clear(&mut self, entries: usize) {
        let size = (2 * entries).next_power_of_two().max(4);
        self.mask = size - 1;
        self.slots.truncate(size);
        self.slots.fill((0, NONE));
        self.slots.resize(size, (0, NONE));
    }

    fn slot(&self, value: u32) -> usize {
        let mut slot = value.wrapping_mul(0x9e37_79b9).rotate_left(15) as usize & self.mask;
        while self.slots[slot].1 != NONE && self.slots[slot].0 != value {
            slot = (slot + 1) & self.mask;
        }
        slot
    }

    /// What stood there before, or [`NONE`].
    pub fn insert(&mut self, value: u32, entry: u32) -> u32 {
        let slot = self.slot(value);
        std::mem::replace(&mut self.slots[slot], (value, entry)).1
    }

    pub fn find(&self, value: u32) -> u32 {
        self.slots[self.slot(value)].1
    }
}
