//! The life most bugs show in: three nodes of release 6f go through both phases and two
//! rotations, are all killed, come back, and write on; looked at all along.

use std::collections::BTreeSet;

use elastickv_wire::Empty;
use redis::cmd;
use tokio::time::{Instant, sleep};

use crate::kit::{Call, Purpose, Sidecar};
use crate::run::{ALL, Run, Start, TOO_LONG, Value};
use crate::symptom::{Finding, Symptom};

/// Values of one transaction: more than the 500 after which `nonce-counter-restarts` does.
const MANY: usize = 520;

pub async fn life(bug: Option<&'static str>) -> Vec<Finding> {
    let mut run = Run::new(bug, &[ALL; 3]);
    run.lab.start_all();
    run.write("clear", 5).await;
    bootstraps(&mut run).await;
    run.enable(Purpose::Storage).await.expect("phase 1");
    run.many().await;
    run.write("one", 25).await;
    rotates(&mut run).await;
    run.write("rotated", 10).await;
    cuts_over(&mut run).await;
    run.write("two", 25).await;
    run.rotate(Purpose::Raft).await;
    run.write("both", 5).await;
    run.caught_up().await;
    run.compare_sidecars().await;
    run.ask_for_keys().await;
    if restarts(&mut run).await {
        run.write("again", 45).await;
        run.compare_epochs().await;
        registers_lower(&mut run).await;
        run.check().await;
        run.caught_up().await;
        run.lab.kill_all();
        run.inspect();
        goes_on(&mut run).await;
    }
    run.found
}

/// Whatever is wrong: all come back once more, rotate, take writes and read.
async fn goes_on(run: &mut Run) {
    run.lab.start_all();
    for node in 0..3 {
        if let Start::Ended(said) = run.started(node).await {
            run.find(Symptom::Stuck, said);
            return;
        }
    }
    run.caught_up().await;
    run.rotate(Purpose::Storage).await;
    run.write("goes-on", 10).await;
    run.check().await;
    run.caught_up().await;
    for node in 0..3 {
        let ended = run.ended(node).await;
        let said = run.lab.said(node);
        run.find_if(ended, Symptom::Stuck, said);
    }
}

/// A second bootstrap with other keys must be refused.
async fn bootstraps(run: &mut Run) {
    run.bootstrap().await.expect("a bootstrap");
    let first = run.lab.keys_of(run.leader().await).active;
    let again = run.bootstrap().await;
    if again.is_ok() {
        let now = run.lab.keys_of(run.leader().await).active;
        let what = format!("{first:?} by {now:?}");
        run.find_if(now != first, Symptom::KeysReplaced, what);
    }
}

/// When a rotation is acknowledged it is in the sidecar of the node that did so.
async fn rotates(run: &mut Run) {
    let id = run.rotate(Purpose::Storage).await;
    let leader = run.leader().await;
    let there = run.lab.keys_of(leader).keys.contains_key(&id);
    let what = format!("n{} has no {id} after the answer", leader + 1);
    run.find_if(!there, Symptom::SidecarLate, what);
}

/// The cutover's index is its entry's, and stays so when it is asked for again.
async fn cuts_over(run: &mut Run) {
    let done = run.enable(Purpose::Raft).await.expect("phase 2");
    let leader = run.leader().await;
    let cutover = run.lab.keys_of(leader).raft_envelope_cutover_index;
    let what = format!("entry {}, sidecar {cutover}", done.index);
    run.find_if(cutover != done.index, Symptom::CutoverIndexWrong, what);
    run.write("between", 5).await;
    let again = run.enable(Purpose::Raft).await.expect("an answer");
    let now = run
        .lab
        .keys_of(run.leader().await)
        .raft_envelope_cutover_index;
    let what = format!("from {cutover} to {now}, {again:?}");
    let moved = now != cutover || !again.was_already_active;
    run.find_if(moved, Symptom::CutoverMoved, what);
}

/// All die and come back; `false` = some did not.
async fn restarts(run: &mut Run) -> bool {
    let before: Vec<Sidecar> = (0..3).map(|node| run.lab.keys_of(node)).collect();
    run.lab.kill_all();
    run.inspect();
    run.lab.start_all();
    for node in 0..3 {
        if let Start::Ended(said) = run.started(node).await {
            run.find(Symptom::RefusedToStart, said);
            return false;
        }
    }
    for (node, before) in before.iter().enumerate() {
        let now = run.lab.keys_of(node);
        let (from, to) = (before.raft_applied_index, now.raft_applied_index);
        let what = format!("n{}: raft_applied_index from {from} to {to}", node + 1);
        run.find_if(to < from, Symptom::SidecarWentBack, what);
        let off = before.storage_envelope_active && !now.storage_envelope_active;
        let what = format!("n{}: storage_envelope_active went off", node + 1);
        run.find_if(off, Symptom::PhaseOff, what);
    }
    true
}

