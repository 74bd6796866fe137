//! Certificates of verdicts on transactions.
//!
//! An order is replayed, or compared with what was read, in linear time; a step of a cycle and what
//! shows an anomaly take a pass or two over the history.

mod anomaly;
mod bank;
mod cycle;
mod history;
mod order;
mod weak;

use super::VerifyError;
use crate::certificate::Certificate;
use crate::history::stream::Reader;
use crate::levels::Level;

/// Says what the verdict rests on.
pub(super) fn verify(certificate: &Certificate, reader: Reader) -> Result<String, VerifyError> {
    let refuted = VerifyError::Refuted;
    let name = certificate.level.as_deref();
    let name = name.ok_or_else(|| refuted("it names no level".to_owned()))?;
    let level: Level = name
        .parse()
        .map_err(|error| refuted(format!("its level: {error}")))?;
    if certificate.model == "bank" {
        return bank::verify(certificate, level, reader);
    }
    let lists = match certificate.model.as_str() {
        "list-append" => true,
        "rw-register" | "rmw" | "long-fork" | "monotonic" => false,
        other => return Err(refuted(format!("its model, {other:?}, is not known"))),
    };
    let mut history = history::read(reader, lists)?.map_err(refuted)?;
    history.growing = certificate.model == "monotonic";
    super::same_length(certificate, history.entries)?;
    let shown = match certificate.verdict.as_str() {
        "valid" if history.torn => Err("the history is torn".to_owned()),
        "valid" => match (&certificate.order, &certificate.moments) {
            (Some(order), _) if is_weak(level) => weak::in_order(&history, level, order),
            (Some(order), _) => order::serial(&history, level, order),
            (None, Some(moments)) => order::apart(&history, level, moments),
            (None, None) => Err("it has no order".to_owned()),
        },
        "violated" => match (&certificate.cycle, &certificate.shows) {
            (Some(cycle), _) => cycle::refute(&history, level, cycle),
            (None, Some(shows)) => {
                let anomaly = certificate.anomaly.as_deref().unwrap_or_default();
                anomaly::refute(&history, level, anomaly, shows)
            }
            (None, None) => Err("it has neither a cycle nor an anomaly".to_owned()),
        },
        other => Err(format!("its verdict, {other:?}, is none")),
    };
    shown.map_err(refuted)
}

/// Whether a level says nothing about what is missed, only about what is written and read.
fn is_weak(level: Level) -> bool {
    let name = level.name();
    name.ends_with("read-committed") || name.ends_with("read-uncommitted")
}

/// Whether a level forbids an anomaly that is no cycle.
fn forbids(level: Level, anomaly: &str) -> bool {
    let name = level.name();
    let dirty = name.ends_with("read-uncommitted");
    let apart = name.ends_with("serializable") || name.ends_with("snapshot-isolation");
    match anomaly {
        "thin-air" | "duplicate-elements" | "lost-append" | "cyclic-versions" => true,
        "G1a" | "G1b" | "dirty-update" | "incompatible-order" | "future-read" => !dirty,
        "lost-update" | "long-fork" | "wrong-total" | "negative-balance" => !is_weak(level),
        "internal" => apart,
        _ => false,
    }
}
