//! Transactions, reads and cycles in words.

use super::cycles::{Cycle, Hop};
use super::graph::Kinds;
use super::transactions::{Id, List, NONE, Transactions};
use crate::Finding;
use crate::history::pairs::Outcome;
use crate::history::{Event, Key, Step, words};

/// Tells what happened in a history of transactions.
pub(super) struct Story<'a> {
    all: &'a Transactions<'a>,
}

/// Transactions of a cycle told in full; of a longer one, the rest is only counted.
const TOLD: usize = 8;

impl<'a> Story<'a> {
    pub fn new(all: &'a Transactions<'a>) -> Self {
        Story { all }
    }

    pub fn outcome(&self, id: Id) -> Outcome {
        self.all.transactions[id as usize].outcome
    }

    /// "transaction (append 3 to 5) by process 1 on n2".
    pub fn transaction(&self, id: Id) -> String {
        let transaction = &self.all.transactions[id as usize];
        let complete = (transaction.complete != NONE).then_some(transaction.complete);
        words::operation(self.all.events, transaction.invoke, complete)
    }

    /// "the read of key 5 as [1, 2] by process 3 on n2 (begun at 1.2 s)".
    pub fn read(&self, list: &List<'_>, id: Id) -> String {
        let Some(transaction) = self.all.transactions.get(id as usize) else {
            return format!("a read of key {}", list.key);
        };
        let read = transaction.steps.iter().find_map(|step| match step {
            Step::Read {
                key,
                list: Some(read),
            } if *key == list.key => Some(read.as_slice()),
            _ => None,
        });
        let Event::Op(op) = &self.all.events[transaction.invoke as usize] else {
            return format!("a read of key {}", list.key);
        };
        let node = op
            .node
            .map_or_else(String::new, |node| format!(" on {}", words::node(node)));
        format!(
            "the read of key {} as {} by process {}{node} (begun at {})",
            list.key,
            words::list(read.unwrap_or_default()),
            op.process,
            words::time(op.time_ns),
        )
    }

    pub fn finding(
        &self,
        anomaly: &str,
        key: Option<Key>,
        ids: &[Id],
        explanation: String,
    ) -> Finding {
        let mut ops: Vec<u64> = ids
            .iter()
            .filter_map(|&id| self.all.transactions.get(id as usize))
            .map(|transaction| self.all.events[transaction.invoke as usize].index())
            .collect();
        ops.sort_unstable();
        ops.dedup();
        Finding {
            anomaly: anomaly.to_owned(),
            key,
            ops,
            explanation,
        }
    }

    /// A cycle with each of its edges justified.
    pub fn cycle(&self, cycle: &Cycle) -> Finding {
        let suffix = match cycle.order {
            Kinds::PROCESS => "-process",
            Kinds::REALTIME => "-realtime",
            _ => "",
        };
        let hops = &cycle.hops;
        let count = hops.len();
        let name = |at: usize| format!("T{}", at % count + 1);
        let mut told: Vec<String> = (0..count.min(TOLD))
            .map(|at| {
                format!(
                    "{} = {} ({})",
                    name(at),
                    self.transaction(hops[at].from),
                    self.during(hops[at].from)
                )
            })
            .collect();
        for (at, hop) in hops.iter().enumerate().take(TOLD) {
            let (a, b) = (name(at), name(at + 1));
            told.push(format!(
                "{a} comes before {b} because {}",
                self.why(hop, &a, &b)
            ));
        }
        if count > TOLD {
            told.push(format!(
                "and {} more transactions in the same way back to T1",
                count - TOLD
            ));
        }
        told.push("so T1 would have to come before itself".to_owned());
        let keys: Vec<Option<Key>> = hops
            .iter()
            .map(|hop| self.evidence(hop).map(|(list, _)| list.key))
            .collect();
        // One key's, if all data edges are about the same one.
        let mut of = keys.iter().copied().flatten();
        let key = of.next().filter(|first| of.all(|key| key == *first));
        let ids: Vec<Id> = hops.iter().map(|hop| hop.from).collect();
        self.finding(
            &format!("{}{suffix}", cycle.kind.name()),
            key,
            &ids,
            told.join("; "),
        )
    }

