//! The scan against a search that looks for every spelling of everything at every byte.

use std::os::unix::fs::FileExt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use keyquake_formats::canary::Canary;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use super::file::CHUNK_BYTES;
use super::*;
use crate::canaries::MayStand;
use crate::secrets;

const CANARIES: u64 = 40;

/// Everything that stands somewhere, and where it begins.
type Hits = Vec<(usize, Hit)>;

struct Scene {
    needles: Needles,
    /// What the naive search looks for: hit, bytes, and how many of the bytes in front are not
    /// the needle's alone.
    spelled: Vec<(Hit, Vec<u8>)>,
    rng: ChaCha8Rng,
}

fn hex(bytes: &[u8], upper: bool) -> String {
    let digits = bytes.iter().map(|byte| match upper {
        true => format!("{byte:02X}"),
        false => format!("{byte:02x}"),
    });
    digits.collect()
}

/// Every character as an escape.
fn escapes(bytes: &[u8], upper: bool) -> String {
    let each = bytes
        .iter()
        .map(|byte| format!("\\u00{}", hex(&[*byte], upper)));
    each.collect()
}

/// All spellings of a canary, written down once more.
fn spelled(canary: &[u8]) -> Vec<(Spelling, Vec<u8>)> {
    let mut all = vec![(Spelling::Raw, canary.to_vec())];
    for upper in [false, true] {
        all.push((Spelling::Hex, hex(canary, upper).into_bytes()));
        all.push((Spelling::JsonEscapes, escapes(canary, upper).into_bytes()));
    }
    for lead in 0..3 {
        let text = STANDARD_NO_PAD.encode([&vec![0; lead], canary].concat());
        let (first, last) = ([0, 2, 3][lead], (lead + 32) * 8 / 6);
        all.push((Spelling::Base64, text.as_bytes()[first..last].to_vec()));
    }
    all
}

impl Scene {
    fn new(seed: u64, keys: &[[u8; 32]]) -> Scene {
        let mut canaries = Canaries::new(Canary::of_seed(seed));
        (0..CANARIES).for_each(|value| canaries.plant(1, value, MayStand::Nowhere));
        let secrets: Vec<_> = keys
            .iter()
            .flat_map(|key| secrets::spellings("KEK", key))
            .collect();
        let mut all = Vec::new();
        for (number, canary) in canaries.needles().enumerate() {
            for (spelling, bytes) in spelled(&canary) {
                all.push((Hit::Canary(number, spelling), bytes));
            }
        }
        let secret =
            |(number, secret): (usize, &Secret)| (Hit::Secret(number), secret.bytes.to_vec());
        all.extend(secrets.iter().enumerate().map(secret));
        Scene {
            needles: Needles::new(Some(&canaries), secrets),
            spelled: all,
            rng: ChaCha8Rng::seed_from_u64(seed),
        }
    }

    fn below(&mut self, limit: usize) -> usize {
        (self.rng.next_u64() % limit as u64) as usize
    }

    /// Bytes that look like one of the kinds of content that spellings hide in.
    fn noise(&mut self, bytes: usize) -> Vec<u8> {
        const KINDS: [&[u8]; 6] = [
            b"",
            b"abcdefghijklmnopqrstuvwxyz234567",
            b"0123456789abcdefABCDEF3367",
            b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/-_=",
            br"\u0061\u0063\u00",
            b"\0\0\0\0\0\0\0\x01",
        ];
        let kind = KINDS[self.below(KINDS.len())];
        let byte = |rng: &mut ChaCha8Rng| match kind.len() {
            0 => rng.next_u32() as u8,
            many => kind[rng.next_u32() as usize % many],
        };
        (0..bytes).map(|_| byte(&mut self.rng)).collect()
    }

    fn scan(&self, bytes: &[u8]) -> Hits {
        let mut hits = Vec::new();
        self.needles
            .each_in(bytes, |hit, range| hits.push((range.start, hit)));
        hits.sort();
        hits
    }

    /// At every byte, everything.
    fn naive(&self, bytes: &[u8]) -> Hits {
        let mut hits = Vec::new();
        for (hit, needle) in &self.spelled {
            let mut free = 0;
            for at in 0..bytes.len() {
                let overlaps = at < free && matches!(hit, Hit::Secret(_));
                if stands(*hit, needle, &bytes[at..]) && !overlaps {
                    hits.push((at, *hit));
                    free = at + needle.len();
                }
            }
        }
        hits.sort();
        hits.dedup();
        hits
    }
}

