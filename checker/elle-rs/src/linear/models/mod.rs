//! The objects that there are names for.

mod bags;
mod kv_map;
mod plain;
mod queues;

pub use bags::{SetModel, UnorderedQueueModel};
pub use kv_map::KvMapModel;
pub use plain::{CounterModel, MultiRegisterModel, MutexModel, RegisterModel};
pub use queues::{FifoQueueModel, PriorityQueueModel};
