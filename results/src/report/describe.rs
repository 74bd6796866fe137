//! Operations, times and numbers in a reader's words.

use elle_rs::history::{Action, Kind, Op, Step};

/// Elements of a list shown at each end of a long one.
const LIST_ENDS: usize = 6;

/// What an operation asked, or what came back.
pub fn action(op: &Op) -> String {
    let done = op.kind == Kind::Ok;
    match &op.action {
        Action::Read { key, value } if done => format!("read key {key} → {}", optional(*value)),
        Action::Read { key, .. } => format!("read key {key}"),
        Action::Write { key, value } => format!("write key {key} = {value}"),
        Action::Swap { key, value, old } if done => {
            format!("swap key {key} = {value}, was {}", optional(*old))
        }
        Action::Swap { key, value, .. } => format!("swap key {key} = {value}"),
        Action::Cas {
            key,
            expected,
            value,
            swapped,
        } => {
            let outcome = match (done, swapped) {
                (false, _) => "",
                (true, true) => ", swapped",
                (true, false) => ", not swapped",
            };
            format!("cas key {key} {expected} → {value}{outcome}")
        }
        Action::Txn { steps } => steps
            .iter()
            .map(|one| step(one, done))
            .collect::<Vec<_>>()
            .join("; "),
    }
}

fn step(step: &Step, done: bool) -> String {
    match step {
        Step::Append { key, value } => format!("append {value} to key {key}"),
        Step::Read {
            key,
            list: Some(list),
        } if done => format!("read key {key} → {}", elements(list)),
        Step::Read { key, .. } => format!("read key {key}"),
    }
}

fn elements(list: &[u64]) -> String {
    let words = |part: &[u64]| {
        part.iter()
            .map(u64::to_string)
            .collect::<Vec<_>>()
            .join(" ")
    };
    if list.len() <= 2 * LIST_ENDS + 1 {
        return format!("[{}]", words(list));
    }
    let (head, tail) = (&list[..LIST_ENDS], &list[list.len() - LIST_ENDS..]);
    format!(
        "[{} … {}] ({} elements)",
        words(head),
        words(tail),
        list.len()
    )
}

fn optional(value: Option<u64>) -> String {
    value.map_or_else(|| "nil".to_owned(), |value| value.to_string())
}

/// A moment of the run in seconds, to the millisecond.
pub fn moment(ns: u64) -> String {
    format!("{}.{:03} s", ns / 1_000_000_000, ns / 1_000_000 % 1000)
}

/// A moment of the run in seconds, to the microsecond.
pub fn exact_moment(ns: u64) -> String {
    format!("{}.{:06} s", ns / 1_000_000_000, ns / 1000 % 1_000_000)
}

/// A length of time to three digits, in the unit that suits it.
pub fn duration_us(us: u64) -> String {
    let us = us as f64;
    match us {
        _ if us < 1e3 => format!("{us:.0} µs"),
        _ if us < 1e4 => format!("{:.2} ms", us / 1e3),
        _ if us < 1e5 => format!("{:.1} ms", us / 1e3),
        _ if us < 1e6 => format!("{:.0} ms", us / 1e3),
        _ if us < 1e8 => format!("{:.2} s", us / 1e6),
        _ => format!("{:.0} s", us / 1e6),
    }
}

/// Digits in groups of three, set apart by thin spaces that do not break.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() * 2);
    for (position, digit) in digits.chars().enumerate() {
        // Four digits read well without a gap.
        if position > 0 && digits.len() > 4 && (digits.len() - position).is_multiple_of(3) {
            text.push('\u{202f}');
        }
        text.push(digit);
    }
    text
}

/// A share in percent, never rounded up to 100 nor down to 0.
pub fn percent(part: u64, whole: u64) -> String {
    if whole == 0 {
        return "–".to_owned();
    }
    let share = part as f64 * 100.0 / whole as f64;
    match part {
        0 => "0 %".to_owned(),
        _ if part == whole => "100 %".to_owned(),
        _ => format!("{:.1} %", share.clamp(0.1, 99.9)),
    }
}

/// At most `max` characters of a text, with an ellipsis where it was cut.
pub fn shortened(text: &str, max: usize) -> String {
    match text.char_indices().nth(max) {
        Some((cut, _)) => format!("{}…", &text[..cut]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_well() {
        assert_eq!(grouped(7), "7");
        assert_eq!(grouped(1234), "1234");
        assert_eq!(grouped(1_234_567), "1\u{202f}234\u{202f}567");
        assert_eq!(percent(9999, 10_000), "99.9 %");
        assert_eq!(percent(1, 1_000_000), "0.1 %");
        assert_eq!(percent(0, 0), "–");
        assert_eq!(duration_us(999), "999 µs");
        assert_eq!(duration_us(1_234_000), "1.23 s");
        assert_eq!(moment(1_002_999_999), "1.002 s");
        assert_eq!(shortened("äöü", 2), "äö…");
    }

    #[test]
    fn long_lists_are_cut_in_the_middle() {
        let list: Vec<u64> = (0..64).collect();
        assert_eq!(
            elements(&list),
            "[0 1 2 3 4 5 … 58 59 60 61 62 63] (64 elements)"
        );
    }
}
