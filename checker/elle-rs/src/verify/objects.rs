//! Patterns that no order of a queue, set, counter or lock allows. What they mean is told in
//! [`crate::certificate`].

use rustc_hash::{FxHashMap, FxHashSet};

use super::history::{Did, History, Number, Operation};
use super::{Certificate, Proof, at};
use crate::history::stream::Value;

/// Whether this is a model whose patterns are here.
pub(super) fn has(model: &str) -> bool {
    matches!(
        model,
        "fifo-queue" | "unordered-queue" | "priority-queue" | "set" | "counter" | "mutex"
    )
}

/// Checks a proof.
pub(super) fn refute(
    certificate: &Certificate,
    history: &History,
    operations: &[Operation],
    proof: &Proof,
) -> Result<String, String> {
    let ids = proof
        .ops
        .iter()
        .map(|place| place.map(|place| at(operations, place)).transpose())
        .collect::<Result<Vec<Option<usize>>, String>>()?;
    let model = certificate.model.as_str();
    let pattern = proof.pattern.as_str();
    let refuted = match model {
        "set" => Set::new(history, operations)?.refute(pattern, &named(&ids)?)?,
        "counter" => counter(operations, pattern, &named(&ids)?)?,
        "mutex" if pattern == "crowded" => crowded(operations, &ids)?,
        "mutex" => return Err(unknown(pattern)),
        _ => Queue::new(model, history, operations).refute(pattern, &named(&ids)?)?,
    };
    match refuted {
        true => Ok(format!("{pattern}: the values and times are as it says")),
        false => Err(format!(
            "the operations named do not make the pattern {pattern:?}"
        )),
    }
}

fn unknown(pattern: &str) -> String {
    format!("{pattern:?} is no pattern of this model, or it has other operations")
}

fn named(ids: &[Option<usize>]) -> Result<Vec<usize>, String> {
    let whole: Option<Vec<usize>> = ids.iter().copied().collect();
    let whole = whole.ok_or("the beginning has no part in this pattern")?;
    let distinct: FxHashSet<usize> = whole.iter().copied().collect();
    match distinct.len() == whole.len() {
        true => Ok(whole),
        false => Err("an operation is named twice".to_owned()),
    }
}

/// Whether the first had completed before the other began.
fn before(first: &Operation, then: &Operation) -> bool {
    first
        .completed
        .is_some_and(|completed| completed < then.invoked)
}

/// What was put into a queue and taken out, by values.
struct Queue<'a> {
    model: &'a str,
    history: &'a History,
    operations: &'a [Operation],
    puts: FxHashMap<Number, Vec<usize>>,
    takes: FxHashMap<Number, Vec<usize>>,
    /// When each dequeue that was never answered was invoked; sorted.
    unseen: Vec<u64>,
}

impl<'a> Queue<'a> {
    fn new(model: &'a str, history: &'a History, operations: &'a [Operation]) -> Self {
        let mut queue = Queue {
            model,
            history,
            operations,
            puts: FxHashMap::default(),
            takes: FxHashMap::default(),
            unseen: Vec::new(),
        };
        for (id, operation) in operations.iter().enumerate() {
            match operation.did {
                Did::Enqueue(value) => queue.puts.entry(value).or_default().push(id),
                Did::Dequeue(Some(value)) => queue.takes.entry(value).or_default().push(id),
                Did::DequeueUnseen => queue.unseen.push(operation.invoked),
                _ => {}
            }
        }
        queue
    }

    /// The value that an operation puts in, if no other does.
    fn put(&self, id: usize) -> Result<Number, String> {
        match self.operations[id].did {
            Did::Enqueue(value) if self.puts[&value].len() == 1 => Ok(value),
            _ => Err("what should be the one enqueue of a value is not".to_owned()),
        }
    }

    fn take(&self, id: usize) -> Result<Number, String> {
        match self.operations[id].did {
            Did::Dequeue(Some(value)) => Ok(value),
            _ => Err("what should be a dequeue of a value is not".to_owned()),
        }
    }

    fn refute(&self, pattern: &str, ids: &[usize]) -> Result<bool, String> {
        match (pattern, ids) {
            ("thin-air", &[take]) => Ok(!self.puts.contains_key(&self.take(take)?)),
            ("taken-twice", &[first, second]) => {
                let value = self.take(first)?;
                let once = self.puts.get(&value).is_none_or(|puts| puts.len() == 1);
                Ok(once && value == self.take(second)?)
            }
            ("backwards", &[put, take]) => {
                let same = self.put(put)? == self.take(take)?;
                Ok(same && before(&self.operations[take], &self.operations[put]))
            }
            ("overtaken", &[put, take, ref stayed @ ..]) if self.model == "fifo-queue" => {
                self.overtaken(put, take, stayed)
            }
            ("never-free", &[culprit, ref there @ ..]) => self.never_free(culprit, there),
            _ => Err(unknown(pattern)),
        }
    }

