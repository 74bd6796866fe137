//! A window on a text that is longer than memory should hold: what a tokenizer looks at, refilled
//! as it moves on. Lines are counted as they pass.

use std::io::{self, Read};

use memchr::{memchr_iter, memchr2};

/// Bytes asked for at a time.
const BLOCK_BYTES: usize = 256 * 1024;

/// No single word or string is longer.
const WORD_BYTES_MAX: usize = 64 * 1024 * 1024;

/// What ends the reading of a form early.
#[derive(Debug)]
pub(super) enum Trouble {
    /// The text ends within it.
    Ends,
    /// It is wrong.
    Bad(String),
}

impl From<String> for Trouble {
    fn from(reason: String) -> Self {
        Trouble::Bad(reason)
    }
}

impl From<&str> for Trouble {
    fn from(reason: &str) -> Self {
        Trouble::Bad(reason.to_owned())
    }
}

pub(super) struct Window<R> {
    input: R,
    bytes: Vec<u8>,
    /// What is unread stands between `at` and `end`.
    at: usize,
    end: usize,
    ended: bool,
    /// An error of the input; it looks like an end until someone asks.
    failure: Option<io::Error>,
    line: u64,
}

impl<R: Read> Window<R> {
    pub fn new(input: R) -> Self {
        Window {
            input,
            bytes: vec![0; BLOCK_BYTES],
            at: 0,
            end: 0,
            ended: false,
            failure: None,
            line: 1,
        }
    }

    /// The line reached, from 1.
    pub fn line(&self) -> u64 {
        self.line
    }

    /// What went wrong below, if the end is none.
    pub fn take_failure(&mut self) -> Option<io::Error> {
        self.failure.take()
    }

    /// The next byte.
    #[inline]
    pub fn peek(&mut self) -> Option<u8> {
        if self.at == self.end && !self.more() {
            return None;
        }
        Some(self.bytes[self.at])
    }

    /// The byte this far ahead.
    #[inline]
    pub fn peek_at(&mut self, ahead: usize) -> Option<u8> {
        while self.at + ahead >= self.end {
            if !self.more() {
                return None;
            }
        }
        Some(self.bytes[self.at + ahead])
    }

    /// Passes over bytes that were peeked at and are no line end.
    #[inline]
    pub fn pass(&mut self, bytes: usize) {
        self.at += bytes;
    }

    /// Passes over all bytes for which this holds.
    #[inline]
    pub fn pass_while(&mut self, holds: impl Fn(u8) -> bool) {
        loop {
            while self.at < self.end {
                let byte = self.bytes[self.at];
                if !holds(byte) {
                    return;
                }
                self.line += u64::from(byte == b'\n');
                self.at += 1;
            }
            if !self.more() {
                return;
            }
        }
    }

    /// How many bytes from here on this holds for.
    #[inline]
    pub fn run(&mut self, holds: impl Fn(u8) -> bool) -> Result<usize, Trouble> {
        let mut length = 0;
        loop {
            let unread = &self.bytes[self.at + length..self.end];
            if let Some(more) = unread.iter().position(|&byte| !holds(byte)) {
                return Ok(length + more);
            }
            length += unread.len();
            if length > WORD_BYTES_MAX {
                return Err("a word or string of more than 64 MiB".into());
            }
            if !self.more() {
                return Ok(length);
            }
        }
    }

    /// The next bytes, which were looked at before.
    #[inline]
    pub fn ahead(&self, length: usize) -> &[u8] {
        &self.bytes[self.at..self.at + length]
    }

    /// Whether the text ends this far ahead.
    #[inline]
    pub fn ends_after(&mut self, length: usize) -> bool {
        self.at + length >= self.end && self.peek_at(length).is_none()
    }

    /// Passes over bytes that may hold line ends.
    pub fn pass_lines(&mut self, bytes: usize) {
        self.line += memchr_iter(b'\n', self.ahead(bytes)).count() as u64;
        self.at += bytes;
    }

    /// The length of a quoted string that begins here, up to its end quote, and whether it has
    /// escapes; its first quote has been passed.
    pub fn quoted(&mut self) -> Result<(usize, bool), Trouble> {
        let (mut length, mut escapes) = (0, false);
        loop {
            while self.at + length < self.end {
                let unread = &self.bytes[self.at + length..self.end];
                let Some(plain) = memchr2(b'"', b'\\', unread) else {
                    length += unread.len();
                    break;
                };
                length += plain;
                if unread[plain] == b'"' {
                    return Ok((length, escapes));
                }
                escapes = true;
                length += 2;
            }
            if length > WORD_BYTES_MAX {
                return Err("a string of more than 64 MiB".into());
            }
            if !self.more() {
                return Err(Trouble::Ends);
            }
        }
    }

    /// Reads more, keeping what is unread; `false` at the end.
    #[cold]
    fn more(&mut self) -> bool {
        if self.ended {
            return false;
        }
        self.bytes.copy_within(self.at..self.end, 0);
        self.end -= self.at;
        self.at = 0;
        if self.bytes.len() - self.end < BLOCK_BYTES / 2 {
            self.bytes.resize(self.bytes.len() * 2, 0);
        }
        loop {
            match self.input.read(&mut self.bytes[self.end..]) {
                Ok(0) => break,
                Ok(got) => {
                    self.end += got;
                    return true;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    self.failure = Some(error);
                    break;
                }
            }
        }
        self.ended = true;
        false
    }
}
