//! What all pictures share: numbers to places, ticks, paths.

use std::fmt::Write;

/// Width of every picture in its own units; the browser scales it.
pub const WIDTH: f64 = 1000.0;

/// A linear map from numbers to places.
#[derive(Clone, Copy, Debug)]
pub struct Scale {
    from: f64,
    to: f64,
    start: f64,
    end: f64,
}

impl Scale {
    /// Maps `from..to` onto `start..end`. An empty range becomes a narrow one.
    pub fn new(from: f64, to: f64, start: f64, end: f64) -> Self {
        let to = if to > from { to } else { from + 1.0 };
        Scale {
            from,
            to,
            start,
            end,
        }
    }

    /// The place of a number, kept inside the picture.
    pub fn at(&self, number: f64) -> f64 {
        let share = ((number - self.from) / (self.to - self.from)).clamp(0.0, 1.0);
        self.start + share * (self.end - self.start)
    }
}

/// Round steps (1, 2, 5 × 10ⁿ) from 0 to at least `max`, about `count` of them.
pub fn ticks(max: f64, count: f64) -> Vec<f64> {
    let rough = (max / count).max(f64::MIN_POSITIVE);
    let power = 10_f64.powf(rough.log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0]
        .into_iter()
        .map(|times| times * power)
        .find(|step| *step >= rough);
    let step = step.unwrap_or(power * 10.0);
    let steps = (max / step).ceil().clamp(1.0, 100.0) as u32;
    (0..=steps).map(|n| f64::from(n) * step).collect()
}

/// Moments for a time axis of `seconds`, about a dozen, on round seconds, minutes or hours.
pub fn time_ticks(seconds: f64) -> Vec<f64> {
    const STEPS: [f64; 17] = [
        0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 15.0, 30.0, 60.0, 120.0, 300.0, 600.0, 900.0, 1800.0,
        3600.0, 7200.0,
    ];
    let rough = seconds / 12.0;
    let step = STEPS.into_iter().find(|step| *step >= rough);
    let step = step.unwrap_or_else(|| (rough / 7200.0).ceil() * 7200.0);
    let steps = (seconds / step).floor() as u32;
    (0..=steps.min(100)).map(|n| f64::from(n) * step).collect()
}

/// A moment as an axis writes it.
pub fn clock(seconds: f64) -> String {
    let whole = seconds.round() as u64;
    if seconds < 120.0 {
        return format!("{} s", (seconds * 100.0).round() / 100.0);
    }
    match whole / 3600 {
        0 => format!("{}:{:02} min", whole / 60, whole % 60),
        hours => format!("{hours}:{:02} h", whole / 60 % 60),
    }
}

/// A line through points, broken where a value is missing. A point alone
/// becomes a dot (round caps draw it).
pub fn line(points: impl Iterator<Item = (f64, Option<f64>)>) -> String {
    let mut path = String::new();
    let mut pen_down = false;
    let mut points = points.peekable();
    while let Some((x, y)) = points.next() {
        let Some(y) = y else {
            pen_down = false;
            continue;
        };
        let alone = !pen_down && !matches!(points.peek(), Some((_, Some(_))));
        // Writing to a string does not fail.
        let _ = write!(path, "{}{x:.1} {y:.1}", if pen_down { 'L' } else { 'M' });
        if alone {
            path.push_str("h0");
        }
        pen_down = true;
    }
    path
}

/// Bars that stand side by side: one path for the boxes `(left, right, bottom, top)`.
/// Neighbours share an edge to the digit, so that no seam shows between them.
pub fn boxes(boxes: impl Iterator<Item = (f64, f64, f64, f64)>) -> String {
    let mut path = String::new();
    for (left, right, bottom, top) in boxes {
        if bottom > top && right > left {
            let _ = write!(
                path,
                "M{left:.1} {bottom:.1}V{top:.1}H{right:.1}V{bottom:.1}z"
            );
        }
    }
    path
}

/// About how wide a text of the given size will be. Only to keep labels apart.
pub fn text_width(text: &str, size: f64) -> f64 {
    text.chars().count() as f64 * size * 0.58
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_cover() {
        assert_eq!(ticks(100.0, 4.0), [0.0, 50.0, 100.0]);
        assert_eq!(ticks(7.0, 4.0), [0.0, 2.0, 4.0, 6.0, 8.0]);
        assert_eq!(ticks(0.0, 4.0).len(), 2);
        assert!(time_ticks(36.0).len() <= 13);
        assert_eq!(time_ticks(0.0), [0.0]);
        assert!(time_ticks(1e9).len() <= 101);
    }

    #[test]
    fn lines_break_at_gaps_and_single_points_show() {
        let points = [
            (0.0, Some(1.0)),
            (1.0, None),
            (2.0, Some(1.0)),
            (3.0, Some(2.0)),
        ];
        assert_eq!(line(points.into_iter()), "M0.0 1.0h0M2.0 1.0L3.0 2.0");
    }

    #[test]
    fn clocks_read_well() {
        assert_eq!(clock(0.0), "0 s");
        assert_eq!(clock(0.25), "0.25 s");
        assert_eq!(clock(150.0), "2:30 min");
        assert_eq!(clock(7260.0), "2:01 h");
    }
}
