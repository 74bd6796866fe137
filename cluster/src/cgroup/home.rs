//! Where this process may make control groups: version 1 or 2, and which folder.
//!
//! Groups are made below the one that the suite itself is in, so that whatever limits the suite
//! (a container, a job of CI) limits its nodes too. Version 2 lets no group have both processes
//! and groups with controllers, so there it is the nearest one above that can have them.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use nix::unistd::{AccessFlags, access};

use super::CgroupError;

/// What a node is limited by.
const CONTROLLERS: [&str; 2] = ["cpu", "memory"];

/// The version of the interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Version {
    One,
    Two,
}

/// The groups that new ones are made in: one of each controller in version 1, one in version 2.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Home {
    pub(super) version: Version,
    pub(super) cpu: PathBuf,
    pub(super) memory: PathBuf,
}

impl Home {
    /// Finds it, and whether it can be written to. Nothing is made.
    pub(super) fn find() -> Result<Home, CgroupError> {
        let read = |path: &str| {
            fs::read_to_string(path).map_err(|source| CgroupError::Io {
                what: "read",
                path: path.into(),
                source,
            })
        };
        let mounts = mounts(&read("/proc/self/mountinfo")?);
        let own = read("/proc/self/cgroup")?;
        let [cpu, memory] = CONTROLLERS.map(|controller| version_one(&mounts, &own, controller));
        if let (Some(cpu), Some(memory)) = (cpu, memory) {
            for place in [&cpu, &memory] {
                writable(place)?;
            }
            return Ok(Home {
                version: Version::One,
                cpu,
                memory,
            });
        }
        let place = version_two(&mounts, &own)?;
        Ok(Home {
            version: Version::Two,
            cpu: place.clone(),
            memory: place,
        })
    }
}

/// A mount of control groups.
#[derive(Debug, PartialEq, Eq)]
struct Mount {
    version: Version,
    /// The group that its top shows.
    root: PathBuf,
    point: PathBuf,
    /// With version 1 its controllers are among these words.
    options: Vec<String>,
}

fn mounts(mountinfo: &str) -> Vec<Mount> {
    mountinfo.lines().filter_map(mount).collect()
}

/// A line of `/proc/self/mountinfo`, if it is of control groups.
fn mount(line: &str) -> Option<Mount> {
    let (place, kind) = line.split_once(" - ")?;
    let mut place = place.split(' ').skip(3);
    let (root, point) = (place.next()?, place.next()?);
    let mut kind = kind.split(' ');
    let version = match kind.next()? {
        "cgroup" => Version::One,
        "cgroup2" => Version::Two,
        _ => return None,
    };
    Some(Mount {
        version,
        root: root.into(),
        point: point.into(),
        options: kind.nth(1)?.split(',').map(str::to_owned).collect(),
    })
}

/// The folder of this process's own group in a mount; its top, if the group lies outside of it.
fn own_place(mount: &Mount, own: &str) -> PathBuf {
    let below = Path::new(own).strip_prefix(&mount.root);
    let place = below.map_or_else(|_| mount.point.clone(), |below| mount.point.join(below));
    if place.is_dir() {
        place
    } else {
        mount.point.clone()
    }
}

/// The group's path in a line of `/proc/self/cgroup`: `4:cpu,cpuacct:/a/b`.
fn own_path(own: &str, is: impl Fn(&str) -> bool) -> Option<&str> {
    own.lines().find_map(|line| {
        let (_, line) = line.split_once(':')?;
        let (controllers, path) = line.split_once(':')?;
        is(controllers).then_some(path)
    })
}

fn version_one(mounts: &[Mount], own: &str, controller: &str) -> Option<PathBuf> {
    let mount = mounts.iter().find(|mount| {
        mount.version == Version::One && mount.options.iter().any(|word| word == controller)
    })?;
    let path = own_path(own, |words| words.split(',').any(|word| word == controller))?;
    Some(own_place(mount, path))
}

/// The nearest group, from our own upwards, whose children can have both controllers.
fn version_two(mounts: &[Mount], own: &str) -> Result<PathBuf, CgroupError> {
    let none = |why: &str| CgroupError::None {
        why: why.to_owned(),
    };
    let mount = mounts
        .iter()
        .find(|mount| mount.version == Version::Two)
        .ok_or_else(|| none("neither version 1 (with cpu and memory) nor version 2 is mounted"))?;
    if !lists(&mount.point.join("cgroup.controllers")) {
        return Err(none(
            "version 2 is mounted, but without the controllers cpu and memory",
        ));
    }
    let own = own_path(own, str::is_empty)
        .ok_or_else(|| none("this process is in no group of version 2"))?;
    let place = own_place(mount, own);
    let mut refusal = none("no group above this process can be written to");
    for place in place.ancestors() {
        match usable(place, place == mount.point) {
            Ok(()) => return Ok(place.to_owned()),
            Err(error) => refusal = error,
        }
        if place == mount.point {
            break;
        }
    }
    Err(refusal)
}

