//! Where members have halted. One that can't apply an entry meets the same entry again at every
//! start: its applied index does not pass it.

use std::collections::BTreeMap;

use keyquake_rollout::Setup;

use super::Rollout;

/// The first halt of a process of this kind on this disk.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Halt {
    setup: Setup,
    /// What it said; `None` if it said none.
    index: Option<u64>,
}

/// The first halts of nodes, by position.
#[derive(Debug, Default)]
pub(super) struct Halts(BTreeMap<u16, Halt>);

/// A halt beside the first one of the same kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Again {
    /// There was none before, or the node was another one then.
    First,
    /// At the same entry.
    Same(u64),
    /// At another entry than the first one.
    Other(u64),
    /// One of them did not say where.
    Unsaid,
}

impl Halts {
    /// With other flags or on another release a node may halt elsewhere: that is a first halt.
    fn halted(&mut self, node: u16, setup: Setup, index: Option<u64>) -> Again {
        let halt = Halt { setup, index };
        let again = match self.0.get(&node) {
            Some(first) if first.setup == setup => match (first.index, index) {
                (Some(first), Some(now)) if first == now => return Again::Same(now),
                // From here on this one is the first, so that one finding does not become many.
                (Some(first), Some(_)) => Again::Other(first),
                _ => Again::Unsaid,
            },
            _ => Again::First,
        };
        if index.is_some() || again == Again::First {
            self.0.insert(node, halt);
        }
        again
    }
}

impl Rollout {
    /// A node has halted at this entry, as this setup: beside where it did before.
    pub(crate) fn halted(&self, node: u16, setup: Setup, index: Option<u64>) -> Again {
        self.state().halts.halted(node, setup, index)
    }

    /// A node serves, or its files were changed: where it halted before says nothing any more.
    pub(crate) fn halted_no_more(&self, node: u16) {
        self.state().halts.0.remove(&node);
    }
}

#[cfg(test)]
mod tests {
    use keyquake_rollout::Release;

    use super::*;

    const OLD: Setup = Setup::bare(Release::R6A);
    const NEW: Setup = Setup::bare(Release::R6B);

    #[test]
    fn a_later_halt_is_set_beside_the_first() {
        let mut halts = Halts::default();
        assert_eq!(halts.halted(2, OLD, Some(17)), Again::First);
        assert_eq!(halts.halted(1, OLD, Some(18)), Again::First);
        assert_eq!(halts.halted(2, OLD, Some(17)), Again::Same(17));
        assert_eq!(halts.halted(2, OLD, Some(19)), Again::Other(17));
        assert_eq!(halts.halted(2, OLD, Some(19)), Again::Same(19));
        assert_eq!(halts.halted(2, OLD, None), Again::Unsaid);
        assert_eq!(halts.halted(2, OLD, Some(19)), Again::Same(19));
        assert_eq!(halts.halted(2, NEW, Some(20)), Again::First);
    }

    #[test]
    fn where_nothing_was_said_nothing_is_compared() {
        let mut halts = Halts::default();
        assert_eq!(halts.halted(0, OLD, None), Again::First);
        assert_eq!(halts.halted(0, OLD, Some(7)), Again::Unsaid);
        assert_eq!(halts.halted(0, OLD, Some(7)), Again::Same(7));
    }

    #[test]
    fn what_serves_between_halts_anew() {
        let rollout = Rollout::default();
        assert_eq!(rollout.halted(0, OLD, Some(7)), Again::First);
        rollout.halted_no_more(0);
        assert_eq!(rollout.halted(0, OLD, Some(9)), Again::First);
    }
}
