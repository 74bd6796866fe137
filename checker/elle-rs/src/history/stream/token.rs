//! Values as histories spell them: flat, small, no tree. Words and strings are numbers.

use std::fmt;
use std::hash::BuildHasher;

use rustc_hash::FxBuildHasher;

/// A word or string, by number. The numbers of two spellings are equal iff the spellings are,
/// within one [`Symbols`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Symbol(u32);

macro_rules! known {
    ($($name:ident = $spelling:literal,)*) => {
        /// Words that have the same number in every history.
        pub mod known {
            use super::Symbol;
            #[allow(clippy::upper_case_acronyms)]
            #[derive(Clone, Copy)]
            enum Place { $($name,)* }
            $(
                #[doc = concat!("`", $spelling, "`")]
                pub const $name: Symbol = Symbol(Place::$name as u32);
            )*
            pub(super) const SPELLINGS: &[&str] = &[$($spelling,)*];
        }
    };
}

known! {
    READ = "read", WRITE = "write", CAS = "cas", SWAP = "swap", TXN = "txn",
    APPEND = "append", R = "r", W = "w", GET = "get", PUT = "put", DELETE = "delete",
    ADD = "add", REMOVE = "remove", CONTAINS = "contains",
    ENQUEUE = "enqueue", DEQUEUE = "dequeue", DRAIN = "drain",
    ACQUIRE = "acquire", RELEASE = "release", INC = "inc", DEC = "dec",
    TRANSFER = "transfer", INSERT = "insert", POP = "pop", PUSH = "push", PEEK = "peek",
}

/// The spellings of all symbols, each held once.
#[derive(Clone)]
pub struct Symbols {
    text: String,
    /// Where each spelling ends in `text`; it begins where the one before ends.
    ends: Vec<usize>,
    /// Open addressing; `0` is free, else the symbol's number plus one.
    table: Vec<u32>,
}

impl Default for Symbols {
    fn default() -> Self {
        let mut symbols = Symbols {
            text: String::new(),
            ends: Vec::new(),
            table: vec![0; 256],
        };
        for spelling in known::SPELLINGS {
            symbols.intern(spelling);
        }
        symbols
    }
}

impl Symbols {
    /// The number of this spelling, a new one if it has none. Past 2³² − 2 spellings, which no
    /// history that fits a disk has, the last number is given again and again.
    pub fn intern(&mut self, spelling: &str) -> Symbol {
        let slot = self.slot(spelling);
        if let Some(number) = self.table[slot].checked_sub(1) {
            return Symbol(number);
        }
        let number = u32::try_from(self.ends.len()).unwrap_or(u32::MAX - 1);
        self.text.push_str(spelling);
        self.ends.push(self.text.len());
        self.table[slot] = number.saturating_add(1);
        if self.ends.len() * 2 > self.table.len() {
            self.grow();
        }
        Symbol(number)
    }

    /// The number of this spelling, if it has one.
    pub fn find(&self, spelling: &str) -> Option<Symbol> {
        self.table[self.slot(spelling)].checked_sub(1).map(Symbol)
    }

    /// How a symbol is spelled.
    pub fn spelling(&self, symbol: Symbol) -> &str {
        let at = symbol.0 as usize;
        let start = at.checked_sub(1).and_then(|before| self.ends.get(before));
        let end = self.ends.get(at).copied().unwrap_or(self.text.len());
        self.text
            .get(start.copied().unwrap_or(0)..end)
            .unwrap_or("")
    }

    /// Where the spelling stands in the table, or the free slot where it belongs.
    fn slot(&self, spelling: &str) -> usize {
        let mask = self.table.len() - 1;
        let mut slot = FxBuildHasher.hash_one(spelling.as_bytes()) as usize & mask;
        while let Some(number) = self.table[slot].checked_sub(1) {
            if self.spelling(Symbol(number)) == spelling {
                break;
            }
            slot = (slot + 1) & mask;
        }
        slot
    }

    fn grow(&mut self) {
        self.table = vec![0; self.table.len() * 2];
        for number in 0..self.ends.len() {
            let start = number.checked_sub(1).map_or(0, |before| self.ends[before]);
            let spelling = self.text[start..self.ends[number]].to_owned();
            let slot = self.slot(&spelling);
            self.table[slot] = number as u32 + 1;
        }
    }
}

/// How the parts of a compound value stand together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Shape {
    /// A vector, a list, an array.
    Sequence,
    /// EDN's `#{…}`.
    Set,
    /// Keys and values by turns.
    Map,
}

