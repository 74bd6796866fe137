//! Nodes as child processes of the suite.

use std::collections::HashMap;
use std::fs;
use std::io::{self, ErrorKind};
use std::os::fd::{AsRawFd, BorrowedFd};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use nix::errno::Errno;
use nix::sched::{CloneFlags, setns};
use nix::sys::signal::{Signal, killpg};
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid};
use nix::unistd::{AccessFlags, Pid, access};
use tokio::sync::watch;

use super::log::NodeLog;
use super::proc::{self, ThreadCensus};
use super::spawner::Spawner;
use super::{EFFECT_SECONDS, Running, Runtime, RuntimeError, done_by};
use crate::journal::{NODE_VARIABLE, RUN_VARIABLE, Undo};
use crate::network::Network;
use crate::spec::NodeSpec;
use crate::status::{Ending, NodeStatus};

/// Runs nodes as child processes, each in its namespace of `network`.
///
/// A node leads a process group, dies with the suite, and carries the run's
/// marker in its environment. Dropping the runtime kills its nodes.
pub struct ProcessRuntime {
    network: Arc<Network>,
    marker: String,
    started: Instant,
    spawner: Spawner,
    nodes: Mutex<HashMap<String, Arc<NodeProcess>>>,
}

/// One start of one node.
struct NodeProcess {
    group: Pid,
    /// True once the process id may belong to somebody else. Signals are sent
    /// with this locked, so that they can never hit a stranger.
    reaped: Mutex<bool>,
    ended: watch::Sender<Option<Ending>>,
}

impl ProcessRuntime {
    /// A runtime for the run with this marker ([`crate::journal::Journal::marker`]).
    /// Times in the logs count from `started`.
    ///
    /// # Errors
    /// When the spawning thread can't be started.
    pub fn new(network: Arc<Network>, marker: &str, started: Instant) -> io::Result<Self> {
        Ok(Self {
            network,
            marker: marker.to_owned(),
            started,
            spawner: Spawner::start()?,
            nodes: Mutex::new(HashMap::new()),
        })
    }

    fn nodes(&self) -> MutexGuard<'_, HashMap<String, Arc<NodeProcess>>> {
        self.nodes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn process(&self, node: &str) -> Option<Arc<NodeProcess>> {
        self.nodes().get(node).cloned()
    }

    fn up(&self, node: &str, done: &'static str) -> Result<Arc<NodeProcess>, RuntimeError> {
        let process = self.process(node);
        process
            .filter(|process| process.status().is_up())
            .ok_or_else(|| RuntimeError::NotUp {
                node: node.to_owned(),
                done,
                status: self.status(node),
            })
    }

    fn command(&self, spec: &NodeSpec, program: &Path) -> Command {
        let mut command = Command::new(program);
        command
            .args(&spec.launch.args)
            .envs(spec.launch.env.iter().map(|(name, value)| (name, value)))
            .env(RUN_VARIABLE, &self.marker)
            .env(NODE_VARIABLE, &spec.id)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        if let Some(namespace) = self.network.namespace(spec.index) {
            let descriptor = namespace.as_raw_fd();
            // SAFETY: one system call; the descriptor belongs to `network`,
            // which lives at least as long as this runtime.
            unsafe {
                command.pre_exec(move || {
                    setns(BorrowedFd::borrow_raw(descriptor), CloneFlags::CLONE_NEWNET)?;
                    Ok(())
                });
            }
        }
        command
    }
}

#[async_trait]
impl Runtime for ProcessRuntime {
    fn undo(&self, spec: &NodeSpec) -> Option<Undo> {
        Some(Undo::Process {
            node: spec.id.clone(),
        })
    }

