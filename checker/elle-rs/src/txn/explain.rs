//! Cycles in words, and as proofs: each step justified by the operations that cause it.

use super::report::{Because, Proof};
use super::store::{Id, Store};
use crate::Finding;
use crate::graph::{Cycle, Hop, Kinds};

/// Transactions of a cycle told in full; of a longer one, the rest is only counted.
const TOLD: usize = 8;

/// The key that orders two transactions, and how.
pub(crate) struct Evidence {
    pub key: u32,
    pub value: Option<i64>,
    pub next: Option<i64>,
    /// By which rule, in a word.
    pub rule: &'static str,
    /// In words, with `{a}` and `{b}` for the transactions' names.
    pub why: String,
}

/// Knows why there is an edge.
pub(crate) trait Explain {
    fn store(&self) -> &Store;

    /// What in the data orders two transactions; none for orders of processes and real time.
    fn evidence(&self, hop: &Hop) -> Option<Evidence>;

    /// A cycle with each of its edges justified.
    fn cycle(&self, cycle: &Cycle) -> Finding {
        let store = self.store();
        let hops = &cycle.hops;
        let count = hops.len();
        let name = |at: usize| format!("T{}", at % count + 1);
        let mut told: Vec<String> = (0..count.min(TOLD))
            .map(|at| {
                let id = hops[at].from;
                let (what, when) = (store.told(id), store.during_told(id));
                format!("{} = {what} ({when})", name(at))
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
        let keys = hops.iter().filter_map(|hop| self.evidence(hop));
        let mut keys = keys.map(|evidence| evidence.key);
        // One key's, if all data edges are about the same one.
        let key = keys.next().filter(|first| keys.all(|key| key == *first));
        let ids: Vec<Id> = hops.iter().map(|hop| hop.from).collect();
        store.finding(&cycle.name(), key, &ids, told.join("; "))
    }

    fn why(&self, hop: &Hop, a: &str, b: &str) -> String {
        if let Some(evidence) = self.evidence(hop) {
            return evidence.why.replace("{a}", a).replace("{b}", b);
        }
        let store = self.store();
        match hop.kind {
            Kinds::PROCESS => {
                let process = store.process[hop.from as usize] as usize;
                format!("process {} did {a} first", store.processes[process])
            }
            _ => format!(
                "{a} had completed at {} when {b} began at {}",
                store.completed_told(hop.from),
                store.begun_told(hop.to)
            ),
        }
    }

    /// The same as data.
    fn proof(&self, cycle: &Cycle) -> Proof {
        let store = self.store();
        let index = |id: Id| u64::from(store.invoke[id as usize]);
        let because = |hop: &Hop| {
            let evidence = self.evidence(hop);
            let evidence = evidence.as_ref();
            Because {
                before: index(hop.from),
                after: index(hop.to),
                kind: match hop.kind.plain() {
                    Kinds::WW => "ww",
                    Kinds::WR => "wr",
                    Kinds::RW => "rw",
                    Kinds::PROCESS => "process",
                    _ => "realtime",
                },
                key: evidence.map(|evidence| store.keys[evidence.key as usize]),
                value: evidence.and_then(|evidence| evidence.value),
                next: evidence.and_then(|evidence| evidence.next),
                rule: evidence.map(|evidence| evidence.rule),
            }
        };
        Proof::Cycle(cycle.name(), cycle.hops.iter().map(because).collect())
    }
}
