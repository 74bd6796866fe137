//! What `/proc` says about processes and their threads.

use std::fmt;
use std::fs;
use std::io;

use serde::{Deserialize, Serialize};

/// One line of `/proc/<pid>/stat`, as far as it is needed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Stat {
    /// The state letter: `R`, `S`, `D`, `T`, `Z`, ….
    pub(crate) state: char,
    /// The process group.
    pub(crate) group: i32,
    /// When it started, in clock ticks since the machine did.
    pub(crate) started: u64,
}

/// The threads of a node, counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ThreadCensus {
    /// How many there are.
    pub threads: u32,
    /// How many of them are stopped by a signal.
    pub stopped: u32,
    /// How often all of them together were switched off the processor so far.
    /// As long as this doesn't grow, none of them has run.
    pub switches: u64,
}

impl ThreadCensus {
    /// Whether there are threads and each one is stopped.
    pub fn is_all_stopped(&self) -> bool {
        self.threads > 0 && self.stopped == self.threads
    }
}

impl fmt::Display for ThreadCensus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} of {} threads stopped, {} context switches",
            self.stopped, self.threads, self.switches
        )
    }
}

/// Reads a `stat` file.
pub(crate) fn stat(path: &str) -> io::Result<Stat> {
    let text = fs::read_to_string(path)?;
    parse_stat(&text).ok_or_else(|| {
        io::Error::new(
            io::ErrorKind::InvalidData,
            format!("{path}: unexpected {text:?}"),
        )
    })
}

/// The program's name may hold anything, so fields are counted after its `)`.
fn parse_stat(text: &str) -> Option<Stat> {
    let (_, rest) = text.rsplit_once(')')?;
    let fields = rest.split_whitespace().collect::<Vec<_>>();
    Some(Stat {
        state: fields.first()?.chars().next()?,
        group: fields.get(2)?.parse().ok()?,
        started: fields.get(19)?.parse().ok()?,
    })
}

/// All process ids of this machine that `/proc` shows.
pub(crate) fn pids() -> io::Result<Vec<u32>> {
    Ok(fs::read_dir("/proc")?
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .collect())
}

/// The threads of every process in a process group. Who ends meanwhile is left out.
pub(crate) fn census(group: i32) -> io::Result<ThreadCensus> {
    census_of(|pid| stat(&format!("/proc/{pid}/stat")).is_ok_and(|stat| stat.group == group))
}

/// The threads of every process that `/proc` shows beside the calling one: those of a node,
/// for an agent that shares its container's process ids.
///
/// # Errors
/// When `/proc` can't be read.
pub fn census_of_others() -> io::Result<ThreadCensus> {
    census_of(|pid| pid != std::process::id())
}

fn census_of(counts: impl Fn(u32) -> bool) -> io::Result<ThreadCensus> {
    let mut census = ThreadCensus::default();
    for pid in pids()? {
        if !counts(pid) {
            continue;
        }
        let Ok(tasks) = fs::read_dir(format!("/proc/{pid}/task")) else {
            continue;
        };
        for task in tasks.flatten() {
            let folder = task.path();
            let Ok(stat) = stat(&format!("{}/stat", folder.display())) else {
                continue;
            };
            if matches!(stat.state, 'Z' | 'X') {
                continue;
            }
            census.threads += 1;
            census.stopped += u32::from(matches!(stat.state, 'T' | 't'));
            census.switches +=
                fs::read_to_string(folder.join("status")).map_or(0, |text| switches(&text));
        }
    }
    Ok(census)
}

fn switches(status: &str) -> u64 {
    status
        .lines()
        .filter_map(|line| line.split_once(':'))
        .filter(|(name, _)| name.ends_with("voluntary_ctxt_switches"))
        .filter_map(|(_, value)| value.trim().parse::<u64>().ok())
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stat_survives_a_name_with_brackets() {
        let text = "7 (a) b (c) T 1 42 42 0 -1 4 0 0 0 0 0 0 0 0 20 0 1 0 9876 0 0";
        assert_eq!(
            parse_stat(text),
            Some(Stat {
                state: 'T',
                group: 42,
                started: 9876
            })
        );
        assert_eq!(parse_stat("7 no bracket"), None);
    }

    #[test]
    fn both_kinds_of_switches_count() {
        assert_eq!(
            switches("Name:\tx\nvoluntary_ctxt_switches:\t40\nnonvoluntary_ctxt_switches:\t2\n"),
            42
        );
    }

    #[test]
    fn this_process_is_found_in_its_group() {
        let group = stat("/proc/self/stat").unwrap().group;
        let census = census(group).unwrap();
        assert!(census.threads > 0);
        assert!(!census.is_all_stopped());
    }
}
