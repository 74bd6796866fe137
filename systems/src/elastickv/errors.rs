//! What an error says about an operation: that it certainly had no effect, or nothing.
//!
//! One table, by pieces of text, as the store wraps its errors and adds context around them. A
//! piece that leaves the outcome open wins over one that is definite, wherever they stand
//! together in one text. A text that the table does not know leaves it open too: `info`.
//!
//! Reads: an operation that only reads never takes effect, so any error of it is `fail`, a
//! broken connection included. A timeout is `info` for all alike; the client loop makes it.

use std::error::Error;
use std::fmt::Write;

use keyquake_workloads::Outcome;
use redis::{RedisError, ServerError, Value};
use tonic::{Code, Status};

/// Whether an operation could have changed the store's state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// It only reads.
    None,
    /// It writes.
    Possible,
}

/// What an error says about a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Certainty {
    /// The write certainly had no effect, and never will.
    Definite,
    /// It may have taken effect, or may yet.
    Indeterminate,
}

/// A row of the table.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// What the text contains, in lower case.
    pub text: &'static str,
    /// The word for it in histories and reports.
    pub class: &'static str,
    /// What it says about a write.
    pub certainty: Certainty,
}

const fn open(text: &'static str, class: &'static str) -> Row {
    Row {
        text,
        class,
        certainty: Certainty::Indeterminate,
    }
}

const fn definite(text: &'static str, class: &'static str) -> Row {
    Row {
        text,
        class,
        certainty: Certainty::Definite,
    }
}

/// The table. The first row that fits decides, and rows that leave the outcome open come first.
pub const TABLE: &[Row] = &[
    // Something was proposed, and its fate is not known.
    open("leadership lost", "leadership-lost"),
    open("leadership transfer in progress", "leadership-transfer"),
    open("raft engine is closed", "engine-closed"),
    open("leader proxy circuit open", "circuit-open"),
    open("txn already committed", "already-committed"),
    open(
        "secondary commit failed after primary commit",
        "half-committed",
    ),
    open("after ambiguous dispatch", "ambiguous-dispatch"),
    open("retry limit exceeded", "retry-limit"),
    // Definite only where the node itself says so before it proposes. Through a forward, which
    // a client can't tell apart, it may come after the proposal.
    open("leader not found", "no-leader"),
    open("not leader", "not-leader"),
    open("notleader", "not-leader"),
    open("leader redis address unknown", "no-leader"),
    open(
        "exec read fence spans multiple shard leaders",
        "split-leaders",
    ),
    // The pool that is full may be the leader's, behind a forward.
    open("busy server overloaded", "overloaded"),
    // Time and connections.
    open("deadline exceeded", "deadline"),
    open("context canceled", "canceled"),
    open("connection reset", "connection"),
    open("broken pipe", "connection"),
    open("transport is closing", "connection"),
    open("transport error", "connection"),
    // A follower could not reach the leader; its library may have sent the command before, over
    // a connection that broke.
    open("dial tcp", "connection"),
    open("propose 0x", "propose-rejected"),
    open("raced a rotatedek", "cutover-race"),
    open("fsm-requested apply halt", "apply-halt"),
    // The attempt was given up before it could commit.
    definite("write conflict", "write-conflict"),
    definite("txn locked", "txn-locked"),
    definite("txn already aborted", "txn-aborted"),
    definite("refusing to issue persistence timestamp", "clock-ceiling"),
    definite("route ownership shifted", "route-shifted"),
    definite("observed catalog version evicted", "route-shifted"),
    // Gates that stand before the proposal.
    definite("envelope cutover in progress", "cutover-barrier"),
    definite("writer not yet registered", "writer-barrier"),
    definite("startup rotation has not completed", "rotation-barrier"),
    definite("read timestamp has been compacted", "compacted"),
    // The request itself is at fault.
    definite("value too large", "invalid-request"),
    definite("invalid request", "invalid-request"),
    definite("raw get with explicit group", "invalid-request"),
    definite("unsupported command", "unsupported"),
    definite("wrong number of arguments", "invalid-request"),
    definite("wrongtype", "wrong-type"),
    definite("exec without multi", "invalid-request"),
    definite("multi calls can not be nested", "invalid-request"),
    // Administration: refused by a check before the proposal.
    definite("proposer is not configured on this node", "not-configured"),
    definite("cluster not bootstrapped", "not-bootstrapped"),
    definite("sidecar file is missing", "no-sidecar"),
    definite("sidecar path is not configured", "no-sidecar"),
    definite("capability check refused cutover", "not-capable"),
    definite("requires exactly one shard group", "several-groups"),
    definite("verifyleader failed", "not-verified"),
    definite("verifyleader canceled", "not-verified"),
    definite("verifyleader deadline", "not-verified"),
];

/// The row that decides about a text, if one does.
pub fn classify(text: &str) -> Option<&'static Row> {
    let text = text.to_lowercase();
    TABLE.iter().find(|row| text.contains(row.text))
}

