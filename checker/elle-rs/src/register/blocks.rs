//! Clusters and blocks: what the values alone force to stand together, and in which order.
//!
//! A *cluster* is the one operation that put a value and all reads of it. An update that saw
//! `a` and put `b` glues the cluster of `b` right behind the cluster of `a`; the chains so made
//! are *blocks*, and the order inside a block is forced. (Gibbons and Korach 1997, extended by
//! chains of updates.)

use rustc_hash::FxHashMap;

use super::operations::{BEGINNING, Effect, Operation, Register, Time};
use crate::history::Value;

/// An operation by its position in the register's operations, or a cluster by its number.
pub(crate) type Id = u32;
pub(crate) const NONE: Id = u32::MAX;

/// The cluster of the initial `nil`, which no operation put.
pub(super) const NIL: Id = 0;

/// Why no order exists, or why values cannot tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Cause {
    /// `observer` saw a value that nobody can have put.
    Unwritten { observer: Id, value: Value },
    /// Two updates both replaced the same value.
    ReplacedTwice { first: Id, second: Id },
    /// Each of these updates saw what the next one put, round and round.
    Circle { updates: Vec<Id> },
    /// The values force `first` before `then`, but `then` completed before `first` began.
    Backwards { first: Id, then: Id },
    /// Two blocks, each of which has to precede the other: `a_first` completed before `b_last`
    /// began, and `b_first` completed before `a_last` began.
    Crossed {
        a_first: Id,
        b_last: Id,
        b_first: Id,
        a_last: Id,
    },
    /// A value that was seen was put twice: nobody can say which one was seen.
    Ambiguous { value: Value },
}

/// The one operation that put a value (should `many` be false).
#[derive(Clone, Copy)]
struct Writer {
    operation: Id,
    /// `NONE` while the writer is pending and nothing shows that it took effect.
    cluster: Id,
    many: bool,
}

/// One value: who put it, who read it, and which value replaced it by an update.
pub(super) struct Cluster {
    /// `NONE` for the initial `nil`.
    pub writer: Id,
    /// The cluster glued behind this one.
    pub next: Id,
    glued: bool,
    pub reads: u32,
    /// Of its reads: the one that finished first, and the one that started last.
    read_first: Id,
    read_last: Id,
}

/// A chain of clusters.
pub(super) struct Block {
    /// The first cluster of the chain.
    pub head: Id,
    /// The operation that finished first (`NONE`: the initial `nil`), and when.
    pub first: Id,
    pub finish: Time,
    /// The operation that started last, and when.
    pub last: Id,
    pub start: Time,
}

/// All clusters of a register, and the cluster each operation belongs to.
pub(super) struct Clusters {
    pub clusters: Vec<Cluster>,
    /// `NONE`: the operation is left out (pending and unseen, or a refused compare-and-set).
    pub of_operation: Vec<Id>,
}

/// Sorts operations into clusters and glues those that updates tie together.
pub(super) fn clusters(register: &Register) -> Result<Clusters, Cause> {
    let operations = &register.operations;
    let mut clusters = vec![Cluster::new(NONE)];
    let mut of_operation = vec![NONE; operations.len()];
    let mut writers = writers(operations, &mut clusters, &mut of_operation);
    let mut ambiguous = None;

    // Every value seen needs its writer. A pending compare-and-set that took effect saw its
    // expected value in turn: the least set that explains what was seen, by a worklist.
    let mut waiting: Vec<(Id, Value)> = Vec::new();
    for (id, operation) in operations.iter().enumerate() {
        let seen = match operation.effect {
            Effect::Read { value } => value,
            Effect::Update { old, .. } if !operation.is_pending() => old,
            _ => None,
        };
        waiting.extend(seen.map(|value| (id as Id, value)));
        while let Some((observer, value)) = waiting.pop() {
            let Some(writer) = writers.get_mut(&value) else {
                return Err(Cause::Unwritten { observer, value });
            };
            if writer.many {
                ambiguous = Some(Cause::Ambiguous { value });
            } else if writer.cluster == NONE {
                writer.cluster = clusters.len() as Id;
                clusters.push(Cluster::new(writer.operation));
                of_operation[writer.operation as usize] = writer.cluster;
                if let Effect::Update { old: Some(old), .. } =
                    operations[writer.operation as usize].effect
                {
                    waiting.push((writer.operation, old));
                }
            }
        }
    }
    if let Some(cause) = ambiguous {
        return Err(cause);
    }

    let mut clusters = Clusters {
        clusters,
        of_operation,
    };
    glue(operations, &writers, &mut clusters)?;
    Ok(clusters)
}

