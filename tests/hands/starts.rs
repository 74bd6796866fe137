//! Flags and files that a start trips over: made by the same hands as in a run, and read back from
//! the log of a real process.

use std::time::Duration;

use keyquake_audit::Contents;
use keyquake_rollout::{Call, FlagChange, KekFile, SidecarPath, Switch, Tamper};
use keyquake_systems::elastickv::disk::Disk;
use keyquake_systems::elastickv::last_words::{self, LastWords};

use crate::lab::{Lab, log_of};

const NONE: FlagChange = FlagChange {
    encryption: None,
    flag: None,
    kek: None,
    sidecar: None,
    rotate_on_startup: None,
};

fn kek(kek: KekFile) -> FlagChange {
    FlagChange {
        kek: Some(kek),
        ..NONE
    }
}

impl Lab {
    /// Starts node 2 so, waits until it ends by itself, and gives its last words.
    async fn ends(&mut self, flags: FlagChange, release: Option<&str>) -> LastWords {
        let from = std::fs::metadata(log_of(&self.specs[2])).map_or(0, |log| log.len());
        self.roll(2, flags, release);
        self.start(2);
        let code = self.ended(2).await;
        assert_eq!(code, Some(1));
        let words = last_words::last_words(&log_of(&self.specs[2]), from);
        let words = words.expect("a log").expect("last words");
        println!("{flags} on {}: {words:?}", self.specs[2].release);
        words
    }

    /// The same, and the start was refused by this name without a trace.
    async fn refuses(&mut self, flags: FlagChange, name: &str) {
        let disk = Disk::of(&self.specs[2]);
        let before = disk.fingerprint().expect("a fingerprint");
        let contents = self.contents();
        let words = self.ends(flags, None).await;
        assert_eq!(words.name.as_deref(), Some(name), "{flags}: {}", words.line);
        assert!(!words.halted, "{flags}");
        assert_eq!(
            disk.fingerprint().expect("a fingerprint"),
            before,
            "{flags}"
        );
        let changed = self.contents().changed_since(&contents);
        assert_eq!(changed, None, "{flags}: {contents}");
    }

    /// What the disk of node 2 holds, which is down.
    fn contents(&self) -> Contents {
        Contents::of(&self.specs[2].data_dir).expect("a disk that can be read")
    }

    /// Does this to the files of node 2, which refuses to start by this name until it is undone.
    async fn refuses_tampered(&mut self, what: Tamper, name: &str) {
        let disk = Disk::of(&self.specs[2]);
        println!("{:?}", disk.tamper(&[what], None).expect("a change"));
        self.refuses(all(), name).await;
        disk.tamper(&[Tamper::Undone], None)
            .expect("it is put back");
    }

    /// Node 2 as it should be comes up.
    async fn serves(&mut self) {
        self.roll(2, all(), None);
        self.start(2);
        self.serving().await;
        let change = keyquake_systems::NodeChange {
            release: None,
            flags: all(),
        };
        let said = self.system.check_changed(&self.specs[2], &change).await;
        assert!(
            said.expect("it is what it should be")
                .contains("a sidecar path")
        );
    }
}

