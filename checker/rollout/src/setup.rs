//! What a process is started with: its release, and its flags of encryption.

use serde::{Deserialize, Serialize};

use crate::release::Release;

/// Given, or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Switch {
    /// `on`
    On,
    /// `off`
    Off,
}

impl std::fmt::Display for Switch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Switch::On => "on",
            Switch::Off => "off",
        })
    }
}

/// The file that `--kekFile` names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum KekFile {
    /// `own`: the cluster's KEK.
    #[default]
    Own,
    /// `absent`: the flag is not given.
    Absent,
    /// `missing`: the flag is given, and names no file.
    Missing,
    /// `wrong`: a file that is no KEK, of 31 bytes.
    Wrong,
    /// `foreign`: a KEK, another cluster's.
    Foreign,
    /// `group-readable`: the cluster's KEK, with a mode that lets its group read it.
    GroupReadable,
}

/// What `--encryptionSidecarPath` names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SidecarPath {
    /// `on`: the node's own sidecar.
    On,
    /// `off`: the flag is not given.
    #[default]
    Off,
    /// `undurable`: a path in a folder that can't be synced.
    Undurable,
}

impl std::fmt::Display for KekFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            KekFile::Own => "own",
            KekFile::Absent => "absent",
            KekFile::Missing => "missing",
            KekFile::Wrong => "wrong",
            KekFile::Foreign => "foreign",
            KekFile::GroupReadable => "group-readable",
        })
    }
}

impl std::fmt::Display for SidecarPath {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            SidecarPath::On => "on",
            SidecarPath::Off => "off",
            SidecarPath::Undurable => "undurable",
        })
    }
}

impl std::fmt::Display for FlagChange {
    /// `encryption on, kek foreign`; empty where nothing is changed.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let words = [
            self.encryption.map(|to| format!("encryption {to}")),
            self.flag.map(|to| format!("flag {to}")),
            self.kek.map(|to| format!("kek {to}")),
            self.sidecar.map(|to| format!("sidecar {to}")),
            self.rotate_on_startup
                .map(|to| format!("rotate-on-startup {to}")),
        ];
        let words: Vec<_> = words.into_iter().flatten().collect();
        f.write_str(&words.join(", "))
    }
}

/// Everything of a process's start that the rollout is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Setup {
    /// Its release.
    pub release: Release,
    /// Whether `--encryption-enabled` is given.
    pub enabled: bool,
    /// What `--kekFile` names.
    pub kek: KekFile,
    /// What `--encryptionSidecarPath` names.
    pub sidecar: SidecarPath,
    /// Whether `--encryption-rotate-on-startup` is given.
    pub rotate_on_startup: bool,
}

impl Setup {
    /// A process without any flag of encryption.
    pub const fn bare(release: Release) -> Self {
        Self {
            release,
            enabled: false,
            kek: KekFile::Absent,
            sidecar: SidecarPath::Off,
            rotate_on_startup: false,
        }
    }

    /// A process with flag, KEK and sidecar path.
    pub const fn full(release: Release) -> Self {
        Self {
            enabled: true,
            kek: KekFile::Own,
            sidecar: SidecarPath::On,
            ..Self::bare(release)
        }
    }

    /// The setup after a change of flags.
    pub fn changed(mut self, change: &FlagChange) -> Self {
        match change.encryption {
            Some(Switch::On) => {
                (self.enabled, self.kek, self.sidecar) = (true, KekFile::Own, SidecarPath::On);
            }
            Some(Switch::Off) => {
                (self.enabled, self.kek, self.sidecar) = (false, KekFile::Absent, SidecarPath::Off);
            }
            None => {}
        }
        let on = |switch: Option<Switch>, before| switch.map_or(before, |now| now == Switch::On);
        self.enabled = on(change.flag, self.enabled);
        self.rotate_on_startup = on(change.rotate_on_startup, self.rotate_on_startup);
        self.kek = change.kek.unwrap_or(self.kek);
        self.sidecar = change.sidecar.unwrap_or(self.sidecar);
        self
    }
}

/// What a roll changes of the flags of encryption; what is `None` stays. `encryption` comes first,
/// the single flags then.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct FlagChange {
    /// Flag, KEK and sidecar path at once: all of them, or none.
    pub encryption: Option<Switch>,
    /// `--encryption-enabled`.
    pub flag: Option<Switch>,
    /// What `--kekFile` names.
    pub kek: Option<KekFile>,
    /// What `--encryptionSidecarPath` names.
    pub sidecar: Option<SidecarPath>,
    /// `--encryption-rotate-on-startup`.
    pub rotate_on_startup: Option<Switch>,
}
