//! What a fault is aimed at, as a plan writes it.

use std::fmt;

use keyquake_cluster::node_name;
use serde::de::{Error as _, SeqAccess, Visitor};
use serde::ser::SerializeSeq;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// What a fault is aimed at. Nodes are positions here and names (`n1`) in a plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// `"leader"`: whoever leads when the fault begins.
    Leader,
    /// `"follower"`: the node after the leader in the order n1, n2, …, n1.
    Follower,
    /// `"all"`: every node.
    All,
    /// `"n2"` or `["n1", "n2"]`: these, in this order.
    Nodes(Vec<u16>),
    /// `[["n1"], ["n2", "n3"]]`: who can still talk to whom.
    Groups(Vec<Vec<u16>>),
    /// `["n1 -> n2"]`: directed links.
    Cuts(Vec<(u16, u16)>),
}

impl Target {
    /// Every node it names, in order; none for a role.
    pub fn named(&self) -> Vec<u16> {
        match self {
            Target::Leader | Target::Follower | Target::All => vec![],
            Target::Nodes(nodes) => nodes.clone(),
            Target::Groups(groups) => groups.concat(),
            Target::Cuts(cuts) => cuts.iter().flat_map(|&(from, to)| [from, to]).collect(),
        }
    }
}

/// A node's position by its name.
pub(crate) fn position(name: &str) -> Result<u16, String> {
    let number = name
        .strip_prefix('n')
        .and_then(|digits| digits.parse::<u16>().ok())
        .filter(|&number| number > 0);
    number
        .map(|number| number - 1)
        .ok_or_else(|| format!("`{name}` is no node; nodes are called n1, n2, …"))
}

fn cut(text: &str) -> Result<(u16, u16), String> {
    let (from, to) = text
        .split_once("->")
        .ok_or_else(|| format!("`{text}` is no link; write \"n1 -> n2\""))?;
    let (from, to) = (position(from.trim())?, position(to.trim())?);
    if from == to {
        Err(format!("`{text}` is a link from a node to itself"))
    } else {
        Ok((from, to))
    }
}

fn word(text: &str) -> Result<Target, String> {
    match text {
        "leader" => Ok(Target::Leader),
        "follower" => Ok(Target::Follower),
        "all" => Ok(Target::All),
        _ if text.contains("->") => Ok(Target::Cuts(vec![cut(text)?])),
        _ => position(text).map(|node| Target::Nodes(vec![node])).map_err(|_| {
            format!(
                "`{text}` is no target; there are \"leader\", \"follower\", \"all\", a node (\"n2\"), nodes ([\"n1\", \"n2\"]), \
                 groups ([[\"n1\"], [\"n2\", \"n3\"]]) and links ([\"n1 -> n2\"])"
            )
        }),
    }
}

fn list(items: Vec<Item>) -> Result<Target, String> {
    let mut words = Vec::new();
    let mut groups = Vec::new();
    for item in items {
        match item {
            Item::Word(word) => words.push(word),
            Item::Group(names) => groups.push(
                names
                    .iter()
                    .map(|name| position(name))
                    .collect::<Result<Vec<_>, _>>()?,
            ),
        }
    }
    match (words.is_empty(), groups.is_empty()) {
        (true, true) => Err("the list of targets is empty".into()),
        (false, false) => Err("a list of targets holds either groups or names, not both".into()),
        (true, false) => Ok(Target::Groups(groups)),
        (false, true) if words.iter().any(|word| word.contains("->")) => Ok(Target::Cuts(
            words
                .iter()
                .map(|word| cut(word))
                .collect::<Result<_, _>>()?,
        )),
        (false, true) => Ok(Target::Nodes(
            words
                .iter()
                .map(|word| position(word))
                .collect::<Result<_, _>>()?,
        )),
    }
}

enum Item {
    Word(String),
    Group(Vec<String>),
}

impl<'de> Deserialize<'de> for Item {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ItemVisitor;
        impl<'de> Visitor<'de> for ItemVisitor {
            type Value = Item;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "a name or a group of names")
            }

            fn visit_str<E: serde::de::Error>(self, word: &str) -> Result<Item, E> {
                Ok(Item::Word(word.to_owned()))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut names: A) -> Result<Item, A::Error> {
                let mut group = Vec::new();
                while let Some(name) = names.next_element()? {
                    group.push(name);
                }
                Ok(Item::Group(group))
            }
        }
        deserializer.deserialize_any(ItemVisitor)
    }
}

impl<'de> Deserialize<'de> for Target {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TargetVisitor;
        impl<'de> Visitor<'de> for TargetVisitor {
            type Value = Target;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(
                    f,
                    "\"leader\", \"follower\", \"all\", a node, or a list of nodes, groups or links"
                )
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Target, E> {
                word(text).map_err(E::custom)
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Target, A::Error> {
                let mut items = Vec::new();
                while let Some(item) = sequence.next_element()? {
                    items.push(item);
                }
                list(items).map_err(A::Error::custom)
            }
        }
        deserializer.deserialize_any(TargetVisitor)
    }
}

impl Serialize for Target {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let names = |nodes: &[u16]| {
            nodes
                .iter()
                .map(|&node| node_name(node))
                .collect::<Vec<_>>()
        };
        match self {
            Target::Leader => serializer.serialize_str("leader"),
            Target::Follower => serializer.serialize_str("follower"),
            Target::All => serializer.serialize_str("all"),
            Target::Nodes(nodes) if nodes.len() == 1 => {
                serializer.serialize_str(&node_name(nodes[0]))
            }
            Target::Nodes(nodes) => names(nodes).serialize(serializer),
            Target::Groups(groups) => {
                let mut sequence = serializer.serialize_seq(Some(groups.len()))?;
                groups
                    .iter()
                    .try_for_each(|group| sequence.serialize_element(&names(group)))?;
                sequence.end()
            }
            Target::Cuts(cuts) => {
                let link =
                    |&(from, to): &(u16, u16)| format!("{} -> {}", node_name(from), node_name(to));
                cuts.iter()
                    .map(link)
                    .collect::<Vec<_>>()
                    .serialize(serializer)
            }
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = |nodes: &[u16]| {
            nodes
                .iter()
                .map(|&node| node_name(node))
                .collect::<Vec<_>>()
                .join(", ")
        };
        match self {
            Target::Leader => write!(f, "leader"),
            Target::Follower => write!(f, "follower"),
            Target::All => write!(f, "all"),
            Target::Nodes(nodes) => write!(f, "{}", names(nodes)),
            Target::Groups(groups) => {
                write!(
                    f,
                    "{}",
                    groups
                        .iter()
                        .map(|group| names(group))
                        .collect::<Vec<_>>()
                        .join(" | ")
                )
            }
            Target::Cuts(cuts) => {
                let link =
                    |&(from, to): &(u16, u16)| format!("{}→{}", node_name(from), node_name(to));
                write!(
                    f,
                    "{}",
                    cuts.iter().map(link).collect::<Vec<_>>().join(", ")
                )
            }
        }
    }
}
