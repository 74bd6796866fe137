//! Rates and latencies over time, in a bounded number of bins whose width
//! doubles whenever the run outgrows them.

use hdrhistogram::Histogram;

use super::Counts;
use super::kinds::latency_histogram;

/// Width of a bin as long as the run is short.
const FIRST_WIDTH_NS: u64 = 250_000_000;

/// More bins than this would be narrower than a line on the page.
const MAX_BINS: u64 = 240;

/// What happened in one stretch of time.
#[derive(Debug, Default)]
pub struct Bin {
    /// Operations that completed in it.
    pub counts: Counts,
    latency_us: Option<Histogram<u32>>,
}

impl Bin {
    pub(super) fn record_latency(&mut self, us: u64) {
        self.latency_us
            .get_or_insert_with(|| latency_histogram(2))
            .saturating_record(us);
    }

    /// A quantile of the latency of what began in this bin, in microseconds;
    /// `None` when nothing that began in it succeeded.
    pub fn latency_us(&self, quantile: f64) -> Option<u64> {
        self.latency_us
            .as_ref()
            .map(|histogram| histogram.value_at_quantile(quantile))
    }

    fn merge(&mut self, other: Bin) {
        self.counts.ok += other.counts.ok;
        self.counts.fail += other.counts.fail;
        self.counts.info += other.counts.info;
        self.latency_us = match (self.latency_us.take(), other.latency_us) {
            (Some(mut mine), Some(theirs)) => {
                // Same bounds on both sides, so there is nothing that can't be added.
                let added = mine.add(theirs);
                debug_assert!(added.is_ok());
                Some(mine)
            }
            (mine, theirs) => mine.or(theirs),
        };
    }
}

/// A workload over time.
#[derive(Debug)]
pub struct Timeline {
    /// Completions in all bins.
    pub totals: Counts,
    width_ns: u64,
    bins: Vec<Bin>,
}

impl Default for Timeline {
    fn default() -> Self {
        Timeline {
            totals: Counts::default(),
            width_ns: FIRST_WIDTH_NS,
            bins: Vec::new(),
        }
    }
}

impl Timeline {
    /// Width of each bin.
    pub fn width_ns(&self) -> u64 {
        self.width_ns
    }

    /// The bins, from the beginning of the run.
    pub fn bins(&self) -> &[Bin] {
        &self.bins
    }

    pub(super) fn at(&mut self, time_ns: u64) -> &mut Bin {
        while time_ns / self.width_ns >= MAX_BINS {
            self.widen();
        }
        let position = (time_ns / self.width_ns) as usize;
        if self.bins.len() <= position {
            self.bins.resize_with(position + 1, Bin::default);
        }
        &mut self.bins[position]
    }

    fn widen(&mut self) {
        self.width_ns *= 2;
        let mut merged: Vec<Bin> = Vec::with_capacity(self.bins.len().div_ceil(2));
        for (position, bin) in std::mem::take(&mut self.bins).into_iter().enumerate() {
            match merged.last_mut() {
                Some(last) if position % 2 == 1 => last.merge(bin),
                _ => merged.push(bin),
            }
        }
        self.bins = merged;
    }
}

#[cfg(test)]
mod tests {
    use elle_rs::history::Kind;

    use super::*;

    #[test]
    fn widening_loses_nothing_and_keeps_the_order() {
        let mut timeline = Timeline::default();
        for second in 0..10_000_u64 {
            let bin = timeline.at(second * 1_000_000_000);
            bin.counts.add(Kind::Ok);
            bin.record_latency(second + 1);
        }
        assert!(timeline.bins().len() as u64 <= MAX_BINS);
        assert_eq!(
            timeline.bins().iter().map(|bin| bin.counts.ok).sum::<u64>(),
            10_000
        );
        let slowest: Vec<_> = timeline
            .bins()
            .iter()
            .filter_map(|bin| bin.latency_us(1.0))
            .collect();
        assert!(slowest.is_sorted());
    }

    #[test]
    fn the_end_of_time_is_a_bin_too() {
        let mut timeline = Timeline::default();
        timeline.at(u64::MAX).counts.add(Kind::Info);
        assert_eq!(timeline.bins().last().map(|bin| bin.counts.info), Some(1));
    }
}
