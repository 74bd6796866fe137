//! What a store must offer to be driven: a client per connection, and a way to make one.

use async_trait::async_trait;
use elle_rs::history::{Action, Value};

use crate::options::Protocol;

/// Stands in a history for bytes read back that are no value this suite ever writes.
///
/// Workloads write small numbers counted from 1, so a checker sees a value from thin air. The
/// bytes themselves stand in the event's `error`.
pub const CORRUPT_VALUE: Value = Value::MAX;

/// How one operation ended, in the words of a history.
///
/// The texts are `"<class>: <what the store or the network said>"`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It took effect; the action holds what came back.
    Ok(Action),
    /// It took effect, and something came back that no one wrote: where a value could not be
    /// understood the action holds [`CORRUPT_VALUE`], and `note` says what was there.
    /// Recorded as `ok`, with the note as its error.
    Corrupt {
        /// What came back.
        action: Action,
        /// The bytes that could not be understood.
        note: String,
    },
    /// It certainly took no effect.
    Fail(String),
    /// Nobody knows.
    Info(String),
}

/// One connection's worth of a store's client.
///
/// It connects when first asked, reconnects by itself after an error, and never sends an
/// operation twice. A caller that gives up on [`invoke`](Client::invoke) drops the client too.
#[async_trait]
pub trait Client: Send {
    /// Does one operation. What is not certainly without effect is `Info`, never `Fail`.
    async fn invoke(&mut self, action: &Action) -> Outcome;
}

/// What a store can do over one protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capabilities {
    /// Write and get the old value in one step.
    pub swap: bool,
    /// Compare-and-set.
    pub compare_and_set: bool,
    /// Several appends and list reads in one atomic step.
    pub transactions: bool,
}

/// Makes clients of one running store.
pub trait Connect: Send + Sync {
    /// A client of the node at this position. Nothing is sent before its first operation.
    fn connect(&self, protocol: Protocol, node: u16) -> Box<dyn Client>;

    /// What the store can do over this protocol.
    fn capabilities(&self, protocol: Protocol) -> Capabilities;
}

/// Where the leader was last seen.
pub trait LeaderHint: Send + Sync {
    /// Position of the leader, if one is known. Cheap: asked before every operation.
    fn leader(&self) -> Option<u16>;
}
