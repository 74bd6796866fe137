//! RESP commands that touch data, from words to operations.

use bytes::Bytes;

use super::script;
use crate::command;
use crate::wire::{self, SetIf, step};

/// Takes one data command apart. `Ok(None)` = not a data command.
///
/// # Errors
/// The whole error line to answer with.
pub fn operation(name: &str, words: &[Bytes]) -> Result<Option<step::Op>, String> {
    let arity = |right: bool| {
        if right {
            Ok(())
        } else {
            Err(wrong_arity(name))
        }
    };
    let count = words.len();
    let op = match name {
        "GET" => {
            arity(count == 2)?;
            step::Op::Get(wire::Get {
                key: words[1].clone(),
            })
        }
        "SET" => {
            arity(count >= 3)?;
            step::Op::Set(set(words)?)
        }
        "DEL" => {
            arity(count >= 2)?;
            step::Op::Del(wire::Del {
                keys: words[1..].to_vec(),
            })
        }
        "EXISTS" => {
            arity(count >= 2)?;
            step::Op::Exists(wire::Exists {
                keys: words[1..].to_vec(),
            })
        }
        "INCR" => {
            arity(count == 2)?;
            step::Op::Incr(wire::Incr {
                key: words[1].clone(),
            })
        }
        "RPUSH" => {
            arity(count >= 3)?;
            step::Op::Rpush(wire::RPush {
                key: words[1].clone(),
                items: words[2..].to_vec(),
            })
        }
        "LRANGE" => {
            arity(count == 4)?;
            step::Op::Lrange(wire::LRange {
                key: words[1].clone(),
                start: integer(&words[2])?,
                stop: integer(&words[3])?,
            })
        }
        "EVAL" => {
            arity(count >= 3)?;
            compare_and_set(words)?
        }
        _ => return Ok(None),
    };
    command::check(&op).map_err(|text| format!("ERR {text}"))?;
    Ok(Some(op))
}

/// Redis' text for a wrong number of arguments.
pub fn wrong_arity(name: &str) -> String {
    format!(
        "ERR wrong number of arguments for '{}' command",
        name.to_lowercase()
    )
}

fn integer(word: &Bytes) -> Result<i64, String> {
    std::str::from_utf8(word)
        .ok()
        .and_then(|text| text.parse().ok())
        .ok_or_else(|| "ERR value is not an integer or out of range".to_owned())
}

fn set(words: &[Bytes]) -> Result<wire::Set, String> {
    let mut set = wire::Set {
        key: words[1].clone(),
        value: words[2].clone(),
        condition: SetIf::Always.into(),
        get: false,
    };
    for word in &words[3..] {
        let option = String::from_utf8_lossy(word).to_uppercase();
        match (option.as_str(), set.condition()) {
            ("NX", SetIf::Always) => set.set_condition(SetIf::Absent),
            ("XX", SetIf::Always) => set.set_condition(SetIf::Present),
            ("GET", _) => set.get = true,
            ("EX" | "PX" | "EXAT" | "PXAT" | "KEEPTTL", _) => {
                return Err(format!("ERR unsupported option '{option}' of SET"));
            }
            _ => return Err("ERR syntax error".to_owned()),
        }
    }
    Ok(set)
}

fn compare_and_set(words: &[Bytes]) -> Result<step::Op, String> {
    if !script::is_compare_and_set(&words[1]) {
        return Err(
            "ERR unsupported command 'EVAL' with this script: only the compare-and-set script \
             is known"
                .to_owned(),
        );
    }
    if words.len() != 6 || &words[2][..] != b"1" {
        return Err("ERR the compare-and-set script takes 1 key and 2 arguments".to_owned());
    }
    Ok(step::Op::CompareAndSet(wire::CompareAndSet {
        key: words[3].clone(),
        expected: words[4].clone(),
        value: words[5].clone(),
    }))
}