    fn during(&self, id: Id) -> String {
        let transaction = &self.all.transactions[id as usize];
        let at = |position: u32| words::time(self.all.events[position as usize].time_ns());
        if transaction.complete == NONE {
            return format!("from {}, never answered", at(transaction.invoke));
        }
        format!("{} to {}", at(transaction.invoke), at(transaction.complete))
    }

    fn why(&self, hop: &Hop, a: &str, b: &str) -> String {
        if let Some((_, why)) = self.evidence(hop) {
            return why.replace("{a}", a).replace("{b}", b);
        }
        let (from, to) = (
            &self.all.transactions[hop.from as usize],
            &self.all.transactions[hop.to as usize],
        );
        let at = |position: u32| words::time(self.all.events[position as usize].time_ns());
        match hop.kind {
            Kinds::PROCESS => format!("process {} did {a} first", from.process),
            _ => format!(
                "{a} had completed at {} when {b} began at {}",
                at(from.complete.min(self.all.events.len() as u32 - 1)),
                at(to.invoke)
            ),
        }
    }

    /// The list that orders two transactions, and why, with `{a}` and `{b}` for their names.
    fn evidence(&self, hop: &Hop) -> Option<(&'a List<'a>, String)> {
        let justify = match hop.kind {
            Kinds::WW => appended_behind,
            Kinds::WR => read_from,
            Kinds::RW => missed,
            _ => return None,
        };
        let steps = self.all.transactions[hop.from as usize].steps;
        steps.iter().find_map(|step| {
            let (Step::Append { key, .. } | Step::Read { key, .. }) = *step;
            let at = self.all.lists.binary_search_by_key(&key, |list| list.key);
            let list = &self.all.lists[at.ok()?];
            justify(list, hop).map(|why| (list, why))
        })
    }
}

fn appended_behind(list: &List<'_>, hop: &Hop) -> Option<String> {
    let key = list.key;
    for append in list.appends_of(hop.from) {
        if append.position == NONE {
            continue;
        }
        match list.writer_from(append.position as usize + 1) {
            Some((position, writer)) if writer == hop.to => {
                return Some(format!(
                    "{{a}} appended {} to key {key}, and {{b}} appended {} right behind it",
                    append.value, list.order[position]
                ));
            }
            Some(_) => {}
            None => {
                let unread = list.appends_of(hop.to);
                let unread = unread.iter().find(|append| append.position == NONE);
                if let Some(unread) = unread {
                    return Some(format!(
                        "{{a}} appended {} to key {key}, the last element that anybody read, and \
                         nobody read the {} that {{b}} appended",
                        append.value, unread.value
                    ));
                }
            }
        }
    }
    None
}

fn read_from(list: &List<'_>, hop: &Hop) -> Option<String> {
    let read = list.read_of(hop.to)?;
    let last = read.list.len().checked_sub(1)?;
    (list.writers[last] == hop.from).then(|| {
        format!(
            "{{b}} read the {} that {{a}} appended to key {}",
            list.order[last], list.key
        )
    })
}

fn missed(list: &List<'_>, hop: &Hop) -> Option<String> {
    let read = list.read_of(hop.from)?;
    let value = match list.writer_from(read.list.len()) {
        Some((position, writer)) => (writer == hop.to).then(|| list.order[position])?,
        None => {
            let unread = list.appends_of(hop.to);
            unread.iter().find(|append| append.position == NONE)?.value
        }
    };
    Some(format!(
        "{{a}} read key {} as {}, without the {value} that {{b}} appended",
        list.key,
        words::list(read.list)
    ))
}
