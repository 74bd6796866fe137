//! Registers whose values are each written once: decided by zones (see [`crate::register`]).

use super::acts::{Act, Verb};
use super::appends;
use super::model::NEVER;
use super::operations::Part;
use super::values::{Atom, NIL, Values};
use super::words::Story;
use crate::Finding;
use crate::certificate::Proof;
use crate::register::{self, ByValues, Cause, Effect, NONE, Operation, Register};

/// What the values decide.
pub(super) enum Decision {
    Order(Vec<u32>),
    Broken(Cause),
    /// Nothing, for this reason.
    Nothing(String),
}

/// Decides a part whose operations are reads, writes and updates.
pub(super) fn decide(part: &Part, initial: Atom, values: &Values, story: &Story<'_>) -> Decision {
    let appends = part
        .entries
        .iter()
        .any(|entry| entry.act.verb == Verb::Append);
    let register = match appends {
        true if initial == NIL => appended(part, story),
        true => None,
        false => as_register(part, initial, values).map(|register| (register, true)),
    };
    let Some((register, is_all)) = register else {
        return Decision::Nothing(
            "there are deletes, appends of what could be taken for others, or values like what was \
             there before everything"
                .to_owned(),
        );
    };
    match register::by_values(&register) {
        ByValues::Order(_) if !is_all => Decision::Nothing(
            "a text was put or appended more than once, or seen behind different ones".to_owned(),
        ),
        ByValues::Order(order) => Decision::Order(order),
        ByValues::Broken(Cause::Ambiguous { value }) => Decision::Nothing(format!(
            "value {} was written more than once and seen",
            Atom::try_from(value).map_or_else(|_| value.to_string(), |atom| story.value(atom))
        )),
        ByValues::Broken(cause) if !names_only(&cause, part.entries.len()) => {
            Decision::Nothing("a text was put or appended more than once".to_owned())
        }
        ByValues::Broken(cause) => Decision::Broken(cause),
        ByValues::Refusals => Decision::Nothing(
            "a refused compare-and-set fits into no order found directly".to_owned(),
        ),
    }
}

/// A part with appends as a register, and whether it says all that the texts say.
fn appended(part: &Part, story: &Story<'_>) -> Option<(Register, bool)> {
    let effects = appends::effects(part, story.operations)?;
    let asked = (0..).zip(part.entries.iter().zip(effects.each));
    let asked = asked.map(|(id, (entry, effect))| match effect {
        Some(effect) => Operation {
            start: entry.start,
            finish: entry.finish,
            effect,
        },
        // A write that never returned, of what nobody saw, is left out.
        None => Operation {
            start: entry.start,
            finish: NEVER,
            effect: Effect::Write {
                value: appends::value(id),
            },
        },
    });
    let first = part.entries.first().map_or(NEVER, |entry| entry.start);
    let others = effects.others.into_iter().map(|effect| Operation {
        start: first,
        finish: NEVER,
        effect,
    });
    let register = Register {
        key: part.key.into(),
        operations: asked.chain(others).collect(),
        failed: Default::default(),
    };
    Some((register, effects.is_all))
}

/// Whether a cause names operations of the history alone, and none that must have been somebody's.
fn names_only(cause: &Cause, operations: usize) -> bool {
    let is_known = |&id: &u32| id == NONE || (id as usize) < operations;
    pattern(cause).1.iter().all(is_known)
}

/// The part as a register that holds `nil` before everything.
fn as_register(part: &Part, initial: Atom, values: &Values) -> Option<Register> {
    // Porcupine reads a missing text as an empty one.
    let is_empty = |atom: Atom| atom == initial || (initial == NIL && values.is_empty_text(atom));
    let writes = |act: Act| act.puts().is_some_and(is_empty);
    if part.entries.iter().any(|entry| writes(entry.act)) {
        return None;
    }
    let seen = |atom: Atom| (!is_empty(atom)).then_some(u64::from(atom));
    let effect = |act: Act| match act.verb {
        Verb::Read => Some(Effect::Read { value: seen(act.a) }),
        Verb::Write => Some(Effect::Write {
            value: act.a.into(),
        }),
        Verb::Update => Some(Effect::Update {
            old: seen(act.a),
            value: act.b.into(),
        }),
        Verb::Refused => seen(act.a).map(|expected| Effect::Refused { expected }),
        _ => None,
    };
    let operations = part.entries.iter().map(|entry| {
        Some(Operation {
            start: entry.start,
            finish: entry.finish,
            effect: effect(entry.act)?,
        })
    });
    Some(Register {
        key: part.key.into(),
        operations: operations.collect::<Option<_>>()?,
        failed: part
            .failed
            .iter()
            .map(|(&atom, &start)| (atom.into(), start))
            .collect(),
    })
}

