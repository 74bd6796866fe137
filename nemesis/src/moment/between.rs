//! Between the answers of two members: one shows what a call did, another one not yet.
//!
//! Each member is asked by itself, again as soon as it has answered: who answers slowly holds up
//! nobody. That one shows it and another one does not yet is certain when the other's answer
//! belongs to a question that was sent after the first one's answer was in hand.

use std::time::{Duration, Instant};

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;

use super::watch::{ANSWERS_WITHIN, Asked, Reached};
use super::{Question, Watcher};
use crate::in_flight::InFlight;

/// Members are a few milliseconds apart, so this long after the call was sent one question
/// follows the other; then there is this time between them.
const HURRY: Duration = Duration::from_secs(1);
const THEN_EVERY: Duration = Duration::from_millis(2);

pub(super) struct Between<'a> {
    pub(super) watcher: &'a dyn Watcher,
    pub(super) flight: InFlight,
    /// The call, for the record.
    pub(super) call: String,
    pub(super) question: Question,
    /// What each member answered before the call was sent.
    pub(super) members: Vec<Asked>,
}

/// What comes before a question.
#[derive(Clone, Copy)]
enum Pause {
    None,
    /// Others' turn on this thread.
    Turn,
    Time(Duration),
}

/// A question to one member, and its answer.
struct Answer {
    member: usize,
    sent: Instant,
    received: Instant,
    /// `None` if it gave none.
    said: Option<String>,
}

/// What a member has said since the call was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Says {
    /// Nothing, or nothing that can be compared: without a word from before, nobody can tell.
    Nothing,
    /// What it said before, to a question sent then.
    Before(Instant),
    /// Something else.
    Shown,
}

/// What all members have said since the call was sent.
struct Tally<'a> {
    members: &'a [Asked],
    says: Vec<Says>,
    /// When the first answer that shows it was in hand.
    first: Option<Instant>,
}

impl<'a> Tally<'a> {
    fn of(members: &'a [Asked]) -> Self {
        Self {
            members,
            says: vec![Says::Nothing; members.len()],
            first: None,
        }
    }

    /// Takes an answer; gives whether it is the first that shows it.
    fn take(&mut self, answer: &Answer) -> bool {
        let before = self.members[answer.member].before.as_ref();
        let says = &mut self.says[answer.member];
        match (before, &answer.said) {
            // An answer may come behind one to a later question.
            _ if *says == Says::Shown => {}
            (Some(before), Some(now)) if before != now => *says = Says::Shown,
            (Some(_), Some(_)) => {
                let sent = match *says {
                    Says::Before(sent) => sent.max(answer.sent),
                    _ => answer.sent,
                };
                *says = Says::Before(sent);
            }
            _ => *says = Says::Nothing,
        }
        let shows = *says == Says::Shown && self.first.is_none();
        if shows {
            self.first = Some(answer.received);
        }
        shows
    }

    /// When it was first shown, if somebody else certainly did not show it so long after that.
    fn between(&self, after: Duration) -> Option<Instant> {
        let first = self.first?;
        let not_yet = |says: &Says| matches!(says, Says::Before(sent) if *sent >= first + after);
        self.says.iter().any(not_yet).then_some(first)
    }

    fn names(&self, wanted: impl Fn(Says) -> bool) -> String {
        let names = self.members.iter().zip(&self.says);
        let names = names.filter_map(|(member, says)| wanted(*says).then_some(&*member.name));
        names.collect::<Vec<_>>().join(", ")
    }
}

