//! Bytes that must not stand anywhere, wherever they stand.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use keyquake_audit::{Audit, Invariant, Place, Verdict, audit};

use crate::fixture::{Disks, RAFT_CUTOVER, RAFT_KEY, STORAGE_CUTOVER};

fn leak(path: &Path, bytes: &[u8]) -> u64 {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    let mut file = OpenOptions::new()
        .create(true)
        .append(true)
        .open(path)
        .unwrap();
    let at = file.metadata().unwrap().len();
    file.write_all(bytes).unwrap();
    at
}

/// The places of all findings of an invariant, with the byte.
fn places(audit: &Audit, invariant: Invariant) -> Vec<(Place, Option<u64>)> {
    let audited = audit.invariant(invariant).unwrap();
    audited
        .findings
        .iter()
        .map(|one| (one.spot.place, one.spot.offset))
        .collect()
}

#[test]
fn a_canary_may_stand_where_its_time_allows_it() {
    let disks = Disks::whole();
    let data = disks.data_dir("n2");
    let spots = [
        (Place::Tables, data.join("fsm.db").join("left-over")),
        (Place::Log, data.join("wal").join("old.tmp").join("0.jnl")),
        (
            Place::Snapshots,
            data.join("fsm-snap").join("1.fsm.abc.tmp"),
        ),
        (Place::Other, data.join("core")),
        (
            Place::Sidecar,
            disks.sidecar_path("n2").with_extension("tmp"),
        ),
    ];
    for (index, forbidden) in [
        (STORAGE_CUTOVER, &[][..]),
        (
            RAFT_CUTOVER,
            &[
                Place::Tables,
                Place::Snapshots,
                Place::Other,
                Place::Sidecar,
            ],
        ),
        (
            RAFT_CUTOVER + 1,
            &[
                Place::Tables,
                Place::Log,
                Place::Snapshots,
                Place::Other,
                Place::Sidecar,
            ],
        ),
    ] {
        let mut expected = Vec::new();
        for (place, path) in &spots {
            let _ = fs::remove_file(path);
            let before = leak(path, b"\x00around");
            let at = leak(path, disks.text(index).as_bytes());
            assert!(at > before);
            // Behind "v59." the canary begins.
            let number = (index - 1).to_string().len() as u64 + 2;
            if forbidden.contains(place) {
                expected.push((*place, Some(at + number)));
            }
        }
        let audit = disks.audit();
        if expected.is_empty() {
            assert_eq!(audit.verdict, Verdict::Valid, "{audit}");
        } else {
            let mut found = places(&audit, Invariant::Plain);
            found.sort();
            expected.sort();
            assert_eq!(found, expected, "{audit}");
            assert_eq!(audit.canaries.unwrap().seen_by_wrong, 1);
        }
    }
}

#[test]
fn a_canary_is_found_in_every_spelling_and_the_spelling_is_told() {
    let disks = Disks::whole();
    let text = disks.text(RAFT_CUTOVER + 1);
    let hex: String = text.bytes().map(|byte| format!("{byte:02X}")).collect();
    let escapes: String = text.bytes().map(|byte| format!("\\u{byte:04x}")).collect();
    let core = disks.data_dir("n3").join("core");
    for spelled in [&STANDARD.encode(&text), &hex, &escapes] {
        leak(&core, format!(" {spelled} ").as_bytes());
    }
    let audit = disks.audit();
    let audited = audit.invariant(Invariant::Plain).unwrap();
    let told: Vec<_> = audited
        .findings
        .iter()
        .map(|one| &one.explanation)
        .collect();
    assert_eq!(told.len(), 3, "{audit}");
    for (told, how) in told.iter().zip(["base64", "hex", "JSON escapes"]) {
        let expected = format!("value {RAFT_CUTOVER} of key 1 stands in the clear, in {how}");
        assert_eq!(**told, expected);
    }
}

#[test]
fn bare_keys_are_found_in_every_spelling() {
    let disks = Disks::whole();
    let key = disks.dek(RAFT_KEY).expose().to_vec();
    let kek = disks.kek.expose().to_vec();
    let hex: String = key.iter().map(|byte| format!("{byte:02x}")).collect();
    let log = disks.dir.path().join("logs").join("n1.log");
    let data = disks.data_dir("n1");
    let leaks: [(&Path, Vec<u8>, Place, &str); 4] = [
        (
            &data.join("tmp"),
            key.clone(),
            Place::Other,
            "raft DEK 9 stands here, raw",
        ),
        (
            &data.join("fsm.db").join("x"),
            hex.into_bytes(),
            Place::Tables,
            "raft DEK 9 stands here, hex",
        ),
        (
            &log,
            format!("kek={}", STANDARD.encode(&kek)).into_bytes(),
            Place::ProcessLog,
            "KEK stands here, base64",
        ),
        (
            &disks.sidecar_path("n1").with_extension("json.tmp"),
            kek,
            Place::Sidecar,
            "KEK stands here, raw",
        ),
    ];
    for (path, bytes, place, text) in leaks {
        leak(path, &bytes);
        let mut subject = disks.subject();
        subject.nodes[0].logs = vec![log.clone()];
        leak(&log, b"");
        let audit = audit(&subject).unwrap();
        let audited = audit.invariant(Invariant::KeysSecret).unwrap();
        assert_eq!(audited.findings_total, 1, "{audit}");
        let finding = &audited.findings[0];
        assert_eq!(finding.spot.place, place);
        assert!(finding.explanation.contains(text), "{finding}");
        fs::remove_file(path).unwrap();
    }
    // The KEK's own file beside a sidecar is where it belongs.
    let mut subject = disks.subject();
    let beside = disks.sidecar_path("n1").with_file_name("kek");
    fs::rename(subject.kek.as_ref().unwrap(), &beside).unwrap();
    subject.kek = Some(beside);
    assert_eq!(audit(&subject).unwrap().verdict, Verdict::Valid);
}
