//! The shapes that a canary takes in each spelling, so that most bytes are told from all of
//! them by looking at four in every twenty-four.
//!
//! A canary is 32 letters and digits of an alphabet of 32. Each spelling is made of units: one
//! byte raw, two hex digits, six characters of a JSON escape, four characters of base64 (for
//! three letters). A *guess* is a spelling and the place in the window where a unit begins. For
//! each place of the window and each byte a table says which guesses it is consistent with; the
//! `and` of them is what a window may be.

use keyquake_formats::canary::CANARY_BYTES;

/// Bytes of a window.
pub(super) const WINDOW_BYTES: usize = 8;
/// Characters of a canary in base64 that it alone decides, wherever in a text it begins.
pub(super) const BASE64_CHARACTERS: usize = 42;
/// The longest spelling: every letter as an escape of six characters.
pub(super) const LONGEST_BYTES: usize = 6 * CANARY_BYTES;

/// How a canary is written down.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Spelling {
    /// As it is.
    Raw,
    /// In hex digits of either case.
    Hex,
    /// In base64, of either alphabet.
    Base64,
    /// In JSON, every letter escaped: `\u0061`.
    JsonEscapes,
}

impl Spelling {
    /// Bytes of a unit.
    const fn unit(self) -> usize {
        match self {
            Spelling::Raw => 1,
            Spelling::Hex => 2,
            Spelling::Base64 => 4,
            Spelling::JsonEscapes => 6,
        }
    }

    /// For a person, with what goes before it: `, in base64`; nothing for raw bytes.
    pub(crate) fn told(self) -> &'static str {
        match self {
            Spelling::Raw => "",
            Spelling::Hex => ", in hex",
            Spelling::Base64 => ", in base64",
            Spelling::JsonEscapes => ", in JSON escapes",
        }
    }
}

/// A spelling, and how many bytes behind the window's begin a unit of it begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Guess {
    pub(super) spelling: Spelling,
    pub(super) phase: usize,
}

/// All guesses there are, in the order of their bits.
const GUESSES: [Guess; 13] = {
    let spellings = [
        Spelling::Raw,
        Spelling::Hex,
        Spelling::Base64,
        Spelling::JsonEscapes,
    ];
    let mut all = [Guess {
        spelling: Spelling::Raw,
        phase: 0,
    }; 13];
    let (mut at, mut number) = (0, 0);
    while number < spellings.len() {
        let mut phase = 0;
        while phase < spellings[number].unit() {
            all[at] = Guess {
                spelling: spellings[number],
                phase,
            };
            at += 1;
            phase += 1;
        }
        number += 1;
    }
    all
};

/// Which guesses a byte is consistent with, by its place in the window.
pub(super) struct Shapes {
    places: [[u16; 256]; WINDOW_BYTES],
}

impl Shapes {
    /// The table; with nothing to look for, no window has a shape.
    pub(super) fn new(anything: bool) -> Shapes {
        let mut places = [[0; 256]; WINDOW_BYTES];
        for (place, bytes) in places.iter_mut().enumerate() {
            for byte in 0..=u8::MAX {
                for (bit, guess) in GUESSES.iter().enumerate() {
                    let unit = guess.spelling.unit();
                    let within = (place + unit - guess.phase) % unit;
                    let fits = anything && stands_in_unit(guess.spelling, within, byte);
                    bytes[usize::from(byte)] |= u16::from(fits) << bit;
                }
            }
        }
        Shapes { places }
    }

    /// What a window may be, a bit for each guess.
    #[inline]
    pub(super) fn of(&self, window: &[u8; WINDOW_BYTES]) -> u16 {
        let place = |at: usize| self.places[at][usize::from(window[at])];
        let begin = place(0) & place(1) & place(2) & place(3);
        if begin == 0 {
            return 0;
        }
        begin & place(4) & place(5) & place(6) & place(7)
    }
}

/// The guesses in what [`Shapes::of`] said.
pub(super) fn guesses(shapes: u16) -> impl Iterator<Item = Guess> {
    let mut left = shapes;
    std::iter::from_fn(move || {
        let guess = GUESSES.get(left.trailing_zeros() as usize)?;
        left &= left - 1;
        Some(*guess)
    })
}

/// The alphabet of canaries.
pub(super) fn is_letter(byte: u8) -> bool {
    matches!(byte, b'a'..=b'z' | b'2'..=b'7')
}

