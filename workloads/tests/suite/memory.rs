//! A register and list store in memory, behind clients that misbehave on command.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use elle_rs::history::{Action, Key, Step, Value};
use futures_util::future::BoxFuture;
use keyquake_workloads::{Capabilities, Client, Connect, LeaderHint, Outcome, Protocol};

/// What a client answers in place of doing its operation, by the operation's number and the
/// node it was for; `None` lets it be done.
pub type Misbehave = fn(u64, u16) -> Option<BoxFuture<'static, Outcome>>;

/// The store: what it holds, and how its clients behave.
pub struct Memory {
    registers: Mutex<HashMap<Key, Value>>,
    lists: Mutex<HashMap<Key, Vec<Value>>>,
    operations: AtomicU64,
    misbehave: Misbehave,
}

impl Memory {
    /// An empty store.
    pub fn new(misbehave: Misbehave) -> Self {
        Self {
            registers: Mutex::default(),
            lists: Mutex::default(),
            operations: AtomicU64::new(0),
            misbehave,
        }
    }

    fn apply(&self, action: &Action) -> Action {
        let mut registers = self.registers.lock().unwrap();
        match action.clone() {
            Action::Read { key, .. } => Action::Read {
                key,
                value: registers.get(&key).copied(),
            },
            Action::Write { key, value } => {
                registers.insert(key, value);
                Action::Write { key, value }
            }
            Action::Swap { key, value, .. } => Action::Swap {
                key,
                value,
                old: registers.insert(key, value),
            },
            Action::Cas {
                key,
                expected,
                value,
                ..
            } => {
                let swapped = registers.get(&key) == Some(&expected);
                if swapped {
                    registers.insert(key, value);
                }
                Action::Cas {
                    key,
                    expected,
                    value,
                    swapped,
                }
            }
            Action::Txn { steps } => {
                let mut lists = self.lists.lock().unwrap();
                let steps = steps.into_iter().map(|step| match step {
                    Step::Append { key, value } => {
                        lists.entry(key).or_default().push(value);
                        Step::Append { key, value }
                    }
                    Step::Read { key, .. } => Step::Read {
                        key,
                        list: Some(lists.get(&key).cloned().unwrap_or_default()),
                    },
                });
                Action::Txn {
                    steps: steps.collect(),
                }
            }
        }
    }
}

/// Makes clients of one [`Memory`].
pub struct MemoryConnect(pub Arc<Memory>);

impl Connect for MemoryConnect {
    fn connect(&self, _: Protocol, node: u16) -> Box<dyn Client> {
        Box::new(MemoryClient {
            memory: self.0.clone(),
            node,
        })
    }

    fn capabilities(&self, protocol: Protocol) -> Capabilities {
        let all = protocol == Protocol::Resp;
        Capabilities {
            swap: all,
            compare_and_set: all,
            transactions: all,
        }
    }
}

struct MemoryClient {
    memory: Arc<Memory>,
    node: u16,
}

#[async_trait]
impl Client for MemoryClient {
    async fn invoke(&mut self, action: &Action) -> Outcome {
        let number = 1 + self.memory.operations.fetch_add(1, Ordering::Relaxed);
        match (self.memory.misbehave)(number, self.node) {
            Some(answer) => answer.await,
            None => Outcome::Ok(self.memory.apply(action)),
        }
    }
}

/// A leader that is always the same, or not known.
pub struct Fixed(pub Option<u16>);

impl LeaderHint for Fixed {
    fn leader(&self) -> Option<u16> {
        self.0
    }
}
