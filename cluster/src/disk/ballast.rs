//! The disk of one node, which can be filled up.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};

use super::DiskError;

/// The file that takes all the room, beside what is the node's.
const BALLAST: &str = "ballast";
/// The first write once there is room again.
const TRIAL: &str = "trial";
/// How much is written at once, in bytes, as long as there is much room.
const BLOCK: usize = 1 << 20;
/// No less is tried: the kernel gives room in such pages.
const PAGE: usize = 4096;

/// A disk of its own for one node.
#[derive(Clone, Debug)]
pub struct Disk {
    pub(super) root: PathBuf,
    /// Where the node sees its data.
    pub(super) data: PathBuf,
}

/// A disk on which a write of one page has just failed for want of room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full {
    /// Bytes of ballast on it.
    pub ballast: u64,
    /// How many of them were added now.
    pub added: u64,
}

impl Disk {
    /// Writes ballast until not even a page of it can be written. Waits for the disk.
    ///
    /// # Errors
    /// When a write fails for another reason.
    pub fn fill(&self) -> Result<Full, DiskError> {
        let path = self.root.join(BALLAST);
        let failed = refused("write", &path);
        let opened = OpenOptions::new().create(true).append(true).open(&path);
        let mut file = opened.map_err(&failed)?;
        let before = file.metadata().map_err(&failed)?.len();
        fill(&mut file).map_err(&failed)?;
        let ballast = file.metadata().map_err(&failed)?.len();
        Ok(Full {
            ballast,
            added: ballast - before,
        })
    }

    /// Whether it is still full: nobody took ballast away, and again no page can be written. What
    /// room the node has given back meanwhile is taken at once.
    ///
    /// # Errors
    /// When ballast is missing, or a write fails for another reason.
    pub fn still_full(&self, laid: u64) -> Result<Full, DiskError> {
        let path = self.root.join(BALLAST);
        let there = fs::metadata(&path).map_or(0, |meta| meta.len());
        if there < laid {
            return Err(DiskError::BallastGone { path, there, laid });
        }
        self.fill()
    }

    /// Takes the ballast away, and sees that there is room again.
    ///
    /// # Errors
    /// When it can't be removed, or a page still can't be written.
    pub fn relieve(&self) -> Result<(), DiskError> {
        let path = self.root.join(BALLAST);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                return Err(refused("remove", &path)(error));
            }
            _ => {}
        }
        let path = self.root.join(TRIAL);
        let written = fs::write(&path, [0; PAGE]);
        let removed = fs::remove_file(&path);
        written.and(removed).map_err(refused("write", &path))
    }

    /// Whether the node keeps anything on it.
    pub fn is_used(&self) -> bool {
        fs::read_dir(&self.data).is_ok_and(|mut entries| entries.next().is_some())
    }
}

fn fill(file: &mut File) -> io::Result<()> {
    let block = vec![0; BLOCK];
    let mut size = BLOCK;
    while size >= PAGE {
        match file.write(&block[..size]) {
            Ok(0) => return Err(ErrorKind::WriteZero.into()),
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::StorageFull => size /= 2,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

pub(super) fn refused(what: &'static str, path: &Path) -> impl Fn(io::Error) -> DiskError + use<> {
    let path = path.to_owned();
    move |source| DiskError::Io {
        what,
        path: path.clone(),
        source,
    }
}