/// Hex digits are read in either case, also mixed.
fn stands(hit: Hit, needle: &[u8], bytes: &[u8]) -> bool {
    let Some(here) = bytes.get(..needle.len()) else {
        return false;
    };
    match hit {
        Hit::Canary(_, Spelling::Hex) => here.eq_ignore_ascii_case(needle),
        Hit::Canary(_, Spelling::JsonEscapes) => {
            here.eq_ignore_ascii_case(needle) && !here.contains(&b'U')
        }
        _ => here == needle,
    }
}

fn key(seed: u64) -> [u8; 32] {
    let mut key = [0; 32];
    ChaCha8Rng::seed_from_u64(seed).fill_bytes(&mut key);
    key
}

#[test]
fn every_spelling_is_met_once_at_every_alignment_and_at_both_ends() {
    let scene = Scene::new(3, &[key(1), key(2)]);
    let needles: Vec<_> = scene.spelled.iter().step_by(7).collect();
    for (hit, needle) in needles {
        for before in 0..STRIDE_BYTES * 2 + 2 {
            for (around, behind) in [(0xa5, 0), (b'a', 1), (b'4', 40), (b'\\', 3)] {
                let bytes = [&vec![around; before][..], needle, &vec![around; behind]].concat();
                let hits = scene.scan(&bytes);
                assert!(
                    hits.contains(&(before, *hit)),
                    "{hit:?} at {before}: {hits:?}"
                );
                assert_eq!(hits, scene.naive(&bytes), "{hit:?} at {before}");
            }
            // One byte short at either end, it is not there.
            let bytes = [&vec![0xa5; before][..], needle].concat();
            let short = [
                scene.scan(&bytes[..bytes.len() - 1]),
                scene.scan(&bytes[before + 1..]),
            ];
            assert!(
                short
                    .iter()
                    .all(|hits| hits.iter().all(|(_, other)| other != hit))
            );
        }
    }
}

#[test]
fn it_finds_what_a_naive_search_finds_in_noise_of_every_kind() {
    let slow = std::env::var_os("KEYQUAKE_SLOW").is_some();
    let mut met = 0;
    for seed in 0..if slow { 1_000 } else { 40 } {
        let mut scene = Scene::new(seed, &[key(seed), key(seed + 1_000)]);
        let mut bytes = Vec::new();
        while bytes.len() < 3_000 {
            let noise = scene.below(150);
            bytes.extend(scene.noise(noise));
            let chosen = scene.below(scene.spelled.len());
            let needle = scene.spelled[chosen].1.clone();
            // Whole, cut at either end, or with one bit changed.
            match scene.below(6) {
                0 => bytes.extend(&needle[..scene.below(needle.len())]),
                1 => bytes.extend(&needle[scene.below(needle.len())..]),
                2 => {
                    let at = scene.below(needle.len());
                    let bit = 1 << scene.below(8);
                    bytes.extend(&needle);
                    let begin = bytes.len() - needle.len();
                    bytes[begin + at] ^= bit;
                }
                _ => bytes.extend(&needle),
            }
        }
        let hits = scene.scan(&bytes);
        met += hits.len();
        assert_eq!(hits, scene.naive(&bytes), "seed {seed}");
    }
    assert!(met > 400, "{met} needles");
}

#[test]
fn base64_is_found_wherever_in_a_text_a_canary_begins_with_and_without_padding() {
    use base64::engine::general_purpose::{STANDARD, URL_SAFE, URL_SAFE_NO_PAD};
    let mut scene = Scene::new(5, &[]);
    for number in 0..CANARIES {
        let canary = Canary::of_seed(5).canary(1, number);
        for before in 0..30 {
            let mut text = vec![0; before];
            scene.rng.fill_bytes(&mut text);
            text.extend(canary);
            text.extend(vec![0xfb; before % 5]);
            for encoded in [
                STANDARD.encode(&text),
                URL_SAFE.encode(&text),
                STANDARD_NO_PAD.encode(&text),
                URL_SAFE_NO_PAD.encode(&text),
            ] {
                let hits = scene.scan(encoded.as_bytes());
                let expected = Hit::Canary(number as usize, Spelling::Base64);
                let hits: Vec<_> = hits.iter().map(|(_, hit)| *hit).collect();
                assert_eq!(hits, [expected], "{before} bytes before");
            }
        }
    }
}

