//! Texts of errors, grouped and counted.

use std::collections::BTreeMap;

use elle_rs::history::{Kind, Op};

use super::super::describe::shortened;
use super::Workload;

/// Different texts kept; a store that puts a number in each text must not make
/// the report grow without bound.
const MAX_TEXTS: usize = 100;

/// Characters kept of a text.
const MAX_TEXT: usize = 300;

/// The errors of a run.
#[derive(Debug, Default)]
pub struct Errors {
    groups: BTreeMap<(Workload, bool, String), Seen>,
    /// Errors whose text came after [`MAX_TEXTS`] others.
    pub beyond: u64,
}

#[derive(Debug)]
struct Seen {
    count: u64,
    first_ns: u64,
    last_ns: u64,
}

/// Errors with the same text and outcome.
#[derive(Debug)]
pub struct ErrorGroup<'a> {
    /// Where they happened.
    pub workload: Workload,
    /// `fail` or `info`.
    pub outcome: &'static str,
    /// What was said.
    pub text: &'a str,
    /// How often.
    pub count: u64,
    /// When first.
    pub first_ns: u64,
    /// When last.
    pub last_ns: u64,
}

impl Errors {
    pub(super) fn add(&mut self, workload: Workload, op: &Op) {
        let text = shortened(op.error.as_deref().unwrap_or("(no text)"), MAX_TEXT);
        let key = (workload, op.kind == Kind::Info, text);
        if self.groups.len() >= MAX_TEXTS && !self.groups.contains_key(&key) {
            self.beyond += 1;
            return;
        }
        let seen = self.groups.entry(key).or_insert(Seen {
            count: 0,
            first_ns: op.time_ns,
            last_ns: op.time_ns,
        });
        seen.count += 1;
        seen.last_ns = op.time_ns;
    }

    /// The groups, most frequent first.
    pub fn groups(&self) -> Vec<ErrorGroup<'_>> {
        let mut groups: Vec<_> = self
            .groups
            .iter()
            .map(|((workload, is_info, text), seen)| ErrorGroup {
                workload: *workload,
                outcome: if *is_info { "info" } else { "fail" },
                text,
                count: seen.count,
                first_ns: seen.first_ns,
                last_ns: seen.last_ns,
            })
            .collect();
        // Stable, so equal counts keep the map's order and the page is the same each time.
        groups.sort_by_key(|group| std::cmp::Reverse(group.count));
        groups
    }
}
