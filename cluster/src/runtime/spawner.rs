//! The one thread that forks nodes.
//!
//! `PR_SET_PDEATHSIG` is tied to the *thread* that forked: a node started from
//! a thread of a pool would die when the pool retires it. This thread lives as
//! long as its runtime; when it ends, by whatever cause, its nodes end too.

use std::io;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command};
use std::sync::mpsc;
use std::thread;

use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::Signal;
use nix::unistd::getppid;
use tokio::sync::oneshot;

type Job = (Command, oneshot::Sender<io::Result<Child>>);

/// A handle on the spawning thread.
pub(super) struct Spawner {
    jobs: mpsc::Sender<Job>,
}

impl Spawner {
    pub(super) fn start() -> io::Result<Self> {
        let (jobs, inbox) = mpsc::channel::<Job>();
        thread::Builder::new()
            .name("spawner".into())
            .spawn(move || {
                for (mut command, answer) in inbox {
                    if let Err(Ok(mut orphan)) = answer.send(command.spawn()) {
                        // Whoever asked has gone: nobody would ever stop this process.
                        let _ = orphan.kill();
                        let _ = orphan.wait();
                    }
                }
            })?;
        Ok(Self { jobs })
    }

    /// Forks `command` as the leader of a new process group that dies with the suite.
    pub(super) async fn spawn(&self, mut command: Command) -> io::Result<Child> {
        let suite = nix::unistd::getpid();
        command.process_group(0);
        let bind_to_suite = move || {
            set_pdeathsig(Signal::SIGKILL)?;
            // The suite may have died before the line above.
            if getppid() != suite {
                return Err(io::Error::from(io::ErrorKind::BrokenPipe));
            }
            Ok(())
        };
        // SAFETY: only two system calls, nothing that allocates or locks.
        unsafe { command.pre_exec(bind_to_suite) };
        let (answer, result) = oneshot::channel();
        let gone = || io::Error::other("the spawning thread is gone");
        self.jobs.send((command, answer)).map_err(|_| gone())?;
        result.await.map_err(|_| gone())?
    }
}