    /// All of `stayed` were put in before `put` began, and not all of them can have been taken when
    /// `take` had completed.
    fn overtaken(&self, put: usize, take: usize, stayed: &[usize]) -> Result<bool, String> {
        if self.put(put)? != self.take(take)? {
            return Ok(false);
        }
        let end = self.operations[take].completed.unwrap_or(u64::MAX);
        let mut one_is_taken_later = false;
        for &id in stayed {
            let value = self.put(id)?;
            if !before(&self.operations[id], &self.operations[put]) {
                return Ok(false);
            }
            for &taken in self.takes.get(&value).into_iter().flatten() {
                if self.operations[taken].invoked < end {
                    return Ok(false);
                }
                one_is_taken_later = true;
            }
        }
        let unseen = self.unseen.partition_point(|&invoked| invoked < end);
        Ok(one_is_taken_later || unseen < stayed.len())
    }

    /// At every moment at which the culprit can take effect, one of `there` is in the queue and
    /// should not be.
    fn never_free(&self, culprit: usize, there: &[usize]) -> Result<bool, String> {
        let operation = &self.operations[culprit];
        let number = |value: Number| Value::over(&self.history.values.all[value as usize]).int();
        let (mut now, mut greater_than) = (operation.invoked, None);
        match operation.did {
            Did::Dequeue(None) => {}
            Did::Dequeue(Some(value)) if self.model == "priority-queue" => {
                let [put] = self.puts.get(&value).map_or(&[][..], |puts| puts) else {
                    return Err("its value was put in more than once, or never".to_owned());
                };
                now = now.max(self.operations[*put].invoked);
                greater_than = number(value);
            }
            _ => return Ok(false),
        }
        let ranks = self.ranks()?;
        let mut intervals = Vec::with_capacity(there.len());
        for &id in there {
            let value = self.put(id)?;
            let start = self.operations[id]
                .completed
                .ok_or("what nobody knows to have happened is named")?;
            if greater_than.is_some_and(|than| number(value).is_none_or(|here| here <= than)) {
                return Ok(false);
            }
            intervals.push((start, self.until(value, id, &ranks)));
        }
        intervals.sort_unstable();
        let end = operation.completed.ok_or("it never completed")?;
        let mut intervals = intervals.into_iter().peekable();
        let mut reached = now;
        while now <= end {
            while let Some((_, until)) = intervals.next_if(|&(start, _)| start < now) {
                reached = reached.max(until);
            }
            // Where intervals only touch, the moment between is free.
            if reached <= now {
                return Ok(false);
            }
            now = reached;
        }
        Ok(true)
    }

    /// Values that nobody is known to have taken, by the end of their enqueues: which is which.
    fn ranks(&self) -> Result<FxHashMap<usize, usize>, String> {
        let mut left = Vec::new();
        for (value, puts) in &self.puts {
            let &[put] = &puts[..] else {
                return Err("a value was put in more than once".to_owned());
            };
            if let Some(completed) = self.operations[put].completed
                && !self.takes.contains_key(value)
            {
                left.push((completed, put));
            }
        }
        left.sort_unstable();
        Ok((0..)
            .zip(left)
            .map(|(rank, (_, put))| (put, rank))
            .collect())
    }

    /// Until when a value is surely there. One that nobody is known to have taken may have been, by
    /// a dequeue that was never answered. In a priority queue, by any; else it is best if the
    /// first takes the first: to exchange two leaves less time in which something is there.
    fn until(&self, value: Number, put: usize, ranks: &FxHashMap<usize, usize>) -> u64 {
        let takes = self.takes.get(&value).into_iter().flatten();
        if let Some(&first) = takes.min_by_key(|&&id| self.operations[id].invoked) {
            return self.operations[first].invoked;
        }
        let unseen = match (self.model, ranks.get(&put)) {
            ("priority-queue", _) => self.unseen.first(),
            (_, Some(&rank)) => self.unseen.get(rank),
            (_, None) => None,
        };
        unseen.copied().unwrap_or(u64::MAX)
    }
}

/// A set that is read whole.
struct Set<'a> {
    operations: &'a [Operation],
    history: &'a History,
    /// How many operations add each element.
    adds: FxHashMap<Number, usize>,
    removes: bool,
}

impl<'a> Set<'a> {
    fn new(history: &'a History, operations: &'a [Operation]) -> Result<Self, String> {
        let mut set = Set {
            operations,
            history,
            adds: FxHashMap::default(),
            removes: false,
        };
        for operation in operations {
            match operation.did {
                Did::Insert(element, _) => *set.adds.entry(element).or_default() += 1,
                Did::Remove(_) => set.removes = true,
                _ => {}
            }
        }
        Ok(set)
    }

