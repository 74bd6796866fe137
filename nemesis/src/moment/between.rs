//! Between the answers of two members: one shows what a call did, another one not yet.

use std::time::{Duration, Instant};

use super::watch::{Asked, Reached, answers_now};
use super::{Question, Watcher};
use crate::in_flight::InFlight;

/// Members are a few milliseconds apart, so this long after the call was sent one round of
/// answers follows the other; then there is this time between them.
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

/// Who shows it, who does not, and who says nothing.
#[derive(Debug, Default, PartialEq, Eq)]
struct Round {
    shown: Vec<String>,
    not_yet: Vec<String>,
    silent: Vec<String>,
}

impl Round {
    fn of(members: &[Asked], answers: Vec<Option<String>>) -> Self {
        let mut round = Round::default();
        for (member, answer) in members.iter().zip(answers) {
            let place = match (&member.before, answer) {
                (Some(before), Some(now)) if *before != now => &mut round.shown,
                (Some(_), Some(_)) => &mut round.not_yet,
                // Without a word from before, nobody can tell.
                _ => &mut round.silent,
            };
            place.push(member.name.clone());
        }
        round
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
        let mut first: Option<Instant> = None;
        loop {
            let round = self.round().await;
            let now = Instant::now();
            match (round.shown.is_empty(), round.not_yet.is_empty()) {
                (false, false) => {
                    let since = *first.get_or_insert(now);
                    if now >= since + after {
                        let what = self.told(&round);
                        return Ok(Reached { since, what });
                    }
                }
                (false, true) if first.is_some() => {
                    return Err(format!(
                        "{call}: every member showed it less than {} ms after the first",
                        after.as_secs_f64() * 1e3
                    ));
                }
                (false, true) => {
                    let all = round.shown.join(", ");
                    return Err(format!(
                        "{call}: when it was first seen, all showed it ({all})"
                    ));
                }
                (true, _) if now >= deadline => {
                    return Err(format!("{call}: no member showed it in time"));
                }
                (true, _) => {}
            }
            match now < sent + HURRY {
                true => tokio::task::yield_now().await,
                false => tokio::time::sleep(THEN_EVERY).await,
            }
        }
    }

    async fn round(&self) -> Round {
        let answers = answers_now(self.watcher, self.question, &self.members).await;
        Round::of(&self.members, answers)
    }

    fn told(&self, round: &Round) -> String {
        let silent = match round.silent.is_empty() {
            true => String::new(),
            false => format!("; no answer from {}", round.silent.join(", ")),
        };
        format!(
            "{} was shown by {}, and not yet by {}{silent}",
            self.call,
            round.shown.join(", "),
            round.not_yet.join(", ")
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_are_told_apart_by_what_they_said_before() {
        let member = |name: &str, before: Option<&str>| Asked {
            node: 0,
            name: name.to_owned(),
            before: before.map(str::to_owned),
        };
        let members = [
            member("n1", Some("7")),
            member("n2", Some("7")),
            member("n3", None),
            member("n4", Some("7")),
        ];
        let now = ["9", "7", "9"].map(|key| Some(key.to_owned()));
        let round = Round::of(&members, [&now[..], &[None]].concat());
        assert_eq!(
            (round.shown, round.not_yet, round.silent),
            (
                vec!["n1".to_owned()],
                vec!["n2".to_owned()],
                vec!["n3".to_owned(), "n4".to_owned()]
            )
        );
    }
}
