//! What must be sealed on a stopped node's disk is, under the right keys, by the right
//! writers; what must not be is not.

use super::{Lab, disk, keys};

/// Versions committed above the cutover, and only those, are envelopes which this node
/// sealed and the sidecar's keys open.
pub fn assert_values(lab: &Lab, node: usize, cutover: u64) {
    let sidecar = lab.keys_of(node);
    let deks = lab.deks(node);
    let (mut clear, mut sealed) = (0, 0);
    for row in disk::values(&lab.data_dir(node)) {
        let stamp = row.key.len() - 8;
        let inverted = u64::from_be_bytes(row.key[stamp..].try_into().expect("8 bytes"));
        let key = String::from_utf8_lossy(&row.key[..stamp]).into_owned();
        let Some(value) = lab.written.get(&key) else {
            continue;
        };
        if !inverted < cutover {
            assert_eq!((row.value[0], &row.value[9..]), (0, value.as_bytes()));
            clear += 1;
            continue;
        }
        assert_eq!(row.value[0], 2, "{key} is not sealed: {row:x?}");
        let opened = disk::open_value(&row, &deks);
        assert_eq!(opened.as_deref(), Some(value.as_bytes()), "{key}");
        let used = keys::envelope_key(&row.value[9..]).expect("a key id");
        assert_eq!(sidecar.keys[&used].purpose, "storage");
        let (writer, epoch, count) = keys::nonce_parts(&row.value[9..]);
        assert_eq!(writer, lab.full_node_id(node) as u16, "sealed by another");
        assert!(epoch <= sidecar.keys[&used].local_epoch && count > 0);
        let mut moved = row.clone();
        moved.key[0] ^= 1;
        assert_eq!(disk::open_value(&moved, &deks), None, "AAD without the key");
        sealed += 1;
    }
    assert!(clear > 0 && sealed > 0, "{clear} clear, {sealed} sealed");
}

/// Entries above the cutover, and only those, are envelopes: each under the raft key that
/// was active when it was proposed, by a writer that is registered. How many are above;
/// snapshots may have cut them all.
pub fn assert_entries(lab: &Lab, node: usize, cutover: u64) -> usize {
    let sidecar = lab.keys_of(node);
    let deks = lab.deks(node);
    let writers = disk::writers(&lab.data_dir(node));
    let (mut above, mut active, mut retired) = (0, None, Vec::new());
    for (index, payload) in disk::payloads(&lab.data_dir(node)) {
        let opened = disk::open_entry(&payload, &deks);
        if index <= cutover {
            assert_eq!(opened, None, "{index} is sealed, at or below {cutover}");
            continue;
        }
        let Some(content) = opened else {
            panic!("{index} above {cutover} does not open: {payload:x?}");
        };
        let used = keys::envelope_key(&payload).expect("a key id");
        assert_eq!(sidecar.keys[&used].purpose, "raft");
        let expected = *active.get_or_insert(used);
        assert_eq!(
            used, expected,
            "{index} is sealed under a key that is not active"
        );
        let (writer, epoch, count) = keys::nonce_parts(&payload);
        let row = writers.get(&(used, writer));
        let known = row.is_some_and(|row| row.first_seen <= epoch && epoch <= row.last_seen);
        assert!(
            known && count > 0,
            "{index}: epoch {epoch} of {writer:#x}, {row:?}"
        );
        if let Some(next) = disk::raft_rotation(&content)
            && !retired.contains(&next)
            && next != used
        {
            retired.push(used);
            active = Some(next);
        }
        above += 1;
    }
    above
}
