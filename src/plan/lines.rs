//! Where in a plan's text its faults stand, for mistakes that only the whole plan shows.

use keyquake_nemesis::ScheduleError;
use serde::Deserialize;
use serde::de::IgnoredAny;

#[derive(Deserialize)]
struct Faults {
    faults: Vec<toml::Spanned<IgnoredAny>>,
}

/// Says at which line the fault stands that an error is about.
pub(super) fn with_line(error: anyhow::Error, text: &str) -> anyhow::Error {
    let number = match error.downcast_ref::<ScheduleError>() {
        Some(ScheduleError::Fault { number, .. }) => *number,
        _ => return error,
    };
    match line_of(text, number) {
        Some(line) => error.context(format!("line {line}")),
        None => error,
    }
}

/// The line of the fault of this number; both count from 1.
fn line_of(text: &str, number: usize) -> Option<usize> {
    let faults = toml::from_str::<Faults>(text).ok()?.faults;
    let start = faults.get(number.checked_sub(1)?)?.span().start;
    Some(1 + text.get(..start)?.matches('\n').count())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_are_found_in_both_spellings() {
        let inline = "format = 1\nfaults = [\n  { a = 1 },\n\n  { a = 2 },\n]\n";
        let tables = "[[faults]]\na = 1\n\n# more\n[[faults]]\na = 2\n";
        assert_eq!(line_of(inline, 2), Some(5));
        assert_eq!(line_of(tables, 1), Some(1));
        assert_eq!(line_of(tables, 2), Some(5));
        assert_eq!(line_of(tables, 3), None);
    }
}
