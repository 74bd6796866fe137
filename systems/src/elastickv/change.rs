//! The flags that a node can change during its life: its release, and those of encryption.
//! Everything else about a node stays what [`super::launch`] made it.

use std::time::Duration;

use keyquake_cluster::NodeSpec;
use keyquake_rollout::{FlagChange, KekFile, Release, Setup, SidecarPath, Switch};

use super::addresses::{self, GRPC};
use super::encryption::files::run_folder;
use super::encryption::{AdminClient, Answer, KeyFiles, NotAccepted, Refusal, SidecarStateReport};
use super::launch::program;
use super::setup::{self, EncryptionFlag};
use crate::programs::Programs;
use crate::system::{NodeChange, SystemError, SystemName};

const RELEASE: &str = "--release=";

/// A node is asked what it is right after it became ready.
const ASK_TIMEOUT: Duration = Duration::from_secs(5);

/// The flags of a node at one moment of its life: of its setup, those that its program takes.
/// A release that names no stage is a program that nobody here knows: it gets all.
pub(super) fn flags(
    name: SystemName,
    id: &str,
    release: &str,
    setup: &Setup,
    files: &KeyFiles,
) -> Vec<String> {
    let mut flags = Vec::new();
    if name == SystemName::Reference {
        flags.push(format!("{RELEASE}{release}"));
    }
    let mut setup = *setup;
    if !takes(name, release, EncryptionFlag::Enabled) {
        (setup.enabled, setup.kek) = (false, KekFile::Absent);
    }
    setup.rotate_on_startup &= takes(name, release, EncryptionFlag::RotateOnStartup);
    flags.extend(setup::flags(id, &setup, files));
    flags
}

fn takes(name: SystemName, release: &str, flag: EncryptionFlag) -> bool {
    setup::stage_of(release).is_none_or(|stage| flag.is_taken(name, stage))
}

fn is_changeable(flag: &str) -> bool {
    flag.starts_with(RELEASE) || setup::is_flag(flag)
}

/// The node after a change.
pub(super) fn changed(
    name: SystemName,
    programs: &Programs,
    node: &NodeSpec,
    change: &NodeChange,
) -> Result<NodeSpec, SystemError> {
    let files = key_files(node);
    let mut setup = setup::given(node, &files).map_err(SystemError::Flags)?;
    // The path is the one flag of them that every release has: who has it alone because of its
    // release has the others from a release that knows them on.
    let had_all = takes(name, &node.release, EncryptionFlag::Enabled);
    if !had_all && setup.sidecar != SidecarPath::Off {
        (setup.enabled, setup.kek) = (true, KekFile::Own);
    }
    let mut node = node.clone();
    if let Some(release) = &change.release {
        node.launch.program = program(name, programs, release)?;
        node.release.clone_from(release);
    }
    check_taken(name, &node, &change.flags)?;
    let setup = setup.changed(&change.flags);
    let args = &mut node.launch.args;
    args.retain(|flag| !is_changeable(flag));
    args.extend(flags(name, &node.id, &node.release, &setup, &files));
    Ok(node)
}

/// A flag that is asked for by itself must be one that the program takes.
fn check_taken(name: SystemName, node: &NodeSpec, change: &FlagChange) -> Result<(), SystemError> {
    let kek = change.kek.is_some_and(|kek| kek != KekFile::Absent);
    let asked = [
        (change.flag == Some(Switch::On), EncryptionFlag::Enabled),
        (kek, EncryptionFlag::KekFile),
        (
            change.rotate_on_startup == Some(Switch::On),
            EncryptionFlag::RotateOnStartup,
        ),
    ];
    let stranger =
        |(asked, flag): &(bool, EncryptionFlag)| *asked && !takes(name, &node.release, *flag);
    match asked.iter().find(|asked| stranger(asked)) {
        None => Ok(()),
        Some((_, flag)) => Err(SystemError::FlagUnknown {
            node: node.id.clone(),
            flag: flag.name(),
            release: node.release.clone(),
        }),
    }
}

/// Where the files of a node's encryption lie, with flags that name them and without.
pub fn key_files(node: &NodeSpec) -> KeyFiles {
    KeyFiles::of_run(run_folder(&node.data_dir))
}

/// Asks the node whether it is what the change made of it.
pub(super) async fn check(
    name: SystemName,
    node: &NodeSpec,
    change: &NodeChange,
) -> Result<String, String> {
    let client = AdminClient::new(addresses::of(node, GRPC).to_string(), ASK_TIMEOUT);
    let unsaid = |error: NotAccepted| format!("it does not say what it is: {error}");
    let setup = setup::given(node, &key_files(node))?;
    let report = client.capability().await.map_err(unsaid)?;
    let said = Said {
        path: has_path(client.sidecar_state().await).map_err(unsaid)?,
        capable: report.encryption_capable,
        build: report.build_sha,
    };
    fits(name, &said, &setup, change)
}

/// What a node says of itself.
struct Said {
    build: String,
    path: bool,
    capable: bool,
}

/// Whether a node was given a sidecar path, by its answer about its keys: the one flag that
/// every release tells about, with keys and without.
fn has_path(state: Answer<SidecarStateReport>) -> Answer<bool> {
    match state {
        Ok(_) => Ok(true),
        Err(NotAccepted::Refused { refusal, text }) => match refusal {
            Refusal::SidecarPathNotConfigured => Ok(false),
            Refusal::SidecarMissing | Refusal::SidecarUnreadable => Ok(true),
            _ => Err(NotAccepted::Refused { refusal, text }),
        },
        Err(error) => Err(error),
    }
}

/// The reference store names its release in its build. That a node without all flags calls
/// itself capable is for the cutovers to show: here only what it lacks is seen.
fn fits(
    name: SystemName,
    said: &Said,
    setup: &Setup,
    change: &NodeChange,
) -> Result<String, String> {
    let Said {
        build,
        path,
        capable,
    } = said;
    let has = if *path { "a" } else { "no" };
    let can = if *capable { "capable" } else { "not capable" };
    let told = format!("build {build}, {has} sidecar path, {can}");
    let release = change.release.as_deref();
    let other_release = name == SystemName::Reference
        && release.is_some_and(|release| build.rsplit('-').next() != Some(release));
    let other_path = *path != (setup.sidecar != SidecarPath::Off);
    let full = Setup {
        rotate_on_startup: setup.rotate_on_startup,
        ..Setup::full(setup.release)
    };
    // Before there is a cutover nobody has to be, and from then on whoever has all three is.
    let lacks = *setup == full && setup.release >= Release::R6D && !capable;
    if other_release || other_path || lacks {
        Err(format!("it says it is {told}"))
    } else {
        Ok(told)
    }
}

#[cfg(test)]
mod tests;
