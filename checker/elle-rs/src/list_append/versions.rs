//! The order of each list, as its longest read shows it, and the anomalies visible in the lists
//! themselves, without any graph.

use rustc_hash::{FxHashMap, FxHashSet};

use super::explain::Story;
use super::transactions::{Internal, List, NONE, Transactions};
use crate::Finding;
use crate::history::pairs::Outcome;
use crate::history::{Value, words};

/// What the lists show.
#[derive(Default)]
pub(super) struct Seen {
    pub findings: Vec<Finding>,
    /// Why the lists cannot be read without doubt, if so.
    pub ambiguous: Option<String>,
}

/// Orders every list, fills in positions and writers, and marks pending transactions that were
/// seen. At most one finding per anomaly and key. With `own_in_place`, what a transaction read of
/// its own appends is where they stand in the end (below snapshot isolation, others' appends may
/// still have come between).
pub(super) fn order(all: &mut Transactions<'_>, own_in_place: bool) -> Seen {
    let mut seen = Seen::default();
    for internal in &all.internal {
        // One is enough: a store that gets this wrong does so all the time.
        if seen.findings.is_empty() {
            seen.findings.push(internal_finding(all, internal));
        }
    }
    let mut lists = std::mem::take(&mut all.lists);
    for list in &mut lists {
        order_list(all, list, own_in_place, &mut seen);
    }
    for list in &lists {
        inspect(&Story::new(all), list, &mut seen.findings);
    }
    all.lists = lists;
    seen
}

fn order_list<'a>(
    all: &mut Transactions<'a>,
    list: &mut List<'a>,
    own_in_place: bool,
    seen: &mut Seen,
) {
    let longest = longest(list, own_in_place);
    list.order = longest;
    let by_value = by_value(all, list, seen);
    let mut writers = vec![NONE; longest.len()];
    for (position, value) in longest.iter().enumerate() {
        let Some(&append) = by_value.get(value) else {
            let reader = reader_of(list, position);
            let explanation = format!(
                "{} has {value} in it, which no transaction ever appended to key {}",
                Story::new(all).read(list, reader),
                list.key
            );
            seen.add(all, "thin-air", list, &[reader], explanation);
            continue;
        };
        let append = &mut list.appends[append as usize];
        if append.position != NONE {
            let reader = reader_of(list, position);
            let explanation = format!(
                "{} has {value} in it twice",
                Story::new(all).read(list, reader)
            );
            seen.add(all, "duplicate-elements", list, &[reader], explanation);
            continue;
        }
        append.position = position as u32;
        let writer = &mut all.transactions[append.transaction as usize];
        if writer.outcome != Outcome::Fail {
            writer.took_effect = true;
            writers[position] = append.transaction;
        }
    }
    list.writers = writers;
    for read in &mut list.reads {
        read.fits = longest.starts_with(read.list);
    }
}

fn longest<'a>(list: &List<'a>, own_in_place: bool) -> &'a [Value] {
    let longer = |a: &'a [Value], b: &'a [Value]| if b.len() > a.len() { b } else { a };
    let foreign = list
        .reads
        .iter()
        .map(|read| read.list)
        .fold(&[][..], longer);
    if !own_in_place {
        return foreign;
    }
    let with_own = list.reads.iter().map(|read| read.with_own);
    with_own
        .filter(|read| read.starts_with(foreign))
        .fold(foreign, longer)
}

/// Which append put a value. Of two, one that failed does not count.
fn by_value(all: &Transactions<'_>, list: &List<'_>, seen: &mut Seen) -> FxHashMap<Value, u32> {
    let mut by_value: FxHashMap<Value, u32> = FxHashMap::default();
    by_value.reserve(list.appends.len());
    let failed = |append: u32| {
        let transaction = list.appends[append as usize].transaction;
        all.transactions[transaction as usize].outcome == Outcome::Fail
    };
    for (id, append) in (0..).zip(&list.appends) {
        let before = by_value.insert(append.value, id);
        let Some(before) = before else { continue };
        if failed(id) {
            by_value.insert(append.value, before);
        } else if !failed(before) {
            seen.ambiguous.get_or_insert_with(|| {
                format!(
                    "value {} was appended to key {} more than once, so nobody can say whose it is",
                    append.value, list.key
                )
            });
        }
    }
    by_value
}

