//! The table that says which plan is to show which bug (`docs/matrix.toml`).

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail, ensure};
use keyquake_node::bugs;
use serde::Deserialize;

/// The version of the table's format that this binary reads.
const FORMAT: u32 = 1;

/// A whole table.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Table {
    /// Version of this file's format.
    pub format: u32,
    /// Every seeded bug, by its name.
    pub bugs: BTreeMap<String, Entry>,
}

/// What the table says of a bug.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Entry {
    /// The invariant that has to name it.
    pub breaks: String,
    /// The plans that have to show it, from the table's folder.
    #[serde(default)]
    pub plans: Vec<PathBuf>,
    /// Only the loss of what was never synced can show it.
    #[serde(default)]
    pub power_loss: bool,
    /// Why no plan can reach it.
    pub unreachable: Option<String>,
}

impl Entry {
    /// Why no plan shows it, if none does.
    pub fn left_out(&self) -> Option<&str> {
        match &self.unreachable {
            Some(why) => Some(why),
            None if self.power_loss => {
                Some("only a power loss shows it: what was not synced has to be gone")
            }
            None => None,
        }
    }
}

impl Table {
    /// Reads a table, and refuses one that does not fit the catalogue of bugs.
    pub fn read(path: &Path) -> anyhow::Result<Table> {
        let text = std::fs::read_to_string(path).with_context(|| {
            format!(
                "failed to read the table {}: name it with --table, or run this from where docs/ is",
                path.display()
            )
        })?;
        Table::parse(&text).with_context(|| format!("the table {} can't be used", path.display()))
    }

    fn parse(text: &str) -> anyhow::Result<Table> {
        let table: Table = toml::from_str(text)?;
        ensure!(
            table.format <= FORMAT,
            "it has format {}, this keyquake knows up to {FORMAT}",
            table.format
        );
        for info in bugs::catalogue() {
            let Some(entry) = table.bugs.get(info.name) else {
                bail!("it says nothing of {}", info.name);
            };
            ensure!(
                entry.breaks == info.breaks,
                "{} breaks {} by the catalogue, and {} by the table",
                info.name,
                info.breaks,
                entry.breaks
            );
            let reasons = [
                !entry.plans.is_empty(),
                entry.power_loss,
                entry.unreachable.is_some(),
            ];
            ensure!(
                reasons.iter().filter(|reason| **reason).count() == 1,
                "of {} it has to name plans, or say `power-loss = true`, or why it is `unreachable`: one of these",
                info.name
            );
        }
        for name in table.bugs.keys() {
            ensure!(
                bugs::catalogue().iter().any(|info| info.name == *name),
                "there is no bug {name}; `keyquake bugs` lists them"
            );
        }
        Ok(table)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A table of all bugs, each under one plan, with something put in the place of something.
    fn text(from: &str, to: &str) -> String {
        let entries = bugs::catalogue().iter().map(|info| {
            let (name, breaks) = (info.name, info.breaks);
            format!("{name} = {{ breaks = \"{breaks}\", plans = [\"a.toml\"] }}\n")
        });
        let text: String = entries.collect();
        format!("format = 1\n[bugs]\n{text}").replacen(from, to, 1)
    }

    #[test]
    fn a_table_has_every_bug_once() {
        assert!(Table::parse(&text("", "")).is_ok());
        let parsed = |from, to| Table::parse(&text(from, to)).unwrap_err().to_string();
        assert!(parsed("format = 1", "format = 2").contains("format 2"));
        assert!(parsed("stale-read", "stale-reads").contains("nothing of stale-read"));
        let other = parsed("breaks = \"LIN\"", "breaks = \"DUR\"");
        assert!(other.contains("LIN by the catalogue"), "{other}");
        let none = parsed("plans = [\"a.toml\"]", "plans = []");
        assert!(none.contains("one of these"), "{none}");
        let two = parsed("plans = ", "power-loss = true, plans = ");
        assert!(two.contains("one of these"), "{two}");
        let loss = Table::parse(&text("plans = [\"a.toml\"]", "power-loss = true")).unwrap();
        let left_out = loss.bugs.values().filter_map(Entry::left_out).count();
        assert_eq!(left_out, 1);
    }
}
