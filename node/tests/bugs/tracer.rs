//! Watches which files a running process syncs and renames, by tracing its system calls.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::os::unix::ffi::OsStringExt as _;
use std::os::unix::fs::FileExt as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use nix::libc;
use nix::sys::ptrace::{self, Options};
use nix::sys::signal::Signal;
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

/// Something a process began to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    Sync(PathBuf),
    Rename(PathBuf, PathBuf),
}

/// A thread that traces; only it may talk to the threads it traces.
pub struct Tracer {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Vec<Event>>,
}

impl Tracer {
    /// Begins; what the process does from now on is noted.
    pub fn attach(pid: Pid) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let (asked, (ready, attached)) = (stop.clone(), std::sync::mpsc::channel());
        let thread = std::thread::spawn(move || {
            let mut traced = Traced::attach(pid);
            ready.send(()).expect("somebody waits");
            traced.follow(&asked);
            traced.events
        });
        attached.recv().expect("a process that may be traced");
        Self { stop, thread }
    }

    /// Ends; everything that was noted, in order.
    pub fn detach(self) -> Vec<Event> {
        self.stop.store(true, Ordering::SeqCst);
        self.thread.join().expect("a tracer that ends well")
    }
}

struct Traced {
    pid: Pid,
    threads: BTreeSet<Pid>,
    events: Vec<Event>,
}

impl Traced {
    fn attach(pid: Pid) -> Self {
        let mut traced = Self {
            pid,
            threads: BTreeSet::new(),
            events: Vec::new(),
        };
        let options = Options::PTRACE_O_TRACESYSGOOD | Options::PTRACE_O_TRACECLONE;
        // A thread begun in the meantime is there the next time.
        loop {
            let tasks = fs::read_dir(format!("/proc/{pid}/task")).expect("its threads");
            let ids = tasks
                .flatten()
                .filter_map(|task| task.file_name().into_string().ok()?.parse().ok());
            let new: Vec<Pid> = ids
                .map(Pid::from_raw)
                .filter(|id| !traced.threads.contains(id))
                .collect();
            if new.is_empty() {
                return traced;
            }
            for id in new {
                // One that was cloned by a traced thread is traced already.
                let _ = ptrace::seize(id, options);
                let _ = ptrace::interrupt(id);
                traced.threads.insert(id);
            }
        }
    }

    /// Lets the threads go on from stop to stop, until it is asked to end.
    fn follow(&mut self, asked: &AtomicBool) {
        let flags = WaitPidFlag::__WALL | WaitPidFlag::__WNOTHREAD;
        let mut ending = false;
        while !self.threads.is_empty() {
            if !ending && asked.load(Ordering::SeqCst) {
                ending = true;
                for id in &self.threads {
                    let _ = ptrace::interrupt(*id);
                }
            }
            let Ok(status) = waitpid(None, Some(flags)) else {
                return;
            };
            let Some(id) = status.pid() else { continue };
            let mut signal = None;
            match status {
                WaitStatus::Exited(..) | WaitStatus::Signaled(..) => {
                    self.threads.remove(&id);
                    continue;
                }
                WaitStatus::PtraceSyscall(_) => self.note(id),
                WaitStatus::Stopped(_, stopped) if stopped != Signal::SIGTRAP => {
                    signal = Some(stopped);
                }
                _ => {}
            }
            if ending {
                let _ = ptrace::detach(id, signal);
                self.threads.remove(&id);
            } else {
                self.threads.insert(id);
                // It may have been killed since.
                let _ = ptrace::syscall(id, signal);
            }
        }
    }

    /// Notes the call that a thread begins, if it is one of those looked for.
    fn note(&mut self, id: Pid) {
        let Ok(info) = ptrace::syscall_info(id) else {
            return;
        };
        if info.op != libc::PTRACE_SYSCALL_INFO_ENTRY {
            return;
        }
        // SAFETY: `op` says that this is the member of the union that was filled in.
        let entry = unsafe { info.u.entry };
        let arguments = entry.args;
        let event = match entry.nr as libc::c_long {
            libc::SYS_fsync | libc::SYS_fdatasync => self.file(arguments[0]).map(Event::Sync),
            libc::SYS_renameat | libc::SYS_renameat2 => self.rename(arguments[1], arguments[3]),
            #[cfg(target_arch = "x86_64")]
            libc::SYS_rename => self.rename(arguments[0], arguments[1]),
            _ => None,
        };
        self.events.extend(event);
    }

    fn file(&self, descriptor: u64) -> Option<PathBuf> {
        fs::read_link(format!("/proc/{}/fd/{descriptor}", self.pid)).ok()
    }

    fn rename(&self, from: u64, to: u64) -> Option<Event> {
        Some(Event::Rename(self.text(from)?, self.text(to)?))
    }

    /// A path in the process' memory.
    fn text(&self, address: u64) -> Option<PathBuf> {
        let memory = File::open(format!("/proc/{}/mem", self.pid)).ok()?;
        let mut text = vec![0; 4_096];
        let read = memory.read_at(&mut text, address).ok()?;
        let end = text[..read].iter().position(|byte| *byte == 0)?;
        text.truncate(end);
        Some(std::ffi::OsString::from_vec(text).into())
    }
}
