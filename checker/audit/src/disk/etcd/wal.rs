//! Segments of the write-ahead log, `wal/*.wal`: `length LE64 ‖ record ‖ padding`, each record
//! with a checksum that runs on from the one before. As in etcd's `storage/wal`.
//!
//! etcd stops at the first record that does not fit. This reader goes on behind it: what is
//! there tells a torn end from damage, and may hold envelopes.

use prost::Message;

use crate::disk::bytes::is_torn;

const LENGTH_BYTES: usize = 8;
/// Kinds of records.
const METADATA: i64 = 1;
const ENTRY: i64 = 2;
const STATE: i64 = 3;
const CHECKSUM: i64 = 4;
const SNAPSHOT: i64 = 5;

/// `walpb.Record`.
#[derive(Clone, PartialEq, Message)]
struct RecordMessage {
    #[prost(int64, tag = "1")]
    kind: i64,
    #[prost(uint32, tag = "2")]
    crc: u32,
    #[prost(bytes = "vec", optional, tag = "3")]
    data: Option<Vec<u8>>,
}

/// `walpb.Snapshot`, as far as it matters.
#[derive(Clone, PartialEq, Message)]
struct SnapshotMessage {
    #[prost(uint64, tag = "1")]
    index: u64,
}

/// What a segment holds that is looked at.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Item {
    /// An entry of the Raft log, still encoded.
    Entry { bytes: Vec<u8>, fits: bool },
    /// A snapshot was made, or came from another node: the log may go on behind its index.
    Snapshot { index: u64 },
}

/// A segment taken apart.
#[derive(Debug, Default)]
pub(crate) struct Segment {
    /// In the order in which they were written, each with where it lies.
    pub(crate) items: Vec<(u64, Item)>,
    /// What is not as it was written, and where.
    pub(crate) damage: Vec<(u64, String)>,
    /// Where it ends in the middle of a record, and how.
    pub(crate) cut: Option<(u64, String)>,
}

/// Reads segments one after the other: the checksum runs through all of them.
#[derive(Default)]
pub(crate) struct Segments {
    /// What the checksum may be after the last record: as it was counted, and as it was said.
    /// `None` where nothing is known of what stands before.
    crc: Option<[u32; 2]>,
}

/// A place where no record stands.
struct Broken {
    what: String,
    /// It would end behind the file.
    reaches_end: bool,
}

struct Frame {
    record: RecordMessage,
    end: usize,
    padded: bool,
}

impl Segments {
    /// Takes the next segment apart.
    pub(crate) fn parse(&mut self, file: &[u8]) -> Segment {
        let mut segment = Segment::default();
        let mut at = 0;
        while at + LENGTH_BYTES <= file.len() {
            if file[at..at + LENGTH_BYTES] == [0; LENGTH_BYTES] {
                // What was made room for, and not written yet, up to the end.
                if file[at..].iter().all(|byte| *byte == 0) {
                    return segment;
                }
                let broken = Broken {
                    what: "a record without a length".to_owned(),
                    reaches_end: false,
                };
                let Some(next) = self.behind(file, at, broken, &mut segment) else {
                    return segment;
                };
                at = next;
                continue;
            }
            match frame(file, at) {
                Ok(frame) => {
                    let Some(next) = self.take(file, at, frame, &mut segment) else {
                        return segment;
                    };
                    at = next;
                }
                Err(broken) => {
                    let Some(next) = self.behind(file, at, broken, &mut segment) else {
                        return segment;
                    };
                    at = next;
                }
            }
        }
        if at < file.len() && file[at..].iter().any(|byte| *byte != 0) {
            segment.cut = Some((at as u64, "the last record has no end".to_owned()));
        }
        segment
    }

