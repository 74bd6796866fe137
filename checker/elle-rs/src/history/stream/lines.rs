//! Porcupine's test logs of Jepsen runs, and Jepsen's own `history.txt`:
//!
//! ```text
//! INFO  jepsen.util - 4    :invoke    :cas    [2 3]
//! INFO  jepsen.util - 4    :info    :cas    :timed-out
//! ```
//!
//! Tabs stand between the words; other lines are passed over. As Porcupine reads them: a
//! compare-and-set that failed has found another value than it expected (here: `ok`, and
//! `swapped` false).

use std::io::Read;

use super::edn::{kind_named, utf8, whole};
use super::entry::{Fields, Kind};
use super::token::{Shape, Symbols, Token, known};
use super::window::{Trouble, Window};

const MARK: &[u8] = b"jepsen.util - ";

pub(super) struct Lines<R> {
    pub window: Window<R>,
}

impl<R: Read> Lines<R> {
    /// Reads the next event into `fields`; `false` at the end of the text.
    pub fn event(&mut self, symbols: &mut Symbols, fields: &mut Fields) -> Result<bool, Trouble> {
        loop {
            if self.window.peek().is_none() {
                return Ok(false);
            }
            let length = self.window.run(|byte| byte != b'\n')?;
            fields.clear(self.window.line());
            let is_whole = self.window.peek_at(length).is_some();
            let read = event_in(self.window.ahead(length), symbols, fields);
            let is_event = match read {
                // What a writer that died left of its last line may be anything.
                Err(_) | Ok(true) if !is_whole && !ends_well(self.window.ahead(length)) => {
                    return Err(Trouble::Ends);
                }
                read => read?,
            };
            self.window.pass_lines(length + usize::from(is_whole));
            if is_event {
                return Ok(true);
            }
        }
    }
}

/// Whether the last line looks whole although no line end follows: its value is a closed form.
fn ends_well(line: &[u8]) -> bool {
    let value = line.rsplit(|&byte| byte == b'\t').next().unwrap_or(line);
    let words = line.split(|&byte| byte == b'\t').count();
    words >= 4 && (value == b"nil" || value == b":timed-out" || value.ends_with(b"]"))
}

fn event_in(line: &[u8], symbols: &mut Symbols, fields: &mut Fields) -> Result<bool, Trouble> {
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let line = match line.windows(MARK.len()).position(|window| window == MARK) {
        Some(at) => &line[at + MARK.len()..],
        None => line,
    };
    let mut words = line.split(|&byte| byte == b'\t').map(<[u8]>::trim_ascii);
    let [Some(process), Some(kind), Some(function)] = [words.next(), words.next(), words.next()]
    else {
        return Ok(false);
    };
    let Some(kind) = kind.strip_prefix(b":").and_then(kind_named) else {
        return Ok(false);
    };
    fields.process = Some(match whole(process) {
        Some(number) => Token::Int(number),
        None => Token::Word(symbols.intern(utf8(process)?)),
    });
    let function = utf8(function.strip_prefix(b":").unwrap_or(function))?;
    fields.function = Some(symbols.intern(function));
    fields.kind = Some(kind);
    let value = words.next().unwrap_or(b"nil");
    let start = fields.tape.len();
    match value {
        b":timed-out" => {
            fields
                .tape
                .push(Token::Keyword(symbols.intern("timed-out")));
            fields.error = (start, fields.tape.len());
        }
        _ => {
            if let Err(reason) = form(value, symbols, &mut fields.tape) {
                return Err(reason.into());
            }
            fields.value = (start, fields.tape.len());
        }
    }
    let failed = kind == Kind::Fail && value != b":timed-out";
    if failed && fields.function == Some(known::CAS) {
        fields.kind = Some(Kind::Ok);
        fields.swapped = Some(false);
    }
    Ok(true)
}

/// A number, `nil`, or a vector of these.
fn form(value: &[u8], symbols: &mut Symbols, tape: &mut Vec<Token>) -> Result<(), String> {
    let spelled = || format!("{} is no value of these logs", value.escape_ascii());
    if let Some(inner) = value.strip_prefix(b"[") {
        let inner = inner.strip_suffix(b"]").ok_or_else(spelled)?;
        let start = tape.len();
        tape.push(Token::Open(Shape::Sequence, 0));
        for word in inner
            .split(|&byte| byte == b' ' || byte == b',')
            .filter(|word| !word.is_empty())
        {
            if word.contains(&b'[') {
                return Err(spelled());
            }
            form(word, symbols, tape)?;
        }
        let within = u32::try_from(tape.len() - start - 1).map_err(|_| spelled())?;
        tape[start] = Token::Open(Shape::Sequence, within);
        return Ok(());
    }
    tape.push(match value {
        b"nil" | b"" => Token::Nil,
        _ => match (whole(value), std::str::from_utf8(value)) {
            (Some(number), _) => Token::Int(number),
            (None, Ok(word)) => match word.strip_prefix(':') {
                Some(name) => Token::Keyword(symbols.intern(name)),
                None => Token::Word(symbols.intern(word)),
            },
            (None, Err(_)) => return Err(spelled()),
        },
    });
    Ok(())
}
