//! Nodes as child processes of the suite.

use std::collections::HashMap;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use nix::errno::Errno;
use nix::sched::{CloneFlags, setns};
use nix::sys::signal::{Signal, killpg};
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid};
use nix::unistd::Pid;
use tokio::sync::watch;

use super::checks::{check_directory, check_program, not_started};
use super::log::NodeLog;
use super::proc::{self, ThreadCensus};
use super::spawner::Spawner;
use super::{EFFECT_SECONDS, Running, Runtime, RuntimeError, done_by};
use crate::cgroup::{Allowance, CgroupError, Group, Groups};
use crate::journal::{NODE_VARIABLE, RUN_VARIABLE, Undo};
use crate::network::Network;
use crate::spec::NodeSpec;
use crate::status::{Ending, NodeStatus};

const SIGKILL: i32 = Signal::SIGKILL as i32;

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
    groups: Option<Arc<Groups>>,
}

/// One start of one node.
struct NodeProcess {
    group: Pid,
    /// True once the process id may belong to somebody else. Signals are sent
    /// with this locked, so that they can never hit a stranger.
    reaped: Mutex<bool>,
    ended: watch::Sender<Option<Ending>>,
    control: Option<Group>,
    /// How many of its control group the kernel had killed for their memory when it started.
    killed_before: Option<u64>,
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
            groups: None,
        })
    }

    /// The same, with each node in a control group of its own, so that it can be limited.
    pub fn grouped(mut self, groups: Arc<Groups>) -> Self {
        self.groups = Some(groups);
        self
    }

    fn group(&self, node: &str) -> Option<&Group> {
        self.groups.as_ref()?.of(node)
    }

    fn limitable(&self, node: &str) -> Result<&Group, RuntimeError> {
        self.group(node).ok_or_else(|| RuntimeError::NoGroup {
            node: node.to_owned(),
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
        let mut command = self.command(spec, &program);
        let control = self.group(&spec.id).cloned();
        if let Some(control) = &control {
            let entered = enter(&mut command, control);
            entered.map_err(grouped(&spec.id, "put into its control group"))?;
        }
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
            killed_before: control.as_ref().and_then(|group| group.oom_kills().ok()),
            control,
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

    async fn limit_cpu(&self, node: &str, cores: Option<f64>) -> Result<Option<f64>, RuntimeError> {
        let limited = self.limitable(node)?.limit_cpu(cores);
        limited.map_err(grouped(node, "limit the processor time of"))
    }

    async fn limit_memory(
        &self,
        node: &str,
        bytes: Option<u64>,
    ) -> Result<Option<u64>, RuntimeError> {
        let limited = self.limitable(node)?.limit_memory(bytes);
        limited.map_err(grouped(node, "limit the memory of"))
    }

    async fn allowance(&self, node: &str) -> Result<Allowance, RuntimeError> {
        let read = self.limitable(node)?.allowance();
        read.map_err(grouped(node, "read the limits of"))
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
        let ending = match ending {
            Ending::Signal(SIGKILL) if self.was_out_of_memory() => Ending::OutOfMemory,
            other => other,
        };
        *reaped = true;
        drop(reaped);
        log.note(&ending.to_string());
        self.ended.send_replace(Some(ending));
    }

    fn was_out_of_memory(&self) -> bool {
        let now = self.control.as_ref();
        let now = now.and_then(|group| group.oom_kills().ok());
        now.zip(self.killed_before)
            .is_some_and(|(now, before)| now > before)
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

/// Lets a command enter its control group before its program begins: what memory it takes is
/// charged to where it is then.
fn enter(command: &mut Command, group: &Group) -> Result<(), CgroupError> {
    let doors = group.doors()?;
    let enter = move || {
        for door in &doors {
            nix::unistd::write(door, b"0")?;
        }
        Ok(())
    };
    // SAFETY: only system calls on descriptors that were opened before; nothing allocates.
    unsafe { command.pre_exec(enter) };
    Ok(())
}

fn grouped(node: &str, what: &'static str) -> impl FnOnce(CgroupError) -> RuntimeError + use<> {
    let node = node.to_owned();
    move |source| RuntimeError::Group { node, what, source }
}
