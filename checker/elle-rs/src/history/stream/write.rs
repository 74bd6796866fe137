//! Entries written for other tools: EDN for Elle and Knossos, JSON for the rest.

use std::fmt::Write as _;
use std::io::{self, Write};

use super::entry::{Entry, Kind};
use super::escape;
use super::token::{Shape, Symbols, Token, Value};

fn kind_name(kind: Kind) -> &'static str {
    match kind {
        Kind::Invoke => "invoke",
        Kind::Ok => "ok",
        Kind::Fail => "fail",
        Kind::Info => "info",
    }
}

/// Writes one entry as a line of EDN.
pub fn write_edn(out: &mut impl Write, entry: &Entry<'_>) -> io::Result<()> {
    let symbols = entry.symbols;
    let mut line = String::from("{");
    let mut field = |name: &str, value: &dyn std::fmt::Display| {
        let comma = if line.len() > 1 { ", " } else { "" };
        // Writing to a string does not fail.
        let _ = write!(line, "{comma}:{name} {value}");
    };
    let process = [entry.process];
    field("index", &entry.index.unwrap_or(entry.place as i64));
    if let Some(time) = entry.time_ns {
        field("time", &time);
    }
    field("type", &format_args!(":{}", kind_name(entry.kind)));
    field("process", &Value(&process).display(symbols));
    if let Some(function) = entry.function {
        field("f", &format_args!(":{}", symbols.spelling(function)));
    }
    if !entry.key.is_nil() {
        field("key", &entry.key.display(symbols));
    }
    field("value", &entry.value.display(symbols));
    if let Some(swapped) = entry.swapped {
        field("swapped", &swapped);
    }
    if !entry.error.is_nil() {
        field("error", &entry.error.display(symbols));
    }
    line.push_str("}\n");
    out.write_all(line.as_bytes())
}

/// Writes one entry as a line of JSON. Keywords become strings, sets arrays; a map's keys become
/// strings too.
pub fn write_json(out: &mut impl Write, entry: &Entry<'_>) -> io::Result<()> {
    let symbols = entry.symbols;
    let mut line = String::new();
    let _ = write!(
        line,
        "{{\"index\":{}",
        entry.index.unwrap_or(entry.place as i64)
    );
    if let Some(time) = entry.time_ns {
        let _ = write!(line, ",\"time\":{time}");
    }
    let _ = write!(line, ",\"type\":\"{}\",\"process\":", kind_name(entry.kind));
    json(&mut line, Value(&[entry.process]), symbols);
    if let Some(function) = entry.function {
        line.push_str(",\"f\":");
        let _ = escape::write(&mut line, symbols.spelling(function));
    }
    if !entry.key.is_nil() {
        line.push_str(",\"key\":");
        json(&mut line, entry.key, symbols);
    }
    line.push_str(",\"value\":");
    json(&mut line, entry.value, symbols);
    if let Some(swapped) = entry.swapped {
        let _ = write!(line, ",\"swapped\":{swapped}");
    }
    if !entry.error.is_nil() {
        line.push_str(",\"error\":");
        json(&mut line, entry.error, symbols);
    }
    line.push_str("}\n");
    out.write_all(line.as_bytes())
}

fn json(line: &mut String, value: Value<'_>, symbols: &Symbols) {
    match value.token() {
        Token::Nil => line.push_str("null"),
        Token::Bool(truth) => line.push_str(if truth { "true" } else { "false" }),
        Token::Int(number) => {
            let _ = write!(line, "{number}");
        }
        Token::Keyword(word) | Token::Text(word) => {
            let _ = escape::write(line, symbols.spelling(word));
        }
        Token::Word(word) => {
            let spelled = symbols.spelling(word);
            if is_json_number(spelled) {
                line.push_str(spelled);
            } else {
                let _ = escape::write(line, spelled);
            }
        }
        Token::Open(shape, _) => {
            line.push(if shape == Shape::Map { '{' } else { '[' });
            for (place, part) in value.parts().into_iter().flatten().enumerate() {
                let is_key = shape == Shape::Map && place % 2 == 0;
                match (place, shape) {
                    (0, _) => {}
                    (_, Shape::Map) if !is_key => line.push(':'),
                    _ => line.push(','),
                }
                if is_key && part.name().is_none() {
                    let _ = escape::write(line, &part.display(symbols).to_string());
                } else {
                    json(line, part, symbols);
                }
            }
            line.push(if shape == Shape::Map { '}' } else { ']' });
        }
    }
}

/// Whether a word is a number as JSON spells them: `-1.5e3`, `99999999999999999999`.
fn is_json_number(word: &str) -> bool {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let unsigned = word.strip_prefix('-').unwrap_or(word);
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (unsigned, None),
    };
    let exponent = exponent.map(|text| text.strip_prefix(['+', '-']).unwrap_or(text));
    let (whole, fraction) = match mantissa.split_once('.') {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (mantissa, None),
    };
    digits(whole)
        && (whole == "0" || !whole.starts_with('0'))
        && fraction.is_none_or(digits)
        && exponent.is_none_or(digits)
}
