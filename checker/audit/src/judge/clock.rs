//! Where a row stands in the log that only says at what time of the cluster's clock it was
//! made (elastickv). The log's entries carry the same times, in the clear or in envelopes that
//! open.

use keyquake_formats::Purpose;
use prost::Message;
use rustc_hash::FxHashMap;

use crate::disk::{Data, Log};
use crate::envelope::Envelope;
use crate::keyring::Keyring;

const ONE_REQUEST: u8 = 0x00;
const BATCH: u8 = 0x01;
const LEGACY_MIN: u8 = 0x08;
/// A transaction in one entry, and the last entry of one in two: what they write is stamped
/// with when it commits, and not with the request's time, which is when it began to read.
const ONE_PHASE: i32 = 0;
const COMMIT: i32 = 2;
/// The key of a mutation that is no mutation: it carries a transaction's times.
const TRANSACTION: &[u8] = b"!txn|meta|";

/// `RaftCommand` of elastickv's `internal.proto`.
#[derive(Clone, PartialEq, Message)]
struct Command {
    #[prost(message, repeated, tag = "1")]
    requests: Vec<Request>,
}

/// `Request`, as far as it matters.
#[derive(Clone, PartialEq, Message)]
struct Request {
    #[prost(bool, tag = "1")]
    is_transaction: bool,
    #[prost(int32, tag = "2")]
    phase: i32,
    #[prost(uint64, tag = "3")]
    time: u64,
    #[prost(message, repeated, tag = "4")]
    mutations: Vec<Mutation>,
}

#[derive(Clone, PartialEq, Message)]
struct Mutation {
    #[prost(bytes = "vec", tag = "2")]
    key: Vec<u8>,
    #[prost(bytes = "vec", tag = "3")]
    value: Vec<u8>,
}

/// When a row was made, by the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Made {
    /// By the entry at this index.
    At(u64),
    /// By no entry that is left, and not after the storage cutover.
    Below,
    /// By no entry that is left, and after the storage cutover.
    Above,
    /// That can't be said.
    Unknown,
}

/// Times next to the cutover that was asked for last.
#[derive(Clone, Copy)]
struct Around {
    cutover: u64,
    /// The latest at or below it.
    latest_below: Option<u64>,
    /// The earliest above it.
    earliest_above: Option<u64>,
}

/// What the logs of all nodes say.
#[derive(Default)]
pub(super) struct Clock {
    /// The first entry that writes at a time.
    indexes: FxHashMap<u64, u64>,
    /// The first entry that locks at a time. It may also be when something else was written.
    locks: FxHashMap<u64, u64>,
    /// Terms of entries that were not taken back.
    terms: FxHashMap<u64, u64>,
    around: Option<Around>,
    /// Values in the clear of which [`Made::Unknown`] was said.
    pub(super) unplaced: u64,
}

impl Clock {
    /// Takes in the logs of a node.
    pub(super) fn read(&mut self, logs: &[Log], ring: &Keyring) {
        let entries = logs.iter().flat_map(|log| &log.entries);
        for entry in entries.filter(|entry| !entry.overwritten) {
            self.terms.insert(entry.index, entry.term);
            let Data::Payload(payload) = &entry.data else {
                continue;
            };
            let opened = Envelope::of(payload).and_then(|envelope| {
                let aad = envelope.raft_aad();
                ring.open(&envelope, Purpose::Raft, &aad).ok()
            });
            let payload = opened.as_ref().map_or(&payload[..], |plain| &plain[..]);
            for (time, writes) in times(payload) {
                let of = match writes {
                    true => &mut self.indexes,
                    false => &mut self.locks,
                };
                let index = of.entry(time).or_insert(entry.index);
                *index = entry.index.min(*index);
            }
        }
    }

    /// The term of a cutover's entry, if a log has it.
    pub(super) fn cutover_term(&self, cutover: u64) -> Option<u64> {
        self.terms.get(&cutover).copied()
    }

    /// When a row with this time was made.
    pub(super) fn made(&mut self, time: u64, cutover: u64) -> Made {
        let index = self.indexes.get(&time).or_else(|| self.locks.get(&time));
        if let Some(index) = index {
            return Made::At(*index);
        }
        // Rows that no entry made: a node writes the first route table by itself.
        let around = self.around(cutover);
        match (around.latest_below, around.earliest_above) {
            (Some(latest), _) if time <= latest => Made::Below,
            (_, Some(earliest)) if time < earliest => Made::Below,
            (None, None) => Made::Unknown,
            _ => Made::Above,
        }
    }

