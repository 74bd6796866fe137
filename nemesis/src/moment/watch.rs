//! Waiting for a moment: armed first, so that nothing that happens from then on is missed.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use keyquake_cluster::{Cluster, LogTail};

use super::between::Between;
use super::{Moment, Question, Watcher, When};
use crate::in_flight::InFlight;

/// How often counters and logs are looked at.
const LOOK_EVERY: Duration = Duration::from_millis(2);
/// How long after an answer the same is asked again.
const ASK_EVERY: Duration = Duration::from_millis(5);
/// A node that has not answered after this has no answer for now.
pub(super) const ANSWERS_WITHIN: Duration = Duration::from_millis(100);
/// The same when a moment is armed: there is time then.
const FIRST_ANSWER_WITHIN: Duration = Duration::from_secs(1);

/// A moment that came.
pub(crate) struct Reached {
    /// When it happened, as far as that can be seen from here.
    pub(crate) since: Instant,
    /// What happened, for the record.
    pub(crate) what: String,
}

/// A moment that is waited for.
pub(crate) struct Sought<'a> {
    watcher: &'a dyn Watcher,
    by: Duration,
    armed: Instant,
    kind: Kind<'a>,
}

enum Kind<'a> {
    During(InFlight, String),
    Between(Between<'a>),
    Operations {
        wanted: u64,
        before: u64,
    },
    Log {
        text: String,
        tails: Vec<(String, LogTail)>,
    },
    Answer {
        question: Question,
        of: Vec<Asked>,
    },
}

/// Whose answer is waited for, and what it was.
pub(super) struct Asked {
    pub(super) node: u16,
    pub(super) name: String,
    pub(super) before: Option<String>,
}

impl<'a> Sought<'a> {
    /// Arms it. `flight` is that of the call it belongs to, if it belongs to one.
    pub(crate) async fn arm(
        when: &When,
        cluster: &Cluster,
        watcher: &'a dyn Watcher,
        flight: &InFlight,
    ) -> Self {
        let nodes = match when.moment.node() {
            Some(node) => vec![node],
            None => (0..cluster.node_count()).collect(),
        };
        let kind = match &when.moment {
            Moment::During(call) => Kind::During(flight.clone(), call.to_string()),
            Moment::Between(call) => {
                let question = Question::of_call(*call).unwrap_or(Question::ActiveStorageKey);
                let members = first_answers(watcher, cluster, question, &nodes).await;
                Kind::Between(Between {
                    watcher,
                    flight: flight.clone(),
                    call: call.to_string(),
                    question,
                    members,
                })
            }
            Moment::Operations(wanted) => Kind::Operations {
                wanted: *wanted,
                before: watcher.operations_done(),
            },
            Moment::Log { text, .. } => {
                let mut tails = Vec::new();
                for &node in &nodes {
                    if let Ok(spec) = cluster.spec(node).await {
                        let tail = LogTail::from_now(&spec.log_dir, &spec.id);
                        tails.push((spec.id, tail));
                    }
                }
                let text = text.clone();
                Kind::Log { text, tails }
            }
            Moment::Answer { question, .. } => Kind::Answer {
                question: *question,
                of: first_answers(watcher, cluster, *question, &nodes).await,
            },
        };
        Self {
            watcher,
            by: when.waits_at_most(),
            armed: Instant::now(),
            kind,
        }
    }

    /// Waits until it has come, and `after` has gone by since; the error says why it is missed.
    pub(crate) async fn reach(self, after: Duration) -> Result<Reached, String> {
        let watcher = self.watcher;
        let deadline = self.armed + self.by;
        let reached = match self.kind {
            Kind::During(flight, call) => {
                let sent = flight.reach(after).await;
                let since = sent.map_err(|reason| format!("{call}: {reason}"))?;
                let what = format!("{call} was sent, before its answer");
                return Ok(Reached { since, what });
            }
            Kind::Between(between) => return between.reach(after, self.by).await,
            Kind::Operations { wanted, before } => {
                operations(watcher, wanted, before, deadline).await?
            }
            Kind::Log { text, tails } => log(&text, tails, deadline).await?,
            Kind::Answer { question, of } => answer(watcher, question, of, deadline).await?,
        };
        tokio::time::sleep_until((reached.since + after).into()).await;
        Ok(reached)
    }
}

