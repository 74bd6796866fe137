//! CONV: nothing older is put in the place of what a node had. Every envelope of an older file opens, every
//! checksum of it fits; what gives it away is what the node had before, what its log says, and what its
//! engine says of its own files.
//!
//! A state at an applied index is what the log makes of it up to there, whatever happened between: a kill,
//! a snapshot, a compaction. So of two looks at one node, the later one being as far, no row may be older
//! than it was. That a state is less far is nobody's fault if a process began in between: it may have
//! begun from a snapshot. The log keeps what was applied, always.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use crate::disk::command::{self, Effect};
use crate::disk::{Account, Found, Stamps};
use crate::finding::{Findings, Invariant, Place, Spot};
use crate::past::Past;

use super::state::State;
use super::tables::shown_user;

/// What was seen of a node once.
struct Look {
    time_ns: u64,
    applied: u64,
    /// By user key the stamp of the newest version.
    rows: BTreeMap<Vec<u8>, u64>,
    accounts: Vec<Account>,
}

/// The looks at a node that later ones are held against.
#[derive(Default)]
struct Before {
    last: Option<Rc<Look>>,
    furthest: Option<Rc<Look>>,
}

/// What certainly happens to rows at an index; `None` if that is not known.
type Effects = Option<Vec<(Vec<u8>, Effect)>>;

/// All looks at all nodes.
#[derive(Default)]
pub(super) struct PutBack {
    before: BTreeMap<String, Before>,
    /// The log of the node that is looked at.
    log: BTreeMap<u64, Effects>,
    /// Rows that were held against the log, or against what they were before.
    pub(super) rows: u64,
}

/// The node that is looked at, and when.
#[derive(Clone, Copy)]
pub(super) struct At<'a> {
    pub(super) node: &'a str,
    pub(super) time_ns: u64,
    pub(super) past: Option<&'a Past>,
}

impl At<'_> {
    /// Whether it is known that no process of the node began after a moment.
    fn none_began_since(&self, since_ns: u64) -> bool {
        let loads = self.past.iter().flat_map(|past| &past.loads);
        let began = loads.filter(|load| load.node == self.node);
        // Of a node whose processes were not watched nothing is known.
        began
            .map(|load| load.begun_ns)
            .max()
            .is_some_and(|last| last <= since_ns)
    }
}

impl PutBack {
    /// A node's files are looked at from here on.
    pub(super) fn begin(&mut self) {
        self.log.clear();
    }

    /// An entry of its log, as it is when opened; `None` if it does not open.
    pub(super) fn entry(&mut self, index: u64, payload: Option<&[u8]>) {
        self.log.insert(index, payload.and_then(command::effects));
    }

    /// All of them were looked at.
    pub(super) fn see(&mut self, at: At<'_>, found: &Found, findings: &mut Findings) {
        for (path, what) in &found.other_tables {
            let spot = Spot::new(at.node, Place::Tables, path);
            findings.add(Invariant::Converged, "table-not-as-listed", spot, what);
        }
        let state = State::of(found).ok();
        let before = self.before.get(at.node);
        let had = before.and_then(|before| before.furthest.as_ref());
        log_keeps(
            at,
            found,
            state.as_ref(),
            had.map(|had| had.applied),
            findings,
        );
        let Some(state) = state else { return };
        if found.stamps == Stamps::Indexes {
            self.rows += as_logged(at, &self.log, &state, findings);
        }
        let look = Look {
            time_ns: at.time_ns,
            applied: state.applied,
            rows: state
                .rows
                .iter()
                .map(|(key, newest)| (key.to_vec(), newest.stamp))
                .collect(),
            accounts: found.accounts.clone(),
        };
        if let Some(last) = before.and_then(|before| before.last.as_ref()) {
            state_keeps(at, &state.path, last, &look, findings);
            engine_keeps(at, last, &look, findings);
        }
        if let Some(furthest) = had.filter(|had| had.applied <= look.applied) {
            self.rows += rows_keep(at, found.stamps, &state.path, furthest, &look, findings);
        }
        let look = Rc::new(look);
        let before = self.before.entry(at.node.to_owned()).or_default();
        let is_furthest = |had: &Rc<Look>| look.applied >= had.applied;
        if before.furthest.as_ref().is_none_or(is_furthest) {
            before.furthest = Some(look.clone());
        }
        before.last = Some(look);
    }
}

/// What was applied was committed, and synced before: the log has it, or goes on behind a snapshot of it.
fn log_keeps(
    at: At<'_>,
    found: &Found,
    state: Option<&State<'_>>,
    had: Option<u64>,
    findings: &mut Findings,
) {
    let is_damaged = found.damage.iter().any(|damage| damage.place == Place::Log);
    let Some(log) = found.logs.last() else { return };
    if is_damaged || !found.gaps.is_empty() {
        return;
    }
    let entries = found.logs.iter().flat_map(|log| &log.entries);
    let indexes = entries
        .filter(|entry| !entry.overwritten)
        .map(|entry| entry.index);
    let end = indexes
        .max()
        .unwrap_or_default()
        .max(found.log_begins_behind);
    let now = state.map(|state| state.applied);
    let (applied, when) = match (now, had) {
        (Some(now), _) if end < now => (now, "has applied"),
        (_, Some(had)) if end < had => (had, "had applied before"),
        _ => return,
    };
    let text = format!(
        "the log ends at index {end}, and {} {when} index {applied}: an older log is in its place",
        at.node
    );
    let spot = Spot::new(at.node, Place::Log, &log.path).index(end);
    findings.add(Invariant::Converged, "log-went-back", spot, text);
}

