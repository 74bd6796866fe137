//! What is left of a node's files when they were tampered with.

use crate::step::Tamper;
use crate::world::{Epoch, Files, World};

/// Does to the files of a node what a start's step says was done, and keeps what they were.
pub(crate) fn tamper(world: &mut World, node: u16, tampers: &[Tamper]) {
    let raft_phase = world.raft_phase();
    let Some(disk) = world.disk_mut(node) else {
        return;
    };
    if !tampers.is_empty() && tampers.first() != Some(&Tamper::Undone) {
        disk.before = Some(disk.files.clone());
    }
    for what in tampers {
        let files = &mut disk.files;
        match what {
            Tamper::SidecarRemoved => files.sidecar = None,
            Tamper::SidecarOlder => {
                if let Some(saved) = &disk.saved {
                    files.sidecar = saved.sidecar.clone();
                }
            }
            Tamper::SidecarCorrupt => {
                if let Some(sidecar) = &mut files.sidecar {
                    sidecar.corrupt = true;
                }
            }
            Tamper::SidecarEpochLast | Tamper::SidecarEpochNear => {
                if let Some(sidecar) = &mut files.sidecar {
                    sidecar.epoch = match what {
                        Tamper::SidecarEpochLast => Epoch::Last,
                        _ => Epoch::Near,
                    };
                }
            }
            Tamper::SidecarCutover => {
                if let Some(sidecar) = &mut files.sidecar {
                    sidecar.cutover_off = raft_phase;
                }
            }
            Tamper::DataOlder => {
                if let Some(saved) = &disk.saved {
                    *files = saved.clone();
                }
            }
            // Another node's disk, or an empty one under a used id: nobody can say what follows.
            Tamper::DataCloned | Tamper::DataWiped => {
                *files = Files {
                    vague: true,
                    ..Files::default()
                };
            }
            Tamper::Undone => {
                // A node that has run since it was tampered with has other files by now.
                *files = disk.before.clone().unwrap_or(Files {
                    vague: true,
                    ..Files::default()
                });
            }
        }
    }
}
