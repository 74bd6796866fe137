//! The control group of one node: its limits, and what came of them.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::home::Version;
use super::{Allowance, CgroupError};

/// The span, in microseconds, over which processor time is counted.
const PERIOD: u64 = 100_000;
/// The kernel grants no less than this of it.
const QUOTA_MIN: u64 = 1_000;
/// How much swap goes with a limit of memory, in bytes: hardly any.
const SWAP: u64 = 1 << 20;
/// Version 1 has no word for "all memory"; what it shows then is near the largest number.
const ALL_MEMORY: u64 = 1 << 60;

/// The group of one node; with version 2 both folders are one.
#[derive(Clone, Debug)]
pub(crate) struct Group {
    pub(super) version: Version,
    pub(super) cpu: PathBuf,
    pub(super) memory: PathBuf,
}

impl Group {
    /// Files that put a process into the group when it writes `0` to them.
    pub(crate) fn doors(&self) -> Result<Vec<fs::File>, CgroupError> {
        let mut folders = vec![&self.cpu, &self.memory];
        folders.dedup();
        let open = |folder: &&PathBuf| {
            let path = folder.join("cgroup.procs");
            let opened = fs::OpenOptions::new().write(true).open(&path);
            opened.map_err(|source| CgroupError::Io {
                what: "open",
                path,
                source,
            })
        };
        folders.iter().map(open).collect()
    }

    /// Grants so many cores, or all of them; gives what the kernel shows then.
    pub(crate) fn limit_cpu(&self, cores: Option<f64>) -> Result<Option<f64>, CgroupError> {
        let quota = cores.map(|cores| ((cores * PERIOD as f64) as u64).max(QUOTA_MIN));
        match self.version {
            Version::One => {
                write(&self.cpu.join("cpu.cfs_period_us"), &PERIOD.to_string())?;
                let quota = quota.map_or("-1".to_owned(), |quota| quota.to_string());
                write(&self.cpu.join("cpu.cfs_quota_us"), &quota)?;
            }
            Version::Two => {
                let quota = quota.map_or("max".to_owned(), |quota| quota.to_string());
                write(&self.cpu.join("cpu.max"), &format!("{quota} {PERIOD}"))?;
            }
        }
        self.cores()
    }

    /// Grants so many bytes of memory and hardly any swap beside, or all; gives what the kernel shows then.
    pub(crate) fn limit_memory(&self, bytes: Option<u64>) -> Result<Option<u64>, CgroupError> {
        let file = |name: &str| self.memory.join(name);
        match self.version {
            Version::One => {
                let text = |more: u64| {
                    bytes.map_or("-1".to_owned(), |bytes| {
                        bytes.saturating_add(more).to_string()
                    })
                };
                let plain = (file("memory.limit_in_bytes"), text(0));
                // Were both the same, the kernel would count refusals where it shows none.
                let with_swap = (file("memory.memsw.limit_in_bytes"), text(SWAP));
                // Memory and swap together are never less than memory alone, at no moment.
                let order = match bytes {
                    Some(_) => [plain, with_swap],
                    None => [with_swap, plain],
                };
                for (path, text) in order.iter().filter(|(path, _)| path.exists()) {
                    write(path, text)?;
                }
            }
            Version::Two => {
                let swap = file("memory.swap.max");
                if swap.exists() {
                    write(&swap, bytes.map_or("max", |_| "0"))?;
                }
                let text = bytes.map_or("max".to_owned(), |bytes| bytes.to_string());
                write(&file("memory.max"), &text)?;
            }
        }
        self.bytes()
    }

    pub(crate) fn allowance(&self) -> Result<Allowance, CgroupError> {
        let (used, reached) = match self.version {
            Version::One => (
                number(&self.memory.join("memory.usage_in_bytes"))?,
                number(&self.memory.join("memory.failcnt"))?,
            ),
            Version::Two => (
                number(&self.memory.join("memory.current"))?,
                entry(&self.memory.join("memory.events"), "max")?,
            ),
        };
        Ok(Allowance {
            cores: self.cores()?,
            throttled: entry(&self.cpu.join("cpu.stat"), "nr_throttled")?,
            memory: self.bytes()?,
            used,
            reached,
        })
    }

    /// How many processes of the group the kernel has killed for their memory so far.
    pub(crate) fn oom_kills(&self) -> Result<u64, CgroupError> {
        let file = match self.version {
            Version::One => "memory.oom_control",
            Version::Two => "memory.events",
        };
        entry(&self.memory.join(file), "oom_kill")
    }