/// Of every key that the log's end writes for certain, the state has what the last of those entries made.
fn as_logged(
    at: At<'_>,
    log: &BTreeMap<u64, Effects>,
    state: &State<'_>,
    findings: &mut Findings,
) -> u64 {
    // The last word on each key stands nearest to the applied index.
    let mut last_words = BTreeMap::new();
    let mut index = state.applied;
    while let Some(Some(effects)) = log.get(&index) {
        for (key, effect) in effects.iter().rev() {
            last_words.entry(key.as_slice()).or_insert((index, *effect));
        }
        index -= 1;
    }
    let mut rows = 0;
    for (key, (index, effect)) in last_words {
        let has = state.rows.get(key).map(|newest| newest.stamp);
        let is_older = match effect {
            Effect::Depends => continue,
            Effect::Written => has.is_none_or(|has| has < index),
            Effect::Gone => has.is_some_and(|has| has < index),
        };
        rows += 1;
        if is_older {
            let text = format!(
                "entry {index} of the log {} {}, and the state, at applied index {}, has {}",
                match effect {
                    Effect::Gone => "deletes",
                    _ => "writes",
                },
                shown_user(key),
                state.applied,
                has.map_or("none".to_owned(), |has| format!("that of {has}")),
            );
            let spot = Spot::new(at.node, Place::Tables, &state.path).index(index);
            findings.add(Invariant::Converged, "row-not-as-logged", spot, text);
        }
    }
    rows
}

/// A process only goes on.
fn state_keeps(at: At<'_>, path: &Path, before: &Look, now: &Look, findings: &mut Findings) {
    let (was, is) = (before.applied, now.applied);
    if is < was && at.none_began_since(before.time_ns) {
        let text = format!(
            "the state is at applied index {is}, and was at {was} before; no process began in \
             between, which could have begun from a snapshot: an older state is in its place"
        );
        let spot = Spot::new(at.node, Place::Tables, path).index(is);
        findings.add(Invariant::Converged, "state-went-back", spot, text);
    }
}

/// The later state is as far as the earlier: gives how many of its rows were compared.
fn rows_keep(
    at: At<'_>,
    stamps: Stamps,
    path: &Path,
    before: &Look,
    now: &Look,
    findings: &mut Findings,
) -> u64 {
    let mut tell = |key: &[u8], anomaly, has: Option<u64>, had: Option<u64>| {
        let told = |one: Option<u64>| one.map_or("none".to_owned(), |one| format!("that of {one}"));
        let text = format!(
            "of {} there was {} at applied index {}, and there is {} at {}",
            shown_user(key),
            told(had),
            before.applied,
            told(has),
            now.applied,
        );
        let spot = Spot::new(at.node, Place::Tables, path);
        let spot = match stamps {
            Stamps::Indexes => spot.index(has.or(had).unwrap_or_default()),
            Stamps::Clock => spot,
        };
        findings.add(Invariant::Converged, anomaly, spot, text);
    };
    for (key, &has) in &now.rows {
        match before.rows.get(key) {
            Some(&had) if has < had => tell(key, "row-went-back", Some(has), Some(had)),
            // It was deleted by then, and is there again without having been written since.
            None if stamps == Stamps::Indexes && has <= before.applied => {
                tell(key, "row-came-back", Some(has), None);
            }
            _ => {}
        }
    }
    if stamps == Stamps::Clock {
        // Of every key the newest version stays, be it a deletion.
        for (key, &had) in before
            .rows
            .iter()
            .filter(|(key, _)| !now.rows.contains_key(*key))
        {
            tell(key, "row-gone", None, Some(had));
        }
    }
    now.rows.len() as u64
}

/// What an engine says of its own files. A state that came from another node has an engine anew, so only what
/// goes on is compared: there is a table that was there before, and no process began.
fn engine_keeps(at: At<'_>, before: &Look, now: &Look, findings: &mut Findings) {
    let file = |account: &Account, number: u64| -> PathBuf {
        account.folder.join(format!("{number:06}.sst"))
    };
    for account in &now.accounts {
        let was = before.accounts.iter();
        let Some(was) = was.into_iter().find(|was| was.reached.0 > 0) else {
            continue;
        };
        let mut goes_on = false;
        for (number, (listed, digest)) in &account.tables {
            let Some((_, had)) = was.tables.get(number).filter(|(was, _)| was == listed) else {
                continue;
            };
            goes_on = true;
            if had != digest {
                let text = "the manifest has the same table as before, and the file holds another";
                let spot = Spot::new(at.node, Place::Tables, &file(account, *number));
                findings.add(Invariant::Converged, "table-replaced", spot, text);
            }
        }
        if goes_on && account.reached < was.reached && at.none_began_since(before.time_ns) {
            let told = |(manifest, file, write): (u64, u64, u64)| {
                format!("manifest {manifest}, next file {file}, last write {write}")
            };
            let text = format!(
                "the engine's account of the state went back from {} to {}",
                told(was.reached),
                told(account.reached)
            );
            let spot = Spot::new(at.node, Place::Tables, &account.folder);
            findings.add(Invariant::Converged, "manifest-went-back", spot, text);
        }
    }
}