/// A registration below the last one must be refused.
async fn registers_lower(run: &mut Run) {
    let follower = run.follower().await;
    let id = run.lab.full_node_id(follower);
    let rows = run.lab.registered(id).await.expect("the registry");
    let Some((dek, epoch)) = rows.into_iter().find(|(_, epoch)| *epoch > 0) else {
        return;
    };
    if run.call(&Call::register(dek, id, epoch - 1)).await.is_ok() {
        let now = run.lab.registered(id).await.expect("the registry");
        let what = format!("{dek} was at {epoch}, now {now:?}");
        let back = now.contains(&(dek, epoch - 1));
        run.find_if(back, Symptom::EpochWentBack, what);
    }
}

impl Run {
    /// Many values in one entry.
    pub async fn many(&mut self) {
        let mut redis = self.lab.cluster.redis(self.leader().await).await;
        let mut all = redis::pipe();
        all.atomic();
        for number in 0..MANY {
            let key = format!("many-{number}");
            all.set(&key, format!("canary-{key}-")).ignore();
        }
        let done: Result<(), _> = all.query_async(&mut redis).await;
        if let Err(error) = done {
            self.find(Symptom::Stuck, format!("{MANY} values: {error}"));
        }
        let first: Result<Option<String>, _> =
            cmd("GET").arg("many-0").query_async(&mut redis).await;
        let there = matches!(&first, Ok(Some(text)) if text == "canary-many-0-");
        self.find_if(!there, Symptom::NotReadBack, format!("many-0: {first:?}"));
    }

    /// At the same index all sidecars say the same.
    pub async fn compare_sidecars(&mut self) {
        let deadline = Instant::now() + TOO_LONG;
        let sidecars = loop {
            let all: Vec<Sidecar> = (0..3).map(|node| self.lab.keys_of(node)).collect();
            let at: BTreeSet<u64> = all.iter().map(|s| s.raft_applied_index).collect();
            if at.len() == 1 || Instant::now() > deadline {
                break all;
            }
            sleep(std::time::Duration::from_millis(20)).await;
        };
        for (node, sidecar) in sidecars.iter().enumerate() {
            let same = sidecar.shared() == sidecars[0].shared();
            let what = format!("n1 {:?}, n{} {:?}", sidecars[0], node + 1, sidecar);
            self.find_if(!same, Symptom::SidecarsDisagree, what);
        }
    }

    /// No answer has a key that is not wrapped.
    async fn ask_for_keys(&mut self) {
        for node in 0..3 {
            let mut admin = self.lab.admin(node).await;
            let answer = admin.get_sidecar_state(Empty {}).await;
            let keys = answer.expect("a sidecar").into_inner().wrapped_deks_by_id;
            let bare = |wrapped: &bytes::Bytes| {
                let deks = self.deks.values();
                deks.into_iter().any(|dek| wrapped[..].ends_with(dek))
            };
            let ids: Vec<_> = keys.iter().filter(|(_, key)| bare(key)).collect();
            let what = format!("n{}: {ids:?}", node + 1);
            self.find_if(!ids.is_empty(), Symptom::DekInAnswer, what);
        }
    }

    /// No epoch is registered that the sidecar of its node does not have.
    async fn compare_epochs(&mut self) {
        for node in 0..3 {
            let rows = self.lab.registered(self.lab.full_node_id(node)).await;
            let sidecar = self.lab.keys_of(node);
            for (dek, epoch) in rows.expect("the registry") {
                let own = sidecar.keys.get(&dek).map(|key| key.local_epoch);
                let ahead = own.is_some_and(|own| u32::from(own) < epoch);
                let what = format!("n{}: {dek} is at {own:?}, registered {epoch}", node + 1);
                self.find_if(ahead, Symptom::EpochAheadOfSidecar, what);
            }
        }
    }

    /// Values whose text may lie in no file outside log and state.
    pub fn sealed(&self) -> impl Iterator<Item = &Value> {
        self.written.iter().filter(|value| value.sealed)
    }
}
