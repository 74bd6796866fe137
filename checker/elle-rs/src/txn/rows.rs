//! Things by key, one row behind the other, each row in the order they came in.

pub(crate) struct Rows<T> {
    at: Vec<u32>,
    pub items: Vec<T>,
}

impl<T: Copy> Rows<T> {
    /// Lays out what an iterator gives, which is run twice.
    pub fn new(keys: usize, items: impl Iterator<Item = (u32, T)> + Clone, filler: T) -> Self {
        let mut at = vec![0u32; keys + 2];
        for (key, _) in items.clone() {
            at[key as usize + 2] += 1;
        }
        for key in 2..at.len() {
            at[key] += at[key - 1];
        }
        let mut rows = vec![filler; at.last().copied().unwrap_or(0) as usize];
        // A row is filled from where it begins, which so moves to where it ends.
        for (key, item) in items {
            let place = &mut at[key as usize + 1];
            rows[*place as usize] = item;
            *place += 1;
        }
        at.pop();
        Rows { at, items: rows }
    }

    pub fn range(&self, key: u32) -> std::ops::Range<usize> {
        self.at[key as usize] as usize..self.at[key as usize + 1] as usize
    }

    pub fn row(&self, key: u32) -> &[T] {
        &self.items[self.range(key)]
    }

    /// Where each row begins, for cursors.
    pub fn starts(&self) -> Vec<u32> {
        self.at.clone()
    }

    pub fn keys(&self) -> std::ops::Range<u32> {
        0..self.at.len() as u32 - 1
    }
}
