//! From events, one after the other, to a [`Store`].

use rustc_hash::FxHashMap;

use super::malformed::Malformed;
use super::numbers::NIL;
use super::store::{KEYS_MAX, NONE, Odd, Step, Store, What};
use crate::history::Kind;
use crate::history::pairs::Outcome;

/// Whose event it is, and when.
#[derive(Clone, Copy, Debug)]
pub struct Head {
    /// Position in the history, growing over all events.
    pub index: u64,
    /// Nanoseconds since the run began.
    pub time_ns: u64,
    /// The logical process.
    pub process: i64,
    /// Which of the four kinds of event it is.
    pub kind: Kind,
    /// The node asked, by its position in the cluster.
    pub node: Option<u16>,
}

/// What a read saw.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seen {
    /// Not known.
    Unknown,
    /// Nothing: an empty list, a register never written.
    Nil,
    /// A register's value.
    Value(i64),
}

#[derive(Clone, Copy, PartialEq)]
enum Did {
    Write(i64),
    Read(Seen),
    /// From and to, in the elements.
    List(u32, u32),
}

#[derive(Clone, Copy)]
struct Micro {
    key: i64,
    did: Did,
}

struct Open {
    transaction: u32,
    asked: Vec<Micro>,
}

/// What a transaction knows of one key while its steps are walked.
#[derive(Default)]
struct Touched {
    seen: Option<(u32, u32)>,
    own: Vec<u32>,
}

/// Takes events in the order of the history: the steps of a transaction first ([`Builder::write`],
/// [`Builder::read`], [`Builder::read_list`]), then [`Builder::event`] says whose they were.
pub struct Builder {
    store: Store,
    key_numbers: FxHashMap<i64, u32>,
    process_numbers: FxHashMap<i64, u32>,
    /// By process number.
    open: Vec<Option<Open>>,
    spare: Vec<Vec<Micro>>,
    micros: Vec<Micro>,
    elements: Vec<i64>,
    /// Per key: the transaction that touched it last, and where that stands in `touched`.
    touched_by: Vec<(u32, u32)>,
    touched: Vec<Touched>,
    touched_count: usize,
    completed_since: bool,
}

impl Builder {
    /// For lists (append, read) or for registers (write, read).
    pub fn new(lists: bool) -> Self {
        Builder {
            store: Store {
                are_lists: lists,
                ..Store::default()
            },
            key_numbers: FxHashMap::default(),
            process_numbers: FxHashMap::default(),
            open: Vec::new(),
            spare: Vec::new(),
            micros: Vec::new(),
            elements: Vec::new(),
            touched_by: Vec::new(),
            touched: Vec::new(),
            touched_count: 0,
            completed_since: false,
        }
    }

    /// An append or a write.
    pub fn write(&mut self, key: i64, value: i64) {
        self.micros.push(Micro {
            key,
            did: Did::Write(value),
        });
    }

    /// A read of a register, or one of which nothing is known.
    pub fn read(&mut self, key: i64, seen: Seen) {
        self.micros.push(Micro {
            key,
            did: Did::Read(seen),
        });
    }

    /// A read of a list.
    pub fn read_list(&mut self, key: i64, list: impl IntoIterator<Item = i64>) {
        let from = self.elements.len() as u32;
        self.elements.extend(list);
        let to = self.elements.len() as u32;
        self.micros.push(Micro {
            key,
            did: Did::List(from, to),
        });
    }

    /// Ends an event with the steps given since the last one.
    pub fn event(&mut self, head: Head) -> Result<(), Malformed> {
        let result = self.take(head);
        self.micros.clear();
        self.elements.clear();
        result
    }

    /// All events have been given.
    pub fn finish(mut self) -> Result<Store, Malformed> {
        for open in std::mem::take(&mut self.open).into_iter().flatten() {
            self.resolve(open.transaction, &open.asked, false)?;
        }
        let mut store = self.store;
        store.clock += u32::from(self.completed_since);
        Ok(store)
    }

