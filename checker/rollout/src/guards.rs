//! The startup guards: each names its trigger, and every one that holds may be the one that is
//! named, for a store may look in any order.

use crate::nodes::full;
use crate::release::Release;
use crate::setup::{KekFile, Setup, SidecarPath};
use crate::world::{Change, Epoch, Sidecar, World};

pub(crate) const SIDECAR_WITHOUT_FLAG: &str = "ErrSidecarPresentWithoutFlag";
pub(crate) const KEK_REQUIRED: &str = "ErrKEKRequiredWithFlag";
pub(crate) const KEK_MISMATCH: &str = "ErrKEKMismatch";
pub(crate) const BEHIND_LOG: &str = "ErrSidecarBehindRaftLog";
pub(crate) const UNSUPPORTED_FILESYSTEM: &str = "ErrUnsupportedFilesystem";
pub(crate) const EXHAUSTED: &str = "ErrLocalEpochExhausted";
pub(crate) const ROLLBACK: &str = "ErrLocalEpochRollback";
pub(crate) const COLLISION: &str = "ErrNodeIDCollision";
pub(crate) const DIVERGENCE: &str = "ErrEnvelopeCutoverDivergence";

/// A reason to refuse a start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Reason {
    /// `None`: the tables give it no name of its own.
    pub name: Option<&'static str>,
    /// Whether the start must be refused, for this or another reason.
    pub certain: bool,
    pub text: &'static str,
}

/// All reasons that hold, and may hold.
#[derive(Debug, Default)]
pub(crate) struct Reasons(pub Vec<Reason>);

impl Reasons {
    fn must(&mut self, name: &'static str, text: &'static str) {
        self.add(Some(name), true, text);
    }

    fn may(&mut self, name: &'static str, text: &'static str) {
        self.add(Some(name), false, text);
    }

    fn add(&mut self, name: Option<&'static str>, certain: bool, text: &'static str) {
        self.0.push(Reason {
            name,
            certain,
            text,
        });
    }

    /// The first that is certain.
    pub fn certain(&self) -> Option<&Reason> {
        self.0.iter().find(|reason| reason.certain)
    }
}

/// Why a start with these flags, on the files as they are, is refused.
pub(crate) fn reasons(world: &World, node: u16, setup: &Setup) -> Reasons {
    let mut found = Reasons::default();
    if setup.release < Release::R6B {
        if setup.enabled || setup.kek != KekFile::Absent || setup.rotate_on_startup {
            found.add(None, false, "the release may not know the flags");
        }
        return found;
    }
    let guarded = setup.release >= Release::R6C;
    kek_file(&mut found, setup, guarded);
    if guarded {
        flags(&mut found, world, node, setup);
        files(&mut found, world, node, setup);
    }
    found
}

fn kek_file(found: &mut Reasons, setup: &Setup, guarded: bool) {
    match setup.kek {
        KekFile::Missing | KekFile::Wrong | KekFile::GroupReadable => {
            found.add(
                None,
                setup.enabled,
                "--kekFile names no KEK that may be used",
            );
        }
        KekFile::Foreign if !guarded => {
            found.add(None, false, "the KEK is another cluster's");
        }
        KekFile::Own | KekFile::Absent | KekFile::Foreign => {}
    }
}

