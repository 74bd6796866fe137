//! Threads inside another network namespace.
//!
//! A namespace is a property of a thread. A short-lived one goes there, works,
//! and ends, so that no thread of a pool is ever in the wrong place.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::thread;

use nix::sched::{CloneFlags, setns, unshare};

/// Makes an empty network namespace that lives as long as the descriptor (and
/// the processes put into it).
pub(super) fn create() -> io::Result<OwnedFd> {
    on_thread(|| {
        unshare(CloneFlags::CLONE_NEWNET)?;
        Ok(File::open("/proc/thread-self/ns/net")?.into())
    })?
}

/// Runs `work` on a thread inside the namespace.
pub(super) fn inside<T: Send>(
    namespace: BorrowedFd<'_>,
    work: impl FnOnce() -> T + Send,
) -> io::Result<T> {
    on_thread(|| {
        setns(namespace.as_fd(), CloneFlags::CLONE_NEWNET)?;
        Ok(work())
    })?
}

fn on_thread<T: Send>(work: impl FnOnce() -> T + Send) -> io::Result<T> {
    thread::scope(|scope| {
        let worker = thread::Builder::new()
            .name("namespace".into())
            .spawn_scoped(scope, work)?;
        worker
            .join()
            .map_err(|_| io::Error::other("the thread inside the namespace panicked"))
    })
}
