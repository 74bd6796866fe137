//! Which of some names was meant.

/// The name that takes the fewest letters to change; the first of several.
pub(crate) fn nearest(name: &str, names: impl Iterator<Item = &'static str>) -> &'static str {
    let name = name.to_ascii_lowercase();
    names
        .min_by_key(|other| distance(&name, other))
        .unwrap_or_default()
}

/// Letters to put in, take out or change (Levenshtein 1966).
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (line, letter) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = line + 1;
        for (at, &other) in b.iter().enumerate() {
            let change = diagonal + usize::from(letter != other);
            diagonal = row[at + 1];
            row[at + 1] = change.min(row[at] + 1).min(row[at + 1] + 1);
        }
    }
    row.last().copied().unwrap_or_default()
}
