//! etcd's files, in which elastickv keeps its Raft log: segments of the write-ahead log, and
//! pointers to snapshots.

pub(super) mod snap;
pub(super) mod wal;
