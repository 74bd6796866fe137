//! Undoing what dead runs left.
//!
//! Only journals whose owner is dead are touched. Processes are held by a
//! descriptor before they are looked at, so that a process id that is given to
//! somebody else meanwhile is never hit.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::io;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use serde::Serialize;

use super::owner::Life;
use super::{FORMAT, Line, NODE_VARIABLE, Owner, RUN_VARIABLE, Undo, UndoId};
use crate::runtime::proc;
use crate::{cgroup, disk};

/// How long a killed process may take to vanish.
const GONE_WITHIN_MS: u16 = 5_000;
/// How long processes without any environment are taken to be in the middle of an `exec`.
const EXEC_WITHIN: Duration = Duration::from_millis(500);
/// Processes may fork while they are being killed; look again so many times at most.
const SWEEPS_MAX: usize = 10;

/// Undoes what this crate can't, since it doesn't know how it was made.
pub trait Undoer {
    /// Undoes a thing of the run with this marker. The answer is what there was to undo, a line
    /// each; `None` if the thing is of a kind that this one doesn't know.
    fn undo(&self, marker: &str, what: &Undo) -> Option<Result<Vec<String>, String>>;
}

/// What [`heal`] found and did.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct HealReport {
    /// Runs whose owner is dead.
    pub dead: Vec<HealedRun>,
    /// Runs whose owner lives; nothing of theirs was touched.
    pub live: Vec<String>,
    /// Files that were left alone, with the reason.
    pub left_alone: Vec<String>,
}

/// One dead run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct HealedRun {
    /// Its name.
    pub run: String,
    /// What was undone.
    pub undone: Vec<String>,
    /// What could not be undone; the journal stays then.
    pub failed: Vec<String>,
    /// What else there is to know (lines that could not be read).
    pub notes: Vec<String>,
}

impl HealReport {
    /// Whether nothing that is ours to undo is left.
    pub fn is_clean(&self) -> bool {
        self.left_alone.is_empty() && self.dead.iter().all(|run| run.failed.is_empty())
    }

    /// Whether there was nothing to do and nothing to say.
    pub fn is_empty(&self) -> bool {
        self.dead.is_empty() && self.left_alone.is_empty()
    }
}

impl fmt::Display for HealReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_empty() {
            writeln!(f, "nothing to heal")?;
        }
        for run in &self.dead {
            writeln!(f, "run {} had died", run.run)?;
            if run.undone.is_empty() && run.failed.is_empty() {
                writeln!(f, "  nothing of it was left")?;
            }
            run.undone
                .iter()
                .try_for_each(|line| writeln!(f, "  undone: {line}"))?;
            run.failed
                .iter()
                .try_for_each(|line| writeln!(f, "  NOT undone: {line}"))?;
            run.notes
                .iter()
                .try_for_each(|line| writeln!(f, "  note: {line}"))?;
        }
        self.live
            .iter()
            .try_for_each(|run| writeln!(f, "run {run} is alive: left alone"))?;
        self.left_alone
            .iter()
            .try_for_each(|line| writeln!(f, "left alone: {line}"))
    }
}

/// Undoes what the dead runs with a journal in `dir` left. A missing directory
/// is an empty one. Call it before [`crate::enter_own_network`]: from inside a
/// user namespace other runs' processes can't be looked into. `undoers` are for what
/// is not of this crate.
///
/// # Errors
/// When the directory or `/proc` can't be read; what goes wrong with a single
/// run stands in the report.
pub fn heal(dir: &Path, undoers: &[&dyn Undoer]) -> io::Result<HealReport> {
    let mut report = HealReport::default();
    let here = Owner::this_process()?;
    let entries = match fs::read_dir(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(report),
        entries => entries?,
    };
    let mut paths = entries
        .map(|entry| Ok(entry?.path()))
        .collect::<io::Result<Vec<_>>>()?;
    paths.sort();
    for path in paths {
        let name = path
            .file_name()
            .and_then(|name| name.to_str())
            .unwrap_or_default();
        if let Some(run) = name.strip_suffix(".jsonl") {
            heal_run(&path, run, &here, undoers, &mut report)?;
        } else if name.ends_with(".new") {
            remove_stillborn(&path, &here, &mut report);
        }
    }
    Ok(report)
}

/// A journal that never got its name: its run made nothing.
fn remove_stillborn(path: &Path, here: &Owner, report: &mut HealReport) {
    let owner = fs::read_to_string(path).ok().and_then(|text| {
        match serde_json::from_str(text.lines().next()?) {
            Ok(Line::Owner { owner, .. }) => Some(owner),
            _ => None,
        }
    });
    // Without a readable owner it may be half a second old: its process id is in the name.
    let name_owner = || {
        path.file_stem()?
            .to_str()?
            .rsplit('.')
            .next()?
            .parse::<u32>()
            .ok()
    };
    let alive = match owner {
        Some(owner) => owner.life(here) != Life::Dead,
        None => name_owner().is_some_and(|pid| Path::new(&format!("/proc/{pid}")).exists()),
    };
    if !alive && let Err(error) = fs::remove_file(path) {
        report
            .left_alone
            .push(format!("{}: can't be removed: {error}", path.display()));
    }
}

