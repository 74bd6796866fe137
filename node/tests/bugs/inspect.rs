//! What the stopped nodes left on their disks: every row, entry, file and log line.

use std::collections::BTreeMap;

use crate::kit::Sidecar;
use crate::kit::disk::{self, Row, Writer};
use crate::kit::keys::{self, ENVELOPE_HEADER, Key};
use crate::kit::sidecar::bytes_of;
use crate::run::Run;
use crate::symptom::{Finding, Symptom};

/// Bytes of a stored value before its body.
const VALUE_HEADER: usize = 9;
/// The encoding of a sealed value.
const SEALED: u8 = 0x02;

/// What a nonce must fit.
struct Known {
    sidecar: Sidecar,
    /// By node part of a nonce: the sidecar of that node.
    sidecars: BTreeMap<u16, Sidecar>,
    writers: BTreeMap<(u32, u16), Writer>,
    deks: BTreeMap<u32, Key>,
}

/// What each (key, nonce) was seen to seal.
type Seen = BTreeMap<(u32, Vec<u8>), Vec<u8>>;

impl Run {
    /// Looks at the disks of all nodes, which must be stopped.
    pub fn inspect(&mut self) {
        let nodes: Vec<usize> = self.lab.setups.keys().copied().collect();
        let sidecars: BTreeMap<u16, Sidecar> = nodes
            .iter()
            .map(|node| (self.lab.full_node_id(*node) as u16, self.lab.keys_of(*node)))
            .collect();
        let mut seen = Seen::new();
        for node in nodes {
            let known = Known {
                sidecar: self.lab.keys_of(node),
                sidecars: sidecars.clone(),
                writers: disk::writers(&self.lab.data_dir(node)),
                deks: self.deks.clone(),
            };
            let mut found = Vec::new();
            for row in disk::values(&self.lab.data_dir(node)) {
                found.extend(value(&known, &row, &mut seen));
            }
            for (index, payload) in disk::payloads(&self.lab.data_dir(node)) {
                found.extend(entry(&known, index, &payload, &mut seen));
            }
            found.extend(self.files(node));
            self.found.extend(found.into_iter().map(|(symptom, what)| {
                let what = format!("n{}: {what}", node + 1);
                Finding { symptom, what }
            }));
        }
    }

    /// What lies in a node's files and log that must not.
    fn files(&self, node: usize) -> Vec<(Symptom, String)> {
        let mut found = Vec::new();
        let data = self.lab.data_dir(node);
        for (path, bytes) in bytes_of(&data) {
            let has = |text: &[u8]| bytes.windows(text.len()).any(|at| at == text);
            let text = path.display().to_string();
            let of_database =
                path.starts_with(data.join("wal")) || path.starts_with(data.join("fsm.db"));
            if !of_database && self.sealed().any(|value| has(value.text.as_bytes())) {
                found.push((Symptom::ValueInFile, text.clone()));
            }
            if self.deks.values().any(|dek| has(dek)) {
                found.push((Symptom::DekInFile, text));
            }
        }
        let hex: String = self
            .lab
            .kek
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        let log = self.lab.cluster.log(node);
        let lines = log.lines().filter(|line| line.contains(&hex));
        found.extend(lines.map(|line| (Symptom::KekInLog, line.to_owned())));
        found
    }
}

/// A stored version: clear before the storage cutover, sealed after it.
fn value(known: &Known, row: &Row, seen: &mut Seen) -> Vec<(Symptom, String)> {
    let (key, stamp) = row.key.split_at(row.key.len() - 8);
    let ts = !u64::from_be_bytes(stamp.try_into().expect("8 bytes"));
    let name = format!("{} at {ts}", String::from_utf8_lossy(key));
    if ts <= known.sidecar.storage_envelope_cutover_index {
        return Vec::new();
    }
    if row.value[0] != SEALED {
        return vec![(Symptom::ClearRow, name)];
    }
    let envelope = &row.value[VALUE_HEADER..];
    let mut found = nonce(known, envelope, &name, seen);
    if disk::open_value(row, &known.deks).is_none() {
        found.push((why_not(known, row), name.clone()));
    }
    let id = keys::envelope_key(envelope).unwrap_or(0);
    if !known.sidecar.keys.contains_key(&id) {
        found.push((Symptom::KeyGone, format!("{name} is sealed under {id}")));
    }
    found
}

/// Why a value does not open as it should.
fn why_not(known: &Known, row: &Row) -> Symptom {
    let (header, envelope) = row.value.split_at(VALUE_HEADER);
    let id = keys::envelope_key(envelope).unwrap_or(0);
    let (head, sealed) = envelope.split_at(ENVELOPE_HEADER);
    let without_key = [head, header].concat();
    let own = known.deks.get(&id);
    if own.is_some_and(|dek| keys::open(dek, sealed, &without_key).is_some()) {
        return Symptom::OpensWithoutKey;
    }
    let aad = [head, header, &row.key].concat();
    let opens = |dek: &Key| keys::open(dek, sealed, &aad).is_some();
    match known.deks.values().any(opens) {
        true => Symptom::WrongKeyId,
        false => Symptom::DoesNotOpen,
    }
}

/// An entry: clear up to the cutover, sealed above.
fn entry(known: &Known, index: u64, payload: &[u8], seen: &mut Seen) -> Vec<(Symptom, String)> {
    let cutover = known.sidecar.raft_envelope_cutover_index;
    let name = format!("entry {index}, cutover {cutover}");
    let sealed = keys::envelope_key(payload).is_some();
    if cutover == 0 || index <= cutover {
        let below = sealed.then_some((Symptom::SealedEntryBelowCutover, name));
        return below.into_iter().collect();
    }
    if !sealed {
        return vec![(Symptom::ClearEntry, name)];
    }
    let mut found = nonce(known, payload, &name, seen);
    if disk::open_entry(payload, &known.deks).is_none() {
        found.push((Symptom::DoesNotOpen, name));
    }
    found
}

/// A nonce: a member's id, an epoch that it has and has registered, never twice.
fn nonce(known: &Known, envelope: &[u8], name: &str, seen: &mut Seen) -> Vec<(Symptom, String)> {
    let mut found = Vec::new();
    let id = keys::envelope_key(envelope).unwrap_or(0);
    let (node, epoch, count) = keys::nonce_parts(envelope);
    let what = format!("{name}: key {id}, nonce {node:#06x} {epoch} {count}");
    let (nonce, sealed) = envelope[ENVELOPE_HEADER..].split_at(12);
    let slot = (id, nonce.to_vec());
    let first = seen.entry(slot).or_insert_with(|| sealed.to_vec());
    if first != sealed {
        found.push((Symptom::NonceTwice, what.clone()));
    }
    let Some(sidecar) = known.sidecars.get(&node) else {
        found.push((Symptom::NonceForm, what));
        return found;
    };
    let own = sidecar.keys.get(&id).map(|key| key.local_epoch);
    if own.is_some_and(|own| own < epoch) {
        found.push((Symptom::EpochAheadOfSidecar, what.clone()));
    }
    match known.writers.get(&(id, node)) {
        Some(writer) if writer.last_seen >= epoch => {}
        row => found.push((Symptom::UnregisteredEpoch, format!("{what}, row {row:?}"))),
    }
    found
}
