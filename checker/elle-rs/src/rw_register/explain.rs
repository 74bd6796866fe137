//! The register and values that order two transactions.

use super::edges::RegisterEdges;
use super::versions::{INITIAL, Touch, UNKNOWN};
use super::zones::{self, Zones};
use crate::graph::{Hop, Kinds};
use crate::txn::store::Store;
use crate::txn::{Evidence, Explain};

pub(super) struct Story<'a> {
    pub edges: &'a RegisterEdges<'a>,
}

impl Explain for Story<'_> {
    fn store(&self) -> &Store {
        self.edges.store
    }

    fn evidence(&self, hop: &Hop) -> Option<Evidence> {
        let justify = match hop.kind.plain() {
            Kinds::WW => Self::written_behind,
            Kinds::WR => Self::read_from,
            Kinds::RW => Self::missed,
            _ => return None,
        };
        let steps = self.edges.store.steps_of(hop.from).iter();
        steps
            .into_iter()
            .find_map(|step| justify(self, step.key(), hop))
    }
}

impl Story<'_> {
    fn value(&self, touch: &Touch) -> i64 {
        self.edges.store.numbers.value(touch.value)
    }

    fn read_from(&self, key: u32, hop: &Hop) -> Option<Evidence> {
        let versions = self.edges.versions;
        let read = versions.find(key, hop.to, |touch| !touch.is_write)?;
        let from = read.version < UNKNOWN && versions.touch(read.version).transaction == hop.from;
        let value = self.value(&read);
        from.then(|| Evidence {
            key,
            value: Some(value),
            next: None,
            rule: "read",
            why: format!(
                "{{b}} read the {value} that {{a}} wrote to key {}",
                self.edges.store.key_told(key)
            ),
        })
    }

    fn written_behind(&self, key: u32, hop: &Hop) -> Option<Evidence> {
        let versions = self.edges.versions;
        // An intermediate write may be what was read and overwritten, or met after another's.
        let row = versions.touches.row(key);
        let of = |id: u32| {
            let writes = move |touch: &&Touch| touch.is_write && touch.transaction == id;
            row.iter().filter(writes)
        };
        let mut pairs = of(hop.to)
            .rev()
            .flat_map(|later| of(hop.from).map(move |write| (write, later)));
        pairs.find_map(|(write, later)| {
            let (rule, because) = self.before(key, write.version, later.version)?;
            let (value, next) = (self.value(write), self.value(later));
            let name = self.edges.store.key_told(key);
            Some(Evidence {
                key,
                value: Some(value),
                next: Some(next),
                rule,
                why: format!(
                    "{{a}} wrote {value} to key {name}, and {{b}} wrote {next} there later: \
                     {because}"
                ),
            })
        })
    }

    fn missed(&self, key: u32, hop: &Hop) -> Option<Evidence> {
        let versions = self.edges.versions;
        let read = versions.find(key, hop.from, |touch| !touch.is_write)?;
        let row = versions.touches.row(key).iter();
        let mut later = row
            .rev()
            .filter(|touch| touch.is_write && touch.transaction == hop.to);
        let (next, (rule, because)) = later.find_map(|later| {
            let reason = self.before(key, read.version, later.version)?;
            Some((self.value(later), reason))
        })?;
        let store = self.edges.store;
        Some(Evidence {
            key,
            value: (read.version != INITIAL).then(|| self.value(&read)),
            next: Some(next),
            rule,
            why: format!(
                "{{a}} read key {} as {}, before {{b}} wrote {next} there: {because}",
                store.key_told(key),
                store.value_told(read.value)
            ),
        })
    }

    /// Why a version comes before another.
    fn before(&self, key: u32, version: u32, later: u32) -> Option<(&'static str, &'static str)> {
        if version == INITIAL {
            return Some(("initial", "nothing was there at first"));
        }
        let (edges, versions) = (self.edges, self.edges.versions);
        if version >= UNKNOWN || version == later {
            return None;
        }
        let mut updates = versions.updates(key);
        if edges.deduce.writes_follow_reads && updates.any(|pair| pair == (version, later)) {
            return Some(("writes-follow-reads", "who wrote it had read the former"));
        }
        if edges.visible.binary_search(&(key, version, later)).is_ok() {
            let because =
                "who read or wrote the latter had read something from who wrote the former";
            return Some(("atomic-visibility", because));
        }
        let value = |version: u32| self.value(&versions.touch(version));
        if edges.deduce.growing && value(version) < value(later) {
            return Some(("growing", "values only grow"));
        }
        let start = versions.touches.range(key).start;
        let timed = match edges.deduce.order {
            Kinds::REALTIME => {
                let mut zones = Zones::default();
                zones.fill(edges.store, versions, versions.touches.row(key), start);
                zones.before(start, version, later)
            }
            Kinds::PROCESS => {
                let pairs = zones::of_processes(edges.store, versions, key);
                pairs.binary_search(&(version, later)).is_ok()
            }
            _ => false,
        };
        if !timed {
            return None;
        }
        if edges.deduce.order == Kinds::PROCESS {
            return Some(("process", "one process met them so, one after the other"));
        }
        let because = "the former was there before the last transaction that met the latter began";
        Some(("realtime", because))
    }
}
