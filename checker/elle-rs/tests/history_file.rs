//! The format on disk: what is written is read; what a crash or a bad disk leaves is told apart;
//! and no bytes whatever make the reader panic.

use std::io::Cursor;
use std::path::Path;

use elle_rs::history::file::{MAGIC, ReadError, Reader, TornTail, VERSION, Writer};
use elle_rs::history::{Action, Event, FaultEvent, FaultStep, Kind, Op, Phase, PhaseEvent, Step};
use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// One of each thing an event can hold.
fn event(index: u64) -> Event {
    let time_ns = index * 1_000;
    let action = match index % 5 {
        0 => Action::Read {
            key: index % 7,
            value: index.is_multiple_of(2).then_some(index),
        },
        1 => Action::Write {
            key: index % 7,
            value: index,
        },
        2 => Action::Swap {
            key: 1,
            value: index,
            old: Some(u64::MAX),
        },
        3 => Action::Cas {
            key: 2,
            expected: 1,
            value: index,
            swapped: true,
        },
        _ => Action::Txn {
            steps: vec![
                Step::Append {
                    key: 3,
                    value: index,
                },
                Step::Read {
                    key: 4,
                    list: Some((0..index % 9).collect()),
                },
                Step::Read { key: 5, list: None },
            ],
        },
    };
    match index % 50 {
        48 => Event::Fault(FaultEvent {
            index,
            time_ns,
            fault: 1,
            name: "partition-halves".to_owned(),
            nodes: vec![0, 2],
            step: FaultStep::Effective,
            evidence: "n1 and n3 cannot reach n2 — probed".to_owned(),
        }),
        49 => Event::Phase(PhaseEvent {
            index,
            time_ns,
            phase: Phase::Final,
        }),
        _ => Event::Op(Op {
            index,
            time_ns,
            process: index as u32 % 11,
            kind: [Kind::Invoke, Kind::Ok, Kind::Fail, Kind::Info][index as usize % 4],
            action,
            node: index.is_multiple_of(3).then_some(1),
            error: index
                .is_multiple_of(4)
                .then(|| "timeout: no answer in 1s".to_owned()),
        }),
    }
}

/// A history of `events` events, a chunk cut after every `per_chunk`.
fn written(events: u64, per_chunk: u64) -> Vec<u8> {
    let mut writer = Writer::new(Vec::new()).unwrap();
    for index in 0..events {
        writer.append(&event(index)).unwrap();
        if (index + 1).is_multiple_of(per_chunk) {
            writer.flush().unwrap();
        }
    }
    writer.finish().unwrap()
}

type Read = Result<(Vec<Event>, Option<TornTail>), ReadError>;

fn read(bytes: &[u8]) -> Read {
    let mut reader = Reader::from_read(Cursor::new(bytes), Path::new("x.kqh"))?;
    let events = reader.by_ref().collect::<Result<Vec<_>, _>>()?;
    Ok((events, reader.torn().copied()))
}

fn all(events: u64) -> Vec<Event> {
    (0..events).map(event).collect()
}

/// Where each chunk begins.
fn chunk_offsets(bytes: &[u8]) -> Vec<usize> {
    let mut at = 12;
    let mut offsets = Vec::new();
    while at < bytes.len() {
        offsets.push(at);
        let length = u32::from_le_bytes(bytes[at + 4..at + 8].try_into().unwrap());
        at += 20 + length as usize;
    }
    assert_eq!(at, bytes.len());
    offsets
}

#[test]
fn what_is_written_is_read() {
    for (events, per_chunk) in [(0, 1), (1, 1), (100, 7), (60_000, u64::MAX)] {
        assert_eq!(
            read(&written(events, per_chunk)).unwrap(),
            (all(events), None)
        );
    }
    // Without a flush, chunks are cut by size.
    assert!(chunk_offsets(&written(60_000, u64::MAX)).len() > 1);
}

