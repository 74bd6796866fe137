//! Histories in JSON: the same maps as in EDN, one after the other (a line each, or not) or in one
//! array. Strings stand where EDN has keywords.

use std::io::Read;

use super::edn::{
    DEPTH_MAX, Field, close_compound, kind_named, not_a_kind, quoted, too_deep, utf8, whole,
};
use super::entry::Fields;
use super::token::{Shape, Symbols, Token};
use super::window::{Trouble, Window};

pub(super) struct Json<R> {
    pub window: Window<R>,
    /// Whether the one array around all events is open.
    within: bool,
}

fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r' | b'\n')
}

fn ends_word(byte: u8) -> bool {
    is_blank(byte) || matches!(byte, b',' | b':' | b'"' | b'[' | b']' | b'{' | b'}')
}

impl<R: Read> Json<R> {
    pub fn new(window: Window<R>) -> Self {
        Json {
            window,
            within: false,
        }
    }

    /// Reads the next event into `fields`; `false` at the end of the text.
    pub fn event(&mut self, symbols: &mut Symbols, fields: &mut Fields) -> Result<bool, Trouble> {
        loop {
            match self.next() {
                None if self.within => return Err(Trouble::Ends),
                None => return Ok(false),
                Some(b'[') if !self.within => self.within = true,
                Some(b']') if self.within => self.within = false,
                Some(b',') => {}
                Some(b'{') => {
                    fields.clear(self.window.line());
                    self.window.pass(1);
                    self.fields(symbols, fields)?;
                    return Ok(true);
                }
                Some(_) => {
                    fields.clear(self.window.line());
                    self.value(symbols, &mut fields.tape, 0)?;
                    let found = fields.whole().display(symbols).to_string();
                    return Err(
                        format!("expected the object of an operation, found {found}").into(),
                    );
                }
            }
            self.window.pass(1);
        }
    }

    /// The next byte that is no blank.
    fn next(&mut self) -> Option<u8> {
        match self.window.peek() {
            Some(byte) if is_blank(byte) => self.window.pass_while(is_blank),
            _ => {}
        }
        self.window.peek()
    }

    fn fields(&mut self, symbols: &mut Symbols, fields: &mut Fields) -> Result<(), Trouble> {
        loop {
            match self.next() {
                None => return Err(Trouble::Ends),
                Some(b'}') => {
                    self.window.pass(1);
                    return Ok(());
                }
                Some(b',') => {
                    self.window.pass(1);
                    continue;
                }
                Some(b'"') => {}
                Some(_) => return Err("the names in an object must be strings".into()),
            }
            self.window.pass(1);
            let (length, _) = self.window.quoted()?;
            let field = Field::named(self.window.ahead(length));
            self.window.pass_lines(length);
            self.window.pass(1);
            self.colon()?;
            match self.next() {
                Some(b'"') if matches!(field, Field::Type) => {
                    self.window.pass(1);
                    let (length, _) = self.window.quoted()?;
                    let name = self.window.ahead(length);
                    // Some tools keep the colon of a keyword.
                    fields.kind = kind_named(name.strip_prefix(b":").unwrap_or(name));
                    if fields.kind.is_none() {
                        return Err(not_a_kind(&String::from_utf8_lossy(name)));
                    }
                    self.window.pass(length + 1);
                }
                _ => {
                    let start = fields.tape.len();
                    self.value(symbols, &mut fields.tape, 1)?;
                    fields.set(field, start, symbols)?;
                }
            }
        }
    }

    fn colon(&mut self) -> Result<(), Trouble> {
        match self.next() {
            None => Err(Trouble::Ends),
            Some(b':') => {
                self.window.pass(1);
                Ok(())
            }
            Some(other) => Err(format!(
                "expected ':' behind a name, found '{}'",
                other.escape_ascii()
            )
            .into()),
        }
    }

    fn value(
        &mut self,
        symbols: &mut Symbols,
        tape: &mut Vec<Token>,
        depth: usize,
    ) -> Result<(), Trouble> {
        if depth > DEPTH_MAX {
            return Err(too_deep());
        }
        match self.next() {
            None => Err(Trouble::Ends),
            Some(b'"') => {
                let text = quoted(&mut self.window, symbols)?;
                tape.push(Token::Text(text));
                Ok(())
            }
            Some(b'[') => self.compound(symbols, tape, depth, b']', Shape::Sequence),
            Some(b'{') => self.compound(symbols, tape, depth, b'}', Shape::Map),
            Some(_) => {
                let token = self.atom(symbols)?;
                tape.push(token);
                Ok(())
            }
        }
    }

    fn compound(
        &mut self,
        symbols: &mut Symbols,
        tape: &mut Vec<Token>,
        depth: usize,
        close: u8,
        shape: Shape,
    ) -> Result<(), Trouble> {
        self.window.pass(1);
        let start = tape.len();
        tape.push(Token::Open(shape, 0));
        loop {
            match self.next() {
                None => return Err(Trouble::Ends),
                Some(b',') => {
                    self.window.pass(1);
                    continue;
                }
                Some(byte) if byte == close => break,
                Some(_) => {}
            }
            self.value(symbols, tape, depth + 1)?;
            if shape == Shape::Map {
                self.colon()?;
                self.value(symbols, tape, depth + 1)?;
            }
        }
        self.window.pass(1);
        close_compound(tape, start, shape)
    }

    fn atom(&mut self, symbols: &mut Symbols) -> Result<Token, Trouble> {
        let length = self.window.run(|byte| !ends_word(byte))?;
        // An object has begun, or the whole text is this word, and then it is refused anyway.
        if self.window.ends_after(length) {
            return Err(Trouble::Ends);
        }
        let word = self.window.ahead(length);
        let token = match word {
            b"null" => Token::Nil,
            b"true" => Token::Bool(true),
            b"false" => Token::Bool(false),
            _ => match whole(word) {
                Some(number) => Token::Int(number),
                None if word
                    .first()
                    .is_some_and(|&first| first == b'-' || first.is_ascii_digit()) =>
                {
                    Token::Word(symbols.intern(utf8(word)?))
                }
                None if word.is_empty() => {
                    let found = self.window.peek().map_or(0, |byte| byte);
                    return Err(format!("unexpected '{}'", found.escape_ascii()).into());
                }
                None => return Err(format!("{} is no JSON value", word.escape_ascii()).into()),
            },
        };
        self.window.pass(length);
        Ok(token)
    }
}