    async fn start(&self, spec: &NodeSpec) -> Result<u32, RuntimeError> {
        let status = self.status(&spec.id);
        if status.is_up() {
            return Err(RuntimeError::AlreadyUp {
                node: spec.id.clone(),
                status,
            });
        }
        let program = check_program(spec)?;
        check_directory(spec, "data", &spec.data_dir)?;
        check_directory(spec, "log", &spec.log_dir)?;
        let io = |what| {
            move |source| RuntimeError::Io {
                node: spec.id.clone(),
                what,
                source,
            }
        };
        let log = NodeLog::open(&spec.log_dir, &spec.id, self.started).map_err(|source| {
            RuntimeError::Directory {
                node: spec.id.clone(),
                role: "log",
                path: spec.log_dir.clone(),
                done: "written to",
                source,
            }
        })?;
        let command = self.command(spec, &program);
        let spawned = self.spawner.spawn(command).await;
        let mut child = spawned.map_err(|source| not_started(spec, program, source))?;
        let pid = child.id();
        log.note(&format!(
            "started {} as pid {pid}, release {}",
            spec.id, spec.release
        ));
        let streams = (child.stdout.take(), child.stderr.take());
        let process = Arc::new(NodeProcess {
            group: Pid::from_raw(pid as i32),
            reaped: Mutex::new(false),
            ended: watch::Sender::new(None),
        });
        self.nodes().insert(spec.id.clone(), Arc::clone(&process));
        let waiting = log.clone();
        thread::Builder::new()
            .name(format!("wait-{}", spec.id))
            .spawn(move || process.wait(child, &waiting))
            .map_err(io("wait for"))?;
        if let Some(stdout) = streams.0 {
            log.capture("out", stdout)
                .map_err(io("read the output of"))?;
        }
        if let Some(stderr) = streams.1 {
            log.capture("err", stderr)
                .map_err(io("read the output of"))?;
        }
        Ok(pid)
    }

    async fn signal(&self, node: &str, signal: Signal) -> Result<(), RuntimeError> {
        let done = done_by(signal);
        let process = self.up(node, done)?;
        match process.signal(signal) {
            Ok(()) => Ok(()),
            Err(Errno::ESRCH) => {
                // It has just ended by itself: say how.
                let limit = Duration::from_secs(EFFECT_SECONDS);
                let _ = tokio::time::timeout(limit, process.end()).await;
                Err(RuntimeError::NotUp {
                    node: node.to_owned(),
                    done,
                    status: process.status(),
                })
            }
            Err(error) => Err(RuntimeError::Io {
                node: node.to_owned(),
                what: "signal",
                source: error.into(),
            }),
        }
    }

    fn census(&self, node: &str) -> Result<ThreadCensus, RuntimeError> {
        let process = self.up(node, "looked at")?;
        proc::census(process.group.as_raw()).map_err(|source| RuntimeError::Io {
            node: node.to_owned(),
            what: "count the threads of",
            source,
        })
    }

    async fn running(&self, node: &str) -> Result<Running, RuntimeError> {
        let status = self.status(node);
        match status.pid() {
            Some(pid) => Ok(Running::Program(format!("/proc/{pid}/exe").into())),
            None => Err(RuntimeError::NotUp {
                node: node.to_owned(),
                done: "looked at",
                status,
            }),
        }
    }

    fn status(&self, node: &str) -> NodeStatus {
        self.process(node)
            .map_or(NodeStatus::NeverStarted, |process| process.status())
    }

    async fn wait_exit(&self, node: &str) -> Result<Ending, RuntimeError> {
        let never = || RuntimeError::NotUp {
            node: node.to_owned(),
            done: "waited for",
            status: NodeStatus::NeverStarted,
        };
        let process = self.process(node).ok_or_else(never)?;
        process.end().await.ok_or_else(never)
    }
}

impl Drop for ProcessRuntime {
    fn drop(&mut self) {
        for process in self.nodes().values() {
            let _ = process.signal(Signal::SIGKILL);
        }
    }
}

impl NodeProcess {
    /// Sends a signal to the whole group, if its leader hasn't ended.
    fn signal(&self, signal: Signal) -> Result<(), Errno> {
        let reaped = self.reaped.lock().unwrap_or_else(PoisonError::into_inner);
        if *reaped || self.has_ended() {
            return Err(Errno::ESRCH);
        }
        killpg(self.group, signal)
    }

    /// Whether the process has ended, even if nobody has taken notice yet.
    fn has_ended(&self) -> bool {
        let flags = WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT | WaitPidFlag::WNOHANG;
        !matches!(
            waitid(Id::Pid(self.group), flags),
            Ok(WaitStatus::StillAlive)
        )
    }

