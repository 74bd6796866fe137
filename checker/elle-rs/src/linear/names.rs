//! The names of the models.

use std::fmt;
use std::str::FromStr;

/// A model by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ModelName {
    /// `read`, `write`.
    Register,
    /// `read`, `write`, `cas`, `swap`.
    CasRegister,
    /// Transactions that read and write several registers.
    MultiRegister,
    /// `get`, `put`, `append`, `delete`, `cas` and `swap` under keys.
    KvMap,
    /// `acquire`, `release`.
    Mutex,
    /// `add`, `remove`, `contains`, `read`.
    Set,
    /// `add`, `inc`, `dec`, `read`.
    Counter,
    /// `enqueue`, `dequeue`: first in, first out.
    FifoQueue,
    /// `enqueue`, `dequeue`: in any order.
    UnorderedQueue,
    /// `enqueue`, `dequeue`: the greatest number first.
    PriorityQueue,
}

impl ModelName {
    /// All there are.
    pub const ALL: [ModelName; 10] = [
        ModelName::Register,
        ModelName::CasRegister,
        ModelName::MultiRegister,
        ModelName::KvMap,
        ModelName::Mutex,
        ModelName::Set,
        ModelName::Counter,
        ModelName::FifoQueue,
        ModelName::UnorderedQueue,
        ModelName::PriorityQueue,
    ];

    /// Its name on the command line and in certificates.
    pub fn name(self) -> &'static str {
        match self {
            ModelName::Register => "register",
            ModelName::CasRegister => "cas-register",
            ModelName::MultiRegister => "multi-register",
            ModelName::KvMap => "kv-map",
            ModelName::Mutex => "mutex",
            ModelName::Set => "set",
            ModelName::Counter => "counter",
            ModelName::FifoQueue => "fifo-queue",
            ModelName::UnorderedQueue => "unordered-queue",
            ModelName::PriorityQueue => "priority-queue",
        }
    }
}

impl fmt::Display for ModelName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A model asked for by a name that none has.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{name:?} is no model; there are {}", ModelName::ALL.map(ModelName::name).join(", "))]
pub struct UnknownModel {
    /// What was asked for.
    pub name: String,
}

impl FromStr for ModelName {
    type Err = UnknownModel;

    fn from_str(name: &str) -> Result<Self, UnknownModel> {
        let known = ModelName::ALL
            .into_iter()
            .find(|model| model.name() == name);
        known.ok_or_else(|| UnknownModel {
            name: name.to_owned(),
        })
    }
}