/// No connection could be made: nothing was sent.
pub(super) fn not_connected(text: &str) -> String {
    format!("connect: {text}; nothing was sent")
}

/// A gRPC call that failed.
pub(super) fn of_status(status: &Status, effect: Effect) -> Outcome {
    let mut text = format!("grpc {:?}: {}", status.code(), status.message());
    if let Some(source) = status.source() {
        let _ = write!(text, ": {}", chain(source));
    }
    // These codes are made by the transport as well, on either side of the proposal, so only a
    // gate's own text counts.
    let by_code = match status.code() {
        Code::DeadlineExceeded => Some("deadline"),
        Code::Cancelled => Some("canceled"),
        Code::Unavailable => Some("unavailable"),
        _ => None,
    };
    match classify(status.message()) {
        Some(row) => outcome(row.class, row.certainty, &text, effect),
        None => open_end(by_code.unwrap_or("unknown"), &text, effect),
    }
}

/// An error that the server sent in place of a reply.
pub(super) fn of_reply(error: &ServerError, effect: Effect) -> Outcome {
    let text = reply_text(error);
    match classify(&text) {
        Some(row) => outcome(row.class, row.certainty, &text, effect),
        None => open_end("unknown", &text, effect),
    }
}

/// An error of the connection.
pub(super) fn of_redis(error: &RedisError, effect: Effect) -> Outcome {
    open_end("connection", &chain(error), effect)
}

/// MULTI was refused, so that the steps behind it ran outside of any transaction.
pub(super) fn outside_transaction(error: &ServerError, effect: Effect) -> Outcome {
    open_end("no-transaction", &reply_text(error), effect)
}

/// A step was refused while it was queued, and EXEC discarded the transaction for it.
pub(super) fn aborted(cause: &ServerError) -> Outcome {
    Outcome::Fail(format!("exec-abort: {}", reply_text(cause)))
}

/// A reply that no such command gives.
pub(super) fn unexpected(reply: &Value, effect: Effect) -> Outcome {
    open_end("unexpected", &format!("the reply was {reply:?}"), effect)
}

/// An error and what caused it, in one line.
pub(super) fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let _ = write!(text, ": {cause}");
        source = cause.source();
    }
    text
}

fn reply_text(error: &ServerError) -> String {
    match error.details() {
        Some(details) => format!("{} {details}", error.code()),
        None => error.code().to_owned(),
    }
}

fn open_end(class: &str, text: &str, effect: Effect) -> Outcome {
    outcome(class, Certainty::Indeterminate, text, effect)
}

fn outcome(class: &str, certainty: Certainty, text: &str, effect: Effect) -> Outcome {
    let text = format!("{class}: {text}");
    match (certainty, effect) {
        (Certainty::Definite, _) | (_, Effect::None) => Outcome::Fail(text),
        (Certainty::Indeterminate, Effect::Possible) => Outcome::Info(text),
    }
}

#[cfg(test)]
mod tests {
    use super::Certainty::{Definite, Indeterminate};
    use super::*;