/// Whether a group of version 2 can have children with controllers.
fn usable(place: &Path, top: bool) -> Result<(), CgroupError> {
    writable(place)?;
    let control = place.join("cgroup.subtree_control");
    if lists(&control) {
        return Ok(());
    }
    writable(&control)?;
    let procs = fs::read_to_string(place.join("cgroup.procs")).unwrap_or_default();
    if top || procs.trim().is_empty() {
        return Ok(());
    }
    Err(CgroupError::None {
        why: format!(
            "{} has processes, so no group below it can have limits",
            place.display()
        ),
    })
}

/// Whether a file of words has both controllers.
pub(super) fn lists(path: &Path) -> bool {
    let words = fs::read_to_string(path).unwrap_or_default();
    let words: Vec<_> = words.split_whitespace().collect();
    CONTROLLERS
        .iter()
        .all(|controller| words.contains(controller))
}

fn writable(path: &Path) -> Result<(), CgroupError> {
    access(path, AccessFlags::W_OK).map_err(|error| CgroupError::Io {
        what: "write to",
        path: path.to_owned(),
        source: io::Error::from(error),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOUNTS: &str = "\
24 18 0:22 / /sys rw - sysfs sysfs rw
25 24 0:23 / /sys/fs/cgroup rw - tmpfs tmpfs rw,mode=755
26 25 0:24 /docker/ab /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct
27 25 0:25 / /sys/fs/cgroup/memory rw master:1 - cgroup cgroup rw,memory
28 25 0:26 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw,nsdelegate
";

    #[test]
    fn mounts_are_found_among_others() {
        let found = mounts(MOUNTS);
        assert_eq!(found.len(), 3);
        assert_eq!(found[0].root, Path::new("/docker/ab"));
        assert_eq!(found[0].point, Path::new("/sys/fs/cgroup/cpu,cpuacct"));
        assert!(found[0].options.contains(&"cpu".to_owned()));
        assert_eq!(found[2].version, Version::Two);
    }

    #[test]
    fn the_own_group_is_seen_through_its_mount() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join("inner")).unwrap();
        let mount = Mount {
            version: Version::One,
            root: "/docker/ab".into(),
            point: dir.path().into(),
            options: vec![],
        };
        let place = |own| own_place(&mount, own);
        assert_eq!(place("/docker/ab/inner"), dir.path().join("inner"));
        assert_eq!(place("/docker/ab"), dir.path());
        // Seen from outside of the container, or gone.
        assert_eq!(place("/elsewhere"), dir.path());
        let own = "4:memory:/m\n3:cpu,cpuacct:/c\n0::/u\n";
        assert_eq!(
            own_path(own, |c| c.split(',').any(|c| c == "cpu")),
            Some("/c")
        );
        assert_eq!(own_path(own, str::is_empty), Some("/u"));
    }

    /// A folder that looks like a group of version 2.
    fn group(place: &Path, enabled: &str, procs: &str) {
        fs::create_dir_all(place).unwrap();
        fs::write(place.join("cgroup.controllers"), "cpuset cpu memory\n").unwrap();
        fs::write(place.join("cgroup.subtree_control"), enabled).unwrap();
        fs::write(place.join("cgroup.procs"), procs).unwrap();
    }

    #[test]
    fn with_version_two_the_nearest_group_without_processes_is_taken() {
        let dir = tempfile::tempdir().unwrap();
        let top = dir.path();
        let mounts = [Mount {
            version: Version::Two,
            root: "/".into(),
            point: top.into(),
            options: vec![],
        }];
        group(top, "memory cpu\n", "1\n");
        group(&top.join("slice"), "", "");
        group(&top.join("slice/scope"), "", "7\n");
        let home = || version_two(&mounts, "0::/slice/scope\n").unwrap();
        assert_eq!(home(), top.join("slice"));
        group(&top.join("slice"), "", "8\n");
        assert_eq!(home(), top);
        group(&top.join("slice/scope"), "cpu memory", "");
        assert_eq!(home(), top.join("slice/scope"));
        fs::write(top.join("cgroup.controllers"), "hugetlb\n").unwrap();
        let error = version_two(&mounts, "0::/slice/scope\n").unwrap_err();
        assert!(
            error.to_string().contains("without the controllers"),
            "{error}"
        );
    }
}
