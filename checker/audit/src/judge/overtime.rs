//! Sidecars over time: what may only grow, what never goes off again, what must be there before
//! it is acknowledged.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use keyquake_formats::sidecar::{Sidecar, SidecarError};

use super::sidecars::Agreed;
use crate::finding::{Findings, Invariant, Place, Spot};
use crate::past::{CallKind, Past};

/// A sidecar as it was at some time.
pub(super) struct State {
    time_ns: u64,
    /// When the one before was last seen; 0 if nobody looked.
    not_yet_ns: u64,
    sidecar: Sidecar,
    spot: Spot,
}

/// The states of each node's sidecar, oldest first.
#[derive(Default)]
pub(super) struct Chains {
    pub(super) by_node: BTreeMap<String, Vec<State>>,
    /// Acknowledged changes of which it is known when they were in a sidecar.
    pub(super) acknowledged: u64,
}

impl Chains {
    /// Reads every sidecar that was kept. One that is not whole is a finding.
    pub(super) fn read(past: &Past, findings: &mut Findings) -> Chains {
        let mut chains = Chains::default();
        for seen in &past.sidecars {
            if past.is_tampered(&seen.node, seen.time_ns) {
                continue;
            }
            let chain = chains.by_node.entry(seen.node.clone()).or_default();
            let Some(file) = &seen.file else {
                if let Some(last) = chain.last() {
                    let text = "the sidecar that was here is gone";
                    let spot = last.spot.clone();
                    findings.add(Invariant::SidecarMono, "sidecar-gone", spot, text);
                }
                continue;
            };
            let times = (seen.time_ns, seen.not_yet_ns);
            chain.extend(state(&seen.node, file, times, findings));
        }
        // Those in the copies of disks are further looks at the same files.
        for copy in &past.copies {
            let node = &copy.disks.name;
            let Some(file) = copy.disks.sidecar.as_deref().filter(|file| file.exists()) else {
                continue;
            };
            if !past.is_tampered(node, copy.time_ns) {
                let chain = chains.by_node.entry(node.clone()).or_default();
                chain.extend(state(node, file, (copy.time_ns, 0), findings));
            }
        }
        for chain in chains.by_node.values_mut() {
            chain.sort_by_key(|state| state.time_ns);
        }
        chains
    }

    /// Every sidecar there ever was, with its node.
    pub(super) fn all(&self) -> impl Iterator<Item = (&str, &Sidecar)> {
        self.by_node.iter().flat_map(|(node, chain)| {
            chain
                .iter()
                .map(move |state| (node.as_str(), &state.sidecar))
        })
    }

    /// The keys that a node's sidecar had before a time, and had no more then.
    pub(super) fn dropped(&self, node: &str, time_ns: u64) -> BTreeSet<u32> {
        let chain = self.by_node.get(node).into_iter().flatten();
        let until: Vec<_> = chain.take_while(|state| state.time_ns <= time_ns).collect();
        let Some(now) = until.last() else {
            return BTreeSet::new();
        };
        let ever = until.iter().flat_map(|state| state.sidecar.keys.keys());
        ever.filter(|id| !now.sidecar.keys.contains_key(id))
            .copied()
            .collect()
    }

    /// Judges all of it.
    pub(super) fn judge(&mut self, past: &Past, findings: &mut Findings) {
        for chain in self.by_node.values() {
            for pair in chain.windows(2) {
                step(&pair[0], &pair[1], findings);
            }
        }
        self.agree(findings);
        self.order(past, findings);
        self.acknowledged(past, findings);
    }

    /// At the same applied index all sidecars say the same, whenever it was.
    fn agree(&self, findings: &mut Findings) {
        let mut first_at: BTreeMap<u64, (&Spot, Agreed)> = BTreeMap::new();
        for state in self.by_node.values().flatten() {
            let index = state.sidecar.raft_applied_index;
            // Releases there are that leave it at 0.
            if index == 0 {
                continue;
            }
            let agreed = Agreed::of(&state.sidecar);
            let (first, expected) = first_at
                .entry(index)
                .or_insert_with(|| (&state.spot, agreed.clone()));
            if let Some(difference) = expected.difference(&agreed) {
                let text =
                    format!("at applied index {index} its {difference} are others than in {first}");
                let spot = state.spot.clone();
                findings.add(Invariant::Agree, "sidecars-differ", spot, text);
            }
        }
    }

    /// Keys come before what is done with them.
    fn order(&self, past: &Past, findings: &mut Findings) {
        let bootstraps = past
            .calls
            .iter()
            .filter(|call| call.kind == CallKind::Bootstrap && call.accepted);
        let Some(first) = bootstraps.filter_map(|call| call.index).min() else {
            return;
        };
        for state in self.by_node.values().flatten() {
            let cutovers = [
                ("storage", state.sidecar.storage_envelope_cutover_index),
                ("raft", state.sidecar.raft_envelope_cutover_index),
            ];
            for (what, index) in cutovers {
                if index != 0 && index <= first {
                    let text =
                        format!("the {what} cutover is at {index}, and the bootstrap at {first}");
                    let spot = state.spot.clone();
                    findings.add(Invariant::Order, "cutover-before-keys", spot, text);
                }
            }
        }
    }

