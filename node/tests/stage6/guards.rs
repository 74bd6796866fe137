//! The table "Startup guards": each trips exactly on its trigger, says so in one line,
//! changes nothing, and lets the node start once the trigger is gone.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use crate::kit::sidecar::{bytes_of, copy_folder};
use crate::kit::{Kek, Lab, Purpose, Refused, Setup, together};

const ALL: Setup = Setup::all("6f");
const SIDECAR_FLAG: &str = "--encryptionSidecarPath";

/// A lone node with storage keys in use, stopped.
async fn stopped(setup: Setup) -> Lab {
    let mut lab = Lab::started(1, setup).await;
    lab.write("clear", 3).await;
    lab.bootstrap().await;
    lab.settle().await;
    if setup.seals() {
        lab.enable(Purpose::Storage).await;
        lab.settle().await;
    }
    lab.write("written", 3).await;
    lab.cluster.kill(0);
    lab
}

/// With the trigger gone the node starts, one epoch on, and all is there.
async fn starts(lab: &mut Lab, setup: Setup) {
    let epoch = lab.keys_of(0).storage_epoch();
    lab.setups.insert(0, setup);
    lab.start(0);
    lab.settle().await;
    let now = lab.keys_of(0).storage_epoch();
    let own = u16::from(setup.seals());
    assert_eq!(now, epoch + own, "a refused start consumes no epoch");
    lab.check().await;
}

