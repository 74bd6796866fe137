//! Jepsen's EDN, event by event: maps one after the other, or in one vector, list or set.

use std::io::Read;

use super::entry::{Fields, Kind};
use super::escape;
use super::token::{Shape, Symbols, Token};
use super::window::{Trouble, Window};

/// Forms within forms; a history has six.
pub(super) const DEPTH_MAX: usize = 64;

const BLANK: u8 = 1;
const ENDS_WORD: u8 = 2;
/// It may be passed over, with what follows it.
const PASSED: u8 = 4;

/// What each byte is to a word.
const CLASS: [u8; 256] = {
    let mut class = [0; 256];
    let blanks = b", \t\r\n\x0c";
    let mut at = 0;
    while at < blanks.len() {
        class[blanks[at] as usize] = BLANK | ENDS_WORD | PASSED;
        at += 1;
    }
    let brackets = b"\";()[]{}";
    at = 0;
    while at < brackets.len() {
        class[brackets[at] as usize] = ENDS_WORD;
        at += 1;
    }
    class[b';' as usize] |= PASSED;
    class[b'#' as usize] |= PASSED;
    class
};

/// A text of EDN, read form by form.
pub(super) struct Edn<R> {
    pub window: Window<R>,
    /// Ends of the sequences at top level that are open: their parts are events.
    within: Vec<u8>,
    /// Whether an event has begun: no word ends it.
    in_event: bool,
}

/// A field of an event that is looked at; others are passed over.
#[derive(Clone, Copy)]
pub(super) enum Field {
    Index,
    Time,
    Process,
    Type,
    Function,
    Key,
    Value,
    Swapped,
    Error,
    Other,
}

impl Field {
    pub fn named(name: &[u8]) -> Field {
        match name {
            b"index" => Field::Index,
            b"time" => Field::Time,
            b"process" => Field::Process,
            b"type" => Field::Type,
            b"f" => Field::Function,
            b"key" => Field::Key,
            b"value" => Field::Value,
            b"swapped" => Field::Swapped,
            b"error" => Field::Error,
            _ => Field::Other,
        }
    }
}

/// Which of the four kinds of event a `:type` says.
pub(super) fn kind_named(name: &[u8]) -> Option<Kind> {
    match name {
        b"invoke" => Some(Kind::Invoke),
        b"ok" => Some(Kind::Ok),
        b"fail" => Some(Kind::Fail),
        b"info" => Some(Kind::Info),
        _ => None,
    }
}

impl<R: Read> Edn<R> {
    pub fn new(window: Window<R>) -> Self {
        Edn {
            window,
            within: Vec::new(),
            in_event: false,
        }
    }

    /// Reads the next event into `fields`; `false` at the end of the text.
    pub fn event(&mut self, symbols: &mut Symbols, fields: &mut Fields) -> Result<bool, Trouble> {
        loop {
            self.skip(symbols)?;
            let Some(byte) = self.window.peek() else {
                return match self.within.is_empty() {
                    true => Ok(false),
                    false => Err(Trouble::Ends),
                };
            };
            match byte {
                b'{' => {
                    fields.clear(self.window.line());
                    self.window.pass(1);
                    self.in_event = true;
                    self.fields(symbols, fields)?;
                    self.in_event = false;
                    return Ok(true);
                }
                b'[' => self.enter(1, b']')?,
                b'(' => self.enter(1, b')')?,
                b'#' => self.enter(2, b'}')?,
                close if self.within.last() == Some(&close) => {
                    self.window.pass(1);
                    self.within.pop();
                }
                b']' | b')' | b'}' => {
                    return Err(format!("'{}' closes nothing", char::from(byte)).into());
                }
                _ => {
                    fields.clear(self.window.line());
                    self.form(symbols, &mut fields.tape, 0)?;
                    let found = fields.whole().display(symbols).to_string();
                    return Err(format!("expected the map of an operation, found {found}").into());
                }
            }
        }
    }

    fn enter(&mut self, bytes: usize, close: u8) -> Result<(), Trouble> {
        self.window.pass(bytes);
        self.within.push(close);
        if self.within.len() > DEPTH_MAX {
            return Err(too_deep());
        }
        Ok(())
    }