    /// Takes in a record; `None` if it is the torn end.
    fn take(
        &mut self,
        file: &[u8],
        at: usize,
        frame: Frame,
        segment: &mut Segment,
    ) -> Option<usize> {
        let Frame {
            record,
            end,
            padded,
        } = frame;
        let data = record.data.unwrap_or_default();
        if at == 0 && record.kind != CHECKSUM {
            let what = "it does not begin with a checksum".to_owned();
            segment.damage.push((0, what));
        }
        if !padded {
            let what = "a record is not padded with zeros".to_owned();
            segment.damage.push((at as u64, what));
        }
        if record.kind == CHECKSUM {
            // Says what the checksum is so far: at the head of each segment, and after a start.
            let expected = self
                .crc
                .is_none_or(|crc| record.crc == 0 || crc.contains(&record.crc));
            if !expected {
                let what = "the checksum does not run on from what stands before".to_owned();
                segment.damage.push((at as u64, what));
            }
            self.crc = Some([record.crc; 2]);
            return Some(end);
        }
        // Behind damage a record is taken by what it says itself.
        let counted = self.crc.map_or([record.crc; 2], |before| {
            before.map(|crc| crc32c::crc32c_append(crc, &data))
        });
        let fits = counted.contains(&record.crc);
        if !fits {
            let what = "the checksum of a record is not that of its bytes";
            if self.next_fitting(file, end, Some(record.crc)).is_none()
                && self.next_fitting(file, end, Some(counted[0])).is_none()
                && is_torn(&file[at + LENGTH_BYTES..end], at + LENGTH_BYTES)
            {
                segment.cut = Some((at as u64, what.to_owned()));
                return None;
            }
            segment.damage.push((at as u64, what.to_owned()));
        }
        self.crc = Some([counted[0], record.crc]);
        match record.kind {
            ENTRY => segment
                .items
                .push((at as u64, Item::Entry { bytes: data, fits })),
            SNAPSHOT => {
                if let Ok(SnapshotMessage { index }) = SnapshotMessage::decode(&data[..]) {
                    segment.items.push((at as u64, Item::Snapshot { index }));
                }
            }
            METADATA | STATE => {}
            kind => {
                let what = format!("a record of kind {kind}, which is not known");
                segment.damage.push((at as u64, what));
            }
        }
        Some(end)
    }

    /// Where to go on behind a place where no record fits; `None` if it is the end.
    fn behind(
        &mut self,
        file: &[u8],
        at: usize,
        broken: Broken,
        segment: &mut Segment,
    ) -> Option<usize> {
        let Broken { what, reaches_end } = broken;
        let next = self.next_fitting(file, at + LENGTH_BYTES, None);
        let used = file
            .iter()
            .rposition(|byte| *byte != 0)
            .map_or(0, |last| last + 1);
        let rest = &file[at..used.max(at)];
        // A record that was being written has holes, or no end.
        if next.is_none() && (reaches_end || is_torn(rest, at)) {
            segment.cut = Some((at as u64, what));
            return None;
        }
        segment.damage.push((at as u64, what));
        self.crc = None;
        next
    }

    /// The first place from here on where a record stands that is the last, or that another
    /// one runs on from. With `crc`, only this place, and only if it runs on from that.
    fn next_fitting(&self, file: &[u8], from: usize, crc: Option<u32>) -> Option<usize> {
        let used = file
            .iter()
            .rposition(|byte| *byte != 0)
            .map_or(0, |last| last + 1);
        let mut at = from.next_multiple_of(LENGTH_BYTES);
        while at + LENGTH_BYTES <= used {
            if stands(file, at, crc) {
                return Some(at);
            }
            if crc.is_some() {
                return None;
            }
            at += LENGTH_BYTES;
        }
        None
    }
}

fn stands(file: &[u8], at: usize, crc: Option<u32>) -> bool {
    let Some(this) = frame(file, at).ok().and_then(Frame::known) else {
        return false;
    };
    if let Some(crc) = crc {
        let is_head = this.record.kind == CHECKSUM && this.record.crc == crc;
        return is_head || this.counted(crc) == this.record.crc;
    }
    let rest = &file[this.end..];
    let next = frame(file, this.end).ok().and_then(Frame::known);
    next.is_some_and(|next| next.counted(this.record.crc) == next.record.crc)
        || this.record.data.is_some() && rest.iter().take(LENGTH_BYTES).all(|byte| *byte == 0)
}

impl Frame {
    fn known(self) -> Option<Frame> {
        let known = (METADATA..=SNAPSHOT).contains(&self.record.kind);
        (known && self.padded).then_some(self)
    }

    fn counted(&self, before: u32) -> u32 {
        match self.record.kind {
            CHECKSUM => before,
            _ => crc32c::crc32c_append(before, self.record.data.as_deref().unwrap_or_default()),
        }
    }
}