/// Whether a byte may stand at a place of a unit that spells a letter, or three.
fn stands_in_unit(spelling: Spelling, within: usize, byte: u8) -> bool {
    let mut letters = (0..=u8::MAX).filter(|letter| is_letter(*letter));
    match (spelling, within) {
        (Spelling::Raw, _) => is_letter(byte),
        (Spelling::Hex, 0) | (Spelling::JsonEscapes, 4) => {
            hex(byte).is_some_and(|high| letters.any(|letter| letter >> 4 == high))
        }
        (Spelling::Hex, _) | (Spelling::JsonEscapes, 5) => hex(byte).is_some(),
        (Spelling::JsonEscapes, within) => byte == br"\u00"[within],
        (Spelling::Base64, within) => sextet(byte).is_some_and(|six| {
            letters.any(|one| {
                let mut next = (0..=u8::MAX).filter(|letter| is_letter(*letter));
                next.any(|other| match within {
                    0 => one >> 2 == six,
                    1 => (one & 3) << 4 | other >> 4 == six,
                    2 => (one & 15) << 2 | other >> 6 == six,
                    _ => one & 63 == six,
                })
            })
        }),
    }
}

fn hex(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        b'A'..=b'F' => Some(byte - b'A' + 10),
        _ => None,
    }
}

/// The six bits of a character of either alphabet of base64.
fn sextet(byte: u8) -> Option<u8> {
    match byte {
        b'A'..=b'Z' => Some(byte - b'A'),
        b'a'..=b'z' => Some(byte - b'a' + 26),
        b'0'..=b'9' => Some(byte - b'0' + 52),
        b'+' | b'-' => Some(62),
        b'/' | b'_' => Some(63),
        _ => None,
    }
}

/// Bytes read as a guess has it, from a place where a unit begins.
#[derive(Clone, Copy)]
pub(super) struct Frame<'a> {
    pub(super) bytes: &'a [u8],
    /// Where letter 0 begins.
    pub(super) begin: usize,
    pub(super) spelling: Spelling,
}

impl<'a> Frame<'a> {
    /// That of a guess about the window at a place.
    pub(super) fn of(bytes: &'a [u8], at: usize, guess: Guess) -> Frame<'a> {
        Frame {
            bytes,
            begin: at + guess.phase,
            spelling: guess.spelling,
        }
    }

    /// The letter so many behind the frame's begin, or before it; `None` where there is none.
    pub(super) fn letter(&self, at: isize) -> Option<u8> {
        let byte = |offset: isize| {
            let place = self.begin.checked_add_signed(offset)?;
            self.bytes.get(place).copied()
        };
        match self.spelling {
            Spelling::Raw => byte(at),
            Spelling::Hex => Some(hex(byte(2 * at)?)? << 4 | hex(byte(2 * at + 1)?)?),
            Spelling::JsonEscapes => {
                let unit = 6 * at;
                let leads = (0..4).all(|i| byte(unit + i) == Some(br"\u00"[i as usize]));
                let (high, low) = (hex(byte(unit + 4)?)?, hex(byte(unit + 5)?)?);
                leads.then_some(high << 4 | low)
            }
            Spelling::Base64 => {
                let (unit, within) = (4 * at.div_euclid(3), at.rem_euclid(3));
                let one = sextet(byte(unit + within)?)?;
                let other = sextet(byte(unit + within + 1)?)?;
                Some(match within {
                    0 => one << 2 | other >> 4,
                    1 => one << 4 | other >> 2,
                    _ => one << 6 | other,
                })
            }
        }
    }

    /// Letters from so many behind the frame's begin, 0 where there is none.
    pub(super) fn letters(&self, first: isize, into: &mut [u8]) {
        let begin = self.begin.checked_add_signed(first);
        let whole = begin.and_then(|begin| self.bytes.get(begin..begin + into.len()));
        match whole.filter(|_| self.spelling == Spelling::Raw) {
            Some(letters) => into.copy_from_slice(letters),
            None => {
                for (offset, letter) in into.iter_mut().enumerate() {
                    *letter = self.letter(first + offset as isize).unwrap_or(0);
                }
            }
        }
    }

    /// Where the first character is that a canary alone decides, if its first letter is so many
    /// before the frame's begin.
    pub(super) fn first_character(&self, before: usize) -> Option<usize> {
        let characters = match self.spelling {
            // The character in which it begins has bits of the letter before.
            Spelling::Base64 => before * 8 / 6,
            spelling => before * spelling.unit(),
        };
        self.begin.checked_sub(characters)
    }

    /// How many bytes a canary takes here.
    pub(super) fn canary_bytes(&self) -> usize {
        match self.spelling {
            Spelling::Base64 => BASE64_CHARACTERS,
            spelling => spelling.unit() * CANARY_BYTES,
        }
    }
}