    fn fields(&mut self, symbols: &mut Symbols, fields: &mut Fields) -> Result<(), Trouble> {
        loop {
            self.skip(symbols)?;
            let field = match self.window.peek() {
                None => return Err(Trouble::Ends),
                Some(b'}') => {
                    self.window.pass(1);
                    return Ok(());
                }
                Some(b':') => {
                    self.window.pass(1);
                    let length = self.word()?;
                    let field = Field::named(self.window.ahead(length));
                    self.window.pass(length);
                    field
                }
                Some(_) => {
                    let start = fields.tape.len();
                    self.form(symbols, &mut fields.tape, 1)?;
                    fields.tape.truncate(start);
                    Field::Other
                }
            };
            self.skip(symbols)?;
            match self.window.peek() {
                Some(b'}') => return Err("the map has a key without a value".into()),
                Some(b':') if matches!(field, Field::Type) => {
                    self.window.pass(1);
                    let length = self.word()?;
                    fields.kind = kind_named(self.window.ahead(length));
                    if fields.kind.is_none() {
                        let found = String::from_utf8_lossy(self.window.ahead(length)).into_owned();
                        return Err(not_a_kind(&format!(":{found}")));
                    }
                    self.window.pass(length);
                }
                _ => {
                    let start = fields.tape.len();
                    self.form(symbols, &mut fields.tape, 1)?;
                    fields.set(field, start, symbols)?;
                }
            }
        }
    }

    /// Passes over blanks, commas, comments, tags and discarded forms.
    fn skip(&mut self, symbols: &mut Symbols) -> Result<(), Trouble> {
        self.skip_within(symbols, 0)
    }

    #[inline(always)]
    fn skip_within(&mut self, symbols: &mut Symbols, depth: usize) -> Result<(), Trouble> {
        if self.window.peek() == Some(b' ') {
            self.window.pass(1);
        }
        match self.window.peek() {
            Some(byte) if CLASS[byte as usize] & PASSED != 0 => self.skip_more(symbols, depth),
            _ => Ok(()),
        }
    }

    fn skip_more(&mut self, symbols: &mut Symbols, depth: usize) -> Result<(), Trouble> {
        loop {
            match self.window.peek() {
                Some(b' ') => self.window.pass(1),
                Some(b';') => self.window.pass_while(|byte| byte != b'\n'),
                Some(b'#') => match self.window.peek_at(1) {
                    Some(b'_') => {
                        self.window.pass(2);
                        self.form(symbols, &mut Vec::new(), depth + 1)?;
                    }
                    // A set, read where forms are.
                    Some(b'{') => return Ok(()),
                    // A tag says of which type the next form is; here the form is enough.
                    _ => {
                        self.window.pass(1);
                        let length = self.word()?;
                        self.window.pass(length);
                        self.window.peek().ok_or(Trouble::Ends)?;
                    }
                },
                Some(byte) if CLASS[byte as usize] & BLANK != 0 => {
                    let blank = |byte: u8| CLASS[byte as usize] & BLANK != 0;
                    self.window.pass_while(blank);
                }
                _ => return Ok(()),
            }
        }
    }

    /// Reads one form onto the tape.
    fn form(
        &mut self,
        symbols: &mut Symbols,
        tape: &mut Vec<Token>,
        depth: usize,
    ) -> Result<(), Trouble> {
        if depth > DEPTH_MAX {
            return Err(too_deep());
        }
        self.skip_within(symbols, depth)?;
        match self.window.peek() {
            None => Err(Trouble::Ends),
            Some(b'[') => self.compound(symbols, tape, depth, (1, b']', Shape::Sequence)),
            Some(b'(') => self.compound(symbols, tape, depth, (1, b')', Shape::Sequence)),
            Some(b'#') => self.compound(symbols, tape, depth, (2, b'}', Shape::Set)),
            Some(b'{') => self.compound(symbols, tape, depth, (1, b'}', Shape::Map)),
            Some(b'"') => {
                let text = self.quoted(symbols)?;
                tape.push(text);
                Ok(())
            }
            Some(closing @ (b']' | b')' | b'}')) => {
                Err(format!("'{}' closes nothing", char::from(closing)).into())
            }
            Some(b':') => {
                self.window.pass(1);
                let length = self.word()?;
                let name = symbols.intern(utf8(self.window.ahead(length))?);
                self.window.pass(length);
                tape.push(Token::Keyword(name));
                Ok(())
            }
            Some(b'\\') => {
                // A character: whatever stands behind the stroke belongs to it.
                let ends = |byte: u8| CLASS[byte as usize] & ENDS_WORD != 0;
                self.window.peek_at(1).ok_or(Trouble::Ends)?;
                self.window.pass(1);
                let length = self.window.run(|byte| !ends(byte))?.max(1);
                let letter = format!("\\{}", utf8(self.window.ahead(length))?);
                self.window.pass_lines(length);
                tape.push(Token::Word(symbols.intern(&letter)));
                Ok(())
            }
            Some(_) => {
                let atom = self.atom(symbols)?;
                tape.push(atom);
                Ok(())
            }
        }
    }

