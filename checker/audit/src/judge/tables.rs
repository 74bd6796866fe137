//! Rows of the state, in tables and in snapshots.

use crate::disk::{Row, Snapshot, Stamps, Table};
use crate::envelope::{Envelope, OVERHEAD_BYTES, VALUE_HEADER_BYTES};
use crate::finding::{Invariant, Place, Spot};
use crate::judge::clock::Made;
use crate::judge::diagnose::{Binding, RowBinding};
use crate::judge::{Judge, Node};

/// Rows that begin so are the store's bookkeeping: no timestamp, always in the clear.
pub(super) const BOOKKEEPING: [&[u8]; 2] = [b"_meta_", b"!encryption|"];
/// Bytes of a row's key behind the user's: the inverted commit timestamp.
pub(super) const STAMP_BYTES: usize = 8;
pub(super) const TOMBSTONE: u8 = 0x01;
/// Two bits of the flags say what the body is.
pub(super) const STATE: u8 = 0x06;
pub(super) const CLEAR: u8 = 0x00;
pub(super) const ENVELOPED: u8 = 0x02;

impl Row {
    /// What the write that made it was stamped with: its log index or its commit timestamp.
    fn stamp(&self) -> Option<u64> {
        let stamp = self.key.last_chunk::<STAMP_BYTES>()?;
        Some(!u64::from_be_bytes(*stamp))
    }
}

impl Judge<'_> {
    pub(super) fn snapshot(&mut self, node: &Node<'_>, snapshot: &Snapshot, stamps: Stamps) {
        let spot = || Spot::new(node.name, Place::Snapshots, &snapshot.table.path);
        if !snapshot.checksum_fits {
            let text = "the checksum at its end is not that of its bytes";
            self.findings
                .add(Invariant::Open, "snapshot-damaged", spot(), text);
        }
        let (index, header, cutover) =
            (snapshot.index, snapshot.cutover, self.cluster.raft_cutover);
        if header != 0 && header != cutover {
            let text =
                format!("its header names the cutover {header}, and the sidecars name {cutover}");
            self.findings
                .add(Invariant::Boundary, "cutovers-differ", spot(), text);
        } else if cutover != 0 && index >= cutover && header == 0 {
            let version = snapshot.version;
            let text = format!(
                "it stands for index {index}, past the cutover at {cutover}, and its header \
                 (version {version}) does not name it"
            );
            self.findings
                .add(Invariant::Boundary, "snapshot-loses-cutover", spot(), text);
        }
        self.headers += u64::from(header != 0 && header == cutover);
        let table = &snapshot.table;
        self.table(node, Place::Snapshots, table, &[table], stamps);
    }

    /// `among` are the tables that a row may have been moved from.
    pub(super) fn table(
        &mut self,
        node: &Node<'_>,
        place: Place,
        table: &Table,
        among: &[&Table],
        stamps: Stamps,
    ) {
        self.counts(node, place).bare += table.bare;
        self.inflated(node, place, table);
        for row in &table.rows {
            self.row(node, (place, table), row, among, stamps);
        }
    }

    fn row(
        &mut self,
        node: &Node<'_>,
        (place, table): (Place, &Table),
        row: &Row,
        among: &[&Table],
        stamps: Stamps,
    ) {
        if BOOKKEEPING.iter().any(|prefix| row.key.starts_with(prefix)) {
            self.counts(node, place).bare += 1;
            return;
        }
        let spot = || Spot::new(node.name, place, &table.path).offset(row.offset);
        let Some(stamp) = row
            .stamp()
            .filter(|_| row.value.len() >= VALUE_HEADER_BYTES)
        else {
            let text = format!("row {} is too short to be one", shown(&row.key));
            return self
                .findings
                .add(Invariant::Open, "row-malformed", spot(), text);
        };
        let made = match stamps {
            Stamps::Indexes => Made::At(stamp),
            Stamps::Clock => self.clock.made(stamp, self.cluster.storage_cutover),
        };
        let spot = || match made {
            Made::At(index) => spot().index(index),
            _ => spot(),
        };
        if let Made::At(index) = made
            && place != Place::Snapshots
        {
            self.facts.reached_in_state(index);
        }
        let (header, body) = row.value.split_at(VALUE_HEADER_BYTES);
        match header[0] & STATE {
            _ if header[0] & TOMBSTONE != 0 => {
                self.counts(node, place).bare += 1;
                if !body.is_empty() {
                    let text = format!("{} is marked deleted and has a value", shown(&row.key));
                    self.findings
                        .add(Invariant::Open, "value-header-changed", spot(), text);
                }
            }
            CLEAR => self.clear_row(node, place, row, made, spot()),
            ENVELOPED => {
                let binding = RowBinding {
                    key: &row.key,
                    header,
                    among,
                };
                let _ = self.envelope(node, place, body, &binding, spot());
            }
            state => {
                let text = format!("{} has the reserved state {}", shown(&row.key), state >> 1);
                self.findings
                    .add(Invariant::Open, "value-header-changed", spot(), text);
            }
        }
    }

    fn clear_row(&mut self, node: &Node<'_>, place: Place, row: &Row, made: Made, spot: Spot) {
        let body = &row.value[VALUE_HEADER_BYTES..];
        self.see_clear(body);
        let cutover = self.cluster.storage_cutover;
        let by_right = cutover == 0
            || match made {
                Made::At(index) => index <= cutover,
                Made::Below => true,
                Made::Above => false,
                Made::Unknown => {
                    self.clock.unplaced += 1;
                    true
                }
            };
        if by_right {
            self.counts(node, place).clear_by_right += 1;
            return;
        }
        self.counts(node, place).clear_by_wrong += 1;
        let key = shown(&row.key);
        if opens_if_marked(node, row) {
            let text = format!("the value of {key} is marked clear, and is an envelope");
            return self
                .findings
                .add(Invariant::Open, "value-header-changed", spot, text);
        }
        let text =
            format!("the value of {key} stands in the clear, above the cutover at {cutover}");
        self.findings
            .add(Invariant::Plain, "clear-value", spot, text);
    }
}

/// Whether a row marked clear opens as soon as its header says that it is an envelope.
fn opens_if_marked(node: &Node<'_>, row: &Row) -> bool {
    let (header, body) = row.value.split_at(VALUE_HEADER_BYTES);
    let Some(envelope) = Envelope::of(body).filter(|_| body.len() >= OVERHEAD_BYTES) else {
        return false;
    };
    let mut marked = header.to_vec();
    marked[0] |= ENVELOPED;
    let aad = envelope.storage_aad(&marked, &row.key);
    let opened = node.ring.open(&envelope, RowBinding::PURPOSE, &aad);
    opened.is_ok()
}

/// A row's user key, for a person.
fn shown(key: &[u8]) -> String {
    shown_user(&key[..key.len().saturating_sub(STAMP_BYTES)])
}

/// A user key, for a person.
pub(super) fn shown_user(key: &[u8]) -> String {
    format!("{:?}", String::from_utf8_lossy(key))
}
