//! The disks of a real elastickv (one node of the build at d9a031d0), as `fixtures/elastickv`
//! holds them: values in the clear, then phase 1, a rotation, a kill, phase 2, a rotation, a
//! kill, a snapshot behind both. Whole, and with one byte changed in each kind of place.

use std::fs;
use std::path::{Path, PathBuf};

use elle_rs::history::file::load;
use keyquake_audit::{
    Answered, Audit, Canaries, Canary, Finding, Invariant, MayStand, NodeDisks, Place, Subject,
    Verdict, audit,
};
use tempfile::TempDir;

use crate::fixture::bytes_below;

pub const TABLE: &str = "fsm.db/000020.sst";
const TABLE_LOG: &str = "fsm.db/000026.log";
const MANIFEST: &str = "fsm.db/MANIFEST-000025";
const LOG: &str = "wal/0000000000000000-0000000000000000.wal";
const SNAPSHOT: &str = "fsm-snap/000000000000006f.fsm";
const POINTER: &str = "snap/0000000000000004-000000000000006f.snap";
/// The history's seed.
const SEED: u64 = 7;
const STORAGE_CUTOVER: u64 = 58;
const RAFT_CUTOVER: u64 = 99;

pub struct Real {
    pub dir: TempDir,
}

impl Real {
    pub fn whole() -> Real {
        let dir = tempfile::tempdir().unwrap();
        let packed = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/elastickv");
        for (path, bytes) in bytes_below(&packed) {
            let below = path.strip_prefix(&packed).unwrap().with_extension("");
            let target = dir.path().join(below);
            fs::create_dir_all(target.parent().unwrap()).unwrap();
            fs::write(&target, zstd::stream::decode_all(&bytes[..]).unwrap()).unwrap();
        }
        let kek = dir.path().join("kek");
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o600);
        fs::set_permissions(kek, mode).unwrap();
        Real { dir }
    }

    pub fn path(&self, file: &str) -> PathBuf {
        self.dir.path().join("n1").join(file)
    }

    pub fn edit(&self, file: &str, edit: impl FnOnce(&mut Vec<u8>)) {
        let mut bytes = fs::read(self.path(file)).unwrap();
        edit(&mut bytes);
        fs::write(self.path(file), bytes).unwrap();
    }

    /// Which values the run wrote; nothing that was written after phase 2 may stand anywhere.
    fn canaries(&self) -> Canaries {
        let (events, torn) = load(&self.dir.path().join("history.kqh")).unwrap();
        assert_eq!(torn, None);
        let effective = |name: &str| {
            let is_it = |event: &&elle_rs::history::Event| {
                matches!(event, elle_rs::history::Event::Fault(fault)
                    if fault.evidence.contains(name)
                        && fault.step == elle_rs::history::FaultStep::Effective)
            };
            events.iter().find(is_it).unwrap().index()
        };
        let storage = effective("enable-storage-envelope");
        let raft = effective("enable-raft-envelope");
        Canaries::of_history(Canary::of_seed(SEED), &events, |op| {
            match (op.index > storage, op.index > raft) {
                (_, true) => MayStand::Nowhere,
                (true, false) => MayStand::InLog,
                (false, false) => MayStand::Anywhere,
            }
        })
    }

    pub fn subject(&self) -> Subject {
        Subject {
            kek: Some(self.dir.path().join("kek")),
            nodes: vec![NodeDisks {
                name: "n1".to_owned(),
                data_dir: self.dir.path().join("n1"),
                sidecar: Some(self.dir.path().join("sidecar.json")),
                logs: Vec::new(),
            }],
            former_members: Vec::new(),
            answered: Answered {
                storage: Some(STORAGE_CUTOVER),
                raft: Some(RAFT_CUTOVER),
            },
            canaries: Some(self.canaries()),
            past: None,
        }
    }

    fn audit(&self) -> Audit {
        audit(&self.subject()).unwrap()
    }
}

fn findings(audit: &Audit) -> Vec<&Finding> {
    let all = audit.invariants.iter();
    all.flat_map(|one| &one.findings).collect()
}

#[test]
fn every_envelope_opens_and_every_canary_is_accounted_for() {
    let real = Real::whole();
    let before = bytes_below(real.dir.path());
    let audit = real.audit();
    assert_eq!(audit.verdict, Verdict::Valid, "{audit}");
    assert!(audit.gaps.is_empty() && audit.cuts.is_empty(), "{audit}");
    assert!(
        before == bytes_below(real.dir.path()),
        "something was written"
    );
    for place in [
        Place::Tables,
        Place::TableLogs,
        Place::Log,
        Place::Snapshots,
    ] {
        let counts = audit.total(place);
        assert!(
            counts.envelopes > 0 && counts.opened == counts.envelopes,
            "{place}: {counts:?}"
        );
        assert_eq!(counts.clear_by_wrong, 0, "{place}");
    }
    let canaries = audit.canaries.as_ref().unwrap();
    assert!(
        canaries.living > 50 && canaries.living_seen == canaries.living,
        "{audit}"
    );
    assert!(
        canaries.seen_sealed > 50 && canaries.seen_in_bytes > 50,
        "{audit}"
    );
}

