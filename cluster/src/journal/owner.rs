//! Who a journal belongs to, and whether they still live.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;

use serde::{Deserialize, Serialize};

use crate::runtime::proc;

/// A process, named so that no other one is ever taken for it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Owner {
    /// Its process id.
    pub pid: u32,
    /// When it started, in clock ticks since the machine did.
    pub started: u64,
    /// The machine's boot: ticks of another one mean nothing.
    pub boot: String,
    /// The inode of its process id namespace: ids of another one mean nothing.
    pub pid_namespace: u64,
}

/// What can be said about an owner from here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Life {
    Alive,
    Dead,
    /// It counts processes in another namespace (a container): we can't see it.
    Elsewhere,
}

impl Owner {
    /// The calling process.
    ///
    /// # Errors
    /// When `/proc` doesn't say.
    pub fn this_process() -> io::Result<Self> {
        let pid = std::process::id();
        Ok(Self {
            pid,
            started: proc::stat(&format!("/proc/{pid}/stat"))?.started,
            boot: fs::read_to_string("/proc/sys/kernel/random/boot_id")?
                .trim()
                .to_owned(),
            pid_namespace: fs::metadata("/proc/self/ns/pid")?.ino(),
        })
    }

    pub(super) fn life(&self, here: &Owner) -> Life {
        if self.boot != here.boot {
            return Life::Dead;
        }
        if self.pid_namespace != here.pid_namespace {
            return Life::Elsewhere;
        }
        match proc::stat(&format!("/proc/{}/stat", self.pid)) {
            Ok(stat) if stat.started == self.started && !matches!(stat.state, 'Z' | 'X') => {
                Life::Alive
            }
            _ => Life::Dead,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_owner_is_more_than_its_process_id() {
        let here = Owner::this_process().unwrap();
        assert_eq!(here.life(&here), Life::Alive);
        let reborn = Owner {
            started: here.started + 1,
            ..here.clone()
        };
        assert_eq!(reborn.life(&here), Life::Dead);
        let last_boot = Owner {
            boot: "another".into(),
            ..here.clone()
        };
        assert_eq!(last_boot.life(&here), Life::Dead);
        let contained = Owner {
            pid_namespace: 1,
            ..here.clone()
        };
        assert_eq!(contained.life(&here), Life::Elsewhere);
    }
}
