//! Keys and values as 32-bit numbers: small ones are themselves, others are numbered as they come.

use rustc_hash::FxHashMap;

/// From here on, a number is a place in `large`.
const LARGE: u32 = 1 << 31;

/// No value: what a register holds before it is written.
pub(crate) const NIL: u32 = u32::MAX;

#[derive(Default)]
pub(crate) struct Numbers {
    large: Vec<i64>,
    places: FxHashMap<i64, u32>,
}

impl Numbers {
    /// The number of a value; `None` where there are more large ones than can be numbered.
    #[inline]
    pub fn of(&mut self, value: i64) -> Option<u32> {
        match u32::try_from(value) {
            Ok(small) if small < LARGE => Some(small),
            _ => self.of_large(value),
        }
    }

    #[cold]
    fn of_large(&mut self, value: i64) -> Option<u32> {
        if let Some(&place) = self.places.get(&value) {
            return Some(place);
        }
        let place = u32::try_from(self.large.len()).ok()?.checked_add(LARGE)?;
        if place == NIL {
            return None;
        }
        self.large.push(value);
        self.places.insert(value, place);
        Some(place)
    }

    #[inline]
    pub fn value(&self, number: u32) -> i64 {
        match number.checked_sub(LARGE) {
            None => i64::from(number),
            Some(place) => self.large.get(place as usize).copied().unwrap_or_default(),
        }
    }

    /// How much of a list stands at the beginning of another.
    pub fn common(&self, list: &[u32], other: &[i64]) -> usize {
        let pairs = || list.iter().zip(other);
        let small = pairs().position(|(&number, &value)| i64::from(number) != value);
        let Some(first) = small else {
            return list.len().min(other.len());
        };
        pairs()
            .skip(first)
            .position(|(&number, &value)| self.value(number) != value)
            .map_or(list.len().min(other.len()), |more| first + more)
    }
}
