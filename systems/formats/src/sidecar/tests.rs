//! A good sidecar, and one bad one per rule.

use std::path::PathBuf;

use serde_json::{Value, json};
use tempfile::TempDir;

use super::{Active, Purpose, Sidecar};

fn good() -> Value {
    let wrapped = "AAAA".repeat(20);
    json!({
        "version": 2,
        "raft_applied_index": 9,
        "storage_envelope_active": true,
        "storage_envelope_cutover_index": 8,
        "raft_envelope_cutover_index": 0,
        "active": {"storage": 7, "raft": 4294967295_u32},
        "keys": {
            "7": {"purpose": "storage", "wrapped": wrapped,
                  "created": "2026-08-22T00:00:00Z", "local_epoch": 65535},
            "4294967295": {"purpose": "raft", "wrapped": wrapped,
                  "created": "2026-08-22T00:00:00Z", "local_epoch": 0},
        },
    })
}

fn file(text: &str) -> (TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("keys.json");
    std::fs::write(&path, text).unwrap();
    (dir, path)
}

fn read(value: &Value) -> Result<Sidecar, String> {
    let (_dir, path) = file(&serde_json::to_string_pretty(value).unwrap());
    Sidecar::read(&path).map_err(|error| error.to_string())
}

#[test]
fn a_good_sidecar_is_read_whole() {
    let sidecar = read(&good()).unwrap();
    assert_eq!(sidecar.version, 2);
    assert_eq!(sidecar.raft_applied_index, 9);
    assert!(sidecar.storage_envelope_active);
    assert_eq!(sidecar.storage_envelope_cutover_index, 8);
    assert_eq!(sidecar.raft_envelope_cutover_index, 0);
    let active = Active {
        storage: 7,
        raft: u32::MAX,
    };
    assert_eq!(sidecar.active, active);
    assert_eq!(sidecar.keys.len(), 2);
    assert_eq!(sidecar.keys[&7].purpose, Purpose::Storage);
    assert_eq!(sidecar.keys[&7].local_epoch, 0xffff);
    assert_eq!(sidecar.keys[&7].wrapped.as_bytes(), [0; 60]);
    assert_eq!(sidecar.unknown, Vec::<String>::new());
}

#[test]
fn version_1_may_lack_the_storage_cutover_and_unknown_fields_are_named() {
    let mut value = good();
    value["version"] = json!(1);
    let fields = value.as_object_mut().unwrap();
    fields.remove("storage_envelope_cutover_index");
    fields.insert("colour".to_owned(), json!("red"));
    value["active"]["spare"] = json!(1);
    value["keys"]["7"]["kms"] = json!("x");
    let sidecar = read(&value).unwrap();
    assert_eq!(sidecar.storage_envelope_cutover_index, 0);
    assert_eq!(sidecar.unknown, ["colour", "active.spare", "keys.7.kms"]);
}

#[test]
fn every_broken_rule_names_file_and_field() {
    type Change = fn(&mut Value);
    let changes: &[(Change, &str, &str)] = &[
        (
            |v| v["version"] = json!(3),
            "version",
            "unsupported sidecar version 3",
        ),
        (
            |v| v["version"] = json!(0),
            "version",
            "unsupported sidecar version 0",
        ),
        (
            |v| v["raft_applied_index"] = json!(-1),
            "raft_applied_index",
            "not a number",
        ),
        (
            |v| v["storage_envelope_active"] = json!(1),
            "storage_envelope_active",
            "not true or false",
        ),
        (
            |v| v["active"]["raft"] = json!(8),
            "active.raft",
            "no entry in keys map",
        ),
        (
            |v| v["active"]["raft"] = json!(7),
            "active.raft",
            "mismatched purpose storage",
        ),
        (
            |v| v["active"]["storage"] = json!(1_u64 << 32),
            "active.storage",
            "not a number",
        ),
        (|v| v["active"] = json!(7), "active", "not a JSON object"),
        (
            |v| v["keys"]["7"]["purpose"] = json!("disk"),
            "keys.7.purpose",
            "unsupported sidecar key purpose",
        ),
        (
            |v| v["keys"]["7"]["wrapped"] = json!("AAAA"),
            "keys.7.wrapped",
            "exactly 60 bytes",
        ),
        (
            |v| v["keys"]["7"]["wrapped"] = json!("%"),
            "keys.7.wrapped",
            "not base64",
        ),
        (
            |v| v["keys"]["7"]["local_epoch"] = json!(65536),
            "keys.7.local_epoch",
            "not a number",
        ),
        (
            |v| v["keys"]["7"]["created"] = json!(7),
            "keys.7.created",
            "not a text",
        ),
        (
            |v| v["keys"]["0"] = v["keys"]["7"].clone(),
            "keys.0",
            "key_id 0 is reserved",
        ),
        (
            |v| v["keys"]["+8"] = v["keys"]["7"].clone(),
            "keys.+8",
            "not a decimal uint32",
        ),
        (
            |v| v["keys"]["0x8"] = v["keys"]["7"].clone(),
            "keys.0x8",
            "not a decimal uint32",
        ),
        (
            |v| v["keys"]["4294967296"] = v["keys"]["7"].clone(),
            "keys.4294967296",
            "not a decimal",
        ),
        (
            |v| v["keys"]["007"] = v["keys"]["7"].clone(),
            "keys.7",
            "twice",
        ),
        (|v| *v = json!([]), "(all)", "not a JSON object"),
    ];
    for (change, field, problem) in changes {
        let mut value = good();
        change(&mut value);
        let error = read(&value).unwrap_err();
        for piece in ["keys.json", &format!("field {field}:"), problem] {
            assert!(error.contains(piece), "{piece:?} in: {error}");
        }
    }
    for field in good().as_object().unwrap().keys() {
        let mut value = good();
        value.as_object_mut().unwrap().remove(field);
        let error = read(&value).unwrap_err();
        assert!(
            error.contains(&format!("field {field}: is missing")),
            "{error}"
        );
    }
}

#[test]
fn a_torn_or_absent_file_is_an_error() {
    let whole = good().to_string();
    for bytes in [0, 1, whole.len() / 2, whole.len() - 1] {
        let (_dir, path) = file(&whole[..bytes]);
        let error = Sidecar::read(&path).unwrap_err().to_string();
        assert!(
            error.contains("parse sidecar") && error.contains("keys.json"),
            "{error}"
        );
    }
    let (dir, path) = file("");
    drop(dir);
    let error = Sidecar::read(&path).unwrap_err().to_string();
    assert!(error.contains("No such file"), "{error}");
}