/// One piece of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Token {
    /// `nil`, `null`.
    Nil,
    /// `true` or `false`.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// EDN's `:word`.
    Keyword(Symbol),
    /// A string, escapes undone.
    Text(Symbol),
    /// Anything else, as it is spelled: a fraction, a symbol, a number beyond 64 bits.
    Word(Symbol),
    /// A compound; its parts are the next tokens, this many (those of parts within parts too).
    Open(Shape, u32),
}

impl Token {
    /// The name it is: JSON has strings where EDN has keywords.
    pub fn name(self) -> Option<Symbol> {
        match self {
            Token::Keyword(name) | Token::Text(name) => Some(name),
            _ => None,
        }
    }
}

/// A value: one token, or a compound with its parts behind it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Value<'a>(pub(super) &'a [Token]);

impl<'a> Value<'a> {
    /// `nil`, also what a missing field is.
    pub const NIL: Value<'static> = Value(&[Token::Nil]);

    /// The first token: the value itself, if it is no compound.
    pub fn token(self) -> Token {
        self.0.first().copied().unwrap_or(Token::Nil)
    }

    /// All tokens.
    pub fn tokens(self) -> &'a [Token] {
        self.0
    }

    /// Whether it is `nil`.
    pub fn is_nil(self) -> bool {
        self.token() == Token::Nil
    }

    /// The whole number it is.
    pub fn int(self) -> Option<i64> {
        match self.token() {
            Token::Int(number) => Some(number),
            _ => None,
        }
    }

    /// The name it is: a keyword or a string.
    pub fn name(self) -> Option<Symbol> {
        self.token().name()
    }

    /// The parts of a sequence or set; of a map, keys and values by turns.
    pub fn parts(self) -> Option<Parts<'a>> {
        match self.token() {
            Token::Open(..) => Some(Parts(&self.0[1..])),
            _ => None,
        }
    }

    /// The two parts of a pair: `[key value]`, `[expected new]`.
    pub fn pair(self) -> Option<[Value<'a>; 2]> {
        let mut parts = match self.token() {
            Token::Open(Shape::Sequence, _) => self.parts()?,
            _ => return None,
        };
        let pair = [parts.next()?, parts.next()?];
        parts.next().is_none().then_some(pair)
    }

    /// The value in words, EDN's way.
    pub fn display(self, symbols: &'a Symbols) -> Display<'a> {
        Display {
            value: self,
            symbols,
        }
    }
}

/// The parts of a compound, in order.
#[derive(Clone, Copy, Debug)]
pub struct Parts<'a>(&'a [Token]);

impl<'a> Parts<'a> {
    /// The tokens not yet taken.
    pub fn rest(self) -> &'a [Token] {
        self.0
    }
}

impl<'a> Iterator for Parts<'a> {
    type Item = Value<'a>;

    fn next(&mut self) -> Option<Value<'a>> {
        let length = match self.0.first()? {
            Token::Open(_, within) => 1 + *within as usize,
            _ => 1,
        };
        let (part, rest) = self.0.split_at(length.min(self.0.len()));
        self.0 = rest;
        Some(Value(part))
    }
}

/// A value in words, EDN's way; see [`Value::display`].
pub struct Display<'a> {
    value: Value<'a>,
    symbols: &'a Symbols,
}

impl fmt::Display for Display<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let part = |part: Value<'_>, f: &mut fmt::Formatter<'_>| {
            fmt::Display::fmt(&part.display(self.symbols), f)
        };
        match self.value.token() {
            Token::Nil => f.write_str("nil"),
            Token::Bool(truth) => write!(f, "{truth}"),
            Token::Int(number) => write!(f, "{number}"),
            Token::Keyword(name) => write!(f, ":{}", self.symbols.spelling(name)),
            Token::Text(text) => super::escape::write(f, self.symbols.spelling(text)),
            Token::Word(word) => f.write_str(self.symbols.spelling(word)),
            Token::Open(shape, _) => {
                let (open, close) = match shape {
                    Shape::Sequence => ("[", "]"),
                    Shape::Set => ("#{", "}"),
                    Shape::Map => ("{", "}"),
                };
                f.write_str(open)?;
                for (place, value) in self.value.parts().into_iter().flatten().enumerate() {
                    if place > 0 {
                        f.write_str(if shape == Shape::Map && place % 2 == 0 {
                            ", "
                        } else {
                            " "
                        })?;
                    }
                    part(value, f)?;
                }
                f.write_str(close)
            }
        }
    }
}