fn flags(found: &mut Reasons, world: &World, node: u16, setup: &Setup) {
    let files = world.files(node);
    if setup.enabled && setup.kek == KekFile::Absent {
        found.must(KEK_REQUIRED, "--encryption-enabled without --kekFile");
    }
    if setup.sidecar == SidecarPath::On && files.sidecar.is_some() && !setup.enabled {
        found.must(
            SIDECAR_WITHOUT_FLAG,
            "there is a sidecar, and --encryption-enabled is not given",
        );
    }
    if setup.sidecar == SidecarPath::Undurable {
        let text = "the sidecar's folder can't be synced";
        found.add(Some(UNSUPPORTED_FILESYSTEM), setup.enabled, text);
    }
    let keys = files.applied > 0;
    if keys && !setup.enabled && world.any_phase() && setup.sidecar != SidecarPath::On {
        let text = "a phase is on, and --encryption-enabled is not given";
        found.must(SIDECAR_WITHOUT_FLAG, text);
    }
    if keys && !full(setup) && (setup.sidecar != SidecarPath::On || !setup.enabled) {
        found.may(
            BEHIND_LOG,
            "its keys are in use, and it is shown no sidecar",
        );
        found.may(SIDECAR_WITHOUT_FLAG, "its keys are in use without the flag");
    }
    if setup.enabled && setup.sidecar == SidecarPath::Off {
        found.add(None, false, "the flag is given without a sidecar's path");
    }
}

/// What of the sidecar contradicts the disk, the registry or the flags.
fn files(found: &mut Reasons, world: &World, node: u16, setup: &Setup) {
    if setup.sidecar != SidecarPath::On || !setup.enabled {
        return;
    }
    let files = world.files(node);
    match &files.sidecar {
        None if files.applied > 0 => lost(found, world, node, files.applied),
        None => {}
        Some(sidecar) => {
            contents(found, setup, sidecar);
            behind(found, world, sidecar, files.applied);
            rollback(found, world, node, setup, sidecar);
        }
    }
    let collides = world.colliding.contains(&node) && world.members.contains_key(&node);
    if collides && world.bootstrapped() {
        found.may(COLLISION, "two members share the 16 bits of their ids");
    }
}

fn contents(found: &mut Reasons, setup: &Setup, sidecar: &Sidecar) {
    if sidecar.corrupt {
        found.add(None, true, "the sidecar can't be read");
    }
    if setup.kek == KekFile::Foreign {
        found.must(KEK_MISMATCH, "the sidecar's keys don't open under this KEK");
    }
    if sidecar.epoch == Epoch::Last {
        found.must(EXHAUSTED, "the active key's local epoch is 0xFFFF");
    }
    if sidecar.epoch == Epoch::Carried {
        found.may(EXHAUSTED, "its epoch was 0xFFFF under the key before");
    }
    if sidecar.cutover_off {
        found.must(
            DIVERGENCE,
            "the sidecar's cutover index is not the snapshot's",
        );
    }
}

/// The state holds encryption entries, and there is no sidecar.
fn lost(found: &mut Reasons, world: &World, node: u16, applied: usize) {
    let gap = world.log.get(..applied).unwrap_or(&world.log);
    found.must(BEHIND_LOG, "there are keys in the log, and no sidecar");
    if gap.iter().any(|entry| entry.change == Change::RaftCutover) {
        found.may(DIVERGENCE, "a sidecar that is missing has no cutover");
    }
    if world.registered(node).possible > 0 {
        found.may(ROLLBACK, "a sidecar that is missing has no epoch");
    }
}

fn behind(found: &mut Reasons, world: &World, sidecar: &Sidecar, applied: usize) {
    let from = sidecar.covers.saturating_sub(usize::from(sidecar.lags));
    let gap = world.log.get(from..applied).unwrap_or_default();
    let sure = world.log.get(sidecar.covers..applied).unwrap_or_default();
    if gap.is_empty() {
        return;
    }
    let certain = sure.iter().any(|entry| entry.certain);
    let text = "the sidecar is older than entries of encryption in the log";
    found.add(Some(BEHIND_LOG), certain, text);
    if gap.iter().any(|entry| entry.change == Change::RaftCutover) {
        found.may(DIVERGENCE, "the sidecar is older than the raft cutover");
    }
}

fn rollback(found: &mut Reasons, world: &World, node: u16, setup: &Setup, sidecar: &Sidecar) {
    let row = world.registered(node);
    if sidecar.loads < row.possible {
        let certain = sidecar.loads < row.certain && setup.release >= Release::R6D;
        let text = "the sidecar's epoch is behind the registry's";
        found.add(Some(ROLLBACK), certain, text);
    }
}