/// Puts reads into their clusters, and each cluster behind the one that its update replaced.
fn glue(
    operations: &[Operation],
    writers: &FxHashMap<Value, Writer>,
    into: &mut Clusters,
) -> Result<(), Cause> {
    let Clusters {
        clusters,
        of_operation,
    } = into;
    let cluster_of = |seen: Option<Value>| match seen {
        None => NIL,
        Some(value) => writers.get(&value).map_or(NONE, |writer| writer.cluster),
    };
    for (id, operation) in operations.iter().enumerate() {
        match operation.effect {
            Effect::Read { value } => {
                let cluster = cluster_of(value);
                of_operation[id] = cluster;
                clusters[cluster as usize].add_read(operations, id as Id);
            }
            Effect::Update { old, .. } if of_operation[id] != NONE => {
                let before = cluster_of(old);
                let after = of_operation[id];
                if before == after {
                    let updates = vec![id as Id];
                    return Err(Cause::Circle { updates });
                }
                let replaced = std::mem::replace(&mut clusters[before as usize].next, after);
                if replaced != NONE {
                    return Err(Cause::ReplacedTwice {
                        first: clusters[replaced as usize].writer,
                        second: id as Id,
                    });
                }
                clusters[after as usize].glued = true;
            }
            _ => {}
        }
    }
    Ok(())
}

/// Who put which value; each completed writer gets its cluster at once.
fn writers(
    operations: &[Operation],
    clusters: &mut Vec<Cluster>,
    of_operation: &mut [Id],
) -> FxHashMap<Value, Writer> {
    let mut writers: FxHashMap<Value, Writer> = FxHashMap::default();
    for (id, operation) in operations.iter().enumerate() {
        let Some(value) = operation.puts() else {
            continue;
        };
        let id = id as Id;
        let mut cluster = NONE;
        if !operation.is_pending() {
            cluster = clusters.len() as Id;
            clusters.push(Cluster::new(id));
            of_operation[id as usize] = cluster;
        }
        writers
            .entry(value)
            .and_modify(|writer| writer.many = true)
            .or_insert(Writer {
                operation: id,
                cluster,
                many: false,
            });
    }
    writers
}

impl Cluster {
    fn new(writer: Id) -> Self {
        Cluster {
            writer,
            next: NONE,
            glued: false,
            reads: 0,
            read_first: NONE,
            read_last: NONE,
        }
    }

    fn add_read(&mut self, operations: &[Operation], read: Id) {
        let time = |id: Id| &operations[id as usize];
        self.reads += 1;
        if self.read_first == NONE || time(read).finish < time(self.read_first).finish {
            self.read_first = read;
        }
        if self.read_last == NONE || time(read).start > time(self.read_last).start {
            self.read_last = read;
        }
    }
}

/// The blocks, each with its order inside checked against time.
pub(super) fn blocks(register: &Register, clusters: &[Cluster]) -> Result<Vec<Block>, Cause> {
    let operations = &register.operations;
    let mut blocks = Vec::new();
    let mut walked = 0;
    for (head, cluster) in clusters.iter().enumerate() {
        if !cluster.glued {
            blocks.push(block(operations, clusters, head as Id, &mut walked)?);
        }
    }
    if walked < clusters.len() {
        return Err(circle(clusters, &blocks));
    }
    Ok(blocks)
}

/// Walks a chain: whoever comes later in it must not have finished before anyone earlier began.
fn block(
    operations: &[Operation],
    clusters: &[Cluster],
    head: Id,
    walked: &mut usize,
) -> Result<Block, Cause> {
    let mut block = Block {
        head,
        first: NONE,
        finish: Time::MAX,
        last: NONE,
        start: BEGINNING,
    };
    if head == NIL {
        block.finish = BEGINNING;
    }
    let mut at = head;
    while at != NONE {
        let cluster = &clusters[at as usize];
        *walked += 1;
        block.follow(operations, cluster.writer, cluster.writer)?;
        block.follow(operations, cluster.read_first, cluster.read_last)?;
        at = cluster.next;
    }
    Ok(block)
}

impl Block {
    /// Adds the next group of operations: the one that finishes first, the one that starts last.
    fn follow(&mut self, operations: &[Operation], first: Id, last: Id) -> Result<(), Cause> {
        if first == NONE {
            return Ok(());
        }
        let finish = operations[first as usize].finish;
        if finish < self.start {
            return Err(Cause::Backwards {
                first: self.last,
                then: first,
            });
        }
        if finish < self.finish {
            (self.first, self.finish) = (first, finish);
        }
        let start = operations[last as usize].start;
        if start > self.start {
            (self.last, self.start) = (last, start);
        }
        Ok(())
    }

    /// Where the block stands among the others: blocks sorted by this are in a right order
    /// whenever there is one (see [`super::zones`]).
    pub fn rank(&self) -> Time {
        self.finish.min(self.start)
    }
}

/// Some chain has no head, so it bites its tail. Found by walking from any cluster left over.
fn circle(clusters: &[Cluster], blocks: &[Block]) -> Cause {
    let mut seen = vec![false; clusters.len()];
    for block in blocks {
        let mut at = block.head;
        while at != NONE {
            seen[at as usize] = true;
            at = clusters[at as usize].next;
        }
    }
    let mut updates = Vec::new();
    let mut at = seen.iter().position(|&seen| !seen).unwrap_or(0);
    while !seen[at] {
        seen[at] = true;
        updates.push(clusters[at].writer);
        at = clusters[at].next as usize;
    }
    Cause::Circle { updates }
}