impl Between<'_> {
    /// Waits until the call was sent, then until somebody shows its result; from then on, for
    /// `after`, somebody must not show it yet.
    pub(super) async fn reach(self, after: Duration, within: Duration) -> Result<Reached, String> {
        let call = &self.call;
        // One that is answered at once was sent all the same.
        let sent = self.flight.was_sent().await;
        let sent = sent.map_err(|reason| format!("{call}: {reason}"))?;
        let deadline = sent + within;
        let mut tally = Tally::of(&self.members);
        let ask = |member, pause| self.ask(member, pause);
        let all = (0..self.members.len()).map(|member| ask(member, Pause::None));
        let mut asked: FuturesUnordered<_> = all.collect();
        while let Some(answer) = asked.next().await {
            let is_first = tally.take(&answer);
            if let Some(since) = tally.between(after) {
                let what = self.told(&tally);
                return Ok(Reached { since, what });
            }
            if is_first {
                // Whoever has a question out was asked too early for its answer to tell anything.
                let others = (0..self.members.len()).filter(|&other| other != answer.member);
                asked.extend(others.map(|other| ask(other, Pause::None)));
            }
            if tally.first.is_none() && answer.received >= deadline {
                return Err(format!("{call}: no member showed it in time"));
            }
            let tells = match tally.says[answer.member] {
                Says::Shown => false,
                Says::Before(_) => true,
                Says::Nothing => tally.first.is_none(),
            };
            if tells && answer.received < deadline {
                let pause = match answer.received < sent + HURRY {
                    true => Pause::Turn,
                    false => Pause::Time(THEN_EVERY),
                };
                asked.push(ask(answer.member, pause));
            }
        }
        Err(self.missed(&tally, after))
    }

    async fn ask(&self, member: usize, pause: Pause) -> Answer {
        match pause {
            Pause::None => {}
            Pause::Turn => tokio::task::yield_now().await,
            Pause::Time(time) => tokio::time::sleep(time).await,
        }
        let sent = Instant::now();
        let answer = self
            .watcher
            .answer(self.members[member].node, self.question);
        let said = tokio::time::timeout(ANSWERS_WITHIN, answer).await;
        Answer {
            member,
            sent,
            received: Instant::now(),
            said: said.ok().and_then(Result::ok),
        }
    }

    fn missed(&self, tally: &Tally<'_>, after: Duration) -> String {
        let call = &self.call;
        let late = tally.names(|says| says != Says::Shown);
        match late.is_empty() {
            true if after.is_zero() => {
                let all = tally.names(|_| true);
                format!(
                    "{call}: when all were asked again after the first showed it, all did ({all})"
                )
            }
            true => format!(
                "{call}: every member showed it less than {} ms after the first",
                after.as_secs_f64() * 1e3
            ),
            false => format!("{call}: it was shown, and {late} did not say that it was not"),
        }
    }

    fn told(&self, tally: &Tally<'_>) -> String {
        let first = tally.first;
        let not_yet =
            |says| matches!(says, Says::Before(sent) if first.is_some_and(|first| sent >= first));
        let silent = tally.names(|says| says == Says::Nothing);
        let silent = match silent.is_empty() {
            true => String::new(),
            false => format!("; no answer from {silent}"),
        };
        format!(
            "{} was shown by {}, and not yet by {}{silent}",
            self.call,
            tally.names(|says| says == Says::Shown),
            tally.names(not_yet)
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn members(before: &[Option<&str>]) -> Vec<Asked> {
        let member = |(node, before): (usize, &Option<&str>)| Asked {
            node: node as u16,
            name: format!("n{}", node + 1),
            before: before.map(str::to_owned),
        };
        before.iter().enumerate().map(member).collect()
    }

    fn answer(begun: Instant, member: usize, ms: (u32, u32), said: Option<&str>) -> Answer {
        Answer {
            member,
            sent: begun + ms.0 * MS,
            received: begun + ms.1 * MS,
            said: said.map(str::to_owned),
        }
    }

    #[test]
    fn only_a_question_sent_after_the_first_answer_tells() {
        let (members, begun) = (members(&[Some("7"), Some("7")]), Instant::now());
        let mut tally = Tally::of(&members);
        assert!(!tally.take(&answer(begun, 1, (0, 4), Some("7"))));
        assert!(tally.take(&answer(begun, 0, (1, 3), Some("9"))));
        assert_eq!(tally.between(Duration::ZERO), None, "it was sent before");
        tally.take(&answer(begun, 1, (2, 5), Some("7")));
        assert_eq!(tally.between(Duration::ZERO), None, "that one too");
        tally.take(&answer(begun, 1, (3, 6), Some("7")));
        assert_eq!(tally.between(Duration::ZERO), Some(begun + 3 * MS));
        assert_eq!(tally.between(MS), None);
        tally.take(&answer(begun, 1, (4, 7), Some("7")));
        assert_eq!(tally.between(MS), Some(begun + 3 * MS));
        tally.take(&answer(begun, 1, (5, 8), Some("9")));
        assert_eq!(tally.between(Duration::ZERO), None, "all show it");
        // What was asked earlier and came late does not take that back.
        tally.take(&answer(begun, 1, (4, 9), Some("7")));
        assert_eq!(tally.between(Duration::ZERO), None);
    }

    #[test]
    fn who_said_nothing_before_or_says_nothing_now_tells_nothing() {
        let begun = Instant::now();
        let members = members(&[Some("7"), None, Some("7")]);
        let mut tally = Tally::of(&members);
        assert!(!tally.take(&answer(begun, 1, (0, 1), Some("9"))));
        assert!(tally.take(&answer(begun, 0, (0, 2), Some("9"))));
        tally.take(&answer(begun, 1, (3, 4), Some("7")));
        tally.take(&answer(begun, 2, (3, 4), None));
        assert_eq!(tally.between(Duration::ZERO), None);
        assert_eq!(tally.names(|says| says == Says::Nothing), "n2, n3");
    }
}
