//! Opens a history of any format and gives its entries one by one.

use std::fmt;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Cursor, Read};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use super::edn::Edn;
use super::entry::{Entry, Fields};
use super::json::Json;
use super::lines::Lines;
use super::own;
use super::token::Symbols;
use super::window::{Trouble, Window};
use crate::history::file;

/// How a history is spelled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Jepsen's EDN. Porcupine's key-value histories are EDN too.
    Edn,
    /// The same in JSON.
    Json,
    /// Porcupine's test logs of Jepsen runs, tabs between words.
    Porcupine,
    /// Our own (`history.kqh`).
    Keyquake,
}

/// A format asked for by a name that no format has.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{name:?} is no format of histories; there are edn, json, porcupine and keyquake")]
pub struct UnknownFormat {
    /// What was asked for.
    pub name: String,
}

impl FromStr for Format {
    type Err = UnknownFormat;

    fn from_str(name: &str) -> Result<Self, UnknownFormat> {
        match name {
            "edn" => Ok(Format::Edn),
            "json" => Ok(Format::Json),
            "porcupine" => Ok(Format::Porcupine),
            "keyquake" => Ok(Format::Keyquake),
            _ => Err(UnknownFormat {
                name: name.to_owned(),
            }),
        }
    }
}

/// Why a history could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The operating system refused, or a packed file does not unpack.
    #[error("failed to read {}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What was said.
        source: io::Error,
    },
    /// The text is wrong there.
    #[error("{}:{line}: {reason}", path.display())]
    Form {
        /// The file.
        path: PathBuf,
        /// The line, from 1; for an operation that spans lines, one of them.
        line: u64,
        /// What is wrong there.
        reason: String,
    },
    /// Our own format, and what its reader says.
    #[error(transparent)]
    Own(#[from] file::ReadError),
}

/// The end of a history was cut off: its writer died. What stands before is whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Torn {
    reason: String,
}

impl fmt::Display for Torn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.reason)
    }
}

type Input = Box<dyn Read + Send>;

enum Source {
    Edn(Edn<Input>),
    Json(Json<Input>),
    Lines(Lines<Input>),
    Own(Box<file::Reader<Input>>),
}

/// A history, entry by entry. After an error it gives no more.
pub struct Reader {
    source: Source,
    path: PathBuf,
    symbols: Symbols,
    fields: Fields,
    place: u64,
    next_place: u64,
    torn: Option<Torn>,
    ended: bool,
}

/// Bytes that tell a format: enough for a long comment on top.
const LOOK_BYTES: usize = 64 * 1024;

impl Reader {
    /// Opens a file. Its packing is found out; its format too, where none is given.
    pub fn open(path: &Path, format: Option<Format>) -> Result<Reader, ReadError> {
        let input = File::open(path).map_err(|source| ReadError::Io {
            path: path.to_owned(),
            source,
        })?;
        Reader::from_read(input, path, format)
    }

