//! The flags of encryption on a node's command line: written from a setup, and read back.

use std::path::{Path, PathBuf};

use keyquake_cluster::NodeSpec;
use keyquake_rollout::{KekFile, Release, Setup, SidecarPath};

use super::encryption::KeyFiles;
use crate::system::SystemName;

const SIDECAR: &str = "--encryptionSidecarPath=";
const KEK: &str = "--kekFile=";
const ENABLED: &str = "--encryption-enabled";
const ROTATES: &str = "--encryption-rotate-on-startup";

/// A folder of the kernel's own in which nothing can be made and nothing synced.
const UNDURABLE: &str = "/proc/tty/ldisc/sidecar.json";

/// A flag of encryption.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EncryptionFlag {
    /// `--encryptionSidecarPath`
    SidecarPath,
    /// `--kekFile`
    KekFile,
    /// `--encryption-enabled`
    Enabled,
    /// `--encryption-rotate-on-startup`
    RotateOnStartup,
}

impl EncryptionFlag {
    /// All of them.
    pub const ALL: [EncryptionFlag; 4] = [
        EncryptionFlag::SidecarPath,
        EncryptionFlag::KekFile,
        EncryptionFlag::Enabled,
        EncryptionFlag::RotateOnStartup,
    ];

    /// The flag itself.
    pub fn name(self) -> &'static str {
        let start = match self {
            EncryptionFlag::SidecarPath => SIDECAR,
            EncryptionFlag::KekFile => KEK,
            EncryptionFlag::Enabled => ENABLED,
            EncryptionFlag::RotateOnStartup => ROTATES,
        };
        start.trim_end_matches('=')
    }

    /// Whether a store's program of this release takes it; another ends at once with its usage.
    /// The reference store takes all of them, and does not look at those of later releases.
    pub fn is_taken(self, name: SystemName, release: Release) -> bool {
        match (name, self) {
            (SystemName::Reference, _) | (_, EncryptionFlag::SidecarPath) => true,
            (_, EncryptionFlag::KekFile | EncryptionFlag::Enabled) => release >= Release::R6B,
            (_, EncryptionFlag::RotateOnStartup) => release >= Release::R6F,
        }
    }

    /// Whether a setup gives it.
    pub fn is_given(self, setup: &Setup) -> bool {
        match self {
            EncryptionFlag::SidecarPath => setup.sidecar != SidecarPath::Off,
            EncryptionFlag::KekFile => setup.kek != KekFile::Absent,
            EncryptionFlag::Enabled => setup.enabled,
            EncryptionFlag::RotateOnStartup => setup.rotate_on_startup,
        }
    }

    fn spelled(self, id: &str, setup: &Setup, files: &KeyFiles) -> String {
        let shown = |path: PathBuf| path.display().to_string();
        match self {
            EncryptionFlag::SidecarPath if setup.sidecar == SidecarPath::Undurable => {
                format!("{SIDECAR}{UNDURABLE}")
            }
            EncryptionFlag::SidecarPath => format!("{SIDECAR}{}", shown(files.sidecar(id))),
            EncryptionFlag::KekFile => format!("{KEK}{}", shown(files.kek_as(setup.kek))),
            EncryptionFlag::Enabled => ENABLED.to_owned(),
            EncryptionFlag::RotateOnStartup => ROTATES.to_owned(),
        }
    }
}

/// The flags of a setup, on the node of this name.
pub(super) fn flags(id: &str, setup: &Setup, files: &KeyFiles) -> Vec<String> {
    let spelled = |flag: EncryptionFlag| flag.spelled(id, setup, files);
    let given = EncryptionFlag::ALL.into_iter();
    given
        .filter(|flag| flag.is_given(setup))
        .map(spelled)
        .collect()
}

/// The stage that a release names, if it does: other words are programs that nobody here knows.
pub(super) fn stage_of(release: &str) -> Option<Release> {
    release.to_ascii_lowercase().parse().ok()
}

/// Whether a word of a command line is one of these flags.
pub(super) fn is_flag(word: &str) -> bool {
    word == ENABLED || word == ROTATES || word.starts_with(SIDECAR) || word.starts_with(KEK)
}

/// What a node's command line says.
///
/// # Errors
/// A sentence: its release names no stage of the rollout, or a flag no file of the run.
pub(super) fn of(node: &NodeSpec, files: &KeyFiles) -> Result<Setup, String> {
    let release = stage_of(&node.release);
    let release = release.ok_or_else(|| {
        let (id, release) = (&node.id, &node.release);
        format!("{id} has release {release}, which names no stage of the rollout")
    })?;
    Ok(Setup {
        release,
        ..given(node, files)?
    })
}