    fn take(&mut self, head: Head) -> Result<(), Malformed> {
        let too_long = Malformed::TooLong {
            reached: head.index,
        };
        let Some(index) = u32::try_from(head.index)
            .ok()
            .filter(|&index| index < NONE - 1)
        else {
            return Err(too_long);
        };
        let next = self.process_numbers.len() as u32;
        let process = *self.process_numbers.entry(head.process).or_insert(next);
        if process == next {
            self.open.push(None);
            self.store.processes.push(head.process);
        }
        if head.kind == Kind::Invoke {
            return self.invoke(head, index, process);
        }
        let Some(open) = self.open[process as usize].take() else {
            return Err(Malformed::NotInvoked {
                index: head.index,
                process: head.process,
            });
        };
        let id = open.transaction;
        let at = id as usize;
        self.store.times[at][1] = head.time_ns;
        if head.kind == Kind::Ok {
            if !same_request(&open.asked, &self.micros) {
                return Err(Malformed::OtherAction {
                    index: head.index,
                    process: head.process,
                    open: u64::from(self.store.invoke[at]),
                });
            }
            self.store.outcome[at] = Outcome::Ok;
            self.store.complete[at] = index;
            self.store.ended[at] = self.store.clock;
            self.completed_since = true;
            let micros = std::mem::take(&mut self.micros);
            let result = self.resolve(id, &micros, true);
            self.micros = micros;
            result?;
        } else {
            if head.kind == Kind::Fail {
                self.store.outcome[at] = Outcome::Fail;
            }
            self.resolve(id, &open.asked, false)?;
        }
        self.spare.push(open.asked);
        Ok(())
    }

    fn invoke(&mut self, head: Head, index: u32, process: u32) -> Result<(), Malformed> {
        if let Some(open) = &self.open[process as usize] {
            return Err(Malformed::TwoOpen {
                index: head.index,
                process: head.process,
                open: u64::from(self.store.invoke[open.transaction as usize]),
            });
        }
        let store = &mut self.store;
        store.clock += u32::from(std::mem::take(&mut self.completed_since));
        let id = store.invoke.len() as u32;
        store.invoke.push(index);
        store.complete.push(NONE);
        store.begun.push(store.clock);
        store.ended.push(NONE);
        store.process.push(process);
        store.outcome.push(Outcome::Pending);
        store.node.push(head.node.unwrap_or(u16::MAX));
        store.times.push([head.time_ns, u64::MAX]);
        store.steps_at.push((0, 0));
        let mut asked = self.spare.pop().unwrap_or_default();
        asked.clear();
        asked.extend_from_slice(&self.micros);
        self.open[process as usize] = Some(Open {
            transaction: id,
            asked,
        });
        Ok(())
    }

    /// Files the steps of a transaction; what it read is known if it was acknowledged.
    fn resolve(&mut self, id: u32, micros: &[Micro], known: bool) -> Result<(), Malformed> {
        let from = self.store.steps.len();
        self.touched_count = 0;
        for micro in micros {
            let key = self.key(micro.key)?;
            let at = self.touch(id, key);
            let step = match micro.did {
                Did::Write(value) => {
                    let value = self.number(value)?;
                    self.touched[at].own.push(value);
                    Step::new(What::Write, key, value)
                }
                Did::Read(Seen::Nil) if known && self.store.are_lists => {
                    self.list(id, key, at, 0, 0)?
                }
                Did::List(from, to) if known => self.list(id, key, at, from, to)?,
                Did::Read(Seen::Nil) if known => self.register(id, key, at, NIL),
                Did::Read(Seen::Value(value)) if known => {
                    let value = self.number(value)?;
                    self.register(id, key, at, value)
                }
                Did::Read(_) | Did::List(..) => Step::new(What::Asked, key, NONE),
            };
            self.store.steps.push(step);
        }
        let to = u32::try_from(self.store.steps.len()).map_err(|_| self.too_many())?;
        self.store.steps_at[id as usize] = (from as u32, to);
        Ok(())
    }

    fn too_many(&self) -> Malformed {
        Malformed::TooLong {
            reached: self.store.steps.len() as u64,
        }
    }

    fn number(&mut self, value: i64) -> Result<u32, Malformed> {
        let number = self.store.numbers.of(value);
        number.ok_or_else(|| self.too_many())
    }

    fn key(&mut self, key: i64) -> Result<u32, Malformed> {
        if let Some(&number) = self.key_numbers.get(&key) {
            return Ok(number);
        }
        let number = self.store.keys.len();
        if number >= KEYS_MAX {
            return Err(self.too_many());
        }
        self.key_numbers.insert(key, number as u32);
        self.store.keys.push(key);
        self.store.lists.push(Vec::new());
        self.touched_by.push((NONE, 0));
        Ok(number as u32)
    }

    /// Where what the transaction knows of a key stands.
    fn touch(&mut self, id: u32, key: u32) -> usize {
        let by = &mut self.touched_by[key as usize];
        if by.0 == id {
            return by.1 as usize;
        }
        let at = self.touched_count;
        *by = (id, at as u32);
        self.touched_count += 1;
        match self.touched.get_mut(at) {
            Some(touched) => {
                touched.seen = None;
                touched.own.clear();
            }
            None => self.touched.push(Touched::default()),
        }
        at
    }