    /// The elements that a read saw.
    fn elements(&self, read: usize) -> Result<Vec<Value<'a>>, String> {
        let Did::Read(seen) = self.operations[read].did else {
            return Err("what should be a read is none".to_owned());
        };
        let seen = Value::over(&self.history.values.all[seen as usize]);
        Ok(seen.parts().into_iter().flatten().collect())
    }

    /// The same; `None` for what stands nowhere else.
    fn seen(&self, read: usize) -> Result<Vec<Option<Number>>, String> {
        let elements = self.elements(read)?.into_iter();
        Ok(elements
            .map(|element| self.history.values.find_all(element.tokens()))
            .collect())
    }

    fn refute(&self, pattern: &str, ids: &[usize]) -> Result<bool, String> {
        match (pattern, ids) {
            ("thin-air", &[read]) => {
                let added = |element: Number| self.adds.contains_key(&element);
                let seen = self.seen(read)?;
                Ok(seen.iter().any(|element| !element.is_some_and(added)))
            }
            ("twice", &[read]) => {
                let mut met = FxHashSet::default();
                let elements = self.elements(read)?;
                Ok(elements.iter().any(|element| !met.insert(element.tokens())))
            }
            ("apart" | "backwards", _) if self.removes => {
                Err("elements were removed, so what was seen says nothing about time".to_owned())
            }
            ("apart", &[a, b]) => {
                let (a, b) = (self.seen(a)?, self.seen(b)?);
                Ok(!is_within(&a, &b) && !is_within(&b, &a))
            }
            ("backwards", &[first, .., then]) => {
                for pair in ids.windows(2) {
                    if !self.must_precede(pair[0], pair[1])? {
                        return Ok(false);
                    }
                }
                Ok(before(&self.operations[then], &self.operations[first]))
            }
            _ => Err(unknown(pattern)),
        }
    }

    /// Whether what was seen says that an operation took effect, and before another, if that did.
    fn must_precede(&self, first: usize, then: usize) -> Result<bool, String> {
        Ok(
            match (&self.operations[first].did, &self.operations[then].did) {
                (Did::Insert(element, _), Did::Read(_)) => {
                    self.adds[element] == 1 && self.seen(then)?.contains(&Some(*element))
                }
                (Did::Read(_), Did::Insert(element, _)) => {
                    !self.seen(first)?.contains(&Some(*element))
                }
                (Did::Read(_), Did::Read(_)) => {
                    let (first, then) = (self.seen(first)?, self.seen(then)?);
                    is_within(&first, &then) && !is_within(&then, &first)
                }
                _ => false,
            },
        )
    }
}

/// Whether all of the first are in the second.
fn is_within(less: &[Option<Number>], more: &[Option<Number>]) -> bool {
    let more: FxHashSet<&Option<Number>> = more.iter().collect();
    less.iter()
        .all(|element| element.is_some() && more.contains(element))
}

fn counter(operations: &[Operation], pattern: &str, ids: &[usize]) -> Result<bool, String> {
    let count = |id: usize| match operations[id].did {
        Did::Count(seen) => Ok(i128::from(seen)),
        _ => Err("what should be a read is none".to_owned()),
    };
    let adds = || {
        operations
            .iter()
            .filter_map(|operation| match operation.did {
                Did::Plus(by) => Some((operation, i128::from(by))),
                _ => None,
            })
    };
    match (pattern, ids) {
        ("no-multiple", &[read]) => {
            let step = adds().fold(0, |step, (_, by)| divisor(step, by.abs()));
            Ok(step != 0 && count(read)? % step != 0)
        }
        ("out-of-bounds", &[ref first @ .., then]) if first.len() < 2 => {
            let (from, here) = (first.first().map(|&id| &operations[id]), &operations[then]);
            let seen = count(then)? - first.first().map_or(Ok(0), |&id| count(id))?;
            let (mut least, mut most) = (0, 0);
            for (add, by) in adds() {
                let surely = before(add, here) && from.is_none_or(|from| before(from, add));
                let perhaps = !before(here, add) && from.is_none_or(|from| !before(add, from));
                if surely || (by < 0 && perhaps) {
                    least += by;
                }
                if surely || (by > 0 && perhaps) {
                    most += by;
                }
            }
            let follows = from.is_none_or(|from| before(from, here));
            Ok(follows && !(least..=most).contains(&seen))
        }
        _ => Err(unknown(pattern)),
    }
}

/// The greatest common divisor.
fn divisor(a: i128, b: i128) -> i128 {
    let (mut a, mut b) = (a, b);
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}

/// Between two acquires there is a release, and between two releases an acquire; before the first
/// release there is one too. So many of one kind, all within one window, need others that touch it.
fn crowded(operations: &[Operation], ids: &[Option<usize>]) -> Result<bool, String> {
    let from_beginning = ids.first() == Some(&None);
    let within = named(&ids[usize::from(from_beginning)..])?;
    let &first = within.first().ok_or("no operation is named")?;
    let acquires = operations[first].did == Did::Acquire;
    let mut window = (u64::MAX, 0);
    for &id in &within {
        let operation = &operations[id];
        let completed = operation.completed.ok_or("one never completed")?;
        if (operation.did == Did::Acquire) != acquires {
            return Ok(false);
        }
        window = (window.0.min(operation.invoked), window.1.max(completed));
    }
    let (start, end) = match from_beginning {
        true => (0, window.1),
        false => window,
    };
    let others = operations.iter().filter(|operation| {
        (operation.did == Did::Acquire) != acquires
            && operation.invoked < end
            && operation
                .completed
                .is_none_or(|completed| completed > start)
    });
    let needed = match from_beginning && !acquires {
        true => within.len(),
        false => within.len() - 1,
    };
    Ok(others.count() < needed)
}
