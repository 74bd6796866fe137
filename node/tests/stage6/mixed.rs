//! The table "Mixed versions": what must happen when releases and flags differ.

use crate::kit::envelopes::assert_entries;
use crate::kit::load::Load;
use crate::kit::members::As;
use crate::kit::pushes::Pushes;
use crate::kit::{Kek, Lab, Purpose, Refused, Setup, disk, together};

const ANY: Refused = Refused::precondition(&[]);

/// A refusal that names this node.
fn naming(lab: &Lab, node: usize) -> Refused {
    Refused::because_of(lab.full_node_id(node))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_6a_refuse_every_mutator() {
    let mut lab = Lab::started(3, Setup::all("6a")).await;
    for call in lab.every_mutator().await {
        lab.refused(&call, &ANY).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_6b_leader_without_the_flag_among_6a_refuses_and_serves() {
    let unflagged = Setup {
        enabled: false,
        ..Setup::all("6b")
    };
    let mut lab = Lab::new(&[unflagged, Setup::all("6a"), Setup::bare("6a")]);
    lab.start_all();
    lab.lead(0).await;
    let load = Load::start(&lab, 3, "traffic");
    load.more(20).await;
    let calls = lab.every_mutator().await;
    let mut admin = lab.admin(0).await;
    for call in &calls {
        let status = call.make(&mut admin).await.expect_err("a refusal");
        assert_eq!(status.code(), tonic::Code::FailedPrecondition, "{status}");
    }
    load.more(20).await;
    lab.written.extend(load.stop().await.acknowledged);
    for call in &calls {
        lab.refused(call, &ANY).await;
    }
    lab.check_everywhere().await;
    assert!((0..3).all(|node| lab.sidecar(node).is_none()));
}

/// n1 leads on 6B with everything; bootstrap reaches members of 6A.
async fn bootstrap_among(old: &[Setup]) -> (Lab, u64) {
    let mut setups = vec![Setup::all("6b")];
    setups.extend(old);
    while setups.len() < 3 {
        setups.push(Setup::all("6b"));
    }
    let mut lab = Lab::new(&setups);
    lab.start_all();
    lab.leader().await;
    lab.write("before", 10).await;
    lab.lead(0).await;
    let call = lab.bootstrap_call().await;
    // Members that halt may take the majority with them: the outcome is then not known.
    let answer = call.make(&mut lab.admin(0).await).await;
    println!("bootstrap: {answer:?}");
    crate::kit::wait("bootstrap on the leader", async || {
        let sidecar = lab.sidecar(0);
        sidecar.map(|_| ()).ok_or("no sidecar yet".to_owned())
    })
    .await;
    let index = lab.keys_of(0).raft_applied_index;
    if let Ok(done) = answer {
        assert_eq!(done.index, index);
    }
    (lab, index)
}

fn keeps_nothing(lab: &Lab, node: usize) {
    assert_eq!(lab.sidecar(node), None);
    assert!(disk::writers(&lab.data_dir(node)).is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_6a_member_halts_at_bootstrap_and_recovers_on_6b() {
    let foreign = Setup {
        kek: Kek::Other,
        ..Setup::all("6b")
    };
    for pair in [
        [
            (Setup::bare("6a"), "ErrKEKNotConfigured"),
            (Setup::all("6a"), "ErrKEKNotConfigured"),
        ],
        [
            (Setup::bare("6b"), "ErrKEKNotConfigured"),
            (foreign, "ErrKEKMismatch"),
        ],
    ] {
        together(pair.map(|(old, why)| one_member_halts(old, why))).await;
    }
}

async fn one_member_halts(old: Setup, why: &'static str) {
    let (mut lab, index) = bootstrap_among(&[old]).await;
    lab.halts(1, index, why).await;
    keeps_nothing(&lab, 1);
    // A majority still applies: availability lasts.
    lab.write("meanwhile", 20).await;
    lab.rotate(Purpose::Storage).await;
    for _ in 0..2 {
        lab.start(1);
        lab.halts(1, index, why).await;
        keeps_nothing(&lab, 1);
    }
    lab.write("later", 10).await;
    lab.restart_as(1, Setup::all("6b"));
    lab.settle().await;
    lab.write("recovered", 5).await;
    lab.check_everywhere().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_6a_members_halt_at_bootstrap_and_recover_on_6b() {
    let (mut lab, index) = bootstrap_among(&[Setup::bare("6a"), Setup::all("6a")]).await;
    for life in 0..2 {
        for node in [1, 2] {
            if life > 0 {
                lab.start(node);
            }
        }
        for node in [1, 2] {
            lab.halts(node, index, "ErrKEKNotConfigured").await;
            keeps_nothing(&lab, node);
        }
    }
    // No majority: whatever is answered, no read may be wrong.
    if let Ok(read) = lab.cluster.get(0, "before-0").await {
        assert_eq!(read.as_ref(), lab.written.get("before-0"));
    }
    for node in [1, 2] {
        lab.restart_as(node, Setup::all("6b"));
    }
    lab.settle().await;
    lab.write("recovered", 10).await;
    lab.check_everywhere().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_member_back_on_6a_halts_at_rotation() {
    let mut lab = Lab::started(3, Setup::all("6b")).await;
    lab.bootstrap().await;
    lab.settle().await;
    lab.lead(0).await;
    lab.restart_as(2, Setup::bare("6a"));
    lab.cluster.until(2, "6A", |s| s.leader_id == "n1").await;
    let call = lab.rotate_call(Purpose::Storage).await;
    let index = lab.done(&call).await.index;
    lab.halts(2, index, "ErrKEKNotConfigured").await;
    lab.write("meanwhile", 5).await;
    lab.start(2);
    lab.halts(2, index, "ErrKEKNotConfigured").await;
    lab.restart_as(2, Setup::all("6b"));
    lab.settle().await;
    lab.check_everywhere().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_snapshot_brings_an_old_member_past_bootstrap() {
    for old in [Setup::bare("6a"), Setup::bare("6b")] {
        println!("{old:?}");
        let mut lab = Lab::new(&[Setup::all("6b"), Setup::all("6b"), old]);
        lab.snapshot_often();
        lab.start_all();
        lab.lead(0).await;
        lab.cluster.kill(2);
        let index = lab.bootstrap().await.index;
        lab.write("meanwhile", 120).await;
        for _ in 0..2 {
            lab.start(2);
            let code = lab.cluster.exit_code(2).await;
            let said = lab.said(2);
            assert_eq!(code, Some(1), "{said}");
            assert!(said.contains("halting apply"), "{said}");
            assert!(said.contains("ErrKEKNotConfigured"), "{said}");
            assert!(
                disk::applied(&lab.data_dir(2)) < index,
                "{old:?} passed {index}"
            );
            keeps_nothing(&lab, 2);
        }
        lab.restart_as(2, Setup::all("6b"));
        lab.settle().await;
        lab.check_everywhere().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_5d_member_brought_past_bootstrap_is_found_out() {
    let mut lab = Lab::new(&[Setup::all("6f"), Setup::all("6f"), Setup::bare("5d")]);
    lab.snapshot_often();
    lab.start_all();
    lab.write("before", 5).await;
    lab.lead(0).await;
    lab.cluster.kill(2);
    let index = lab.bootstrap().await.index;
    lab.write("meanwhile", 120).await;
    // It knows nothing of the rows it is brought; nothing is sealed yet.
    lab.start(2);
    lab.cluster
        .until(2, "catching up", move |s| s.applied_index > index)
        .await;
    lab.check_on(2).await;
    // It has passed what it can't do: a release with guards sees it, and says so. The way
    // back is that of a lost disk.
    lab.kill(2);
    lab.setups.insert(2, Setup::all("6f"));
    let guard = "ErrSidecarBehindRaftLog";
    lab.refuses_to_start(2, guard, "--encryptionSidecarPath")
        .await;
    lab.remove(2).await;
    std::fs::remove_dir_all(lab.data_dir(2)).expect("a wiped disk");
    lab.join(2, Setup::all("6f"), As::Voter).await;
    lab.enable(Purpose::Storage).await;
    lab.write("sealed", 5).await;
    lab.check_everywhere().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_member_without_the_flag_bars_both_cutovers() {
    let unflagged = Setup {
        enabled: false,
        ..Setup::all("6f")
    };
    let mut lab = Lab::new(&[Setup::all("6f"), Setup::all("6f"), unflagged]);
    lab.start_all();
    lab.lead(0).await;
    lab.bootstrap().await;
    for purpose in [Purpose::Storage, Purpose::Raft] {
        let call = lab.enable_call(purpose).await;
        lab.refused(&call, &naming(&lab, 2)).await;
    }
    assert!(!lab.keys_of(0).storage_envelope_active);
    // With its flag it is capable, and the same calls are taken.
    lab.restart_as(2, Setup::all("6f"));
    lab.enable(Purpose::Storage).await;
    lab.enable(Purpose::Raft).await;
    lab.write("sealed", 5).await;
    lab.check_everywhere().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_member_without_a_kek_or_away_bars_both_cutovers() {
    let keyless = Setup {
        enabled: false,
        kek: Kek::None,
        ..Setup::all("6f")
    };
    let mut lab = Lab::new(&[Setup::all("6f"), Setup::all("6f"), keyless]);
    lab.start_all();
    lab.lead(0).await;
    let bootstrap = lab.bootstrap().await;
    lab.halts(2, bootstrap.index, "ErrKEKNotConfigured").await;
    for purpose in [Purpose::Storage, Purpose::Raft] {
        let call = lab.enable_call(purpose).await;
        lab.refused(&call, &naming(&lab, 2)).await;
    }
    lab.restart_as(2, Setup::all("6f"));
    lab.settle().await;
    // Up, but it does not answer: as good as not capable.
    let follower = if lab.leader().await == 1 { 2 } else { 1 };
    let call = lab.enable_call(Purpose::Storage).await;
    lab.cluster.pause(follower);
    lab.refused(&call, &naming(&lab, follower)).await;
    lab.cluster.resume(follower);
    lab.enable(Purpose::Storage).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_member_on_an_older_release_bars_the_cutover_it_does_not_know() {
    for (old, storage_refused) in [("6b", true), ("6c", true), ("6d", false)] {
        let mut lab = Lab::new(&[Setup::all("6f"), Setup::all("6f"), Setup::all(old)]);
        lab.start_all();
        lab.lead(0).await;
        lab.bootstrap().await;
        lab.settle().await;
        let call = lab.enable_call(Purpose::Storage).await;
        if storage_refused {
            lab.refused(&call, &naming(&lab, 2)).await;
        } else {
            lab.lead(0).await;
            lab.done(&call).await;
            lab.settle().await;
        }
        let call = lab.enable_call(Purpose::Raft).await;
        lab.refused(&call, &naming(&lab, 2)).await;
        assert!(lab.cluster.status(2).await.is_ok(), "{old} still runs");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_learner_that_is_not_capable_bars_the_cutover() {
    let unflagged = Setup {
        enabled: false,
        ..Setup::all("6f")
    };
    for learner in [Setup::all("6b"), unflagged] {
        let mut lab = Lab::started(3, Setup::all("6f")).await;
        lab.join(3, learner, As::Learner).await;
        lab.bootstrap().await;
        lab.settle().await;
        let call = lab.enable_call(Purpose::Storage).await;
        lab.refused(&call, &naming(&lab, 3)).await;
        lab.restart_as(3, Setup::all("6f"));
        lab.settle().await;
        let done = lab.enable(Purpose::Storage).await;
        assert_eq!(done.summary, 4, "learners count");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_phase_cannot_be_undone_by_a_start_without_the_flag() {
    for phase in 1..=2 {
        let mut lab = Lab::started(3, Setup::all("6f")).await;
        match phase {
            1 => lab.enter_phase_1().await,
            _ => drop(lab.enter_phase_2().await),
        }
        lab.write("sealed", 10).await;
        lab.settle().await;
        for release in ["6c", "6f"] {
            lab.cluster.kill(2);
            let unflagged = Setup {
                enabled: false,
                ..Setup::all(release)
            };
            lab.setups.insert(2, unflagged);
            let wanted = "ErrSidecarPresentWithoutFlag";
            lab.refuses_to_start(2, wanted, "--encryption-enabled")
                .await;
        }
        lab.setups.insert(2, Setup::all("6f"));
        lab.start(2);
        lab.settle().await;
        lab.check_on(2).await;
    }
}

/// What a reader sees under a rolled-back leader: values that are wrong or missing, and
/// reads that fail. No value may be another than what was written.
async fn visible_harm(lab: &Lab, node: usize) -> usize {
    let mut harm = 0;
    for (key, value) in &lab.written {
        match lab.cluster.get(node, key).await {
            Ok(Some(read)) => assert_eq!(&read, value, "{key} reads as what nobody wrote"),
            Ok(None) => harm += 1,
            Err(status) => {
                println!("{key}: {status}");
                harm += 1;
            }
        }
    }
    harm
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_roll_back_in_phase_1_is_visible_in_reads() {
    together(["5d", "6a", "6b"].map(roll_back_in_phase_1)).await;
}

async fn roll_back_in_phase_1(release: &'static str) {
    let mut lab = Lab::started(1, Setup::all("6f")).await;
    lab.write("clear", 5).await;
    lab.enter_phase_1().await;
    lab.settle().await;
    lab.write("sealed", 5).await;
    lab.restart_as(0, Setup::bare(release));
    // An encryption entry may be met again before the state is reached: also visible.
    let up = lab.leads_or_ends(0).await;
    let harm = match up {
        true => visible_harm(&lab, 0).await,
        false => usize::from(lab.said(0).contains("halt")),
    };
    println!("{release}: up {up}, harm {harm}");
    assert!(harm > 0, "{release} on sealed values shows nothing");
    if release == "5d" && up {
        let read = lab.cluster.get(0, "sealed-0").await;
        assert_eq!(read.expect("an answer"), None, "5D reads a tombstone");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_roll_back_in_phase_2_is_visible() {
    for pair in [&["5d", "6a"][..], &["6b", "6c"], &["6d"]] {
        together(pair.iter().map(|release| roll_back_in_phase_2(release))).await;
    }
}

async fn roll_back_in_phase_2(release: &'static str) {
    let mut lab = Lab::started(3, Setup::all("6f")).await;
    lab.enter_phase_2().await;
    lab.write("sealed", 5).await;
    lab.settle().await;
    lab.lead(0).await;
    lab.restart_as(2, Setup::all(release));
    lab.write("more", 5).await;
    let code = lab.cluster.exit_code(2).await;
    let said = lab.said(2);
    assert!(code.is_some_and(|code| code != 0), "{release}: {code:?}");
    let lines: Vec<_> = said.lines().filter(|l| l.contains("ERROR")).collect();
    println!("{release}: {lines:?}");
    assert!(!lines.is_empty(), "{release} ends without a word: {said}");
    // Whatever it did, the way back is open: its disk was not harmed.
    lab.restart_as(2, Setup::all("6f"));
    lab.settle().await;
    lab.check_on(2).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_newcomer_after_a_cutover_must_be_capable_and_gets_its_rows() {
    let unflagged = Setup {
        enabled: false,
        ..Setup::all("6f")
    };
    let mut lab = Lab::started(3, Setup::all("6f")).await;
    lab.enter_phase_1().await;
    lab.write("sealed", 10).await;
    lab.rotate(Purpose::Storage).await;
    lab.settle().await;
    for setup in [
        Setup::bare("6f"),
        unflagged,
        Setup::all("6b"),
        Setup::bare("5d"),
    ] {
        println!("{setup:?}");
        lab.start_newcomer(3, setup);
        lab.cluster.patiently(3).await;
        for role in [As::Learner, As::Voter] {
            refuses_member(&lab, 3, role).await;
        }
        lab.cluster.kill(3);
        let _ = std::fs::remove_dir_all(lab.data_dir(3));
    }
    // Nobody answers for this one.
    refuses_member(&lab, 3, As::Learner).await;
    let index = lab.join(3, Setup::all("6f"), As::Learner).await;
    let rows = lab.registered(lab.full_node_id(3)).await.expect("rows");
    let known: Vec<u32> = rows.iter().map(|(dek, _)| *dek).collect();
    let keys: Vec<u32> = lab.keys_of(0).keys.keys().copied().collect();
    assert_eq!(known, keys, "a row for every key that is not retired");
    // The snapshot it was brought by ends with its membership, and has the rows already.
    let snapshot = format!("fsm-snap/{index:016x}.fsm");
    let snapshot = std::fs::read(lab.data_dir(3).join(snapshot)).expect("a snapshot");
    let id = lab.full_node_id(3);
    for dek in &keys {
        let slot = [&dek.to_be_bytes()[..], b"|", &(id as u16).to_be_bytes()].concat();
        let row = [b"!encryption|writers|", &slot[..]].concat();
        let there = snapshot.windows(row.len()).any(|bytes| bytes == row);
        assert!(
            there,
            "{dek} is not registered before the membership changes"
        );
    }
    // Promoted only while it is capable, too.
    lab.cluster.kill(3);
    lab.refuses("promote an absent learner", &ANY, async |lab, leader| {
        lab.promote(leader, 3)
            .await
            .map(|index| format!("at {index}"))
    })
    .await;
    lab.start(3);
    lab.settle().await;
    lab.promote(lab.leader().await, 3)
        .await
        .expect("a promotion");
    lab.settle().await;
    lab.check_on(3).await;
}

async fn refuses_member(lab: &Lab, node: usize, role: As) {
    let members = lab.members(lab.leader().await).await;
    lab.refuses("add a member", &naming(lab, node), async |lab, leader| {
        lab.add(leader, node, role)
            .await
            .map(|index| format!("at {index}"))
    })
    .await;
    assert_eq!(lab.members(lab.leader().await).await, members);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_barrier_of_phase_2_loses_no_write_and_lets_none_out_in_the_clear() {
    let rounds = if crate::kit::slow("nine more barriers under load") {
        10
    } else {
        1
    };
    for _ in 0..rounds {
        let mut lab = Lab::started(3, Setup::all("6f")).await;
        lab.enter_phase_1().await;
        let load = Load::start(&lab, 3, "barrier");
        let pushes = Pushes::start(&lab, lab.leader().await, 24).await;
        load.more(50).await;
        let call = lab.enable_call(Purpose::Raft).await;
        let cutover = lab.done(&call).await.index;
        load.more(50).await;
        let outcome = load.stop().await;
        pushes.check(&lab).await;
        lab.written.extend(outcome.acknowledged);
        println!("{} refused for certain", outcome.refused.len());
        lab.settle().await;
        lab.check().await;
        for key in &outcome.refused {
            let read = lab.cluster.get_at_last(0, key).await;
            assert_eq!(read, None, "{key} was refused for certain");
        }
        lab.kill_all();
        for node in 0..3 {
            assert!(assert_entries(&lab, node, cutover) > 30);
        }
    }
}