#[test]
fn degenerate_keys_do_not_blow_up() {
    let scene = Scene::new(6, &[[0; 32], [9; 32], *b"abababababababababababababababab"]);
    let bytes = [vec![0; 1000], vec![9; 100], b"ab".repeat(100)].concat();
    let hits = scene.scan(&bytes);
    assert_eq!(hits, scene.naive(&bytes));
    assert!(hits.len() > 30 && hits.len() < 50, "{}", hits.len());
}

#[test]
fn two_canaries_that_share_their_middle_are_both_met() {
    let one = *b"aaaaaaaabcdefghijklmnopqaaaaaaaa";
    let other = *b"bbbbbbbbbcdefghijklmnopqbbbbbbbb";
    let canaries = planted::PlantedCanaries::new(vec![one, other]);
    for (number, canary) in [one, other].iter().enumerate() {
        let mut met = Vec::new();
        let window = canary.first_chunk().unwrap();
        let shapes = canaries.shapes.of(window);
        let mut noted = Vec::new();
        canaries.note(canary, 0, window, shapes, &mut noted);
        canaries.settle(canary, &mut noted, |found, range| met.push((found, range)));
        assert_eq!(met, [((number, Spelling::Raw), 0..32)]);
    }
}

/// A hit and the byte of the file.
fn scan_file(scene: &Scene, file: &tempfile::NamedTempFile) -> (Vec<(u64, Hit)>, u64) {
    let mut seen = Vec::new();
    let bytes = scene
        .needles
        .each_in_file(file.path(), |hit, at| seen.push((at, hit)))
        .unwrap();
    seen.sort();
    (seen, bytes)
}

#[test]
fn everything_is_met_once_across_the_edges_of_chunks_and_of_holes() {
    let mut key = key(9);
    // It begins and ends with what a hole is made of.
    (key[0], key[31]) = (0, 0);
    let scene = Scene::new(3, &[key]);
    let file = tempfile::NamedTempFile::new().unwrap();
    let mut expected = Vec::new();
    let write = |bytes: &[u8], at: u64| file.as_file().write_all_at(bytes, at).unwrap();
    // Each spelling around an edge, byte by byte.
    let edge = CHUNK_BYTES as u64;
    let mut chunk = 0;
    for (hit, needle) in scene
        .spelled
        .iter()
        .filter(|(hit, _)| matches!(hit, Hit::Canary(0 | 7, _) | Hit::Secret(_)))
    {
        for before in (0..needle.len() as u64 + 2).step_by(5) {
            chunk += 1;
            let at = chunk * edge - before.min(chunk * edge);
            write(needle, at);
            expected.push((at, *hit));
        }
    }
    // Far behind a hole, and a key whose zeros are in the holes around it.
    let far = (chunk + 10) * edge;
    write(&scene.spelled[0].1, far);
    expected.push((far, scene.spelled[0].0));
    let block = 2 * far;
    write(&key[1..31], block + 4096 - 30);
    file.as_file().set_len(block + (1 << 20)).unwrap();
    let raw = scene
        .spelled
        .iter()
        .find(|(_, needle)| needle[..] == key[..]);
    expected.push((block + 4096 - 31, raw.unwrap().0));
    let (seen, bytes) = scan_file(&scene, &file);
    // A key of two spellings that read alike is one spelling; a short one may lie in a long one.
    let missing: Vec<_> = expected.iter().filter(|hit| !seen.contains(hit)).collect();
    assert_eq!(missing, Vec::<&(u64, Hit)>::new());
    let mut once = seen.clone();
    once.dedup();
    assert_eq!(seen, once);
    assert!(bytes < far, "holes were read: {bytes}");
    assert!(
        scan_file(&scene, &tempfile::NamedTempFile::new().unwrap())
            .0
            .is_empty()
    );
}

#[test]
fn a_file_that_is_cut_short_meanwhile_is_an_error() {
    let scene = Scene::new(3, &[]);
    let file = tempfile::NamedTempFile::new().unwrap();
    file.as_file().write_all_at(&scene.spelled[0].1, 0).unwrap();
    let end = 4 * CHUNK_BYTES as u64;
    file.as_file()
        .write_all_at(&vec![1; CHUNK_BYTES], end)
        .unwrap();
    let cut = |_, _| file.as_file().set_len(100).unwrap();
    let error = scene.needles.each_in_file(file.path(), cut).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof, "{error}");
}