fn all() -> FlagChange {
    FlagChange {
        encryption: Some(Switch::On),
        rotate_on_startup: Some(Switch::Off),
        ..NONE
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_guard_says_its_name() {
    let mut lab = Lab::started("6f").await;
    for call in [
        Call::Bootstrap,
        Call::EnableStorageEnvelope,
        Call::EnableRaftEnvelope,
    ] {
        lab.accepted(call).await;
    }
    lab.kill(2).await;
    Disk::of(&lab.specs[2]).save().expect("a copy");
    for _ in 0..2 {
        let before = lab.contents();
        lab.serves().await;
        let index = lab.accepted(Call::RotateStorage).await;
        let until = tokio::time::Instant::now() + Duration::from_secs(10);
        assert_eq!(lab.caller.caught_up(index, &[2], until).await, [2]);
        lab.kill(2).await;
        let changed = lab.contents().changed_since(&before);
        assert!(changed.is_some(), "a start that serves leaves its traces");
    }
    let off = |flag| FlagChange { flag, ..NONE };
    let flag_off = FlagChange {
        encryption: Some(Switch::On),
        ..off(Some(Switch::Off))
    };
    lab.refuses(flag_off, "ErrSidecarPresentWithoutFlag").await;
    let no_kek = FlagChange {
        encryption: Some(Switch::On),
        ..kek(KekFile::Absent)
    };
    lab.refuses(no_kek, "ErrKEKRequiredWithFlag").await;
    for (file, name) in [
        (KekFile::Foreign, "ErrKEKMismatch"),
        (KekFile::Missing, "kek-unusable"),
        (KekFile::Wrong, "kek-unusable"),
        (KekFile::GroupReadable, "kek-unusable"),
    ] {
        let flags = FlagChange {
            encryption: Some(Switch::On),
            ..kek(file)
        };
        lab.refuses(flags, name).await;
    }
    let undurable = FlagChange {
        encryption: Some(Switch::On),
        sidecar: Some(SidecarPath::Undurable),
        ..NONE
    };
    lab.refuses(undurable, "ErrUnsupportedFilesystem").await;
    for (what, name) in [
        (Tamper::SidecarRemoved, "ErrSidecarBehindRaftLog"),
        (Tamper::SidecarOlder, "ErrSidecarBehindRaftLog"),
        (Tamper::SidecarCorrupt, "sidecar-unreadable"),
        (Tamper::SidecarEpochLast, "ErrLocalEpochExhausted"),
        (Tamper::DataOlder, "ErrLocalEpochRollback"),
    ] {
        lab.refuses_tampered(what, name).await;
    }
    let too_old = lab.ends(all(), Some("6d")).await;
    assert_eq!(too_old.name.as_deref(), Some("ErrReleaseTooOld"));
    lab.roll(2, all(), Some("6f"));
    lab.serves().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_release_without_keys_halts_at_the_entry() {
    let mut lab = Lab::started("6b").await;
    lab.kill(2).await;
    let index = lab.accepted(Call::Bootstrap).await;
    let off = FlagChange {
        encryption: Some(Switch::Off),
        ..NONE
    };
    for flags in [off, all()] {
        let words = lab.ends(flags, Some("6a")).await;
        assert_eq!(words.name.as_deref(), Some("ErrKEKNotConfigured"));
        assert_eq!((words.halted, words.index), (true, Some(index)));
    }
    lab.roll(2, all(), Some("6b"));
    lab.serves().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn single_flags_are_in_force() {
    let mut lab = Lab::started("6f").await;
    let rotate = FlagChange {
        rotate_on_startup: Some(Switch::On),
        ..NONE
    };
    for (flags, said) in [
        (off_and_kek(), "a sidecar path, not capable"),
        (all(), "a sidecar path, capable"),
        (no_path(), "no sidecar path, not capable"),
        (rotate, "no sidecar path, not capable"),
    ] {
        lab.kill(2).await;
        lab.roll(2, flags, None);
        lab.start(2);
        lab.serving().await;
        let change = keyquake_systems::NodeChange {
            release: None,
            flags,
        };
        let told = lab.system.check_changed(&lab.specs[2], &change).await;
        assert!(told.expect("it is so").ends_with(said), "{flags}");
    }
    let setup = lab.system.setup(&lab.specs[2]).expect("a setup");
    assert!(setup.rotate_on_startup && setup.enabled);
    assert_eq!(setup.sidecar, SidecarPath::Off);
}

fn off_and_kek() -> FlagChange {
    FlagChange {
        flag: Some(Switch::Off),
        ..NONE
    }
}

fn no_path() -> FlagChange {
    FlagChange {
        sidecar: Some(SidecarPath::Off),
        ..NONE
    }
}
