//! That a member which halts again halts at the same entry, and has not applied it.

use keyquake_rollout::Outcome;

use super::Stage;
use super::outcome::{About, HALT};
use crate::operator::LastWords;
use crate::rollout::{Again, Members, Must};

const RULE: &str = "a member that can't apply an entry halts at it, at every start, and its applied index does not pass it";

impl Stage<'_> {
    /// A node has halted, and these were its words: whether it did so where it has to is recorded,
    /// and told if it can be said at all.
    pub(super) async fn halted(&self, node: u16, words: Option<&LastWords>) -> Option<String> {
        let spec = self.cluster.spec(node).await.ok()?;
        // Of a release that nobody knows nothing is expected.
        let setup = self.operator.setup(&spec).ok()?;
        // Where a snapshot has taken the place of entries, it halts at the snapshot.
        if words.is_some_and(|words| words.snapshot) {
            return None;
        }
        let name = self.cluster.id(node);
        let index = words.and_then(|words| words.index);
        let now = index.map_or_else(
            || "says no index now".to_owned(),
            |index| format!("halts at entry {index} now"),
        );
        let (outcome, evidence) = match self.rollout.halted(node, setup, index) {
            Again::First => return self.stands_before(node, index?).await,
            Again::Same(first) => (
                Outcome::Unchanged,
                format!("{name} halts at entry {first}, as before"),
            ),
            Again::Other(first) => (
                Outcome::Changed,
                format!("{name} halted at entry {first} before, and {now}"),
            ),
            Again::Unsaid => (
                Outcome::Unknown,
                format!(
                    "{name} has halted before as well, and {now}; nobody can tell whether it is the same entry"
                ),
            ),
        };
        self.where_it_halts(node, &outcome, &evidence);
        let passed = match index {
            Some(index) => self.stands_before(node, index).await,
            None => None,
        };
        Some(match passed {
            Some(passed) => format!("{evidence}; {passed}"),
            None => evidence,
        })
    }

    /// Whether a process that stays up as it halts has not applied the entry. One that has ended
    /// can't be asked: its next start tells.
    async fn stands_before(&self, node: u16, index: u64) -> Option<String> {
        if !self.cluster.status(node).is_up() {
            return None;
        }
        let applied = self.operator.applied_index(node).await?;
        let outcome = match applied < index {
            true => Outcome::Unchanged,
            false => Outcome::Changed,
        };
        let name = self.cluster.id(node);
        let evidence =
            format!("{name} has halted at entry {index}, and says to have applied {applied}");
        self.where_it_halts(node, &outcome, &evidence);
        Some(evidence)
    }

    fn where_it_halts(&self, node: u16, outcome: &Outcome, evidence: &str) {
        let must = Must {
            invariant: HALT.to_owned(),
            outcomes: vec![],
            because: RULE.to_owned(),
            members: Members::new(),
            modelled: None,
        };
        let about = About {
            subject: format!("where {} halts", self.cluster.id(node)),
            node: Some(node),
            expected: &[Outcome::Unchanged],
        };
        self.outcome(&must, about, outcome, evidence);
    }
}