#[test]
fn the_first_bytes_are_as_documented() {
    let bytes = written(1, 1);
    assert_eq!(&bytes[..8], b"KQHIST\r\n");
    assert_eq!(bytes[8..12], [2, 0, 0, 0]);
    assert_eq!(&bytes[12..16], b"KQCH");
    let word = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap());
    assert_eq!(word(16) as usize, bytes.len() - 32);
    assert_eq!(word(24), crc32c::crc32c(&bytes[32..]));
    assert_eq!(word(28), crc32c::crc32c(&bytes[12..28]));
    let raw = zstd::decode_all(&bytes[32..]).unwrap();
    assert_eq!(word(20) as usize, raw.len());
    // Event::Op, index 0, time 0, process 0, Invoke, Read key 0 value Some(0), node Some(1), error.
    assert_eq!(raw[..11], [0, 0, 0, 0, 0, 0, 0, 1, 0, 1, 1]);
}

#[test]
fn cut_at_any_byte_it_keeps_every_whole_chunk() {
    let bytes = written(60, 6);
    let offsets = chunk_offsets(&bytes);
    for end in 12..bytes.len() {
        let (events, torn) = read(&bytes[..end]).unwrap();
        let at = *offsets.iter().rfind(|&&at| at <= end).unwrap();
        let whole = offsets.iter().position(|&o| o == at).unwrap();
        assert_eq!(events, all(whole as u64 * 6), "cut at {end}");
        let expected = (end > at).then_some(TornTail {
            offset: at as u64,
            bytes: (end - at) as u64,
        });
        assert_eq!(torn, expected, "cut at {end}");
    }
}

#[test]
fn a_garbled_last_chunk_is_torn_and_one_before_is_damage() {
    let bytes = written(60, 6);
    let offsets = chunk_offsets(&bytes);
    let last = *offsets.last().unwrap();
    for at in 12..bytes.len() {
        let mut garbled = bytes.clone();
        garbled[at] ^= 0x40;
        match read(&garbled) {
            Ok((events, torn)) => {
                assert!(at >= last, "damage at {at} passed as torn");
                assert_eq!(events, all(54));
                assert_eq!(torn.unwrap().offset, last as u64);
            }
            Err(ReadError::Corrupt { offset, path, .. }) => {
                assert!(at < last, "the torn tail at {at} passed as damage");
                let chunk = *offsets.iter().rfind(|&&o| o <= at).unwrap();
                assert_eq!(offset, chunk as u64);
                assert_eq!(path, Path::new("x.kqh"));
            }
            Err(other) => panic!("byte {at}: {other}"),
        }
    }
    // Zeros at the end are what some file systems leave after power loss.
    let mut zeros = bytes.clone();
    zeros.extend([0; 5000]);
    let torn = TornTail {
        offset: bytes.len() as u64,
        bytes: 5000,
    };
    assert_eq!(read(&zeros).unwrap(), (all(60), Some(torn)));
}

#[test]
fn what_is_not_a_history_is_said_to_be_none() {
    for (bytes, words) in [
        (&b""[..], "the file is empty"),
        (b"KQH", "it ends within its header"),
        (b"PK\x03\x04 and so on", "it begins with \"PK\\x03\\x04"),
        (b"KQHIST\n\x01\0\0\0\0\0\0\0", "it begins with"),
        (b"KQHIST\r\n\0\0\0\0", "version is 0"),
    ] {
        let message = read(bytes).unwrap_err().to_string();
        assert!(
            message.starts_with("x.kqh: not a keyquake history"),
            "{message}"
        );
        assert!(message.contains(words), "{message}");
    }
    let mut newer = written(1, 1);
    newer[8] = VERSION as u8 + 1;
    let message = read(&newer).unwrap_err().to_string();
    assert!(
        message.contains("format version 3") && message.contains("up to 2"),
        "{message}"
    );
    let absent = Reader::open(Path::new("no/such/file.kqh")).err().unwrap();
    assert!(absent.to_string().contains("no/such/file.kqh"), "{absent}");
}

#[test]
fn version_1_is_read_as_before() {
    let mut older = written(60, 10);
    older[8] = 1;
    assert_eq!(read(&older).unwrap(), (all(60), None));
}