fn heal_run(
    path: &Path,
    run: &str,
    here: &Owner,
    undoers: &[&dyn Undoer],
    report: &mut HealReport,
) -> io::Result<()> {
    let text = match fs::read(path) {
        // Its run has just ended clean, or somebody else heals too.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => {
            report.left_alone.push(format!(
                "{}: can't be read: {error}; heal as its owner",
                path.display()
            ));
            return Ok(());
        }
        Ok(text) => text,
    };
    let Some(contents) = Contents::parse(&text) else {
        report.left_alone.push(format!(
            "{}: its first line doesn't name an owner in format {FORMAT}, so nobody knows whether its run lives; \
             look at it, and remove it",
            path.display()
        ));
        return Ok(());
    };
    match contents.owner.life(here) {
        Life::Alive => report.live.push(run.to_owned()),
        Life::Elsewhere => report.left_alone.push(format!(
            "{}: its run belongs to another container (or process id namespace); heal there, \
             or remove the file once that is gone",
            path.display()
        )),
        Life::Dead => report.dead.push(undo_all(path, run, contents, undoers)?),
    }
    Ok(())
}

fn undo_all(
    path: &Path,
    run: &str,
    contents: Contents,
    undoers: &[&dyn Undoer],
) -> io::Result<HealedRun> {
    let mut healed = HealedRun {
        run: run.to_owned(),
        ..HealedRun::default()
    };
    let (mut nodes, mut groups, mut disks) = (Vec::new(), Vec::new(), Vec::new());
    for what in contents.open.into_values() {
        match what {
            Undo::Process { node } => nodes.push(node),
            Undo::Cgroup { path } => groups.push(path),
            Undo::Disks { folder } => disks.push(folder),
            other => undo_elsewhere(&contents.marker, &other, undoers, &mut healed),
        }
    }
    for (number, text) in &contents.unreadable {
        healed.notes.push(format!(
            "line {number} can't be read ({text:?}): whatever carries the run's marker is undone instead"
        ));
    }
    let wanted =
        |node: &str| !contents.unreadable.is_empty() || nodes.iter().any(|known| known == node);
    kill_marked(&contents.marker, wanted, &mut healed)?;
    for path in groups {
        remove_group(&path, &contents.marker, &mut healed);
    }
    for folder in disks {
        match disk::remove(&folder, &contents.marker) {
            Ok(mounted) => healed.undone.extend(
                mounted
                    .iter()
                    .map(|point| format!("mount {}", point.display())),
            ),
            Err(error) => {
                let line = format!("disks in {}: {error}", folder.display());
                healed.failed.push(line);
            }
        }
    }
    for line in contents.unknown {
        healed.failed.push(format!(
            "{line}: of a kind that this version doesn't know; heal with the version that wrote it"
        ));
    }
    if healed.failed.is_empty()
        && let Err(error) = fs::remove_file(path)
        && error.kind() != io::ErrorKind::NotFound
    {
        healed
            .failed
            .push(format!("the journal {} itself: {error}", path.display()));
    }
    Ok(healed)
}

/// Removes control groups, which must be empty by now.
fn remove_group(path: &Path, marker: &str, healed: &mut HealedRun) {
    let line = format!("control groups in {}", path.display());
    if !cgroup::belongs_to(path, marker) {
        let why = "the folder is not named after the run, so it is left alone";
        healed.failed.push(format!("{line}: {why}"));
    } else if path.exists() {
        match cgroup::remove(path) {
            Ok(()) => healed.undone.push(line),
            Err(error) => healed.failed.push(format!("{line}: {error}")),
        }
    }
}

/// Lets whoever knows how undo a thing.
fn undo_elsewhere(marker: &str, what: &Undo, undoers: &[&dyn Undoer], healed: &mut HealedRun) {
    let answer = undoers
        .iter()
        .find_map(|undoer| undoer.undo(marker, what))
        .unwrap_or_else(|| Err("this program doesn't know how".to_owned()));
    match answer {
        Ok(undone) => healed.undone.extend(undone),
        Err(why) => healed.failed.push(format!("{what}: {why}")),
    }
}

/// What a journal says.
struct Contents {
    owner: Owner,
    marker: String,
    open: BTreeMap<UndoId, Undo>,
    unknown: Vec<String>,
    unreadable: Vec<(usize, String)>,
}