#[test]
fn a_flipped_byte_is_told_apart_wherever_it_is() {
    for (file, anomaly) in [
        (TABLE, "table-damaged"),
        (MANIFEST, "table-damaged"),
        (TABLE_LOG, "table-log-damaged"),
        (LOG, "log-damaged"),
        (SNAPSHOT, "snapshot-damaged"),
        (POINTER, "snapshot-damaged"),
    ] {
        let real = Real::whole();
        let length = fs::metadata(real.path(file)).unwrap().len() as usize;
        // What is used of a log ends before its zeros.
        let at = if file == LOG { length / 3 } else { length / 2 };
        real.edit(file, |bytes| bytes[at] ^= 0x04);
        let audit = real.audit();
        assert_eq!(audit.verdict, Verdict::Violated, "{file}: {audit}");
        let of_file = |found: &&&Finding| found.spot.path == real.path(file);
        let found = findings(&audit);
        let damage: Vec<_> = found.iter().filter(of_file).collect();
        assert!(
            damage.iter().any(|found| found.anomaly == anomaly),
            "{file}: {audit}"
        );
        let open = |found: &&Finding| found.invariant == Invariant::Open;
        assert!(found.iter().all(open), "{file}: {audit}");
    }
}

#[test]
fn a_table_that_is_gone_is_missed() {
    let real = Real::whole();
    fs::remove_file(real.path(TABLE)).unwrap();
    let audit = real.audit();
    let found = findings(&audit);
    let named = |found: &&Finding| found.explanation.contains("000020.sst, which is not there");
    assert!(found.iter().any(named), "{audit}");
    real.edit(MANIFEST, Vec::clear);
    let audit = real.audit();
    let found = findings(&audit);
    let named = |found: &&Finding| found.explanation.contains("says nothing");
    assert!(found.iter().any(named), "{audit}");
}

/// With the checksums put right, only the envelope can tell.
#[test]
fn a_change_under_a_right_checksum_is_found_by_what_it_breaks() {
    let real = Real::whole();
    let audit = real.audit();
    assert!(findings(&audit).is_empty());
    let sidecar = fs::read(real.dir.path().join("sidecar.json")).unwrap();
    let sidecar: serde_json::Value = serde_json::from_slice(&sidecar).unwrap();
    let key = sidecar["active"]["storage"].as_u64().unwrap() as u32;
    let begin = [&[1, 0], &key.to_be_bytes()[..]].concat();
    real.edit(SNAPSHOT, |bytes| {
        let at = bytes.windows(begin.len()).rposition(|at| at == begin);
        // Its value is empty: behind the nonce begins the tag.
        let tag = at.unwrap() + 18;
        bytes[tag] ^= 1;
        let end = bytes.len() - 4;
        let crc = crc32c::crc32c(&bytes[..end]);
        bytes[end..].copy_from_slice(&crc.to_be_bytes());
    });
    let audit = real.audit();
    let found = findings(&audit);
    let anomalies: Vec<_> = found.iter().map(|found| found.anomaly).collect();
    // The pointer knows the old checksum.
    assert_eq!(anomalies, ["snapshot-damaged", "tag-changed"], "{audit}");
}

#[test]
fn a_torn_end_is_said_and_is_no_damage() {
    let real = Real::whole();
    real.edit(TABLE_LOG, |bytes| bytes.truncate(bytes.len() - 3));
    real.edit(LOG, |bytes| {
        let used = bytes.iter().rposition(|byte| *byte != 0).unwrap();
        bytes.truncate(used - 40);
    });
    let half = real.path("fsm-snap/1234.fsm.tmp");
    let whole = fs::read(real.path(SNAPSHOT)).unwrap();
    fs::write(&half, &whole[..whole.len() / 2]).unwrap();
    fs::write(real.path("fsm.db/000099.sst"), &whole[..100]).unwrap();
    let audit = real.audit();
    assert!(findings(&audit).is_empty(), "{audit}");
    for file in [TABLE_LOG, LOG, "fsm-snap/1234.fsm.tmp", "fsm.db/000099.sst"] {
        assert!(
            audit.cuts.iter().any(|cut| cut.contains(file)),
            "{file}: {audit}"
        );
    }
    let whole_snapshots = Real::whole().audit().total(Place::Snapshots).opened;
    let opened = audit.total(Place::Snapshots).opened;
    assert!(
        opened > whole_snapshots,
        "the half snapshot's rows are opened too"
    );
}

#[test]
fn damaged_files_of_all_kinds_never_end_the_audit() {
    for (turn, file) in [TABLE, TABLE_LOG, MANIFEST, LOG, SNAPSHOT, POINTER]
        .iter()
        .enumerate()
    {
        let real = Real::whole();
        let length = fs::metadata(real.path(file)).unwrap().len() as usize;
        for step in 0..6 {
            let at = (length / 6 * step + turn * 31 + step * 7) % length;
            real.edit(file, |bytes| {
                bytes[at..]
                    .iter_mut()
                    .take(9)
                    .for_each(|byte| *byte ^= 0xa5)
            });
        }
        let audit = real.audit();
        assert_ne!(audit.verdict, Verdict::Valid, "{file}: {audit}");
        real.edit(file, |bytes| bytes.truncate(length / 2));
        let cut = real.audit();
        assert!(
            cut.verdict != Verdict::Valid || !cut.cuts.is_empty(),
            "{file}: {cut}"
        );
    }
}
