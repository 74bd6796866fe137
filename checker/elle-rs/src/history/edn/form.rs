//! EDN forms, borrowed from their text.

use std::fmt;

/// One form. What histories have no use for (floats, characters, symbols, …) stays a word.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Form<'a> {
    Nil,
    Integer(i64),
    Keyword(&'a str),
    /// Between its quotes, escapes as they stand.
    Text(&'a str),
    Word(&'a str),
    /// A vector, list or set.
    Sequence(Vec<Form<'a>>),
    Map(Vec<(Form<'a>, Form<'a>)>),
}

impl fmt::Display for Form<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Form::Nil => write!(f, "nil"),
            Form::Integer(number) => write!(f, "{number}"),
            Form::Keyword(name) => write!(f, ":{name}"),
            Form::Text(text) => write!(f, "\"{text}\""),
            Form::Word(word) => write!(f, "{word}"),
            Form::Sequence(parts) => match parts.len() {
                0..=8 => {
                    let parts: Vec<String> = parts.iter().map(Form::to_string).collect();
                    write!(f, "[{}]", parts.join(" "))
                }
                many => write!(f, "a sequence of {many}"),
            },
            Form::Map(entries) => write!(f, "a map of {}", entries.len()),
        }
    }
}

/// Forms within forms; a history has five.
const DEPTH_MAX: usize = 64;

/// Reads form after form.
pub(super) struct Parser<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Parser<'a> {
    pub fn new(text: &'a str) -> Self {
        Parser { text, at: 0 }
    }

    /// The line that has been reached, from 1.
    pub fn line(&self) -> usize {
        let read = &self.text.as_bytes()[..self.at];
        read.iter().filter(|&&byte| byte == b'\n').count() + 1
    }

    /// The next form at top level, `None` at the end of the text.
    pub fn next_form(&mut self) -> Result<Option<Form<'a>>, String> {
        self.skip(0)?;
        if self.peek().is_none() {
            return Ok(None);
        }
        self.form(0).map(Some)
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    /// Passes over blanks, commas, comments, tags and discarded forms.
    fn skip(&mut self, depth: usize) -> Result<(), String> {
        loop {
            match self.peek() {
                Some(b',' | b' ' | b'\t' | b'\r' | b'\n' | 0x0c) => self.at += 1,
                Some(b';') => {
                    let rest = &self.text.as_bytes()[self.at..];
                    let line = rest.iter().position(|&byte| byte == b'\n');
                    self.at += line.unwrap_or(rest.len());
                }
                Some(b'#') => match self.text.as_bytes().get(self.at + 1) {
                    Some(b'_') => {
                        self.at += 2;
                        self.form(depth + 1)?;
                    }
                    // A set, read where forms are.
                    Some(b'{') => return Ok(()),
                    // A tag says of which type the next form is; here the form is enough.
                    _ => {
                        self.at += 1;
                        self.word();
                    }
                },
                _ => return Ok(()),
            }
        }
    }

    fn form(&mut self, depth: usize) -> Result<Form<'a>, String> {
        if depth > DEPTH_MAX {
            return Err(format!("forms nested more than {DEPTH_MAX} deep"));
        }
        self.skip(depth)?;
        match self.peek() {
            None => Err("the text ends within a form".to_owned()),
            Some(b'[') => self.sequence(1, b']', depth),
            Some(b'(') => self.sequence(1, b')', depth),
            Some(b'#') => self.sequence(2, b'}', depth),
            Some(b'{') => self.map(depth),
            Some(b'"') => self.quoted(),
            Some(closing @ (b']' | b')' | b'}')) => {
                Err(format!("'{}' closes nothing", char::from(closing)))
            }
            Some(b':') => {
                self.at += 1;
                Ok(Form::Keyword(self.word()))
            }
            Some(_) => self.atom(),
        }
    }

    fn atom(&mut self) -> Result<Form<'a>, String> {
        let word = self.word();
        if word.is_empty() {
            let found = self.text[self.at..].chars().next().unwrap_or_default();
            return Err(format!("unexpected {found:?}"));
        }
        if word == "nil" {
            return Ok(Form::Nil);
        }
        // Clojure writes big integers with an N.
        let number = word.strip_suffix('N').unwrap_or(word);
        let looks_whole = number.trim_start_matches(['-', '+']);
        if !looks_whole.is_empty() && looks_whole.bytes().all(|byte| byte.is_ascii_digit()) {
            return match number.parse() {
                Ok(number) => Ok(Form::Integer(number)),
                Err(_) => Err(format!("{word} is out of bounds for a whole number")),
            };
        }
        Ok(Form::Word(word))
    }

    /// Everything up to a blank or a bracket.
    fn word(&mut self) -> &'a str {
        let rest = &self.text[self.at..];
        let end = rest
            .bytes()
            .position(|byte| {
                matches!(
                    byte,
                    b',' | b' '
                        | b'\t'
                        | b'\r'
                        | b'\n'
                        | 0x0c
                        | b'"'
                        | b';'
                        | b'('
                        | b')'
                        | b'['
                        | b']'
                        | b'{'
                        | b'}'
                )
            })
            .unwrap_or(rest.len());
        self.at += end;
        &rest[..end]
    }

    fn quoted(&mut self) -> Result<Form<'a>, String> {
        let start = self.at + 1;
        let bytes = self.text.as_bytes();
        let mut end = start;
        while let Some(&byte) = bytes.get(end) {
            match byte {
                b'"' => {
                    self.at = end + 1;
                    return Ok(Form::Text(&self.text[start..end]));
                }
                b'\\' => end += 2,
                _ => end += 1,
            }
        }
        Err("a string that does not end".to_owned())
    }

    fn sequence(&mut self, open: usize, close: u8, depth: usize) -> Result<Form<'a>, String> {
        self.at += open;
        let mut parts = Vec::new();
        while !self.closes(close, depth)? {
            parts.push(self.form(depth + 1)?);
        }
        Ok(Form::Sequence(parts))
    }

    fn map(&mut self, depth: usize) -> Result<Form<'a>, String> {
        self.at += 1;
        let mut entries = Vec::new();
        while !self.closes(b'}', depth)? {
            let key = self.form(depth + 1)?;
            if self.closes(b'}', depth)? {
                return Err(format!("the map has a key, {key}, without a value"));
            }
            entries.push((key, self.form(depth + 1)?));
        }
        Ok(Form::Map(entries))
    }

    /// Whether the form ends here; passes over its end.
    fn closes(&mut self, close: u8, depth: usize) -> Result<bool, String> {
        self.skip(depth)?;
        let ends = self.peek() == Some(close);
        self.at += usize::from(ends);
        Ok(ends)
    }
}