impl Seen {
    fn add(
        &mut self,
        all: &Transactions<'_>,
        anomaly: &str,
        list: &List<'_>,
        ids: &[u32],
        explanation: String,
    ) {
        let finding = Story::new(all).finding(anomaly, Some(list.key), ids, explanation);
        push_first(&mut self.findings, finding);
    }
}

/// Keeps the first finding of an anomaly per key.
fn push_first(findings: &mut Vec<Finding>, finding: Finding) {
    let same = |other: &Finding| other.anomaly == finding.anomaly && other.key == finding.key;
    if !findings.iter().any(same) {
        findings.push(finding);
    }
}

/// Who read the list up to this position, the first such transaction.
fn reader_of(list: &List<'_>, position: usize) -> u32 {
    let reads = &mut list.reads.iter();
    reads
        .find(|read| read.with_own.len() > position && list.order.starts_with(read.with_own))
        .map_or(NONE, |read| read.transaction)
}

/// Anomalies that need the order of the list.
fn inspect(story: &Story<'_>, list: &List<'_>, findings: &mut Vec<Finding>) {
    let mut add = |anomaly: &str, ids: &[u32], explanation: String| {
        push_first(
            findings,
            story.finding(anomaly, Some(list.key), ids, explanation),
        );
    };
    aborted(story, list, &mut add);
    for read in &list.reads {
        if !read.fits {
            incompatible(story, list, read, &mut add);
        } else if let Some(own) = own_before(list, read) {
            let explanation = format!(
                "{} has {own} in it, which that transaction appended only later",
                story.read(list, read.transaction)
            );
            add("future-read", &[read.transaction], explanation);
        } else if let Some((writer, value)) = intermediate(list, read) {
            let explanation = format!(
                "{} ends with {value}, which is not the last that {} appended to it: an intermediate state",
                story.read(list, read.transaction),
                story.transaction(writer)
            );
            add("G1b", &[writer, read.transaction], explanation);
        }
    }
    own_order(story, list, &mut add);
    lost_update(story, list, &mut add);
}

type Add<'a> = dyn FnMut(&str, &[u32], String) + 'a;

fn aborted(story: &Story<'_>, list: &List<'_>, add: &mut Add<'_>) {
    let failed = list.appends.iter().find(|append| {
        append.position != NONE && story.outcome(append.transaction) == Outcome::Fail
    });
    let Some(failed) = failed else { return };
    let reader = reader_of(list, failed.position as usize);
    let explanation = format!(
        "{} has {} in it, appended by {}, which was answered as failed",
        story.read(list, reader),
        failed.value,
        story.transaction(failed.transaction)
    );
    add("G1a", &[failed.transaction, reader], explanation);
    if let Some((position, writer)) = list.writer_from(failed.position as usize + 1) {
        let explanation = format!(
            "{} appended {} to key {} behind {}, which {} had appended and which was answered as failed",
            story.transaction(writer),
            list.order[position],
            list.key,
            failed.value,
            story.transaction(failed.transaction)
        );
        add("dirty-update", &[failed.transaction, writer], explanation);
    }
}