async fn sidecar_without_the_flag(release: &'static str) {
    let setup = Setup::all(release);
    let mut lab = stopped(setup).await;
    for kek in [Kek::Own, Kek::None] {
        let unflagged = Setup {
            enabled: false,
            kek,
            ..setup
        };
        lab.setups.insert(0, unflagged);
        let wanted = "ErrSidecarPresentWithoutFlag";
        lab.refuses_to_start(0, wanted, "--encryption-enabled")
            .await;
    }
    starts(&mut lab, setup).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sidecar_without_the_flag() {
    together(["6c", "6d", "6e", "6f"].map(sidecar_without_the_flag)).await;
    // A release without guards starts.
    let setup = Setup::all("6b");
    let mut lab = stopped(setup).await;
    lab.setups.insert(0, Setup::bare("6b"));
    lab.start(0);
    lab.check().await;
}

async fn flag_without_a_kek(release: &'static str) {
    let setup = Setup::all(release);
    let keyless = Setup {
        kek: Kek::None,
        ..setup
    };
    let mut lab = stopped(setup).await;
    lab.setups.insert(0, keyless);
    lab.refuses_to_start(0, "ErrKEKRequiredWithFlag", "--kekFile")
        .await;
    // It wins even over a sidecar that nobody can read.
    let whole = fs::read(lab.sidecar_path(0)).expect("a sidecar");
    fs::write(lab.sidecar_path(0), &whole[..40]).expect("a sidecar");
    lab.refuses_to_start(0, "ErrKEKRequiredWithFlag", "--kekFile")
        .await;
    lab.setups.insert(0, setup);
    lab.refuses_to_start(0, "parse sidecar", SIDECAR_FLAG).await;
    fs::write(lab.sidecar_path(0), whole).expect("a sidecar");
    starts(&mut lab, setup).await;
    // Before there is any sidecar, too.
    let mut lab = Lab::new(&[keyless]);
    lab.refuses_to_start(0, "ErrKEKRequiredWithFlag", "--kekFile")
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_flag_without_a_kek() {
    together(["6c", "6f"].map(flag_without_a_kek)).await;
}

async fn foreign_kek(release: &'static str) {
    let setup = Setup::all(release);
    let mut lab = stopped(setup).await;
    let other = Setup {
        kek: Kek::Other,
        ..setup
    };
    lab.setups.insert(0, other);
    lab.refuses_to_start(0, "ErrKEKMismatch", "--kekFile").await;
    starts(&mut lab, setup).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_clusters_kek() {
    together(["6c", "6f"].map(foreign_kek)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kek_file_that_is_none() {
    let mut lab = stopped(ALL).await;
    let path = lab.kek_path(Kek::Own);
    let kek = fs::read(&path).expect("a KEK");
    let mode = |mode| fs::set_permissions(&path, fs::Permissions::from_mode(mode));
    mode(0o640).expect("a mode");
    lab.refuses_to_start(0, "failed to load KEK from", "--kekFile")
        .await;
    mode(0o600).expect("a mode");
    for bad in [&kek[..31], &[&kek[..], &[0]].concat(), &[]] {
        fs::write(&path, bad).expect("a KEK");
        lab.refuses_to_start(0, "failed to load KEK from", "--kekFile")
            .await;
    }
    fs::remove_file(&path).expect("a removal");
    lab.refuses_to_start(0, "failed to load KEK from", "--kekFile")
        .await;
    fs::create_dir(&path).expect("a folder");
    lab.refuses_to_start(0, "failed to load KEK from", "--kekFile")
        .await;
    fs::remove_dir(&path).expect("a removal");
    fs::write(&path, kek).expect("a KEK");
    mode(0o600).expect("a mode");
    starts(&mut lab, ALL).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sidecar_behind_the_log() {
    for (release, purpose) in [("6c", Purpose::Storage), ("6f", Purpose::Raft)] {
        let setup = Setup::all(release);
        let mut lab = Lab::started(1, setup).await;
        lab.bootstrap().await;
        lab.settle().await;
        let (old, new) = (lab.cluster.dir().join("old"), lab.cluster.dir().join("new"));
        copy_folder(&lab.sidecar_dir(0), &old);
        lab.rotate(purpose).await;
        lab.settle().await;
        lab.write("written", 3).await;
        lab.cluster.kill(0);
        copy_folder(&lab.sidecar_dir(0), &new);
        copy_folder(&old, &lab.sidecar_dir(0));
        lab.refuses_to_start(0, "ErrSidecarBehindRaftLog", SIDECAR_FLAG)
            .await;
        copy_folder(&new, &lab.sidecar_dir(0));
        starts(&mut lab, setup).await;
    }
}

/// A start that would rather read its state from a snapshot and the log must not forget how far keys
/// were turned.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sidecar_that_is_gone_after_much_was_written() {
    let mut lab = Lab::started(1, ALL).await;
    lab.bootstrap().await;
    lab.settle().await;
    lab.write(&"written".repeat(400), 400).await;
    lab.cluster.kill(0);
    let kept = lab.cluster.dir().join("kept");
    copy_folder(&lab.sidecar_dir(0), &kept);
    for file in fs::read_dir(lab.sidecar_dir(0)).expect("a folder") {
        fs::remove_file(file.expect("an entry").path()).expect("a removal");
    }
    lab.refuses_to_start(0, "ErrSidecarBehindRaftLog", SIDECAR_FLAG)
        .await;
    copy_folder(&kept, &lab.sidecar_dir(0));
    starts(&mut lab, ALL).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sidecar_behind_a_log_that_was_cut() {
    let mut lab = Lab::snapshotting(1, ALL).await;
    lab.bootstrap().await;
    lab.settle().await;
    let (old, new) = (lab.cluster.dir().join("old"), lab.cluster.dir().join("new"));
    copy_folder(&lab.sidecar_dir(0), &old);
    let rotation = lab.rotate(Purpose::Storage).await.index;
    lab.write("written", 120).await;
    let cut = move |s: &elastickv_wire::RaftAdminStatusResponse| s.last_snapshot_index > rotation;
    lab.cluster.until(0, "snapshot", cut).await;
    lab.cluster.kill(0);
    copy_folder(&lab.sidecar_dir(0), &new);
    copy_folder(&old, &lab.sidecar_dir(0));
    lab.refuses_to_start(0, "ErrSidecarBehindRaftLog", SIDECAR_FLAG)
        .await;
    copy_folder(&new, &lab.sidecar_dir(0));
    starts(&mut lab, ALL).await;
}

/// A library that makes fsync of folders fail, as filesystems without it do.
fn folders_do_not_sync(lab: &Lab) -> std::path::PathBuf {
    const SOURCE: &str = r"
        #include <errno.h>
        #include <sys/stat.h>
        #include <sys/syscall.h>
        #include <unistd.h>
        int fsync(int fd) {
            struct stat about;
            if (fstat(fd, &about) == 0 && S_ISDIR(about.st_mode)) { errno = EINVAL; return -1; }
            return syscall(SYS_fsync, fd);
        }";
    let (source, library) = (
        lab.cluster.dir().join("nosync.c"),
        lab.cluster.dir().join("nosync.so"),
    );
    fs::write(&source, SOURCE).expect("a source");
    let built = Command::new("cc")
        .args(["-shared", "-fPIC", "-D_GNU_SOURCE", "-o"])
        .args([&library, &source])
        .status();
    assert!(built.expect("a C compiler").success());
    library
}

async fn folder_without_sync(release: &'static str) {
    let setup = Setup::all(release);
    let mut lab = stopped(setup).await;
    let library = folders_do_not_sync(&lab);
    let library = library.to_str().expect("UTF-8").to_owned();
    lab.cluster.env.push(("LD_PRELOAD".to_owned(), library));
    lab.refuses_to_start(0, "ErrUnsupportedFilesystem", SIDECAR_FLAG)
        .await;
    lab.cluster.env.clear();
    starts(&mut lab, setup).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_folder_that_cannot_be_synced() {
    together(["6c", "6f"].map(folder_without_sync)).await;
}

async fn used_up_epoch(release: &'static str) {
    let setup = Setup::all(release);
    let mut lab = stopped(setup).await;
    let whole = fs::read(lab.sidecar_path(0)).expect("a sidecar");
    lab.edit_sidecar(0, |sidecar| {
        let id = sidecar["active"]["storage"].to_string();
        sidecar["keys"][id]["local_epoch"] = 0xFFFF.into();
    });
    lab.refuses_to_start(0, "ErrLocalEpochExhausted", SIDECAR_FLAG)
        .await;
    fs::write(lab.sidecar_path(0), whole).expect("a sidecar");
    starts(&mut lab, setup).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_epoch_that_is_used_up() {
    together(["6c", "6f"].map(used_up_epoch)).await;
}

async fn older_sidecar(release: &'static str) {
    let setup = Setup::all(release);
    let mut lab = stopped(setup).await;
    let (old, new) = (lab.cluster.dir().join("old"), lab.cluster.dir().join("new"));
    copy_folder(&lab.sidecar_dir(0), &old);
    for _ in 0..2 {
        starts(&mut lab, setup).await;
        lab.cluster.kill(0);
    }
    copy_folder(&lab.sidecar_dir(0), &new);
    copy_folder(&old, &lab.sidecar_dir(0));
    lab.refuses_to_start(0, "ErrLocalEpochRollback", SIDECAR_FLAG)
        .await;
    copy_folder(&new, &lab.sidecar_dir(0));
    starts(&mut lab, setup).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sidecar_from_an_older_disk() {
    together(["6d", "6f"].map(older_sidecar)).await;
}

/// Folders of a member: all that lies on its disk.
fn disk_of(lab: &Lab) -> [std::path::PathBuf; 2] {
    [lab.data_dir(2), lab.sidecar_dir(2)]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_whole_disk_from_an_older_copy() {
    let mut lab = Lab::started(3, ALL).await;
    lab.enter_phase_2().await;
    lab.settle().await;
    lab.lead(0).await;
    let save = |lab: &Lab, name: &str| {
        for (number, folder) in disk_of(lab).iter().enumerate() {
            copy_folder(folder, &lab.cluster.dir().join(format!("{name}-{number}")));
        }
    };
    let restore = |lab: &Lab, name: &str| {
        for (number, folder) in disk_of(lab).iter().enumerate() {
            copy_folder(&lab.cluster.dir().join(format!("{name}-{number}")), folder);
        }
    };
    lab.kill(2);
    save(&lab, "old");
    for life in 0..2 {
        lab.start(2);
        lab.settle().await;
        lab.write(&format!("life-{life}"), 5).await;
        lab.settle().await;
        lab.kill(2);
    }
    save(&lab, "new");
    restore(&lab, "old");
    // Its own registry is as old as its sidecar: only the others know better.
    lab.refuses_to_start(2, "ErrLocalEpochRollback", SIDECAR_FLAG)
        .await;
    restore(&lab, "new");
    lab.start(2);
    lab.settle().await;
    lab.check_on(2).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_raft_epoch_from_an_older_disk() {
    let mut lab = Lab::started(1, ALL).await;
    lab.enter_phase_2().await;
    lab.settle().await;
    for _ in 0..2 {
        lab.restart(0);
        lab.settle().await;
    }
    lab.cluster.kill(0);
    let whole = fs::read(lab.sidecar_path(0)).expect("a sidecar");
    lab.edit_sidecar(0, |sidecar| {
        let id = sidecar["active"]["raft"].to_string();
        sidecar["keys"][id]["local_epoch"] = 0.into();
    });
    lab.refuses_to_start(0, "ErrLocalEpochRollback", SIDECAR_FLAG)
        .await;
    fs::write(lab.sidecar_path(0), whole).expect("a sidecar");
    starts(&mut lab, ALL).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sidecar_that_is_lost_is_never_begun_again_at_a_used_epoch() {
    let mut lab = Lab::started(1, ALL).await;
    lab.enter_phase_2().await;
    lab.settle().await;
    lab.restart(0);
    lab.settle().await;
    lab.cluster.kill(0);
    fs::remove_file(lab.sidecar_path(0)).expect("a removal");
    lab.refuses_to_start(0, "Err", SIDECAR_FLAG).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn members_that_share_sixteen_bits() {
    // Both end in 0x73fe.
    let (first, second) = ("n498".to_owned(), "n784".to_owned());
    let donor = stopped(ALL).await;
    let mut lab = Lab::new(&[ALL, ALL]);
    lab.cluster.names.extend([(0, first), (1, second)]);
    assert_eq!(lab.full_node_id(0) as u16, lab.full_node_id(1) as u16);
    // They meet under storage keys that are in use: a sidecar that was brought along.
    copy_folder(&donor.sidecar_dir(0), &lab.sidecar_dir(0));
    fs::copy(donor.kek_path(Kek::Own), lab.kek_path(Kek::Own)).expect("the same KEK");
    lab.kek = donor.kek;
    lab.refuses_to_start(0, "ErrNodeIDCollision", "--raft")
        .await;

    // Without keys they may live together, but can't be given any.
    fs::remove_file(lab.sidecar_path(0)).expect("a removal");
    lab.start_all();
    let call = lab.bootstrap_call().await;
    lab.refused(
        &call,
        &Refused::argument(&["ErrNodeIDCollision", "collision"]),
    )
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_newcomer_that_shares_sixteen_bits() {
    let mut lab = Lab::new(&[ALL]);
    lab.cluster
        .names
        .extend([(0, "n498".to_owned()), (1, "n784".to_owned())]);
    lab.start_all();
    lab.bootstrap().await;
    lab.settle().await;
    lab.start_newcomer(1, ALL);
    lab.cluster.patiently(1).await;
    let how = Refused::precondition(&["writer registry uint16 collision", "ErrNodeIDCollision"]);
    lab.refuses("add a namesake", &how, async |lab, leader| {
        let added = lab.add(leader, 1, crate::kit::members::As::Learner).await;
        added.map(|index| format!("at {index}"))
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cutover_that_the_snapshot_does_not_know() {
    let mut lab = Lab::snapshotting(1, ALL).await;
    let cutover = lab.enter_phase_2().await;
    lab.write("written", 120).await;
    let cut = move |s: &elastickv_wire::RaftAdminStatusResponse| s.last_snapshot_index > cutover;
    lab.cluster.until(0, "snapshot", cut).await;
    lab.settle().await;
    lab.cluster.kill(0);
    assert_snapshot_header(&lab, 0, cutover);
    let whole = fs::read(lab.sidecar_path(0)).expect("a sidecar");
    for wrong in [cutover + 1, cutover - 1, 0] {
        lab.edit_sidecar(0, |s| s["raft_envelope_cutover_index"] = wrong.into());
        lab.refuses_to_start(0, "ErrEnvelopeCutoverDivergence", SIDECAR_FLAG)
            .await;
    }
    fs::write(lab.sidecar_path(0), whole).expect("a sidecar");
    starts(&mut lab, ALL).await;
}

/// Every snapshot file above the cutover says where it is.
pub fn assert_snapshot_header(lab: &Lab, node: usize, cutover: u64) {
    let mut seen = 0;
    for (path, bytes) in bytes_of(&lab.data_dir(node).join("fsm-snap")) {
        let name = path.file_stem().and_then(|name| name.to_str());
        let index = name.and_then(|name| u64::from_str_radix(name, 16).ok());
        if index.is_some_and(|index| index >= cutover) {
            assert_eq!(&bytes[..8], b"EKVTHLC2", "{}", path.display());
            assert_eq!(bytes[18..26], cutover.to_be_bytes(), "{}", path.display());
            seen += 1;
        }
    }
    assert!(seen > 0, "no snapshot above {cutover}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_epoch_over_sixteen_bits_on_the_wire() {
    let how = Refused::argument(&["ErrLocalEpochOutOfRange"]);
    let mut lab = Lab::started(1, ALL).await;
    for call in lab.every_mutator().await {
        lab.refused(&call.with_epoch(0x1_0000), &how).await;
    }
    lab.bootstrap().await;
    lab.settle().await;
    let calls = [
        lab.rotate_call(Purpose::Storage).await,
        lab.enable_call(Purpose::Storage).await,
        lab.enable_call(Purpose::Raft).await,
    ];
    for call in calls {
        lab.refused(&call.with_epoch(u32::MAX), &how).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_raft_cutover_before_bootstrap() {
    let lab = Lab::started(3, ALL).await;
    let id = lab.full_node_id(lab.leader().await);
    let how = Refused::precondition(&["ErrEncryptionNotBootstrapped"]);
    lab.refused(&crate::kit::Call::enable_raft(id, 0), &how)
        .await;
    assert!((0..3).all(|node| lab.sidecar(node).is_none()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_start_that_fails_consumes_no_epoch() {
    let mut lab = stopped(ALL).await;
    let redis = lab.cluster.redis_url(0).replace("redis://", "");
    for address in [lab.cluster.grpc(0), redis] {
        let taken = std::net::TcpListener::bind(&address).expect("a port");
        lab.refuses_to_start(0, "failed to listen on", "ddress")
            .await;
        drop(taken);
    }
    starts(&mut lab, ALL).await;
}
