//! All members rolled, one after another: on to a later release, or to the flags of encryption.

use keyquake_rollout::{Model, Release, Setup, Switch};

use super::super::entry;
use super::super::outlook::{End, after, foreseen, start};
use super::{Night, START};

/// How far one roll goes at most.
const AHEAD: usize = 3;

impl Night<'_> {
    /// False if there is nowhere to go, or no room.
    pub(super) fn roll_all(&mut self) -> bool {
        let members = self.model.members();
        let room = START * members.len() as u64;
        if self.at + room > self.end {
            return false;
        }
        let Some(release) = self.next_release(&members) else {
            return false;
        };
        let encryption = match release {
            Release::R5D | Release::R6A => None,
            _ if self.dice.once_in(4) => None,
            _ => Some(Switch::On),
        };
        let mut rolled = self.model.clone();
        let mut same = true;
        for node in members {
            let Some(before) = rolled.setup(node) else {
                return false;
            };
            let setup = turned(&before, release, encryption);
            same &= setup == before;
            let Some(next) = serves(&rolled, node, setup) else {
                return false;
            };
            rolled = next;
        }
        if same {
            return false;
        }
        self.put(entry::roll_all(self.at, release, encryption), room);
        self.model = rolled;
        true
    }

    /// One that nobody is past, and that is news to somebody, or to somebody's flags.
    fn next_release(&mut self, members: &[u16]) -> Option<Release> {
        let now = members.iter().filter_map(|node| self.model.setup(*node));
        let now: Vec<_> = now.map(|setup| setup.release).collect();
        let (oldest, newest) = (*now.iter().min()?, *now.iter().max()?);
        let flagless = members.iter().any(|node| {
            let setup = self.model.setup(*node);
            setup.is_some_and(|setup| !setup.enabled)
        });
        let news = |release: &Release| *release > oldest || flagless;
        let releases = self.releases.iter().copied();
        let mut ahead: Vec<_> = releases
            .filter(|release| *release >= newest && news(release))
            .take(AHEAD)
            .collect();
        self.dice.one_of(&mut ahead)
    }
}

/// A setup on another release, with the flags as the roll leaves them.
fn turned(before: &Setup, release: Release, encryption: Option<Switch>) -> Setup {
    let (enabled, kek, sidecar) = match encryption {
        Some(_) => {
            let full = Setup::full(release);
            (full.enabled, full.kek, full.sidecar)
        }
        None => (before.enabled, before.kek, before.sidecar),
    };
    Setup {
        release,
        enabled,
        kek,
        sidecar,
        ..*before
    }
}

/// The model once a node has been started so, if it certainly serves then.
fn serves(model: &Model, node: u16, setup: Setup) -> Option<Model> {
    let step = start(model, node, setup);
    let certain = foreseen(model, &step) == Some(End::Done) && model.may_be_drawn(&step);
    certain.then(|| after(model, &step)).flatten()
}
