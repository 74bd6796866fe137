//! Which epoch a leader proposes under.

use std::collections::HashMap;
use std::time::Duration;

use super::*;

const KEY: u32 = 7;

fn leader(client: AdminClient, registered: &[(u32, u32)]) -> Leader {
    Leader {
        client,
        members: Vec::new(),
        full_node_id: 1,
        state: Some(SidecarStateReport {
            active_storage_id: KEY,
            writer_registry_for_caller: HashMap::from_iter(registered.iter().copied()),
            ..SidecarStateReport::default()
        }),
    }
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
fn a_leader_that_keeps_its_epoch_to_itself_has_it_in_its_sidecar() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sidecar.json");
    let client = AdminClient::new("127.0.0.1:1", Duration::from_secs(1));
    let at = |leader: &Leader| leader.proposer(Purpose::Storage, None);

    let silent = leader(client.clone(), &[]);
    assert!(matches!(
        at(&silent),
        Err(NotDone::EpochUnknown { key: KEY })
    ));
    let client = client.with_sidecar(path.clone());
    let silent = leader(client.clone(), &[]);
    assert!(matches!(
        at(&silent),
        Err(NotDone::EpochUnknown { key: KEY })
    ));
    std::fs::write(&path, sidecar(3)).unwrap();
    assert_eq!(at(&silent).unwrap().local_epoch, 3);
    // What the registry says goes before; and so does that it says nothing of this key.
    let telling = leader(client.clone(), &[(KEY, 4)]);
    assert_eq!(at(&telling).unwrap().local_epoch, 4);
    let other = leader(client, &[(KEY + 1, 4)]);
    assert!(matches!(
        at(&other),
        Err(NotDone::EpochUnknown { key: KEY })
    ));
}
