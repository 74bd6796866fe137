//! Linearizability of histories of any tool: does an order of the operations, each between its
//! invocation and its completion, explain all that came back?
//!
//! [`check`] reads a history, cuts it into parts that can be decided alone (keys, elements), and
//! decides each: by an exact polynomial algorithm where the object and the values allow one, else
//! by a [`search`](self::search) with a budget in steps. Parts are decided in parallel; the
//! verdict is the same on every machine and with any number of threads.

mod acts;
mod appends;
mod by_values;
mod check;
mod connected;
mod exact;
mod minimal;
mod model;
pub mod models;
mod names;
mod operations;
mod search;
mod values;
mod words;

pub use acts::{Act, Acts, Micro, Verb};
pub use check::{CheckError, Method, Options, Outcome, PartReport, Report, check};
pub use model::{Model, NEVER, Operation, Question, Time};
pub use names::{ModelName, UnknownModel};
pub use search::{Found, search};
pub use values::{Atom, NIL, Values};