    fn compound(
        &mut self,
        symbols: &mut Symbols,
        tape: &mut Vec<Token>,
        depth: usize,
        (open, close, shape): (usize, u8, Shape),
    ) -> Result<(), Trouble> {
        self.window.pass(open);
        let start = tape.len();
        tape.push(Token::Open(shape, 0));
        let mut parts = 0usize;
        loop {
            self.skip_within(symbols, depth)?;
            if self.window.peek() == Some(close) {
                break;
            }
            self.form(symbols, tape, depth + 1)?;
            parts += 1;
        }
        self.window.pass(1);
        if shape == Shape::Map && parts % 2 == 1 {
            return Err("a map has a key without a value".into());
        }
        close_compound(tape, start, shape)
    }

    fn atom(&mut self, symbols: &mut Symbols) -> Result<Token, Trouble> {
        let length = self.word()?;
        let word = self.window.ahead(length);
        if length == 0 {
            let found = self.window.peek().map_or('\0', char::from);
            return Err(format!("unexpected {found:?}").into());
        }
        let token = match word {
            b"nil" => Token::Nil,
            b"true" => Token::Bool(true),
            b"false" => Token::Bool(false),
            _ => match whole(word) {
                Some(number) => Token::Int(number),
                None => Token::Word(symbols.intern(utf8(word)?)),
            },
        };
        self.window.pass(length);
        Ok(token)
    }

    /// The length of the word that begins here.
    #[inline]
    fn word(&mut self) -> Result<usize, Trouble> {
        let length = self
            .window
            .run(|byte| CLASS[byte as usize] & ENDS_WORD == 0)?;
        if self.in_event && self.window.ends_after(length) {
            return Err(Trouble::Ends);
        }
        Ok(length)
    }

    fn quoted(&mut self, symbols: &mut Symbols) -> Result<Token, Trouble> {
        quoted(&mut self.window, symbols).map(Token::Text)
    }
}

/// The string that begins here with its first quote.
pub(super) fn quoted<R: Read>(
    window: &mut Window<R>,
    symbols: &mut Symbols,
) -> Result<super::Symbol, Trouble> {
    window.pass(1);
    let (length, escapes) = window.quoted()?;
    let text = utf8(window.ahead(length))?;
    let symbol = if escapes {
        symbols.intern(&escape::undo(text)?)
    } else {
        symbols.intern(text)
    };
    window.pass_lines(length);
    window.pass(1);
    Ok(symbol)
}

/// Writes into the opening token how much stands within.
pub(super) fn close_compound(
    tape: &mut [Token],
    start: usize,
    shape: Shape,
) -> Result<(), Trouble> {
    let within = u32::try_from(tape.len() - start - 1)
        .map_err(|_| Trouble::from("a value of more than 2^32 parts"))?;
    tape[start] = Token::Open(shape, within);
    Ok(())
}

pub(super) fn utf8(bytes: &[u8]) -> Result<&str, Trouble> {
    std::str::from_utf8(bytes).map_err(|error| {
        let around = &bytes[error.valid_up_to()..bytes.len().min(error.valid_up_to() + 8)];
        format!("not UTF-8 text: {}", around.escape_ascii()).into()
    })
}

pub(super) fn too_deep() -> Trouble {
    format!("forms nested more than {DEPTH_MAX} deep").into()
}

pub(super) fn not_a_kind(found: &str) -> Trouble {
    format!(":type must be :invoke, :ok, :fail or :info, not {found}").into()
}

/// The whole number a word spells, if it does and fits; Clojure writes big ones with an `N`.
#[inline]
pub(super) fn whole(word: &[u8]) -> Option<i64> {
    let (negative, digits) = match word {
        [b'-', digits @ ..] => (true, digits),
        [b'+', digits @ ..] => (false, digits),
        digits => (false, digits),
    };
    let digits = digits.strip_suffix(b"N").unwrap_or(digits);
    if digits.is_empty() {
        return None;
    }
    let mut number: i64 = 0;
    for &digit in digits {
        let digit = i64::from(digit.wrapping_sub(b'0'));
        if digit > 9 {
            return None;
        }
        // Downwards: there is one more number below zero than above.
        number = number.checked_mul(10)?.checked_sub(digit)?;
    }
    if negative {
        Some(number)
    } else {
        number.checked_neg()
    }
}
