//! Which epoch a node proposes under.

use super::super::AdminClient;
use super::super::node::ASK_WITHIN;
use super::*;

const KEY: u32 = 7;

fn state(registered: &[(u32, u32)]) -> State {
    Some(SidecarStateReport {
        active_storage_id: KEY,
        writer_registry_for_caller: registered.iter().copied().collect(),
        ..SidecarStateReport::default()
    })
}

/// A sidecar whose storage key has this epoch.
fn sidecar(epoch: u16) -> String {
    // 60 bytes of zero.
    let wrapped = "A".repeat(80);
    format!(
        r#"{{"version": 2, "raft_applied_index": 5, "storage_envelope_active": false,
            "storage_envelope_cutover_index": 0, "raft_envelope_cutover_index": 0,
            "active": {{"storage": {KEY}, "raft": 8}},
            "keys": {{
                "{KEY}": {{"purpose": "storage", "wrapped": "{wrapped}", "created": "2026-01-01T00:00:00Z", "local_epoch": {epoch}}},
                "8": {{"purpose": "raft", "wrapped": "{wrapped}", "created": "2026-01-01T00:00:00Z", "local_epoch": 0}}
            }}}}"#
    )
}

#[test]
fn a_node_that_keeps_its_epoch_to_itself_has_it_in_its_sidecar() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sidecar.json");
    let client = AdminClient::new("127.0.0.1:1", ASK_WITHIN);
    let node = Node {
        id: "n1".to_owned(),
        address: ([127, 0, 0, 1], 1).into(),
        asked: client.clone().with_sidecar(path.clone()),
        called: client,
    };
    let at = |state: &State| node.epoch(state, Purpose::Storage);

    let unknown = at(&state(&[])).unwrap_err().to_string();
    assert!(unknown.starts_with("n1 does not say its epoch under key 7"));
    std::fs::write(&path, sidecar(3)).unwrap();
    assert_eq!(at(&state(&[])).unwrap(), 3);
    // What the registry says of this key goes before.
    assert_eq!(at(&state(&[(KEY, 4)])).unwrap(), 4);
    assert_eq!(at(&state(&[(KEY + 1, 4)])).unwrap(), 3);
    // Without keys there is no epoch but the first.
    assert_eq!(at(&None).unwrap(), 0);
}