/// The pattern that a cause is, and the operations that make it.
fn pattern(cause: &Cause) -> (&'static str, Vec<u32>) {
    match cause {
        Cause::Unwritten { observer, .. } => ("thin-air", vec![*observer]),
        Cause::ReplacedTwice { first, second } => ("replaced-twice", vec![*first, *second]),
        Cause::Circle { updates } => ("circle", updates.clone()),
        Cause::Backwards { first, then } => ("backwards", vec![*first, *then]),
        Cause::Crossed {
            a_first,
            b_last,
            b_first,
            a_last,
        } => ("crossed", vec![*a_first, *b_last, *b_first, *a_last]),
        Cause::Ambiguous { .. } => ("search", Vec::new()),
    }
}

/// What shows a cause.
pub(super) fn proof(part: &Part, cause: &Cause) -> Proof {
    let (pattern, ids) = pattern(cause);
    let place = |id: u32| (id != NONE).then(|| part.place(id));
    Proof {
        pattern: pattern.to_owned(),
        ops: ids.into_iter().map(place).collect(),
    }
}

/// Words a cause as a finding.
pub(super) fn finding(story: &Story<'_>, cause: &Cause) -> Finding {
    let what = |id: u32| match id {
        NONE => "the beginning".to_owned(),
        id => story.what(id),
    };
    let value = |value: u64| {
        Atom::try_from(value).map_or_else(|_| value.to_string(), |atom| story.value(atom))
    };
    match cause {
        Cause::Unwritten {
            observer,
            value: seen,
        } => {
            let failed = Atom::try_from(*seen)
                .ok()
                .and_then(|atom| story.part.failed.get(&atom));
            match failed {
                Some(start) => story.finding(
                    "dirty-read",
                    &[*observer],
                    format!(
                        "{} saw {}, which only a write that failed (event {}) put",
                        what(*observer),
                        value(*seen),
                        start - 1
                    ),
                ),
                None => story.finding(
                    "thin-air",
                    &[*observer],
                    format!("{} saw {}, which nobody put", what(*observer), value(*seen)),
                ),
            }
        }
        Cause::ReplacedTwice { first, second } => story.finding(
            "lost-update",
            &[*first, *second],
            format!(
                "{} and {} both replaced the same value: one of the two updates is lost",
                what(*first),
                what(*second)
            ),
        ),
        Cause::Circle { updates } => {
            const SHOWN: usize = 6;
            let told: Vec<String> = updates.iter().take(SHOWN).map(|&id| what(id)).collect();
            story.finding(
                "circular-update",
                updates,
                format!(
                    "each of these saw what the next one put, round and round: {}",
                    told.join("; ")
                ),
            )
        }
        Cause::Backwards { first, then } => story.finding(
            "stale-read",
            &[*first, *then],
            format!(
                "the values say that {} comes before {}, but the latter had completed before the \
                 former began",
                what(*first),
                what(*then)
            ),
        ),
        Cause::Crossed {
            a_first,
            b_last,
            b_first,
            a_last,
        } => story.finding(
            "stale-read",
            &[*a_first, *b_last, *b_first, *a_last],
            format!(
                "{} completed before {} began, so what the first saw or put was there before what \
                 the second did; but {} completed before {} began, which says the opposite",
                what(*a_first),
                what(*b_last),
                what(*b_first),
                what(*a_last)
            ),
        ),
        Cause::Ambiguous { value: seen } => story.finding(
            "nonlinearizable",
            &[],
            format!("value {} was written more than once", value(*seen)),
        ),
    }
}
