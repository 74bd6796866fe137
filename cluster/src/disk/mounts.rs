//! Mounts of file systems in memory: made, found again, removed.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use nix::mount::{MntFlags, MsFlags, mount, umount2};

/// What the name of a run's file systems begins with; the run's marker follows.
const PREFIX: &str = "keyquake-";

/// Mounts a file system of so many bytes.
pub(super) fn in_memory(marker: &str, at: &Path, bytes: u64) -> io::Result<()> {
    let options = format!("size={bytes},mode=0755");
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV;
    let source = source(marker);
    mount(
        Some(source.as_str()),
        at,
        Some("tmpfs"),
        flags,
        Some(options.as_str()),
    )?;
    Ok(())
}

/// Shows a folder in a second place.
pub(super) fn bind(folder: &Path, at: &Path) -> io::Result<()> {
    let none = None::<&str>;
    mount(Some(folder), at, none, MsFlags::MS_BIND, none)?;
    Ok(())
}

/// Takes a mount away; what is still open in it stays readable for who has it open.
pub(super) fn unmount(at: &Path) -> io::Result<()> {
    umount2(at, MntFlags::MNT_DETACH | MntFlags::UMOUNT_NOFOLLOW)?;
    Ok(())
}

/// Where a run's file systems are mounted, the last one first.
pub(super) fn of_run(marker: &str) -> io::Result<Vec<PathBuf>> {
    let mounts = fs::read_to_string("/proc/self/mountinfo")?;
    let mut found = points(&mounts, &source(marker));
    found.reverse();
    Ok(found)
}

fn source(marker: &str) -> String {
    format!("{PREFIX}{marker}")
}

fn points(mountinfo: &str, source: &str) -> Vec<PathBuf> {
    let point = |line: &str| {
        let (place, kind) = line.split_once(" - ")?;
        let mut kind = kind.split(' ');
        let ours = kind.next()? == "tmpfs" && plain(kind.next()?) == source;
        let point = place.split(' ').nth(4)?;
        ours.then(|| PathBuf::from(plain(point)))
    };
    mountinfo.lines().filter_map(point).collect()
}

/// A field as it was before spaces and the like became `\040`.
fn plain(field: &str) -> String {
    let mut bytes = Vec::with_capacity(field.len());
    let mut rest = field.as_bytes();
    while let Some((&first, tail)) = rest.split_first() {
        let digits = tail
            .get(..3)
            .and_then(|digits| std::str::from_utf8(digits).ok());
        let code = digits.and_then(|digits| u8::from_str_radix(digits, 8).ok());
        match (first, code) {
            (b'\\', Some(byte)) => {
                bytes.push(byte);
                rest = &tail[3..];
            }
            _ => {
                bytes.push(first);
                rest = tail;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_run_s_own_mounts_are_found() {
        let mounts = "\
36 25 0:30 / /runs/a\\040b/disks/n1 rw shared:9 - tmpfs keyquake-r@1-2 rw,size=1024k
37 25 0:30 /data /runs/a\\040b/nodes/n1 rw - tmpfs keyquake-r@1-2 rw,size=1024k
38 25 0:31 / /runs/other rw - tmpfs keyquake-r@1-23 rw
39 25 8:1 / /keyquake-r@1-2 rw - ext4 keyquake-r@1-2 rw
";
        let found = points(mounts, &source("r@1-2"));
        let wanted = ["/runs/a b/disks/n1", "/runs/a b/nodes/n1"].map(PathBuf::from);
        assert_eq!(found, wanted);
        assert_eq!(plain("a\\134b\\"), "a\\b\\");
    }
}