fn incompatible(
    story: &Story<'_>,
    list: &List<'_>,
    read: &super::transactions::Read<'_>,
    add: &mut Add<'_>,
) {
    if let Some(value) = twice(read.list) {
        let what = story.read(list, read.transaction);
        let explanation = format!("{what} has {value} in it twice");
        add("duplicate-elements", &[read.transaction], explanation);
    }
    let longest = reader_of(list, list.order.len() - 1);
    let explanation = format!(
        "{}, but {}: neither begins with the other",
        story.read(list, read.transaction),
        story.read(list, longest)
    );
    add(
        "incompatible-order",
        &[longest, read.transaction],
        explanation,
    );
    let failed = list.appends.iter().find(|append| {
        story.outcome(append.transaction) == Outcome::Fail && read.list.contains(&append.value)
    });
    if let Some(failed) = failed {
        let explanation = format!(
            "{} has {} in it, appended by {}, which was answered as failed",
            story.read(list, read.transaction),
            failed.value,
            story.transaction(failed.transaction)
        );
        add("G1a", &[failed.transaction, read.transaction], explanation);
    }
}

/// An element that stands in a list more than once.
fn twice(list: &[Value]) -> Option<Value> {
    let mut met = FxHashSet::default();
    list.iter().copied().find(|&value| !met.insert(value))
}

/// An append of the reader's own within what it saw as others'.
fn own_before(list: &List<'_>, read: &super::transactions::Read<'_>) -> Option<Value> {
    list.appends_of(read.transaction)
        .iter()
        .find(|append| (append.position as usize) < read.list.len())
        .map(|append| append.value)
}

/// The writer of the last element read, if it appended more to the list after it.
fn intermediate(list: &List<'_>, read: &super::transactions::Read<'_>) -> Option<(u32, Value)> {
    let last = read.list.len().checked_sub(1)?;
    let writer = list.writers[last];
    if writer == NONE || writer == read.transaction {
        return None;
    }
    let ends = list.appends_of(writer).last()?.value;
    (ends != read.list[last]).then_some((writer, read.list[last]))
}

/// A transaction's appends must stand in the list in its own order, none left out before another.
fn own_order(story: &Story<'_>, list: &List<'_>, add: &mut Add<'_>) {
    for pair in list.appends.windows(2) {
        let [a, b] = pair else { continue };
        if a.transaction != b.transaction || b.position == NONE {
            continue;
        }
        let in_order = a.position != NONE && a.position < b.position;
        if in_order {
            continue;
        }
        let reader = reader_of(list, b.position as usize);
        let what = story.transaction(a.transaction);
        if a.position == NONE {
            let explanation = format!(
                "{what} appended {} and then {} to key {}, but {} has only the second",
                a.value,
                b.value,
                list.key,
                story.read(list, reader)
            );
            add("lost-append", &[a.transaction, reader], explanation);
        } else {
            let explanation = format!(
                "{what} appended {} before {} to key {}, but {}",
                a.value,
                b.value,
                list.key,
                story.read(list, reader_of(list, a.position as usize))
            );
            add("incompatible-order", &[a.transaction, reader], explanation);
        }
    }
}

/// Two transactions that took effect, saw the same list, and both appended to it.
fn lost_update(story: &Story<'_>, list: &List<'_>, add: &mut Add<'_>) {
    let mut by_length: FxHashMap<usize, u32> = FxHashMap::default();
    for read in &list.reads {
        if !read.fits || list.appends_of(read.transaction).is_empty() {
            continue;
        }
        if let Some(first) = by_length.insert(read.list.len(), read.transaction) {
            let explanation = format!(
                "{} and {} both read key {} as {} and both appended to it: one of them did not see the other",
                story.transaction(first),
                story.transaction(read.transaction),
                list.key,
                words::list(read.list),
            );
            add("lost-update", &[first, read.transaction], explanation);
            return;
        }
    }
}

fn internal_finding(all: &Transactions<'_>, internal: &Internal<'_>) -> Finding {
    let before = internal
        .seen
        .map_or_else(|| "whatever was there".to_owned(), words::list);
    let story = Story::new(all);
    let explanation = format!(
        "within {}, key {} was read as {}, where {before} and then its own {:?} should have been",
        story.transaction(internal.transaction),
        internal.key,
        words::list(internal.list),
        internal.own,
    );
    story.finding(
        "internal",
        Some(internal.key),
        &[internal.transaction],
        explanation,
    )
}