    /// What was acknowledged is in a sidecar already.
    fn acknowledged(&mut self, past: &Past, findings: &mut Findings) {
        for call in past.calls.iter().filter(|call| call.accepted) {
            let (Some(index), true) = (call.index, call.time_ns > 0) else {
                continue;
            };
            // A node that never says how far it is proves nothing.
            let chains = self.by_node.values().filter(|chain| {
                let says = |state: &State| state.sidecar.raft_applied_index > 0;
                chain.iter().any(says)
            });
            let chains: Vec<_> = chains.collect();
            let late = |chain: &&Vec<State>| {
                let there = chain
                    .iter()
                    .find(|state| state.sidecar.raft_applied_index >= index);
                there.is_some_and(|state| state.not_yet_ns > call.time_ns)
            };
            let there = |chain: &&Vec<State>| {
                chain
                    .iter()
                    .any(|state| state.sidecar.raft_applied_index >= index)
            };
            let made = |state: &State| state.sidecar.raft_applied_index == index;
            if !call.must_change && !chains.iter().any(|chain| chain.iter().any(made)) {
                continue;
            }
            // Those that came later can't have been the ones that acknowledged it.
            let reached: Vec<_> = chains.into_iter().filter(there).collect();
            if reached.is_empty() {
                continue;
            }
            self.acknowledged += 1;
            if let Some(state) = reached
                .iter()
                .all(late)
                .then(|| reached.first()?.first())
                .flatten()
            {
                let ms = reached
                    .iter()
                    .filter_map(|chain| {
                        let state = chain
                            .iter()
                            .find(|state| state.sidecar.raft_applied_index >= index)?;
                        Some(state.not_yet_ns.saturating_sub(call.time_ns) / 1_000_000)
                    })
                    .min();
                let text = format!(
                    "a change of keys was acknowledged at log index {index}, and {} ms later no \
                     node's sidecar had it: a loss of power would have lost it",
                    ms.unwrap_or_default()
                );
                let spot = state.spot.clone();
                findings.add(
                    Invariant::SidecarDurable,
                    "acknowledged-before-written",
                    spot,
                    text,
                );
            }
        }
    }
}

fn state(
    node: &str,
    file: &Path,
    (time_ns, not_yet_ns): (u64, u64),
    findings: &mut Findings,
) -> Option<State> {
    let spot = Spot::new(node, Place::Sidecar, file);
    match Sidecar::read(file) {
        Ok(sidecar) => Some(State {
            time_ns,
            not_yet_ns,
            sidecar,
            spot,
        }),
        // A copy that is not there any more is nobody's fault but ours; others are compared.
        Err(SidecarError::Read { .. }) => None,
        Err(error) => {
            let text = error.to_string();
            findings.add(Invariant::SidecarDurable, "sidecar-not-whole", spot, text);
            None
        }
    }
}

/// From one state to the next of the same node.
fn step(before: &State, after: &State, findings: &mut Findings) {
    let (was, is) = (&before.sidecar, &after.sidecar);
    let mut add = |invariant, anomaly, text: String| {
        let text = format!("{text} (before: {})", before.spot.path.display());
        findings.add(invariant, anomaly, after.spot.clone(), text);
    };
    let mono = Invariant::SidecarMono;
    if is.raft_applied_index < was.raft_applied_index {
        add(
            mono,
            "applied-index-goes-back",
            format!(
                "raft_applied_index went from {} to {}",
                was.raft_applied_index, is.raft_applied_index
            ),
        );
    }
    if was.storage_envelope_active && !is.storage_envelope_active {
        let text = "storage_envelope_active went off again".to_owned();
        add(Invariant::OneWay, "phase-1-off", text.clone());
        add(mono, "phase-1-off", text);
    }
    let cutovers = [
        (
            "storage",
            was.storage_envelope_cutover_index,
            is.storage_envelope_cutover_index,
        ),
        (
            "raft",
            was.raft_envelope_cutover_index,
            is.raft_envelope_cutover_index,
        ),
    ];
    for (what, was, is) in cutovers {
        if was == 0 || was == is {
            continue;
        }
        let text = format!("the {what} cutover went from {was} to {is}");
        match is {
            0 => add(Invariant::OneWay, "cutover-off", text.clone()),
            _ => add(Invariant::RolIdempotent, "cutover-moved", text.clone()),
        }
        if is < was {
            add(mono, "cutover-goes-back", text);
        }
    }
    let kept = was
        .keys
        .keys()
        .filter(|id| is.keys.contains_key(id))
        .count();
    if kept == 0 && !was.keys.is_empty() && !is.keys.is_empty() {
        let text = format!(
            "all its keys ({:?}) were replaced by others ({:?})",
            was.keys.keys(),
            is.keys.keys()
        );
        return add(Invariant::Order, "keys-replaced", text);
    }
    for (id, key) in &was.keys {
        match is.keys.get(id) {
            None => add(mono, "key-gone", format!("key {id} is gone")),
            Some(now) if now.local_epoch < key.local_epoch => add(
                mono,
                "epoch-goes-back",
                format!(
                    "the epoch of key {id} went from {} to {}",
                    key.local_epoch, now.local_epoch
                ),
            ),
            Some(_) => {}
        }
    }
}

impl Past {
    /// Whether somebody had tampered with a node by then.
    pub(crate) fn is_tampered(&self, node: &str, time_ns: u64) -> bool {
        self.tampered
            .get(node)
            .is_some_and(|since| time_ns >= *since)
    }
}
