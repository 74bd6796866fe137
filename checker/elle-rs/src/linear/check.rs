//! From a history to a verdict, part by part.

use rayon::prelude::*;

use super::Act;
use super::by_values::{self, Decision};
use super::exact;
use super::minimal;
use super::model::Model;
use super::models::{
    CounterModel, FifoQueueModel, KvMapModel, MultiRegisterModel, MutexModel, PriorityQueueModel,
    RegisterModel, SetModel, UnorderedQueueModel,
};
use super::names::ModelName;
use super::operations::{self, Operations, Part};
use super::search::{Found, search};
use super::values::{Atom, NIL};
use super::words::Story;
use crate::Finding;
use crate::certificate::{Certificate, CertifiedPart, FORMAT, LINEARIZABILITY, Proof};
use crate::history::stream::{ReadError, Reader, Token, Torn};

/// What to check, and how hard.
#[derive(Clone, Debug)]
pub struct Options {
    /// The object.
    pub model: ModelName,
    /// What each register holds before everything; `nil` if it is not said.
    pub initial: Option<i64>,
    /// Steps that a search may take on one part.
    pub budget: u64,
}

impl Options {
    /// Steps that a search may take on one part, unless another number is said: some seconds, some
    /// hundreds of megabytes at worst.
    pub const BUDGET: u64 = 20_000_000;

    /// The usual ones.
    pub fn new(model: ModelName) -> Self {
        Options {
            model,
            initial: None,
            budget: Options::BUDGET,
        }
    }
}

/// Why a history could not be checked.
#[derive(Debug, thiserror::Error)]
pub enum CheckError {
    /// It can't be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// It is about something else.
    #[error("line {line}: {reason}; the model is {model}")]
    NotOfModel {
        /// The line of the invocation (0 where the format has none).
        line: u64,
        /// The model asked for.
        model: ModelName,
        /// What the model does not know.
        reason: String,
    },
    /// More events than can be numbered.
    #[error(
        "event {place}: a history of more than 2^31 events can't be checked; check a part of it"
    )]
    TooLong {
        /// The first event too many.
        place: u64,
    },
}

/// How a part was decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// By an exact polynomial algorithm.
    Exact,
    /// By the search.
    Search,
}

/// The verdict on a part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Linearizable; here is an order that shows it, as places of invocations.
    Valid {
        /// Every operation that was answered, and the pending ones that took effect.
        witness: Vec<u64>,
    },
    /// Not linearizable.
    Violated {
        /// Why not.
        finding: Finding,
        /// What shows it.
        proof: Proof,
    },
    /// Nobody knows.
    Undecided {
        /// What stood in the way.
        reason: String,
    },
}

/// What was looked at in a part, and the verdict.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartReport {
    /// The key, in EDN; `None` where the history has no keys.
    pub key: Option<String>,
    /// Operations that took effect, or may have.
    pub operations: u64,
    /// Of those: never answered, or with `info`.
    pub pending: u64,
    /// How it was decided.
    pub method: Method,
    /// Why it was searched, where an exact algorithm might have done.
    pub note: Option<String>,
    /// The verdict.
    pub outcome: Outcome,
}

/// The verdict on a history, by its parts in the order of their first operations.
#[derive(Clone, Debug)]
pub struct Report {
    /// The model.
    pub model: ModelName,
    /// Its parts.
    pub parts: Vec<PartReport>,
    /// What registers hold before everything.
    pub initial: Option<i64>,
    /// Operations read, failed ones and pending reads too.
    pub read: u64,
    /// Entries of clients read: invocations and completions.
    pub entries: u64,
    /// What was torn off the history: then nothing is known about the rest.
    pub torn: Option<Torn>,
}

impl Report {
    /// The certificate of the verdict: of a violated history, of its first violated part. `None` if
    /// nothing was decided.
    pub fn certificate(&self) -> Option<Certificate> {
        let violated = self.parts.iter().find_map(|part| match &part.outcome {
            Outcome::Violated { proof, .. } => Some(CertifiedPart {
                key: part.key.clone(),
                witness: None,
                proof: Some(proof.clone()),
            }),
            _ => None,
        });
        let valid = || -> Option<Vec<CertifiedPart>> {
            let certified = |part: &PartReport| match &part.outcome {
                Outcome::Valid { witness } => Some(CertifiedPart {
                    key: part.key.clone(),
                    witness: Some(witness.clone()),
                    proof: None,
                }),
                _ => None,
            };
            self.parts.iter().map(certified).collect()
        };
        let verdict = if violated.is_some() {
            "violated"
        } else {
            "valid"
        };
        Some(Certificate {
            format: FORMAT,
            kind: LINEARIZABILITY.to_owned(),
            model: self.model.name().to_owned(),
            initial: self.initial,
            entries: self.entries,
            verdict: verdict.to_owned(),
            parts: match violated {
                Some(part) => vec![part],
                None if self.torn.is_some() => return None,
                None => valid()?,
            },
            ..Certificate::default()
        })
    }
}

