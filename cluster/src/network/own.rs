//! The suite's own move into a network namespace: the hub.
//!
//! It is rehearsed in a forked child first. On some hosts (Ubuntu 24.04 and
//! later) an unprivileged process may make a user namespace but gets no power
//! in it; having moved there it would have no loopback either, and no way back.

use std::fs;
use std::io::{self, Read, Write};
use std::path::Path;

use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{ForkResult, fork, getegid, geteuid};

use super::{NetworkError, NetworkKind, NetworkMode, hub};

/// Why this process has no network of its own.
#[derive(Debug, thiserror::Error)]
pub enum EnterError {
    /// The host doesn't let us.
    #[error(
        "no permission to create network namespaces: {detail}; run as root, \
         enable unprivileged user namespaces ({hint}), or pass --network loopback"
    )]
    NotPossible {
        /// Which step failed, and how.
        detail: String,
        /// The setting that would change it.
        hint: String,
    },
    /// The host doesn't let us mount anything.
    #[error(
        "no permission to mount disks for the nodes: {detail}; run as root, enable unprivileged \
         user namespaces ({hint}), or leave `disk` and full-disk out of the plan"
    )]
    NoMounts {
        /// Which step failed, and how.
        detail: String,
        /// The setting that would change it.
        hint: String,
    },
    /// The host lets us, but its kernel can't do what is needed.
    #[error(
        "network namespaces are of no use here: {detail}; the kernel needs bridges and virtual \
         interfaces (CONFIG_BRIDGE, CONFIG_VETH), or pass --network loopback"
    )]
    NoUse {
        /// Which step failed, and how.
        detail: String,
    },
    /// A fault of the caller: only a process without threads can move whole.
    #[error("the network must be entered before threads are started, but there are {threads}")]
    Threads {
        /// How many there are.
        threads: usize,
    },
    /// The rehearsal went well, the real thing did not.
    #[error(
        "failed to enter a network namespace, though a trial had worked: {detail}; try again, or pass --network loopback"
    )]
    Unexpected {
        /// Which step failed, and how.
        detail: String,
    },
}

/// Moves this process into a network namespace of its own and furnishes it as
/// the hub. Call it from `main`, before any thread or runtime is started.
///
/// As root a network namespace is enough; else a user namespace comes with it,
/// in which the user is who they were. With `Auto`, where that isn't allowed,
/// the answer is `Loopback` and says why.
///
/// # Errors
/// With `Namespace`, when it isn't allowed; always, when there are threads.
pub fn enter_own_network(mode: NetworkMode) -> Result<NetworkKind, EnterError> {
    if mode == NetworkMode::Loopback {
        return Ok(NetworkKind::Loopback {
            why: "it was asked for".into(),
        });
    }
    let threads = fs::read_dir("/proc/self/task").map_or(1, |tasks| tasks.count());
    if threads > 1 {
        return Err(EnterError::Threads { threads });
    }
    if let Err(refusal) = in_child(|| enter(Depth::Rehearsal)) {
        return match mode {
            NetworkMode::Auto => Ok(NetworkKind::Loopback { why: refusal.why() }),
            _ => Err(refusal.into()),
        };
    }
    enter(Depth::Real).map_err(|refusal| EnterError::Unexpected {
        detail: refusal.detail,
    })?;
    Ok(NetworkKind::Namespace)
}

/// Moves this process into a mount namespace of its own, so that it may mount what it likes, and
/// all of that goes with it. Call it from `main`, after [`enter_own_network`] and before any
/// thread is started.
///
/// # Errors
/// When it isn't allowed, or there are threads.
pub fn enter_own_mounts() -> Result<(), EnterError> {
    let threads = fs::read_dir("/proc/self/task").map_or(1, |tasks| tasks.count());
    if threads > 1 {
        return Err(EnterError::Threads { threads });
    }
    let refused = |detail| EnterError::NoMounts {
        detail,
        hint: guilty_setting(),
    };
    isolate(CloneFlags::CLONE_NEWNS).map_err(refused)?;
    let none = None::<&str>;
    // What the host mounts is still seen; what we mount is not seen by the host.
    mount(none, "/", none, MsFlags::MS_SLAVE | MsFlags::MS_REC, none)
        .map_err(|error| refused(format!("making our mounts our own says {error}")))
}

/// Why a step was refused.
#[derive(Debug)]
struct Refusal {
    /// Whether more rights would help.
    permission: bool,
    detail: String,
}

impl Refusal {
    fn other(detail: String) -> Self {
        Self {
            permission: false,
            detail,
        }
    }

    /// For a user who can do without.
    fn why(self) -> String {
        if self.permission {
            let hint = guilty_setting();
            format!(
                "no permission to create network namespaces: {}; to have them, run as root \
                 or enable unprivileged user namespaces ({hint})",
                self.detail
            )
        } else {
            format!("network namespaces are of no use here: {}", self.detail)
        }
    }
}

