//! What the readers found damaged, and blocks that lie compressed.

use crate::disk::{Found, Snapshot, Table};
use crate::finding::{Invariant, Place, Spot};
use crate::judge::{Judge, Node};
use crate::scan::Hit;

impl Judge<'_> {
    /// Bytes that are not as they were written, and files that end in the middle of something.
    pub(super) fn damaged(&mut self, node: &Node<'_>, found: &Found) {
        for damage in &found.damage {
            let anomaly = match damage.place {
                Place::TableLogs => "table-log-damaged",
                Place::Log => "log-damaged",
                Place::Snapshots => "snapshot-damaged",
                _ => "table-damaged",
            };
            let spot = Spot::new(node.name, damage.place, &damage.path);
            let spot = spot.offset(Some(damage.offset));
            self.findings
                .add(Invariant::Open, anomaly, spot, &damage.what);
        }
        found
            .snapshots
            .iter()
            .for_each(|one| self.damaged_snapshot(node, one));
        let cuts = found.cuts.iter().map(|cut| format!("{}: {cut}", node.name));
        self.cuts.extend(cuts);
    }

    fn damaged_snapshot(&mut self, node: &Node<'_>, snapshot: &Snapshot) {
        for (at, what) in &snapshot.damage {
            let spot = Spot::new(node.name, Place::Snapshots, &snapshot.table.path);
            let spot = spot.offset(Some(*at));
            self.findings
                .add(Invariant::Open, "snapshot-damaged", spot, what);
        }
    }

    /// What a scan of a file's bytes can't see, because it lies there compressed.
    pub(super) fn inflated(&mut self, node: &Node<'_>, place: Place, table: &Table) {
        for block in &table.inflated {
            let mut hits = Vec::new();
            self.needles.each_in(&block.bytes, |hit, _| hits.push(hit));
            for hit in hits {
                let spot = Spot::new(node.name, place, &table.path).offset(Some(block.offset));
                match hit {
                    Hit::Canary(at, spelling) => self.canary(at, spelling, place, spot),
                    Hit::Secret(at) => {
                        let secret = self.needles.secret(at);
                        let (name, spelling) = (&secret.name, &secret.spelling);
                        let text = format!("the {name} stands in this block, {spelling}");
                        self.findings
                            .add(Invariant::KeysSecret, "key-in-the-clear", spot, text);
                    }
                }
            }
        }
    }
}