/// The same of a program that may be of any release: one that names no stage counts as newest.
pub(super) fn given(node: &NodeSpec, files: &KeyFiles) -> Result<Setup, String> {
    let mut setup = Setup::bare(stage_of(&node.release).unwrap_or(Release::R6F));
    let stranger = |path: &str, flag: EncryptionFlag| {
        format!(
            "{} has {} {path}, which is no file of the run",
            node.id,
            flag.name()
        )
    };
    for word in &node.launch.args {
        if let Some(path) = word.strip_prefix(SIDECAR) {
            setup.sidecar = match Path::new(path) {
                path if path == Path::new(UNDURABLE) => SidecarPath::Undurable,
                path if path == files.sidecar(&node.id) => SidecarPath::On,
                _ => return Err(stranger(path, EncryptionFlag::SidecarPath)),
            };
        } else if let Some(path) = word.strip_prefix(KEK) {
            setup.kek = files
                .kek_at(Path::new(path))
                .ok_or_else(|| stranger(path, EncryptionFlag::KekFile))?;
        } else {
            setup.enabled |= word == ENABLED;
            setup.rotate_on_startup |= word == ROTATES;
        }
    }
    Ok(setup)
}

#[cfg(test)]
mod tests {
    use keyquake_cluster::NetworkKind;
    use keyquake_rollout::{FlagChange, Switch};

    use super::*;
    use crate::elastickv::launch::prepare;
    use crate::programs::Programs;
    use crate::system::SystemOptions;

    fn node() -> NodeSpec {
        let options = SystemOptions {
            release: Some("6b".to_owned()),
            ..SystemOptions::default()
        };
        let run = Path::new("/run-folder");
        let programs = Programs {
            other: Some(std::env::current_exe().unwrap()),
            ..Programs::NONE
        };
        let (name, network) = (SystemName::Reference, NetworkKind::Namespace);
        let made = prepare(name, &programs, 1, run, &network, &options);
        made.unwrap().remove(0)
    }

    #[test]
    fn every_setup_reads_back_as_it_was_written() {
        let files = KeyFiles::of_run("/run-folder");
        let mut count = 0;
        let keks = [
            KekFile::Own,
            KekFile::Absent,
            KekFile::Missing,
            KekFile::Wrong,
            KekFile::Foreign,
            KekFile::GroupReadable,
        ];
        for kek in keks {
            for sidecar in [SidecarPath::On, SidecarPath::Off, SidecarPath::Undurable] {
                for (enabled, rotate_on_startup) in
                    [(true, true), (true, false), (false, true), (false, false)]
                {
                    let setup = Setup {
                        enabled,
                        kek,
                        sidecar,
                        rotate_on_startup,
                        ..Setup::bare(Release::R6B)
                    };
                    let mut node = node();
                    node.launch.args.extend(flags("n1", &setup, &files));
                    assert_eq!(of(&node, &files), Ok(setup));
                    count += 1;
                }
            }
        }
        assert_eq!(count, 72);
        let mut node = node();
        node.launch.args.push("--kekFile=/etc/kek".to_owned());
        let error = of(&node, &files).unwrap_err();
        assert_eq!(
            error,
            "n1 has --kekFile /etc/kek, which is no file of the run"
        );
    }

    #[test]
    fn programs_take_the_flags_of_their_time() {
        let full = Setup::full(Release::R6A).changed(&FlagChange {
            rotate_on_startup: Some(Switch::On),
            ..FlagChange::default()
        });
        let refused = |name, release| {
            let given = EncryptionFlag::ALL.into_iter();
            let given = given.filter(|flag| flag.is_given(&full));
            let refused = given.filter(|flag| !flag.is_taken(name, release));
            refused.map(EncryptionFlag::name).collect::<Vec<_>>()
        };
        let none: [&str; 0] = [];
        assert_eq!(refused(SystemName::Reference, Release::R6A), none);
        assert_eq!(
            refused(SystemName::Elastickv, Release::R6A),
            [
                "--kekFile",
                "--encryption-enabled",
                "--encryption-rotate-on-startup"
            ]
        );
        assert_eq!(
            refused(SystemName::Elastickv, Release::R6D),
            ["--encryption-rotate-on-startup"]
        );
        assert_eq!(refused(SystemName::Elastickv, Release::R6F), none);
    }
}
