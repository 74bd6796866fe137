//! What a plan itself says must come of a step: `expect = ["accepted", "n2 halts ErrKEKMismatch"]`.

use std::collections::BTreeMap;
use std::fmt;

use keyquake_cluster::node_name;
use keyquake_rollout::Outcome;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::target::position;

/// Takes the place of what the model expects; empty is nothing said.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Expect {
    /// What the step may come to: one of these.
    pub outcomes: Vec<Outcome>,
    /// What must become of nodes because of it, or of a roll's own nodes one by one.
    pub nodes: BTreeMap<u16, Vec<Outcome>>,
}

impl Expect {
    /// Whether the plan says nothing.
    pub fn is_empty(&self) -> bool {
        self.outcomes.is_empty() && self.nodes.is_empty()
    }

    fn read(words: &[String]) -> Result<Self, String> {
        let mut expect = Expect::default();
        for word in words {
            let node = word
                .split_once(' ')
                .map(|(node, rest)| (position(node), rest));
            let (outcomes, outcome) = match node {
                Some((Ok(node), rest)) => (expect.nodes.entry(node).or_default(), rest),
                _ => (&mut expect.outcomes, word.as_str()),
            };
            outcomes.push(outcome.parse().map_err(|error| format!("{error}"))?);
        }
        if expect.is_empty() {
            return Err(
                "`expect` is empty; leave it out, or say what must come of the step".into(),
            );
        }
        Ok(expect)
    }

    fn words(&self) -> Vec<String> {
        let own = self.outcomes.iter().map(Outcome::to_string);
        let nodes = self.nodes.iter().flat_map(|(&node, outcomes)| {
            let word = move |outcome| format!("{} {outcome}", node_name(node));
            outcomes.iter().map(word)
        });
        own.chain(nodes).collect()
    }
}

impl fmt::Display for Expect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.words().join(" or "))
    }
}

impl Serialize for Expect {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.words().as_slice() {
            [word] => serializer.serialize_str(word),
            words => words.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Expect {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged, expecting = "an outcome (\"accepted\") or a list of them")]
        enum Words {
            One(String),
            All(Vec<String>),
        }
        let words = match Words::deserialize(deserializer)? {
            Words::One(word) => vec![word],
            Words::All(words) => words,
        };
        Expect::read(&words).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(words: &[&str]) -> Result<Expect, String> {
        let words: Vec<_> = words.iter().map(|word| (*word).to_owned()).collect();
        Expect::read(&words)
    }

    #[test]
    fn a_node_s_outcome_has_its_name_before_it() {
        let words = ["accepted", "n2 halts ErrKEKNotConfigured", "n3 halts"];
        let expect = read(&words).unwrap();
        assert_eq!(expect.outcomes, [Outcome::Accepted]);
        assert_eq!(expect.nodes.keys().copied().collect::<Vec<_>>(), [1, 2]);
        assert_eq!(expect.words(), words);
    }

    #[test]
    fn mistakes_are_named() {
        assert!(read(&[]).unwrap_err().contains("is empty"));
        let error = read(&["halt"]).unwrap_err();
        assert!(
            error.starts_with("`halt` is no outcome; there are"),
            "{error}"
        );
        assert!(read(&["n2"]).is_err());
    }
}