    /// A register reads as its transaction wrote it, or as it read it before.
    fn register(&mut self, id: u32, key: u32, at: usize, value: u32) -> Step {
        let touched = &mut self.touched[at];
        let expected = touched.own.last().copied();
        match expected.or(touched.seen.map(|(value, _)| value)) {
            None => {
                touched.seen = Some((value, 0));
                Step::new(What::Read, key, value)
            }
            Some(expected) if expected == value => Step::new(What::Again, key, value),
            Some(_) => self.internal(id, key, at, vec![value]),
        }
    }

    /// A list must be what was there before, then what the transaction itself appended.
    fn list(
        &mut self,
        id: u32,
        key: u32,
        at: usize,
        from: u32,
        to: u32,
    ) -> Result<Step, Malformed> {
        let list = &self.elements[from as usize..to as usize];
        let touched = &self.touched[at];
        let foreign = list.len().checked_sub(touched.own.len()).filter(|&length| {
            self.store.numbers.common(&touched.own, &list[length..]) == touched.own.len()
        });
        let fits = match (foreign, touched.seen) {
            (None, _) => None,
            (Some(length), None) => {
                let place = self.place(key, from, length)?;
                self.touched[at].seen = Some(place);
                Some((place, true))
            }
            (Some(length), Some((branch, seen))) => {
                let before = &self.store.branch(key, branch)[..seen as usize];
                let same = length == before.len()
                    && self.store.numbers.common(before, &list[..length]) == length;
                same.then_some(((branch, seen), false))
            }
        };
        match fits {
            Some(((0, length), true)) => Ok(Step::new(What::Read, key, length)),
            Some(((0, length), false)) => Ok(Step::new(What::Again, key, length)),
            Some(((branch, length), first)) => {
                let odd = Odd::Branch {
                    branch,
                    length,
                    first,
                };
                Ok(self.odd(key, odd))
            }
            None => {
                let elements = std::mem::take(&mut self.elements);
                let list = &elements[from as usize..to as usize];
                let read: Result<Vec<u32>, Malformed> =
                    list.iter().map(|&value| self.number(value)).collect();
                self.elements = elements;
                Ok(self.internal(id, key, at, read?))
            }
        }
    }

    fn internal(&mut self, id: u32, key: u32, at: usize, read: Vec<u32>) -> Step {
        let touched = &self.touched[at];
        let odd = Odd::Internal {
            transaction: id,
            read,
            seen: touched.seen,
            own: touched.own.clone(),
        };
        self.odd(key, odd)
    }

    fn odd(&mut self, key: u32, odd: Odd) -> Step {
        self.store.odd.push(odd);
        Step::new(What::Odd, key, self.store.odd.len() as u32 - 1)
    }

    /// Finds the branch that a list lies on: it is a prefix of it, or continues it.
    fn place(&mut self, key: u32, from: u32, length: usize) -> Result<(u32, u32), Malformed> {
        /// A list is compared with this many branches; in a store so broken that it has more,
        /// each further contradiction is a branch of its own.
        const COMPARED: u32 = 4;
        let from = from as usize;
        let others = self.store.branches.get(&key).map_or(0, Vec::len) as u32;
        for branch in 0..=others.min(COMPARED) {
            let known = self.store.branch(key, branch);
            let list = &self.elements[from..from + length];
            let common = self.store.numbers.common(known, list);
            if common == length {
                return Ok((branch, length as u32));
            }
            if common == known.len() {
                for at in from + common..from + length {
                    let number = self.number(self.elements[at])?;
                    self.branch_mut(key, branch).push(number);
                }
                return Ok((branch, length as u32));
            }
        }
        let new = (from..from + length)
            .map(|at| self.number(self.elements[at]))
            .collect::<Result<Vec<u32>, Malformed>>()?;
        let branches = self.store.branches.entry(key).or_default();
        branches.push(new);
        Ok((branches.len() as u32, length as u32))
    }

    fn branch_mut(&mut self, key: u32, branch: u32) -> &mut Vec<u32> {
        match branch.checked_sub(1) {
            None => &mut self.store.lists[key as usize],
            Some(other) => &mut self.store.branches.entry(key).or_default()[other as usize],
        }
    }
}

/// Whether the answer is about what was asked.
fn same_request(asked: &[Micro], answer: &[Micro]) -> bool {
    asked.len() == answer.len()
        && asked.iter().zip(answer).all(|(a, b)| {
            a.key == b.key
                && match (a.did, b.did) {
                    (Did::Write(a), Did::Write(b)) => a == b,
                    (Did::Write(_), _) | (_, Did::Write(_)) => false,
                    _ => true,
                }
        })
}