impl Contents {
    fn parse(text: &[u8]) -> Option<Self> {
        let text = String::from_utf8_lossy(text);
        let mut lines = text.lines();
        let first = serde_json::from_str(lines.next()?).ok()?;
        let Line::Owner {
            format: FORMAT,
            marker,
            owner,
        } = first
        else {
            return None;
        };
        let mut contents = Self {
            owner,
            marker,
            open: BTreeMap::new(),
            unknown: Vec::new(),
            unreadable: Vec::new(),
        };
        for (number, line) in lines.enumerate() {
            match serde_json::from_str(line) {
                Ok(Line::Undo { id, what }) => {
                    contents.open.insert(id, what);
                }
                Ok(Line::Done { id }) => {
                    contents.open.remove(&id);
                }
                Ok(Line::Owner { .. }) => contents.unreadable.push((number + 2, line.to_owned())),
                Err(_)
                    if serde_json::from_str::<serde_json::Value>(line)
                        .is_ok_and(|value| value.get("undo").is_some()) =>
                {
                    contents.unknown.push(line.to_owned());
                }
                Err(_) => contents.unreadable.push((number + 2, line.to_owned())),
            }
        }
        Some(contents)
    }
}

/// Kills every process that carries the marker and belongs to a wanted node,
/// until none is found any more.
fn kill_marked(
    marker: &str,
    wanted: impl Fn(&str) -> bool,
    healed: &mut HealedRun,
) -> io::Result<()> {
    let patience = Instant::now() + EXEC_WITHIN;
    for _ in 0..SWEEPS_MAX {
        let mut found = false;
        for pid in proc::pids()?
            .into_iter()
            .filter(|&pid| pid != std::process::id())
        {
            let Some((process, node)) =
                marked(pid, marker, patience).filter(|(_, node)| wanted(node))
            else {
                continue;
            };
            let name = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
            let line = format!("process {pid} ({}) of {node}", name.trim());
            match kill(&process) {
                Ok(()) => {
                    found = true;
                    healed.undone.push(line);
                }
                Err(error) => {
                    healed.failed.push(format!("{line}: {error}"));
                }
            }
        }
        if !found || !healed.failed.is_empty() {
            return Ok(());
        }
    }
    healed.failed.push(format!(
        "processes marked {marker} keep coming; look for {RUN_VARIABLE} in /proc/*/environ"
    ));
    Ok(())
}

/// A descriptor of the process and its node, if it carries the marker.
fn marked(pid: u32, marker: &str, patience: Instant) -> Option<(OwnedFd, String)> {
    let process = pidfd_open(pid).ok()?;
    let environment = environment(pid, patience)?;
    let value = |name: &str| {
        environment
            .split(|&byte| byte == 0)
            .find_map(|entry| entry.strip_prefix(name.as_bytes())?.strip_prefix(b"="))
    };
    (value(RUN_VARIABLE)? == marker.as_bytes()).then(|| {
        (
            process,
            String::from_utf8_lossy(value(NODE_VARIABLE).unwrap_or_default()).into_owned(),
        )
    })
}

/// A process's environment. In the middle of an `exec` there is none for a moment.
fn environment(pid: u32, patience: Instant) -> Option<Vec<u8>> {
    loop {
        let environment = fs::read(format!("/proc/{pid}/environ")).ok()?;
        // Kernel threads and the dead have neither environment nor program.
        let is_program = || fs::read_link(format!("/proc/{pid}/exe")).is_ok();
        if !environment.is_empty() || Instant::now() > patience || !is_program() {
            return Some(environment);
        }
        thread::sleep(Duration::from_millis(1));
    }
}

fn pidfd_open(pid: u32) -> io::Result<OwnedFd> {
    // SAFETY: a system call without pointers; the descriptor it gives is ours.
    unsafe {
        let descriptor = libc::syscall(libc::SYS_pidfd_open, pid as libc::pid_t, 0);
        if descriptor < 0 {
            Err(io::Error::last_os_error())
        } else {
            Ok(OwnedFd::from_raw_fd(descriptor as i32))
        }
    }
}

/// SIGKILL, and waits until it is gone.
fn kill(process: &OwnedFd) -> io::Result<()> {
    let no_info = std::ptr::null::<libc::siginfo_t>();
    // SAFETY: a system call on a descriptor we hold; the pointer may be null.
    let sent = unsafe {
        libc::syscall(
            libc::SYS_pidfd_send_signal,
            process.as_raw_fd(),
            libc::SIGKILL,
            no_info,
            0,
        )
    };
    if sent < 0 {
        let error = io::Error::last_os_error();
        return if error.raw_os_error() == Some(libc::ESRCH) {
            Ok(())
        } else {
            Err(error)
        };
    }
    let mut gone = [PollFd::new(process.as_fd(), PollFlags::POLLIN)];
    match poll(&mut gone, PollTimeout::from(GONE_WITHIN_MS))? {
        0 => Err(io::Error::other(format!(
            "still there {GONE_WITHIN_MS} ms after SIGKILL"
        ))),
        _ => Ok(()),
    }
}
