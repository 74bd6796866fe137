//! How a node is, and how it ended.

use std::fmt;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;

use nix::sys::signal::Signal;

/// How a node is now, measured and not remembered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NodeStatus {
    /// It was never started by this runtime.
    NeverStarted,
    /// It runs.
    Running {
        /// Its process id.
        pid: u32,
    },
    /// It is there, and stopped by a signal.
    Paused {
        /// Its process id.
        pid: u32,
    },
    /// It ended, by whatever cause.
    Exited(Ending),
}

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// It exited by itself with this code.
    Code(i32),
    /// A signal of this number ended it.
    Signal(i32),
    /// The kernel killed it, since it used more memory than it was allowed.
    OutOfMemory,
}

impl NodeStatus {
    /// Whether there is a process, running or paused.
    pub fn is_up(self) -> bool {
        self.pid().is_some()
    }

    /// Its process, if there is one.
    pub fn pid(self) -> Option<u32> {
        match self {
            NodeStatus::Running { pid } | NodeStatus::Paused { pid } => Some(pid),
            NodeStatus::NeverStarted | NodeStatus::Exited(_) => None,
        }
    }
}

impl From<ExitStatus> for Ending {
    fn from(status: ExitStatus) -> Self {
        match status.signal() {
            Some(signal) => Ending::Signal(signal),
            None => Ending::Code(status.code().unwrap_or(-1)),
        }
    }
}

impl fmt::Display for Ending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Ending::Code(code) => write!(f, "exited with code {code}"),
            Ending::Signal(number) => match Signal::try_from(*number) {
                Ok(signal) => write!(f, "ended by signal {number} ({signal})"),
                Err(_) => write!(f, "ended by signal {number}"),
            },
            Ending::OutOfMemory => write!(f, "ended by signal 9 (SIGKILL): out of memory"),
        }
    }
}

impl fmt::Display for NodeStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NodeStatus::NeverStarted => write!(f, "never started"),
            NodeStatus::Running { pid } => write!(f, "running (pid {pid})"),
            NodeStatus::Paused { pid } => write!(f, "paused (pid {pid})"),
            NodeStatus::Exited(ending) => write!(f, "{ending}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endings_name_the_signal() {
        assert_eq!(
            Ending::from(ExitStatus::from_raw(9)).to_string(),
            "ended by signal 9 (SIGKILL)"
        );
        assert_eq!(
            Ending::from(ExitStatus::from_raw(0x0300)).to_string(),
            "exited with code 3"
        );
    }
}