#[test]
fn a_whole_chunk_without_events_is_malformed() {
    let payload = zstd::bulk::compress(&[9, 9, 9], 1).unwrap();
    let mut bytes = MAGIC.to_vec();
    bytes.extend(1u32.to_le_bytes());
    let mut head = b"KQCH".to_vec();
    head.extend((payload.len() as u32).to_le_bytes());
    head.extend(3u32.to_le_bytes());
    head.extend(crc32c::crc32c(&payload).to_le_bytes());
    head.extend(crc32c::crc32c(&head).to_le_bytes());
    bytes.extend(head);
    bytes.extend(payload);
    assert!(matches!(
        read(&bytes),
        Err(ReadError::Malformed { offset: 12, .. })
    ));
}

#[test]
fn a_failed_write_closes_the_writer() {
    struct Full(usize);
    impl std::io::Write for Full {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            let n = bytes.len().min(self.0);
            self.0 -= n;
            if n == 0 {
                Err(std::io::ErrorKind::StorageFull.into())
            } else {
                Ok(n)
            }
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let mut writer = Writer::new(Full(20)).unwrap();
    writer.append(&event(1)).unwrap();
    assert!(writer.flush().is_err());
    // Nothing may follow a half-written chunk.
    assert!(writer.append(&event(2)).is_err());
    assert!(writer.flush().is_err());
}

/// Events are a prefix of the true ones, or an error came: nothing is invented, nothing panics.
#[test]
fn mutated_histories_never_panic_and_never_lie() {
    let mut rng = ChaCha8Rng::seed_from_u64(4);
    let whole = written(400, 40);
    let truth = all(400);
    for _ in 0..30_000 {
        let mut bytes = whole.clone();
        for _ in 0..rng.random_range(1..4) {
            mutate(&mut rng, &mut bytes);
        }
        if let Ok(reader) = Reader::from_read(Cursor::new(&bytes), Path::new("x.kqh")) {
            let read: Vec<Event> = reader.map_while(Result::ok).collect();
            // Whole chunks may have been moved or repeated by the mutation; each is still true.
            for event in &read {
                assert_eq!(*event, truth[event.index() as usize]);
            }
        }
    }
}

fn mutate(rng: &mut ChaCha8Rng, bytes: &mut Vec<u8>) {
    let n = bytes.len();
    if n < 2 {
        return;
    }
    let at = rng.random_range(0..n);
    let end = (at + rng.random_range(1..200)).min(n);
    match rng.random_range(0..6) {
        0 => bytes[at] ^= 1 << rng.random_range(0..8),
        1 => bytes.truncate(at),
        2 => drop(bytes.drain(at..end)),
        3 => bytes[at..end].fill(0),
        4 => rng.fill_bytes(&mut bytes[at..end]),
        _ => {
            let piece = bytes[at..end].to_vec();
            let to = rng.random_range(0..n);
            bytes.splice(to..to, piece);
        }
    }
}

#[test]
fn arbitrary_bytes_never_panic() {
    let mut rng = ChaCha8Rng::seed_from_u64(5);
    for round in 0..20_000 {
        let mut bytes = vec![0; rng.random_range(0..600)];
        rng.fill_bytes(&mut bytes);
        if round % 2 == 0 {
            bytes.splice(0..0, written(0, 1));
        }
        // Garbage under right checksums reaches the decoders behind them.
        if round % 4 == 0 {
            let payload = if round % 8 == 0 {
                bytes.split_off(12)
            } else {
                zstd::bulk::compress(&bytes.split_off(12), 1).unwrap()
            };
            let mut head = b"KQCH".to_vec();
            head.extend((payload.len() as u32).to_le_bytes());
            head.extend(rng.random_range(1..700u32).to_le_bytes());
            head.extend(crc32c::crc32c(&payload).to_le_bytes());
            head.extend(crc32c::crc32c(&head).to_le_bytes());
            bytes.extend(head);
            bytes.extend(payload);
        }
        let _verdict = read(&bytes);
    }
}