    /// Reads a history from anything; `path` is only for messages.
    pub fn from_read(
        input: impl Read + Send + 'static,
        path: &Path,
        format: Option<Format>,
    ) -> Result<Reader, ReadError> {
        let io = |source| ReadError::Io {
            path: path.to_owned(),
            source,
        };
        let mut input = unpacked(input).map_err(io)?;
        let mut start = Vec::new();
        let looked = input
            .by_ref()
            .take(LOOK_BYTES as u64)
            .read_to_end(&mut start);
        match looked {
            Ok(_) => {}
            // A packed file that is cut short: what came out of it counts.
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                input = Box::new(Failing(Some(error)));
            }
            Err(error) => return Err(io(error)),
        }
        let is_own = start.starts_with(&file::MAGIC);
        let format = match format {
            // Porcupine's key-value histories are maps.
            Some(Format::Porcupine) if first_byte(&start) == Some(b'{') => Format::Edn,
            Some(format) => format,
            None if is_own => Format::Keyquake,
            None => found_out(&start),
        };
        let input: Input = Box::new(Cursor::new(start).chain(input));
        let source = match format {
            Format::Edn => Source::Edn(Edn::new(Window::new(input))),
            Format::Json => Source::Json(Json::new(Window::new(input))),
            Format::Porcupine => Source::Lines(Lines {
                window: Window::new(input),
            }),
            Format::Keyquake => Source::Own(Box::new(file::Reader::from_read(input, path)?)),
        };
        Ok(Reader {
            source,
            path: path.to_owned(),
            symbols: Symbols::default(),
            fields: Fields::default(),
            place: 0,
            next_place: 0,
            torn: None,
            ended: false,
        })
    }

    /// The next entry; `None` at the end.
    pub fn next_entry(&mut self) -> Result<Option<Entry<'_>>, ReadError> {
        match self.advance()? {
            true => Ok(Some(self.entry()?)),
            false => Ok(None),
        }
    }

    /// What was torn off; known once the entries have ended.
    pub fn torn(&self) -> Option<&Torn> {
        self.torn.as_ref()
    }

    /// How words are spelled, as far as the history has been read.
    pub fn symbols(&self) -> &Symbols {
        &self.symbols
    }

    /// The spellings, once all has been read.
    pub fn into_symbols(self) -> Symbols {
        self.symbols
    }

    /// Reads on to the next entry.
    pub(super) fn advance(&mut self) -> Result<bool, ReadError> {
        if self.ended {
            return Ok(false);
        }
        let read = match &mut self.source {
            Source::Edn(edn) => edn.event(&mut self.symbols, &mut self.fields),
            Source::Json(json) => json.event(&mut self.symbols, &mut self.fields),
            Source::Lines(lines) => lines.event(&mut self.symbols, &mut self.fields),
            Source::Own(_) => return self.advance_own(),
        };
        self.place = self.next_place;
        self.next_place += 1;
        match read {
            Ok(true) => Ok(true),
            Ok(false) => self.end(None),
            Err(trouble) => self.end(Some(trouble)),
        }
    }

    /// The entry reached.
    pub(super) fn entry(&self) -> Result<Entry<'_>, ReadError> {
        self.fields
            .entry(self.place, &self.symbols)
            .map_err(|trouble| self.form_error(self.fields.line, trouble))
    }

    /// An error at the entry reached.
    pub(super) fn error_here(&self, reason: String) -> ReadError {
        self.form_error(self.fields.line, Trouble::Bad(reason))
    }

    fn form_error(&self, line: u64, trouble: Trouble) -> ReadError {
        let reason = match trouble {
            Trouble::Bad(reason) => reason,
            Trouble::Ends => "the text ends within a form".to_owned(),
        };
        ReadError::Form {
            path: self.path.clone(),
            line,
            reason,
        }
    }

    fn advance_own(&mut self) -> Result<bool, ReadError> {
        let Source::Own(reader) = &mut self.source else {
            return Ok(false);
        };
        for event in reader.by_ref() {
            let event = event?;
            if own::event(&event, &mut self.symbols, &mut self.fields) {
                self.place = event.index();
                return Ok(true);
            }
        }
        self.ended = true;
        self.torn = reader.torn().map(|torn| Torn {
            reason: format!(
                "the history is torn: its last {} bytes, from byte {} on, are no whole chunk",
                torn.bytes, torn.offset
            ),
        });
        Ok(false)
    }

    /// No more entries: the end, a torn end, or an error.
    fn end(&mut self, trouble: Option<Trouble>) -> Result<bool, ReadError> {
        self.ended = true;
        let (failure, line) = match &mut self.source {
            Source::Edn(edn) => (edn.window.take_failure(), edn.window.line()),
            Source::Json(json) => (json.window.take_failure(), json.window.line()),
            Source::Lines(lines) => (lines.window.take_failure(), lines.window.line()),
            Source::Own(_) => (None, 0),
        };
        if let Some(Trouble::Bad(_)) = trouble {
            return Err(self.form_error(line, trouble.unwrap_or(Trouble::Ends)));
        }
        let reason = match failure {
            Some(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                format!("the packed history is cut short, after line {line}")
            }
            Some(source) => {
                return Err(ReadError::Io {
                    path: self.path.clone(),
                    source,
                });
            }
            None if trouble.is_some() => {
                format!("the history is torn: it ends within a form, on line {line}")
            }
            None => return Ok(false),
        };
        self.torn = Some(Torn { reason });
        Ok(false)
    }
}

/// Gives its error once, and then nothing.
struct Failing(Option<io::Error>);

impl Read for Failing {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        self.0.take().map_or(Ok(0), Err)
    }
}

/// Unpacks gzip and zstd, known by their first bytes.
fn unpacked(input: impl Read + Send + 'static) -> io::Result<Input> {
    let mut input = BufReader::with_capacity(256 * 1024, input);
    let start = input.fill_buf()?;
    Ok(if start.starts_with(&[0x1f, 0x8b]) {
        Box::new(flate2::bufread::MultiGzDecoder::new(input))
    } else if start.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]) {
        Box::new(zstd::stream::read::Decoder::with_buffer(input)?)
    } else {
        Box::new(input)
    })
}

/// The first byte that is neither blank nor in a comment.
fn first_byte(start: &[u8]) -> Option<u8> {
    meaningful(start).next()
}

/// The bytes of a text without blanks, commas and EDN's comments.
fn meaningful(start: &[u8]) -> impl Iterator<Item = u8> + '_ {
    start
        .split(|&byte| byte == b'\n')
        .filter(|line| !line.trim_ascii_start().starts_with(b";"))
        .flatten()
        .copied()
        .filter(|byte| !byte.is_ascii_whitespace() && *byte != b',')
}

/// Maps or vectors whose keys are strings are JSON; lines that begin neither way are logs.
fn found_out(start: &[u8]) -> Format {
    let mut bytes = meaningful(start);
    match bytes.next() {
        Some(b'{' | b'[') => match bytes.find(|&byte| byte != b'{' && byte != b'[') {
            Some(b'"') => Format::Json,
            _ => Format::Edn,
        },
        None | Some(b'(' | b'#') => Format::Edn,
        Some(_) if start.contains(&b'\t') => Format::Porcupine,
        Some(_) => Format::Edn,
    }
}