impl From<Refusal> for EnterError {
    fn from(refusal: Refusal) -> Self {
        let detail = refusal.detail;
        if refusal.permission {
            EnterError::NotPossible {
                detail,
                hint: guilty_setting(),
            }
        } else {
            EnterError::NoUse { detail }
        }
    }
}

#[derive(Clone, Copy)]
enum Depth {
    Rehearsal,
    Real,
}

fn enter(depth: Depth) -> Result<(), Refusal> {
    isolate(CloneFlags::CLONE_NEWNET).map_err(|detail| Refusal {
        permission: true,
        detail,
    })?;
    // This runtime lives on the calling thread only, and ends here.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Refusal::other(format!("a runtime for netlink: {error}")))?;
    let furnished = runtime.block_on(async {
        match depth {
            Depth::Rehearsal => hub::rehearse().await,
            Depth::Real => hub::build().await,
        }
    });
    furnished.map_err(|error| Refusal {
        // On some hosts the namespace is made and its maker has no power in it.
        permission: matches!(&error, NetworkError::Io { source, .. } if source.kind() == io::ErrorKind::PermissionDenied),
        detail: error.to_string(),
    })
}

/// Makes these namespaces, with a user namespace where they can't be had without.
fn isolate(wanted: CloneFlags) -> Result<(), String> {
    let Err(plain) = unshare(wanted) else {
        return Ok(());
    };
    let (user, group) = (geteuid(), getegid());
    unshare(CloneFlags::CLONE_NEWUSER | wanted).map_err(|error| {
        let wanted = if wanted.contains(CloneFlags::CLONE_NEWNET) {
            "CLONE_NEWNET"
        } else {
            "CLONE_NEWNS"
        };
        format!("unshare({wanted}) says {plain}, and with CLONE_NEWUSER {error}")
    })?;
    let write = |file: &str, text: String| {
        fs::write(file, &text).map_err(|error| format!("writing {text:?} to {file}: {error}"))
    };
    write("/proc/self/setgroups", "deny".into())?;
    write("/proc/self/uid_map", format!("{user} {user} 1"))?;
    write("/proc/self/gid_map", format!("{group} {group} 1"))
}

/// The child's exit code when more rights would help, and when not.
const NO_PERMISSION: i32 = 1;
const NO_USE: i32 = 2;

/// Runs `trial` in a forked child; its exit code says whether it is refused,
/// and the reason comes back through a pipe.
fn in_child(trial: impl FnOnce() -> Result<(), Refusal>) -> Result<(), Refusal> {
    let failed = |what: &str, error: io::Error| Refusal::other(format!("{what}: {error}"));
    let (mut answer, mut say) = io::pipe().map_err(|error| failed("pipe", error))?;
    // SAFETY: the caller made sure that this process has one thread only, so
    // the child has all of its state intact; it never returns from this block.
    match unsafe { fork() }.map_err(|error| failed("fork", error.into()))? {
        ForkResult::Child => {
            let code = match trial() {
                Ok(()) => 0,
                Err(refusal) => {
                    let _ = say.write_all(refusal.detail.as_bytes());
                    if refusal.permission {
                        NO_PERMISSION
                    } else {
                        NO_USE
                    }
                }
            };
            // SAFETY: ends the child without running anything of the parent's.
            unsafe { libc::_exit(code) }
        }
        ForkResult::Parent { child } => {
            drop(say);
            let mut detail = String::new();
            let read = answer.read_to_string(&mut detail);
            let status = waitpid(child, None)
                .map_err(|error| failed("waiting for the trial", error.into()))?;
            match status {
                WaitStatus::Exited(_, 0) => Ok(()),
                WaitStatus::Exited(_, code @ (NO_PERMISSION | NO_USE)) => Err(Refusal {
                    permission: code == NO_PERMISSION,
                    detail,
                }),
                other => Err(Refusal::other(format!(
                    "the trial ended as {other:?} ({read:?})"
                ))),
            }
        }
    }
}

/// The setting of this host that most likely forbids user namespaces.
fn guilty_setting() -> String {
    let settings = [
        (
            "/proc/sys/kernel/apparmor_restrict_unprivileged_userns",
            "1",
            "sysctl -w kernel.apparmor_restrict_unprivileged_userns=0",
        ),
        (
            "/proc/sys/kernel/unprivileged_userns_clone",
            "0",
            "sysctl -w kernel.unprivileged_userns_clone=1",
        ),
        (
            "/proc/sys/user/max_user_namespaces",
            "0",
            "sysctl -w user.max_user_namespaces=10000",
        ),
        (
            "/proc/sys/user/max_net_namespaces",
            "0",
            "sysctl -w user.max_net_namespaces=10000",
        ),
    ];
    let guilty = settings.iter().find(|(file, bad, _)| {
        fs::read_to_string(Path::new(file)).is_ok_and(|value| value.trim() == *bad)
    });
    guilty.map_or_else(
        || {
            "in a container: allow CAP_SYS_ADMIN, or a seccomp profile that lets unshare pass"
                .into()
        },
        |(_, _, remedy)| (*remedy).into(),
    )
}