    fn cores(&self) -> Result<Option<f64>, CgroupError> {
        let (quota, period) = match self.version {
            Version::One => (
                read(&self.cpu.join("cpu.cfs_quota_us"))?,
                read(&self.cpu.join("cpu.cfs_period_us"))?,
            ),
            Version::Two => {
                let text = read(&self.cpu.join("cpu.max"))?;
                let (quota, period) = text.split_once(' ').unwrap_or((&text, "100000"));
                (quota.to_owned(), period.to_owned())
            }
        };
        // `-1` and `max` are none.
        let share = quota.parse::<u64>().ok().zip(period.parse::<u64>().ok());
        Ok(share.map(|(quota, period)| quota as f64 / period as f64))
    }

    fn bytes(&self) -> Result<Option<u64>, CgroupError> {
        let text = match self.version {
            Version::One => read(&self.memory.join("memory.limit_in_bytes"))?,
            Version::Two => read(&self.memory.join("memory.max"))?,
        };
        Ok(text.parse().ok().filter(|&bytes| bytes < ALL_MEMORY))
    }
}

fn read(path: &Path) -> Result<String, CgroupError> {
    let text = fs::read_to_string(path).map_err(|source| CgroupError::Io {
        what: "read",
        path: path.to_owned(),
        source,
    })?;
    Ok(text.trim().to_owned())
}

fn write(path: &Path, text: &str) -> Result<(), CgroupError> {
    fs::write(path, text).map_err(|source| CgroupError::Io {
        what: "write to",
        path: path.to_owned(),
        source,
    })
}

fn strange(path: &Path, text: &str) -> CgroupError {
    CgroupError::Io {
        what: "understand",
        path: path.to_owned(),
        source: io::Error::new(io::ErrorKind::InvalidData, format!("it says {text:?}")),
    }
}

fn number(path: &Path) -> Result<u64, CgroupError> {
    let text = read(path)?;
    text.parse().map_err(|_| strange(path, &text))
}

/// The number behind a word in a file of such lines.
fn entry(path: &Path, word: &str) -> Result<u64, CgroupError> {
    let text = read(path)?;
    let mut lines = text.lines().filter_map(|line| line.split_once(' '));
    lines
        .find_map(|(name, value)| (name == word).then(|| value.trim().parse().ok())?)
        .ok_or_else(|| strange(path, &text))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Files as version 2 has them; what is written to them stays as it is.
    #[test]
    fn version_two_is_spoken_to_in_its_own_words() {
        let dir = tempfile::tempdir().unwrap();
        let put = |name: &str, text: &str| fs::write(dir.path().join(name), text).unwrap();
        put("cpu.max", "max 100000\n");
        put(
            "cpu.stat",
            "usage_usec 5\nnr_periods 9\nnr_throttled 7\nthrottled_usec 3\n",
        );
        put("memory.max", "max\n");
        put("memory.swap.max", "max\n");
        put("memory.current", "4096\n");
        put(
            "memory.events",
            "low 0\nhigh 0\nmax 12\noom 1\noom_kill 2\noom_group_kill 0\n",
        );
        let group = Group {
            version: Version::Two,
            cpu: dir.path().into(),
            memory: dir.path().into(),
        };
        let before = Allowance {
            cores: None,
            throttled: 7,
            memory: None,
            used: 4096,
            reached: 12,
        };
        assert_eq!(group.allowance().unwrap(), before);
        assert_eq!(group.oom_kills().unwrap(), 2);
        assert_eq!(group.limit_cpu(Some(0.05)).unwrap(), Some(0.05));
        assert_eq!(group.limit_memory(Some(1 << 20)).unwrap(), Some(1 << 20));
        let said = |name: &str| fs::read_to_string(dir.path().join(name)).unwrap();
        assert_eq!(said("cpu.max"), "5000 100000");
        assert_eq!(
            (said("memory.max"), said("memory.swap.max")),
            ("1048576".into(), "0".into())
        );
        assert_eq!(group.limit_cpu(None).unwrap(), None);
        assert_eq!(group.limit_memory(None).unwrap(), None);
        assert_eq!(
            (said("memory.max"), said("memory.swap.max")),
            ("max".into(), "max".into())
        );
        put("memory.events", "low 0\n");
        let error = group.oom_kills().unwrap_err().to_string();
        assert!(error.contains("memory.events"), "{error}");
    }
}