/// The record at a place: its length is in the lower 56 bits of the first eight bytes, how
/// many bytes pad it in the lower three of the top byte.
fn frame(file: &[u8], at: usize) -> Result<Frame, Broken> {
    let broken = |what, reaches_end| Broken { what, reaches_end };
    let head = file.get(at..).and_then(<[u8]>::first_chunk::<LENGTH_BYTES>);
    let head = head.ok_or_else(|| broken("a length is cut short".to_owned(), true))?;
    let word = u64::from_le_bytes(*head);
    let padding = match word >> 63 {
        1 => (word >> 56) as usize & 0x7,
        _ => 0,
    };
    let length = usize::try_from(word & !(0xff << 56)).unwrap_or(usize::MAX);
    let begin = at + LENGTH_BYTES;
    let end = begin
        .checked_add(length)
        .and_then(|end| end.checked_add(padding));
    let bytes = end.and_then(|end| file.get(begin..end));
    let (Some(bytes), Some(end)) = (bytes, end) else {
        let what = format!("a record of {length} bytes ends behind the file");
        return Err(broken(what, true));
    };
    if end % LENGTH_BYTES != 0 {
        return Err(broken(
            format!("a record of {length} bytes is not padded"),
            false,
        ));
    }
    let (bytes, padded) = bytes.split_at(length);
    let record = RecordMessage::decode(bytes)
        .map_err(|error| format!("a record of {length} bytes does not decode: {error}"));
    let record = record.map_err(|what| broken(what, false))?;
    Ok(Frame {
        record,
        end,
        padded: padded.iter().all(|byte| *byte == 0),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Writer {
        file: Vec<u8>,
        crc: u32,
    }

    impl Writer {
        fn new(crc: u32) -> Writer {
            let file = Vec::new();
            let mut writer = Writer { file, crc };
            writer.put(CHECKSUM, crc, None);
            writer
        }

        fn add(&mut self, kind: i64, data: &[u8]) -> &mut Writer {
            self.crc = crc32c::crc32c_append(self.crc, data);
            self.put(kind, self.crc, Some(data.to_vec()));
            self
        }

        fn put(&mut self, kind: i64, crc: u32, data: Option<Vec<u8>>) {
            let bytes = RecordMessage { kind, crc, data }.encode_to_vec();
            let padding = (8 - bytes.len() % 8) % 8;
            let mut word = bytes.len() as u64;
            if padding > 0 {
                word |= (0x80 | padding as u64) << 56;
            }
            self.file.extend_from_slice(&word.to_le_bytes());
            self.file.extend_from_slice(&bytes);
            self.file.extend_from_slice(&vec![0; padding]);
        }
    }

    fn entries(segment: &Segment) -> Vec<&[u8]> {
        segment
            .items
            .iter()
            .filter_map(|(_, item)| match item {
                Item::Entry { bytes, .. } => Some(&bytes[..]),
                Item::Snapshot { .. } => None,
            })
            .collect()
    }

    fn three() -> Vec<u8> {
        let mut writer = Writer::new(0);
        writer.add(METADATA, b"who");
        for entry in [&b"first"[..], b"second entry", b"third"] {
            writer.add(ENTRY, entry);
        }
        writer.file
    }

    #[test]
    fn the_checksum_runs_through_segments_and_starts() {
        let mut first = Writer::new(0);
        first
            .add(METADATA, b"who")
            .add(ENTRY, b"a")
            .add(STATE, b"s");
        first.add(SNAPSHOT, &SnapshotMessage { index: 9 }.encode_to_vec());
        first.put(CHECKSUM, first.crc, None);
        let mut second = Writer::new(first.crc);
        second.add(METADATA, b"who").add(ENTRY, b"b");
        second.file.resize(4096, 0);
        let mut segments = Segments::default();
        let (one, two) = (segments.parse(&first.file), segments.parse(&second.file));
        assert_eq!(entries(&one), [b"a"]);
        assert_eq!(one.items[1].1, Item::Snapshot { index: 9 });
        assert_eq!(entries(&two), [b"b"]);
        for segment in [one, two] {
            assert!(
                segment.damage.is_empty() && segment.cut.is_none(),
                "{segment:?}"
            );
        }
        let other = Segments { crc: Some([5; 2]) }.parse(&second.file);
        assert!(!other.damage.is_empty(), "it runs on from another segment");
    }

    #[test]
    fn a_flipped_byte_is_damage_and_what_stands_behind_it_is_read() {
        let mut whole = three();
        let used = whole.len();
        whole.resize(used + 512, 0);
        let clean = Segments::default().parse(&whole);
        for at in 0..used {
            let mut flipped = whole.clone();
            flipped[at] ^= 1;
            let found = Segments::default().parse(&flipped);
            // The kind is not in the checksum: an entry of another kind is missing by its index.
            let is_missing = entries(&found).len() < entries(&clean).len();
            let said = !found.damage.is_empty() || found.cut.is_some();
            assert!(said || is_missing, "{at}");
            if at > 40 && at < used - 32 {
                assert!(entries(&found).contains(&&b"third"[..]), "{at}: {found:?}");
            }
        }
    }

    #[test]
    fn a_torn_end_is_cut_wherever_it_is_torn() {
        let whole = three();
        for length in 0..whole.len() {
            let cut = Segments::default().parse(&whole[..length]);
            assert!(cut.damage.is_empty(), "{length}: {cut:?}");
        }
        let mut torn = Writer::new(0);
        torn.add(ENTRY, b"whole").add(ENTRY, &[7; 2000]);
        let end = torn.file.len();
        torn.file[end - 1600..end - 600].fill(0);
        torn.file.resize(end + 512, 0);
        let found = Segments::default().parse(&torn.file);
        assert_eq!(entries(&found), [b"whole"]);
        assert!(found.cut.is_some() && found.damage.is_empty(), "{found:?}");
    }
}