/// An error once time is over: what did not come, and what was seen instead.
fn late(what: String, deadline: Instant, seen: &str) -> Result<(), String> {
    match Instant::now() < deadline {
        true => Ok(()),
        false => Err(format!("{what}: {seen}")),
    }
}

async fn operations(
    watcher: &dyn Watcher,
    wanted: u64,
    before: u64,
    deadline: Instant,
) -> Result<Reached, String> {
    if before >= wanted {
        return Err(format!(
            "operation {wanted}: {before} were done before it was waited for"
        ));
    }
    loop {
        let done = watcher.operations_done();
        if done >= wanted {
            return Ok(Reached {
                since: Instant::now(),
                what: format!("operation {wanted} was done ({done} by then)"),
            });
        }
        let said = format!("only {done} were done in time");
        late(format!("operation {wanted}"), deadline, &said)?;
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

async fn log(
    text: &str,
    mut tails: Vec<(String, LogTail)>,
    deadline: Instant,
) -> Result<Reached, String> {
    let mut lines = 0;
    loop {
        for (name, tail) in &mut tails {
            let said = tail.lines();
            let said = said.map_err(|error| format!("the log of {name}: {error}"))?;
            lines += said.len();
            if let Some(line) = said.iter().find(|line| line.contains(text)) {
                return Ok(Reached {
                    since: Instant::now(),
                    what: format!("{name} wrote {line:?}"),
                });
            }
        }
        let names: Vec<_> = tails.iter().map(|(name, _)| name.as_str()).collect();
        let said = format!(
            "none of the {lines} lines that {} wrote in time contains it",
            names.join(", ")
        );
        late(format!("{text:?} in a log"), deadline, &said)?;
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

async fn answer(
    watcher: &dyn Watcher,
    question: Question,
    mut of: Vec<Asked>,
    deadline: Instant,
) -> Result<Reached, String> {
    loop {
        let answers = answers(watcher, question, &of, ANSWERS_WITHIN).await;
        for (asked, now) in of.iter_mut().zip(answers) {
            match (&asked.before, now) {
                (Some(before), Some(now)) if *before != now => {
                    let name = &asked.name;
                    return Ok(Reached {
                        since: Instant::now(),
                        what: format!("{question} of {name} went from {before} to {now}"),
                    });
                }
                // It said nothing when the moment was armed.
                (None, Some(now)) => asked.before = Some(now),
                _ => {}
            }
        }
        let still = of.iter().map(|asked| {
            let said = asked.before.as_deref().unwrap_or("without an answer");
            format!("{} is still {said}", asked.name)
        });
        let said = still.collect::<Vec<_>>().join(", ");
        late(format!("another {question}"), deadline, &said)?;
        tokio::time::sleep(ASK_EVERY).await;
    }
}

async fn first_answers(
    watcher: &dyn Watcher,
    cluster: &Cluster,
    question: Question,
    nodes: &[u16],
) -> Vec<Asked> {
    let asked = nodes.iter().map(|&node| Asked {
        node,
        name: cluster.id(node).to_owned(),
        before: None,
    });
    let mut asked: Vec<_> = asked.collect();
    let answers = answers(watcher, question, &asked, FIRST_ANSWER_WITHIN).await;
    for (asked, answer) in asked.iter_mut().zip(answers) {
        asked.before = answer;
    }
    asked
}

/// Everybody's answer of this moment; `None` from who gives none.
async fn answers(
    watcher: &dyn Watcher,
    question: Question,
    of: &[Asked],
    within: Duration,
) -> Vec<Option<String>> {
    let ask = |asked: &Asked| tokio::time::timeout(within, watcher.answer(asked.node, question));
    let answers = join_all(of.iter().map(ask)).await;
    let given = answers.into_iter().map(|answer| answer.ok()?.ok());
    given.collect()
}
