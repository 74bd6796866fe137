//! The recorder's own events ([`crate::history::Event`]) as entries.

use super::entry::Fields;
use super::token::{Shape, Symbols, Token, known};
use crate::history::{Action, Event, Kind, Op, Step, Value};

/// Fills `fields` from an event; `false` for those that are no operation.
pub(super) fn event(event: &Event, symbols: &mut Symbols, fields: &mut Fields) -> bool {
    let Event::Op(op) = event else { return false };
    fields.clear(0);
    fields.index = i64::try_from(op.index).ok();
    fields.time_ns = i64::try_from(op.time_ns).ok();
    fields.process = Some(Token::Int(i64::from(op.process)));
    fields.kind = Some(op.kind);
    if let Some(error) = &op.error {
        let start = fields.tape.len();
        fields.tape.push(Token::Text(symbols.intern(error)));
        fields.error = (start, fields.tape.len());
    }
    action(op, symbols, fields);
    true
}

/// Our values are below 2⁶³ in all workloads; one beyond is spelled.
fn number(value: Value, symbols: &mut Symbols) -> Token {
    match i64::try_from(value) {
        Ok(number) => Token::Int(number),
        Err(_) => Token::Word(symbols.intern(&value.to_string())),
    }
}

fn maybe(value: Option<Value>, symbols: &mut Symbols) -> Token {
    value.map_or(Token::Nil, |value| number(value, symbols))
}

fn action(op: &Op, symbols: &mut Symbols, fields: &mut Fields) {
    let function = match op.action {
        Action::Read { .. } => known::READ,
        Action::Write { .. } => known::WRITE,
        Action::Swap { .. } => known::SWAP,
        Action::Cas { .. } => known::CAS,
        Action::Txn { .. } => known::TXN,
    };
    fields.function = Some(function);
    if let Action::Read { key, .. }
    | Action::Write { key, .. }
    | Action::Swap { key, .. }
    | Action::Cas { key, .. } = op.action
    {
        let key = number(key, symbols);
        fields.key = (fields.tape.len(), fields.tape.len() + 1);
        fields.tape.push(key);
    }
    let start = fields.tape.len();
    match &op.action {
        Action::Read { value, .. } => fields.tape.push(maybe(*value, symbols)),
        Action::Write { value, .. } => fields.tape.push(number(*value, symbols)),
        Action::Swap { value, old, .. } if op.kind == Kind::Ok => {
            let pair = [maybe(*old, symbols), number(*value, symbols)];
            fields.tape.push(Token::Open(Shape::Sequence, 2));
            fields.tape.extend(pair);
        }
        Action::Swap { value, .. } => fields.tape.push(number(*value, symbols)),
        Action::Cas {
            expected,
            value,
            swapped,
            ..
        } => {
            let pair = [number(*expected, symbols), number(*value, symbols)];
            fields.tape.push(Token::Open(Shape::Sequence, 2));
            fields.tape.extend(pair);
            fields.swapped = (op.kind == Kind::Ok).then_some(*swapped);
        }
        Action::Txn { steps } => {
            fields.tape.push(Token::Open(Shape::Sequence, 0));
            steps.iter().for_each(|one| step(one, symbols, fields));
            close(fields, start);
        }
    }
    fields.value = (start, fields.tape.len());
}

fn step(step: &Step, symbols: &mut Symbols, fields: &mut Fields) {
    let start = fields.tape.len();
    fields.tape.push(Token::Open(Shape::Sequence, 0));
    match step {
        Step::Append { key, value } => {
            let parts = [number(*key, symbols), number(*value, symbols)];
            fields.tape.push(Token::Keyword(known::APPEND));
            fields.tape.extend(parts);
        }
        Step::Read { key, list } => {
            let key = number(*key, symbols);
            fields.tape.extend([Token::Keyword(known::R), key]);
            let inner = fields.tape.len();
            match list {
                None => fields.tape.push(Token::Nil),
                Some(list) => {
                    fields.tape.push(Token::Open(Shape::Sequence, 0));
                    for value in list {
                        let value = number(*value, symbols);
                        fields.tape.push(value);
                    }
                    close(fields, inner);
                }
            }
        }
    }
    close(fields, start);
}

/// An event is at most 32 MiB, so its tokens can be counted in 32 bits.
fn close(fields: &mut Fields, start: usize) {
    let within = (fields.tape.len() - start - 1) as u32;
    fields.tape[start] = Token::Open(Shape::Sequence, within);
}