/// Checks a history. Parts are decided in parallel, on the threads of rayon's pool.
pub fn check(reader: Reader, options: &Options) -> Result<Report, CheckError> {
    let mut operations = operations::read(reader, options.model)?;
    operations.parts.sort_by_key(|part| part.entries[0].start);
    let initial = options.initial.map_or(NIL, |initial| {
        operations.values.intern_token(Token::Int(initial))
    });
    let set = (options.model == ModelName::Set).then(|| {
        let entries = operations.parts.iter().flat_map(|part| &part.entries);
        let acts: Vec<Act> = entries.map(|entry| entry.act).collect();
        SetModel::new(acts.into_iter(), &mut operations.values)
    });
    let decider = Decider {
        operations: &operations,
        options,
        initial,
        set: set.as_ref(),
        culprit: None,
    };
    // To wake other threads takes longer than to go through a few thousand operations; to search does not.
    const FEW: u64 = 10_000;
    let parts = &operations.parts;
    let exact: Vec<Result<PartReport, Option<String>>> = match operations.read < FEW {
        true => parts.iter().map(|part| decider.exactly(part)).collect(),
        false => parts.par_iter().map(|part| decider.exactly(part)).collect(),
    };
    let mut parts: Vec<PartReport> = match exact.iter().all(Result::is_ok) {
        true => exact.into_iter().filter_map(Result::ok).collect(),
        false => exact
            .into_par_iter()
            .zip(parts)
            .map(|(report, part)| report.unwrap_or_else(|note| decider.searched(part, note)))
            .collect(),
    };
    decider.minimise_first(&mut parts);
    Ok(Report {
        model: options.model,
        parts,
        initial: options.initial,
        read: operations.read,
        entries: operations.entries,
        torn: operations.torn.clone(),
    })
}

struct Decider<'a> {
    operations: &'a Operations,
    options: &'a Options,
    initial: Atom,
    set: Option<&'a SetModel>,
    /// Who cannot return, if that was found before: then its conflict is made small.
    culprit: Option<u32>,
}

