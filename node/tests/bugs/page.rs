//! The manual's table of seeded bugs is the catalogue.

use keyquake_node::bugs;

#[test]
fn the_manual_lists_every_bug() {
    let page = include_str!("../../../docs/reference-store.md");
    let mut shown: Vec<&str> = page
        .lines()
        .filter(|line| line.starts_with("| `"))
        .collect();
    let rows: Vec<String> = bugs::catalogue()
        .iter()
        .map(|info| format!("| `{}` | {} | {} |", info.name, info.does, info.breaks))
        .collect();
    let from = shown.iter().position(|line| **line == rows[0]);
    let wanted = rows.join("\n");
    shown.drain(..from.unwrap_or(shown.len()));
    assert_eq!(
        shown.join("\n"),
        wanted,
        "docs/reference-store.md should have:\n{wanted}"
    );
}
