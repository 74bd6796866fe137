//! Escapes in quoted strings: EDN's and JSON's are the same but for `\/`.

use std::fmt::{self, Write};

/// Undoes the escapes of what stands between quotes.
pub(super) fn undo(quoted: &str) -> Result<String, String> {
    let mut text = String::with_capacity(quoted.len());
    let mut left = quoted.chars();
    while let Some(letter) = left.next() {
        if letter != '\\' {
            text.push(letter);
            continue;
        }
        let plain = match left.next() {
            Some('n') => '\n',
            Some('t') => '\t',
            Some('r') => '\r',
            Some('b') => '\u{8}',
            Some('f') => '\u{c}',
            Some(same @ ('"' | '\\' | '/')) => same,
            Some('u') => unicode(&mut left)?,
            Some(other) => return Err(format!("\\{other} is no escape of a string")),
            None => return Err("a string ends within an escape".to_owned()),
        };
        text.push(plain);
    }
    Ok(text)
}

/// What follows `\u`: four digits, or two such escapes for one letter beyond 16 bits.
fn unicode(left: &mut std::str::Chars<'_>) -> Result<char, String> {
    let high = four(left)?;
    if !(0xd800..0xdc00).contains(&high) {
        return char::from_u32(high).ok_or_else(|| format!("\\u{high:04x} stands for no letter"));
    }
    let low = match (left.next(), left.next()) {
        (Some('\\'), Some('u')) => four(left)?,
        _ => 0,
    };
    if !(0xdc00..0xe000).contains(&low) {
        return Err(format!(
            "\\u{high:04x} is half a letter, and its other half is missing"
        ));
    }
    let letter = 0x1_0000 + ((high - 0xd800) << 10) + (low - 0xdc00);
    char::from_u32(letter).ok_or_else(|| format!("U+{letter:x} is no letter"))
}

fn four(left: &mut std::str::Chars<'_>) -> Result<u32, String> {
    let mut number = 0;
    for _ in 0..4 {
        let digit = left.next().and_then(|letter| letter.to_digit(16));
        number = number * 16 + digit.ok_or("\\u needs four hexadecimal digits")?;
    }
    Ok(number)
}

/// Writes a text in quotes, so that EDN and JSON read it alike.
pub(super) fn write(f: &mut impl Write, text: &str) -> fmt::Result {
    f.write_char('"')?;
    for letter in text.chars() {
        match letter {
            '"' => f.write_str("\\\"")?,
            '\\' => f.write_str("\\\\")?,
            '\n' => f.write_str("\\n")?,
            '\t' => f.write_str("\\t")?,
            '\r' => f.write_str("\\r")?,
            control if (control as u32) < 0x20 => write!(f, "\\u{:04x}", control as u32)?,
            letter => f.write_char(letter)?,
        }
    }
    f.write_char('"')
}