    fn around(&mut self, cutover: u64) -> Around {
        if let Some(around) = self.around.filter(|around| around.cutover == cutover) {
            return around;
        }
        let (below, above): (Vec<_>, Vec<_>) = self
            .indexes
            .iter()
            .partition(|(_, index)| **index <= cutover);
        let around = Around {
            cutover,
            latest_below: below.into_iter().map(|(time, _)| *time).max(),
            earliest_above: above.into_iter().map(|(time, _)| *time).min(),
        };
        self.around = Some(around);
        around
    }
}

/// Every time that a proposal may stamp rows with, and whether those are more than locks.
fn times(payload: &[u8]) -> Vec<(u64, bool)> {
    let requests = match payload.split_first() {
        Some((&ONE_REQUEST, request)) => Request::decode(request).map(|request| vec![request]),
        Some((&BATCH, command)) => Command::decode(command).map(|command| command.requests),
        Some((opcode, _)) if *opcode >= LEGACY_MIN => {
            Request::decode(payload).map(|request| vec![request])
        }
        _ => return Vec::new(),
    };
    let mut times = Vec::new();
    for request in requests.unwrap_or_default() {
        let begins = request.is_transaction && [ONE_PHASE, COMMIT].contains(&request.phase);
        if !begins {
            times.push((request.time, !request.is_transaction));
        }
        let of_transaction = request
            .mutations
            .iter()
            .filter(|mutation| mutation.key.starts_with(TRANSACTION));
        let committed = of_transaction.filter_map(|mutation| committed_at(&mutation.value));
        times.extend(committed.map(|time| (time, true)));
    }
    times.retain(|(time, _)| *time != 0);
    times
}

/// When a transaction commits: `1 ‖ time to live BE64 ‖ commit BE64 ‖ …`, or `2 ‖ flags ‖
/// length BE64 ‖ primary key ‖ the fields that the flags name`.
fn committed_at(meta: &[u8]) -> Option<u64> {
    let number = |at: usize| {
        let bytes = meta.get(at..at.checked_add(8)?)?;
        Some(u64::from_be_bytes(bytes.try_into().ok()?))
    };
    match meta {
        [1, ..] => number(9),
        [2, flags, ..] if flags & 0x02 != 0 => {
            let key = usize::try_from(number(2)?).ok()?;
            let lives = if flags & 0x01 != 0 { 8 } else { 0 };
            number(10_usize.checked_add(key)?.checked_add(lives)?)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use crate::disk::Entry;

    use super::*;

    fn entry(index: u64, payload: Vec<u8>) -> Entry {
        Entry {
            index,
            term: 2,
            data: Data::Payload(payload),
            offset: None,
            overwritten: false,
        }
    }

    fn request(time: u64, phase: i32, meta: &[u8]) -> Request {
        let is_transaction = !meta.is_empty();
        let mutations = vec![Mutation {
            key: b"!txn|meta|k".to_vec(),
            value: meta.to_vec(),
        }];
        Request {
            is_transaction,
            phase,
            time,
            mutations,
        }
    }

    #[test]
    fn rows_are_placed_by_what_the_log_carries() {
        let version_1 = [&[1][..], &[0; 8], &70_u64.to_be_bytes(), &[0; 8]].concat();
        let version_2 = [
            &[2, 3][..],
            &2_u64.to_be_bytes(),
            b"kk",
            &[9; 8],
            &80_u64.to_be_bytes(),
        ]
        .concat();
        let prepared = request(60, 1, &version_1).encode_to_vec();
        let one = [&[ONE_REQUEST][..], &prepared].concat();
        // This one began to read when the row at 50 was the newest.
        let requests = vec![request(50, ONE_PHASE, &version_2), request(71, 0, b"")];
        let batch = [&[BATCH][..], &Command { requests }.encode_to_vec()].concat();
        let log = Log {
            path: "wal".into(),
            entries: vec![
                entry(5, one),
                entry(9, batch),
                entry(10, b"\x02lease...".to_vec()),
            ],
        };
        let mut clock = Clock::default();
        assert_eq!(clock.made(60, 5), Made::Unknown, "no log is left");
        clock.around = None;
        clock.read(&[log], &Keyring::default());
        for (time, index) in [(60, 5), (70, 5), (80, 9), (71, 9)] {
            assert_eq!(clock.made(time, 7), Made::At(index), "{time}");
        }
        assert_eq!(clock.made(50, 7), Made::Below);
        assert_eq!(clock.made(65, 7), Made::Below);
        assert_eq!(clock.made(90, 9), Made::Above);
        assert_eq!(
            clock.made(50, 4),
            Made::Below,
            "before anything above the cutover"
        );
        assert_eq!(clock.made(90, 4), Made::Above);
        let terms = (clock.cutover_term(9), clock.cutover_term(8));
        assert_eq!(terms, (Some(2), None));
        assert!(times(b"\x00\xff\xff").is_empty());
    }
}
