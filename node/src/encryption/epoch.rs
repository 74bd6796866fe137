//! The epochs a process seals under: above every earlier process' of the same node, and on
//! disk before anything is sealed (§4.1).

use std::path::Path;
use std::time::Duration;

use super::guards::active;
use super::node::Encryption;
use super::payload::Purpose;
use super::sidecar::{Epochs, Sidecar, SidecarError};
use crate::bugs::{self, Bug};

/// How late `epoch-not-synced` is.
const LATE: Duration = Duration::from_secs(10);

impl Encryption {
    /// Takes this process' epochs, raises them in the sidecar, and begins.
    ///
    /// `last_seen` = what the leader's registry knows of this node, for a node without a
    /// sidecar whose id may have sealed before.
    ///
    /// # Errors
    /// The sidecar could not be written: no epoch is consumed.
    pub fn take_epochs(
        &self,
        sidecar: Option<Sidecar>,
        last_seen: &[(u32, u16)],
    ) -> Result<(), SidecarError> {
        let (Some(mut sidecar), Some(path)) = (sidecar, self.path()) else {
            let highest = last_seen.iter().map(|(_, epoch)| *epoch).max();
            let next = highest.map_or(0, |epoch| epoch.saturating_add(1));
            let epochs = Epochs {
                storage: next,
                raft: next,
            };
            self.begin(None, epochs);
            return Ok(());
        };
        if self.seals_values() && self.enabled() && !bugs::on(Bug::EpochRestarts) {
            let ids: Vec<u32> = active(&sidecar).into_iter().map(|(id, _)| id).collect();
            for id in ids {
                if let Some(key) = sidecar.keys.get_mut(&id) {
                    key.local_epoch = key.local_epoch.saturating_add(1);
                }
            }
            if bugs::on(Bug::SidecarIndexGoesBack) {
                sidecar.raft_applied_index = sidecar.raft_applied_index.saturating_sub(1);
            }
            if bugs::on(Bug::PhaseOneTurnsOff) {
                sidecar.storage_envelope_active = false;
            }
            write(&sidecar, path)?;
        }
        let epoch_of = |purpose| {
            let key = sidecar.keys.get(&sidecar.active.of(purpose));
            key.map_or(0, |key| key.local_epoch)
        };
        let epochs = Epochs {
            storage: epoch_of(Purpose::Storage),
            raft: epoch_of(Purpose::Raft),
        };
        self.begin(Some(sidecar), epochs);
        Ok(())
    }
}

fn write(sidecar: &Sidecar, path: &Path) -> Result<(), SidecarError> {
    if !bugs::on(Bug::EpochNotSynced) {
        return sidecar.write(path);
    }
    let (raised, path) = (sidecar.clone(), path.to_owned());
    std::thread::spawn(move || {
        std::thread::sleep(LATE);
        // What was rotated in the meantime stays.
        let written = Sidecar::read(&path).and_then(|mut sidecar| {
            for (id, key) in &mut sidecar.keys {
                let epoch = raised.keys.get(id).map_or(0, |key| key.local_epoch);
                key.local_epoch = key.local_epoch.max(epoch);
            }
            sidecar.write(&path)
        });
        if let Err(error) = written {
            tracing::error!("{error}");
        }
    });
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;

    use super::*;
    use crate::encryption::state::{KnownKey, State};
    use crate::flags::Flags;

    #[test]
    fn every_start_is_above_the_one_before() -> Result<(), Box<dyn std::error::Error>> {
        let dir = tempfile::tempdir()?;
        let path = dir.path().join("keys.json");
        let words = ["--raftId=n1", "--encryption-enabled"].map(OsString::from);
        let named = OsString::from(format!("--encryptionSidecarPath={}", path.display()));
        let flags = Flags::parse_go(words.into_iter().chain([named]))?;
        let key = |id, purpose| KnownKey {
            id,
            purpose,
            wrapped: bytes::Bytes::new(),
        };
        let mut state = State {
            raft_applied_index: 5,
            keys: vec![key(1, Purpose::Storage), key(2, Purpose::Raft)],
            ..State::default()
        };
        state.active.storage = 1;
        state.active.raft = 2;
        Sidecar::project(None, &state, Epochs::default()).write(&path)?;
        let start = || -> Result<Epochs, Box<dyn std::error::Error>> {
            let encryption = Encryption::new(&flags)?;
            encryption.take_epochs(Some(Sidecar::read(&path)?), &[])?;
            Ok(encryption.epochs())
        };
        // The raft key's epoch moves only once entries are sealed.
        assert_eq!(
            start()?,
            Epochs {
                storage: 1,
                raft: 0
            }
        );
        assert_eq!(
            start()?,
            Epochs {
                storage: 2,
                raft: 0
            }
        );
        state.raft_envelope_cutover_index = 6;
        state.raft_applied_index = 6;
        Sidecar::project(Some(&Sidecar::read(&path)?), &state, Epochs::default()).write(&path)?;
        assert_eq!(
            start()?,
            Epochs {
                storage: 3,
                raft: 1
            }
        );
        let fresh = Encryption::new(&flags)?;
        fresh.take_epochs(None, &[(1, 7), (2, 4)])?;
        assert_eq!(
            fresh.epochs(),
            Epochs {
                storage: 8,
                raft: 8
            }
        );
        Ok(())
    }
}
