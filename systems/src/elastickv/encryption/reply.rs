//! What came of a call, in the words of the rollout's model.

use keyquake_rollout::Outcome;

use super::NotAccepted;
use super::refusal::Answer;
use super::request::{Done, Request};

/// What came of a call, or of two that were one step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// Accepted, refused with its name, failed or indeterminate.
    pub outcome: Outcome,
    /// The log index that was answered, if it was.
    pub index: Option<u64>,
    /// What was said, a sentence for a person.
    pub said: String,
}

/// One try.
pub(super) enum Tried {
    /// Nothing could be sent.
    Unsent(String),
    /// It was sent to a node.
    Answered {
        /// The node.
        node: String,
        /// What it said.
        answer: Answer<Done>,
    },
}

impl Reply {
    /// Certainly nothing was done.
    pub fn failed(said: String) -> Self {
        Self {
            outcome: Outcome::Failed,
            index: None,
            said,
        }
    }

    pub(super) fn of(tried: &Tried, request: Option<&Request>) -> Self {
        let (node, answer) = match tried {
            Tried::Unsent(said) => return Reply::failed(format!("nothing was sent: {said}")),
            Tried::Answered { node, answer } => (node, answer),
        };
        match answer {
            Ok(done) => {
                let how = if done.already { "active since" } else { "at" };
                let what = request.map_or_else(String::new, |request| format!("{request}, "));
                Self {
                    outcome: Outcome::Accepted,
                    index: Some(done.index),
                    said: format!("{what}{how} index {} on {node}", done.index),
                }
            }
            Err(error) => Self {
                outcome: outcome_of(error),
                index: None,
                said: format!("{node}: {error}"),
            },
        }
    }

    /// The step's outcome where it was two requests: what either may have done was done.
    pub(super) fn with(self, second: Reply) -> Self {
        let said = format!("first: {}; second: {}", self.said, second.said);
        let is = |outcome: &Outcome| self.outcome == *outcome || second.outcome == *outcome;
        let outcome = [Outcome::Accepted, Outcome::Indeterminate]
            .into_iter()
            .find(is)
            .unwrap_or(self.outcome);
        Self {
            outcome,
            index: self.index.max(second.index),
            said,
        }
    }
}

/// What an answer that is no acceptance means for a step.
pub fn outcome_of(error: &NotAccepted) -> Outcome {
    match error {
        NotAccepted::Refused { refusal, .. } => Outcome::Refused(Some(refusal.name().to_owned())),
        NotAccepted::InvalidArgument { .. } => Outcome::Refused(Some(error.outcome().to_owned())),
        NotAccepted::Failed { .. } => Outcome::Failed,
        // What is committed and halts whoever applies it was no acceptance either.
        NotAccepted::Halts { .. } | NotAccepted::Indeterminate { .. } => Outcome::Indeterminate,
    }
}

#[cfg(test)]
mod tests {
    use super::super::Refusal;
    use super::*;

    fn reply(outcome: Outcome, index: Option<u64>) -> Reply {
        Reply {
            outcome,
            index,
            said: "x".to_owned(),
        }
    }

    #[test]
    fn two_requests_are_what_either_may_have_done() {
        let refused = || reply(Outcome::Refused(Some("not-leader".to_owned())), None);
        let accepted = |index| reply(Outcome::Accepted, Some(index));
        let lost = || reply(Outcome::Indeterminate, None);
        let failed = || reply(Outcome::Failed, None);
        for (one, two, outcome, index) in [
            (accepted(3), accepted(7), Outcome::Accepted, Some(7)),
            (accepted(3), refused(), Outcome::Accepted, Some(3)),
            (lost(), accepted(4), Outcome::Accepted, Some(4)),
            (refused(), lost(), Outcome::Indeterminate, None),
            (refused(), failed(), refused().outcome, None),
            (failed(), refused(), Outcome::Failed, None),
        ] {
            let both = one.with(two);
            assert_eq!((both.outcome, both.index), (outcome, index));
            assert_eq!(both.said, "first: x; second: x");
        }
    }

    #[test]
    fn a_refusal_keeps_its_name_and_doubt_stays_doubt() {
        let text = String::new;
        let refused = NotAccepted::Refused {
            refusal: Refusal::MemberNotCapable,
            text: text(),
        };
        assert_eq!(
            outcome_of(&refused).to_string(),
            "refused member-not-capable"
        );
        let wrong = NotAccepted::InvalidArgument { text: text() };
        assert_eq!(outcome_of(&wrong).to_string(), "refused invalid-argument");
        for doubt in [
            NotAccepted::Halts { text: text() },
            NotAccepted::Indeterminate { text: text() },
        ] {
            assert_eq!(outcome_of(&doubt), Outcome::Indeterminate);
        }
        let failed = NotAccepted::Failed { text: text() };
        assert_eq!(outcome_of(&failed), Outcome::Failed);
    }
}
