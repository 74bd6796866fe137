//! Values by number: equal ones, compound or not, share one.

use std::hash::BuildHasher;

use rustc_hash::FxBuildHasher;

use crate::history::stream::{Symbols, Token, Value};

/// A value's number.
pub type Atom = u32;

/// `nil`.
pub const NIL: Atom = 0;

/// All values of a history, each held once.
pub struct Values {
    /// What `""` is spelled by, once something is.
    empty_text: Option<Atom>,
    tape: Vec<Token>,
    /// Where each value ends on the tape; it begins where the one before ends.
    ends: Vec<usize>,
    /// Open addressing; `0` is free, else the number plus one.
    table: Vec<u32>,
}

impl Default for Values {
    fn default() -> Self {
        let mut values = Values {
            empty_text: None,
            tape: Vec::new(),
            ends: Vec::new(),
            table: vec![0; 256],
        };
        values.intern(Value::NIL);
        values
    }
}

impl Values {
    /// The number of this value, a new one if it has none.
    pub fn intern(&mut self, value: Value<'_>) -> Atom {
        self.number(value.tokens())
    }

    /// The number of a value that is one token.
    pub fn intern_token(&mut self, token: Token) -> Atom {
        self.number(&[token])
    }

    fn number(&mut self, tokens: &[Token]) -> Atom {
        let slot = self.slot(tokens);
        if let Some(number) = self.table[slot].checked_sub(1) {
            return number;
        }
        let number = self.ends.len() as u32;
        self.tape.extend_from_slice(tokens);
        self.ends.push(self.tape.len());
        self.table[slot] = number + 1;
        if self.ends.len() * 2 > self.table.len() {
            self.table = vec![0; self.table.len() * 2];
            for number in 0..self.ends.len() as u32 {
                let slot = self.slot(self.tokens(number));
                self.table[slot] = number + 1;
            }
        }
        number
    }

    fn slot(&self, tokens: &[Token]) -> usize {
        let mask = self.table.len() - 1;
        let mut slot = FxBuildHasher.hash_one(tokens) as usize & mask;
        while let Some(number) = self.table[slot].checked_sub(1) {
            if self.tokens(number) == tokens {
                break;
            }
            slot = (slot + 1) & mask;
        }
        slot
    }

    fn tokens(&self, atom: Atom) -> &[Token] {
        let at = atom as usize;
        let start = at.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.tape[start..self.ends[at]]
    }

    /// The value.
    pub fn value(&self, atom: Atom) -> Value<'_> {
        Value::over(self.tokens(atom))
    }

    /// The whole number it is.
    pub fn int(&self, atom: Atom) -> Option<i64> {
        self.value(atom).int()
    }

    /// Whether it is `""`.
    pub(super) fn is_empty_text(&self, atom: Atom) -> bool {
        self.empty_text == Some(atom)
    }

    /// Learns how `""` is spelled.
    pub(super) fn know_empty_text(&mut self, symbols: &Symbols) {
        let spelled = symbols.find("").map(Token::Text);
        self.empty_text = spelled.and_then(|token| self.find(&[token]));
    }

    fn find(&self, tokens: &[Token]) -> Option<Atom> {
        self.table[self.slot(tokens)].checked_sub(1)
    }

    /// The value in words.
    pub fn display(&self, atom: Atom, symbols: &Symbols) -> String {
        const SHOWN: usize = 120;
        let words = self.value(atom).display(symbols).to_string();
        match words.char_indices().nth(SHOWN) {
            Some((end, _)) => format!("{}…", &words[..end]),
            None => words,
        }
    }

    /// The parts of a compound, each on a tape of its own; none of what is none.
    pub(super) fn parts_of(&self, atom: Atom) -> Vec<Vec<Token>> {
        let parts = self.value(atom).parts().into_iter().flatten();
        parts.map(|part| part.tokens().to_vec()).collect()
    }
}