    /// Waits for the end on a thread of its own, and makes it known.
    fn wait(&self, mut child: Child, log: &NodeLog) {
        // Without reaping: as long as the dead leader is there, its id is nobody else's.
        while waitid(
            Id::Pid(self.group),
            WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT,
        ) == Err(Errno::EINTR)
        {}
        let mut reaped = self.reaped.lock().unwrap_or_else(PoisonError::into_inner);
        // What the node had started itself must not outlive it.
        let _ = killpg(self.group, Signal::SIGKILL);
        let ending = child.wait().map_or(Ending::Code(-1), Ending::from);
        *reaped = true;
        drop(reaped);
        log.note(&ending.to_string());
        self.ended.send_replace(Some(ending));
    }

    fn status(&self) -> NodeStatus {
        if let Some(ending) = *self.ended.borrow() {
            return NodeStatus::Exited(ending);
        }
        let pid = self.group.as_raw() as u32;
        match proc::stat(&format!("/proc/{pid}/stat")) {
            Ok(stat) if matches!(stat.state, 'T' | 't') => NodeStatus::Paused { pid },
            _ => NodeStatus::Running { pid },
        }
    }

    async fn end(&self) -> Option<Ending> {
        let mut ended = self.ended.subscribe();
        *ended.wait_for(Option::is_some).await.ok()?
    }
}

/// Finds the program as the shell would, and says what is wrong with it.
fn check_program(spec: &NodeSpec) -> Result<PathBuf, RuntimeError> {
    let program = &spec.launch.program;
    let not_found = || RuntimeError::ProgramNotFound {
        node: spec.id.clone(),
        program: program.clone(),
    };
    if program.components().count() == 1 && !program.is_absolute() {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let places = std::env::split_paths(&path).map(|place| place.join(program));
        let runs = |place: &PathBuf| place.is_file() && access(place, AccessFlags::X_OK).is_ok();
        return places.into_iter().find(runs).ok_or_else(not_found);
    }
    let refuse = |reason: String| RuntimeError::NotExecutable {
        node: spec.id.clone(),
        program: program.clone(),
        reason,
    };
    match fs::metadata(program) {
        Err(error) if error.kind() == ErrorKind::NotFound => Err(RuntimeError::ProgramNotFound {
            node: spec.id.clone(),
            program: program.clone(),
        }),
        Err(error) => Err(refuse(error.to_string())),
        Ok(meta) if meta.is_dir() => Err(refuse("it is a directory".into())),
        Ok(_) => match access(program, AccessFlags::X_OK) {
            Ok(()) => Ok(program.clone()),
            Err(error) => Err(refuse(error.desc().to_owned())),
        },
    }
}

/// Names what the kernel had against a program that looked right.
fn not_started(spec: &NodeSpec, program: PathBuf, source: io::Error) -> RuntimeError {
    let node = spec.id.clone();
    match source.kind() {
        // The script's interpreter, since the file itself was seen.
        ErrorKind::NotFound => RuntimeError::NotExecutable {
            node,
            program,
            reason: "its interpreter or loader is not there".into(),
        },
        ErrorKind::PermissionDenied => RuntimeError::NotExecutable {
            node,
            program,
            reason: source.to_string(),
        },
        _ => RuntimeError::Io {
            node,
            what: "start",
            source,
        },
    }
}

/// Makes the directory if need be. No probe file is written: a start must leave
/// a data directory as it was.
///
/// # Errors
/// When it can't be made, or not be written to.
pub fn check_directory(
    spec: &NodeSpec,
    role: &'static str,
    path: &Path,
) -> Result<(), RuntimeError> {
    let refuse = |done, source| RuntimeError::Directory {
        node: spec.id.clone(),
        role,
        path: path.to_owned(),
        done,
        source,
    };
    fs::create_dir_all(path).map_err(|source| refuse("made", source))?;
    access(path, AccessFlags::W_OK | AccessFlags::X_OK)
        .map_err(|error| refuse("written to", error.into()))
}