impl Decider<'_> {
    fn story<'b>(&'b self, part: &'b Part) -> Story<'b> {
        Story {
            operations: self.operations,
            part,
        }
    }

    fn report(
        &self,
        part: &Part,
        method: Method,
        note: Option<String>,
        outcome: Outcome,
    ) -> PartReport {
        PartReport {
            key: (part.key != NIL).then(|| {
                let key = self.operations.values.value(part.key);
                key.display(&self.operations.symbols).to_string()
            }),
            operations: part.entries.len() as u64,
            pending: part.pending(),
            method,
            note,
            outcome,
        }
    }

    /// Makes the counterexample small that is certified, which is that of the first part violated:
    /// each takes more searches than it took to find it.
    fn minimise_first(&self, reports: &mut [PartReport]) {
        let mut reports = reports.iter_mut().zip(&self.operations.parts);
        let first = reports.find_map(|(report, part)| match &report.outcome {
            Outcome::Violated { proof, .. } => Some((proof.ops.first().copied(), report, part)),
            _ => None,
        });
        let Some((Some(Some(place)), report, part)) = first else {
            return;
        };
        let id = part.id_at(place);
        if report.method == Method::Search && id.is_some() {
            let decider = Decider {
                culprit: id,
                ..*self
            };
            *report = decider.searched(part, report.note.take());
        }
    }

    /// By an exact algorithm, or why none fits.
    fn exactly(&self, part: &Part) -> Result<PartReport, Option<String>> {
        let story = &self.story(part);
        let values = &self.operations.values;
        let outcome = match self.options.model {
            ModelName::Register | ModelName::CasRegister | ModelName::KvMap => {
                match by_values::decide(part, self.initial, values, story) {
                    Decision::Order(order) => valid(part, &order),
                    Decision::Broken(cause) => Outcome::Violated {
                        finding: by_values::finding(story, &cause),
                        proof: by_values::proof(part, &cause),
                    },
                    Decision::Nothing(note) => return Err(Some(note)),
                }
            }
            model => match exact::decide(model, part, values, self.set, story) {
                Some(exact::Decision::Order(order)) => valid(part, &order),
                Some(exact::Decision::Broken(broken)) => violated(part, story, broken),
                Some(exact::Decision::Nothing(note)) => return Err(Some(note)),
                None => return Err(None),
            },
        };
        Ok(self.report(part, Method::Exact, None, outcome))
    }

    fn searched(&self, part: &Part, note: Option<String>) -> PartReport {
        let story = &self.story(part);
        let (values, initial) = (&self.operations.values, self.initial);
        let acts = || part.entries.iter().map(|entry| entry.act);
        let kv_map = || KvMapModel::new(acts(), values, &self.operations.symbols);
        let outcome = match self.options.model {
            ModelName::KvMap => self.search(part, &kv_map(), story),
            ModelName::Register | ModelName::CasRegister => {
                self.search(part, &RegisterModel { initial }, story)
            }
            ModelName::MultiRegister => {
                let acts = &self.operations.acts;
                self.search(part, &MultiRegisterModel { initial, acts }, story)
            }
            ModelName::Mutex => self.search(part, &MutexModel, story),
            ModelName::Counter => self.search(part, &CounterModel { values }, story),
            ModelName::FifoQueue => self.search(part, &FifoQueueModel, story),
            ModelName::UnorderedQueue => self.search(part, &UnorderedQueueModel, story),
            ModelName::PriorityQueue => self.search(part, &PriorityQueueModel { values }, story),
            ModelName::Set => match self.set {
                Some(model) => self.search(part, model, story),
                None => self.search(part, &SetModel::default(), story),
            },
        };
        self.report(part, Method::Search, note, outcome)
    }

    fn search<M: Model<Op = Act>>(&self, part: &Part, model: &M, story: &Story<'_>) -> Outcome {
        let question = part.question();
        let found = match self.culprit {
            Some(culprit) => Found::Impossible { culprit },
            None => search(model, &question, self.options.budget),
        };
        match found {
            Found::Order(order) => valid(part, &order),
            Found::Impossible { culprit } => {
                let conflict = match self.culprit {
                    Some(culprit) => {
                        let apart = matches!(
                            self.options.model,
                            ModelName::Register
                                | ModelName::CasRegister
                                | ModelName::FifoQueue
                                | ModelName::UnorderedQueue
                                | ModelName::PriorityQueue
                        );
                        minimal::conflict(model, &question, culprit, apart)
                    }
                    None => minimal::until(model, &question, culprit),
                };
                let culprit = conflict[0];
                let explanation = format!(
                    "{}{} cannot be explained: no order of the operations before and around it lets \
                     it come back so",
                    story.what(culprit),
                    story.of_key()
                );
                Outcome::Violated {
                    finding: story.finding("nonlinearizable", &[culprit], explanation),
                    proof: Proof {
                        pattern: "search".to_owned(),
                        ops: conflict.iter().map(|&id| Some(part.place(id))).collect(),
                    },
                }
            }
            Found::Exhausted { from, to, open } => Outcome::Undecided {
                reason: format!(
                    "the search for an order{} gave up after {} steps between events {} and {}, \
                     where {open} operations were open at once",
                    story.of_key(),
                    self.options.budget,
                    from.saturating_sub(1),
                    to - 1,
                ),
            },
        }
    }
}

fn valid(part: &Part, order: &[u32]) -> Outcome {
    Outcome::Valid {
        witness: order.iter().map(|&id| part.place(id)).collect(),
    }
}

fn violated(part: &Part, story: &Story<'_>, broken: exact::Broken) -> Outcome {
    let ids: Vec<u32> = broken.ids.iter().copied().flatten().collect();
    Outcome::Violated {
        finding: story.finding(broken.anomaly, &ids, broken.explanation),
        proof: Proof {
            pattern: broken.pattern.to_owned(),
            ops: broken
                .ids
                .iter()
                .map(|id| id.map(|id| part.place(id)))
                .collect(),
        },
    }
}