    /// Texts as the store gives them, and what the contract says of each.
    const SEEN: &[(&str, &str, Certainty)] = &[
        (
            "etcd raft engine leadership lost",
            "leadership-lost",
            Indeterminate,
        ),
        (
            "NOTLEADER leadership transfer in progress",
            "leadership-transfer",
            Indeterminate,
        ),
        (
            "propose: etcd raft engine is closed",
            "engine-closed",
            Indeterminate,
        ),
        ("leader proxy circuit open", "circuit-open", Indeterminate),
        ("txn already committed", "already-committed", Indeterminate),
        (
            "txn secondary commit failed after primary commit",
            "half-committed",
            Indeterminate,
        ),
        (
            "ERR EXEC read fence route changed after ambiguous dispatch",
            "ambiguous-dispatch",
            Indeterminate,
        ),
        (
            "ERR redis txn retry limit exceeded",
            "retry-limit",
            Indeterminate,
        ),
        ("leader not found", "no-leader", Indeterminate),
        (
            "etcd raft engine is not leader",
            "not-leader",
            Indeterminate,
        ),
        ("NOTLEADER x", "not-leader", Indeterminate),
        (
            "ERR leader redis address unknown for raft address 127.0.0.1:1",
            "no-leader",
            Indeterminate,
        ),
        (
            "ERR EXEC read fence spans multiple shard leaders",
            "split-leaders",
            Indeterminate,
        ),
        ("BUSY server overloaded", "overloaded", Indeterminate),
        ("context deadline exceeded", "deadline", Indeterminate),
        ("rpc error: context canceled", "canceled", Indeterminate),
        (
            "read tcp: connection reset by peer",
            "connection",
            Indeterminate,
        ),
        ("write: broken pipe", "connection", Indeterminate),
        (
            "rpc error: code = Unavailable desc = transport error",
            "connection",
            Indeterminate,
        ),
        (
            "dial tcp 127.0.0.1:20052: connect: connection refused",
            "connection",
            Indeterminate,
        ),
        ("transport is closing", "connection", Indeterminate),
        (
            "encryption: propose 0x05 rejected by raft engine",
            "propose-rejected",
            Indeterminate,
        ),
        (
            "cutover proposal raced a RotateDEK",
            "cutover-race",
            Indeterminate,
        ),
        ("FSM-requested apply halt", "apply-halt", Indeterminate),
        ("write conflict on key", "write-conflict", Definite),
        ("txn locked by 7", "txn-locked", Definite),
        ("txn already aborted", "txn-aborted", Definite),
        (
            "hlc: physical ceiling exhausted; refusing to issue persistence timestamp",
            "clock-ceiling",
            Definite,
        ),
        (
            "composed-1: route ownership shifted",
            "route-shifted",
            Definite,
        ),
        (
            "composed-1: observed catalog version evicted",
            "route-shifted",
            Definite,
        ),
        (
            "raft engine: envelope cutover in progress",
            "cutover-barrier",
            Definite,
        ),
        (
            "store: storage envelope active but writer not yet registered",
            "writer-barrier",
            Definite,
        ),
        (
            "startup rotation has not completed",
            "rotation-barrier",
            Definite,
        ),
        ("read timestamp has been compacted", "compacted", Definite),
        ("value too large", "invalid-request", Definite),
        ("invalid request", "invalid-request", Definite),
        (
            "raw get with explicit group requires a group-aware store",
            "invalid-request",
            Definite,
        ),
        ("ERR unsupported command 'WATCH'", "unsupported", Definite),
        (
            "ERR wrong number of arguments for 'get' command",
            "invalid-request",
            Definite,
        ),
        (
            "WRONGTYPE Operation against a key holding the wrong kind of value",
            "wrong-type",
            Definite,
        ),
        ("ERR EXEC without MULTI", "invalid-request", Definite),
        (
            "ERR MULTI calls can not be nested",
            "invalid-request",
            Definite,
        ),
        (
            "encryption: proposer is not configured on this node",
            "not-configured",
            Definite,
        ),
        (
            "cluster not bootstrapped (Active.Storage == 0)",
            "not-bootstrapped",
            Definite,
        ),
        (
            "encryption: sidecar file is missing",
            "no-sidecar",
            Definite,
        ),
        (
            "encryption: sidecar path is not configured on this node",
            "no-sidecar",
            Definite,
        ),
        (
            "encryption: capability check refused cutover (unreachable member full_node_id=1)",
            "not-capable",
            Definite,
        ),
        (
            "raft envelope cutover requires exactly one shard group",
            "several-groups",
            Definite,
        ),
        (
            "VerifyLeader failed, refusing to act on stale-leader state",
            "not-verified",
            Definite,
        ),
        ("VerifyLeader canceled", "not-verified", Definite),
        ("VerifyLeader deadline", "not-verified", Definite),
    ];

    #[test]
    fn every_row_decides_as_the_contract_says() {
        for (text, class, certainty) in SEEN {
            let row = classify(text).unwrap_or_else(|| panic!("no row for {text}"));
            assert_eq!((row.class, row.certainty), (*class, *certainty), "{text}");
        }
        assert_eq!(SEEN.len(), TABLE.len(), "a row without its line here");
        for row in TABLE {
            let lines = SEEN
                .iter()
                .filter(|(text, ..)| classify(text).is_some_and(|found| found.text == row.text));
            assert_eq!(lines.count(), 1, "lines for the row {:?}", row.text);
            assert_eq!(row.text, row.text.to_lowercase());
        }
    }

    #[test]
    fn an_open_end_wins_over_a_definite_one() {
        let row = classify("write conflict: after retry: leadership lost").unwrap();
        assert_eq!(row.certainty, Indeterminate);
        let first_definite = TABLE.iter().position(|row| row.certainty == Definite);
        let last_open = TABLE.iter().rposition(|row| row.certainty == Indeterminate);
        assert!(last_open < first_definite);
    }

    #[test]
    fn a_write_with_an_unknown_error_is_open_and_a_read_fails() {
        for status in [
            Status::unknown("something new"),
            Status::internal("h2 protocol error"),
            Status::unavailable("tcp connect error"),
            Status::deadline_exceeded("timeout"),
            Status::cancelled("gone"),
            Status::failed_precondition("not leader"),
        ] {
            assert!(
                matches!(of_status(&status, Effect::Possible), Outcome::Info(_)),
                "{status}"
            );
            assert!(
                matches!(of_status(&status, Effect::None), Outcome::Fail(_)),
                "{status}"
            );
        }
        let gate = Status::unavailable("startup rotation has not completed");
        assert!(matches!(
            of_status(&gate, Effect::Possible),
            Outcome::Fail(_)
        ));
        let Outcome::Info(text) = of_status(&Status::unknown("x"), Effect::Possible) else {
            panic!("a write with an unknown error is info");
        };
        assert_eq!(text, "unknown: grpc Unknown: x");
    }
}
