//! The files of nodes, copied while these stand still, and what nodes answer.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use anyhow::Context;
use futures_util::future::join_all;
use keyquake_cluster::{Frozen, NodeStatus};
use keyquake_results::{Collection, NodeAnswer, NodeCopy};
use keyquake_systems::elastickv::encryption::{Asking, KeyFiles};
use tokio::sync::mpsc::UnboundedReceiver;

use super::Shared;
use super::copy::Copier;
use super::requests::Why;

/// What a run may keep.
const BYTES_MAX: u64 = 1 << 30;
const COLLECTIONS_MAX: usize = 300;
/// Collections for findings: of many findings the first show how it was.
const FINDINGS_MAX: u32 = 8;

/// Copies when it is asked to.
pub struct Collector {
    shared: Shared,
    copier: Arc<Mutex<Copier>>,
    asking: Vec<Option<Asking>>,
    findings: u32,
    /// Whether the bound was met, and that was said.
    full: bool,
}

/// What is copied at once, and why.
struct Order {
    why: Vec<String>,
    nodes: Vec<u16>,
    /// Whether all stand still before the first is copied.
    at_once: bool,
    /// Whether nodes are asked too.
    asks: bool,
    last: bool,
}

impl Collector {
    pub fn new(shared: Shared) -> anyhow::Result<Collector> {
        let folder = shared.run.join("evidence");
        std::fs::create_dir_all(&folder)
            .with_context(|| format!("failed to make {}", folder.display()))?;
        Ok(Collector {
            asking: shared
                .specs
                .iter()
                .map(|spec| Asking::of(spec).ok())
                .collect(),
            shared,
            copier: Arc::default(),
            findings: 0,
            full: false,
        })
    }

    /// Collects until the end was asked for. What is asked for together is collected together.
    pub async fn work(mut self, mut requests: UnboundedReceiver<Why>) {
        while let Some(first) = requests.recv().await {
            let mut all = vec![first];
            while let Ok(more) = requests.try_recv() {
                all.push(more);
            }
            let order = self.order(all);
            if !order.nodes.is_empty() {
                self.collect(&order).await;
            }
            if order.last {
                return;
            }
        }
    }

    fn order(&mut self, all: Vec<Why>) -> Order {
        let mut order = Order {
            why: Vec::new(),
            nodes: Vec::new(),
            at_once: false,
            asks: false,
            last: false,
        };
        let every = 0..self.shared.specs.len() as u16;
        for why in all {
            let name = |node: u16| self.shared.cluster.id(node).to_owned();
            order.why.push(match &why {
                Why::AfterFault(fault, name) => format!("after fault {fault} ({name})"),
                Why::Down(node) => format!("{} went down", name(*node)),
                Why::Finding(what) => format!("finding: {what}"),
                Why::End => "the end".to_owned(),
            });
            match why {
                // One that is up again says nothing of how the one before ended.
                Why::Down(node) if self.shared.cluster.status(node).is_up() => {
                    drop(order.why.pop());
                }
                Why::Down(node) => order.nodes.push(node),
                Why::Finding(_) if self.findings >= FINDINGS_MAX => drop(order.why.pop()),
                Why::Finding(_) => {
                    self.findings += 1;
                    order.at_once = true;
                }
                Why::AfterFault(..) => {}
                Why::End => order.last = true,
            }
            if !matches!(why, Why::Down(_)) && !order.why.is_empty() {
                order.nodes.extend(every.clone());
                order.asks = true;
            }
        }
        order.nodes.sort_unstable();
        order.nodes.dedup();
        order
    }

    async fn collect(&mut self, order: &Order) {
        if self.is_full() {
            return;
        }
        let number = self.shared.index().collections.len();
        let name = format!("{number:03}-{}", slug(&order.why[0]));
        let folder = self.shared.run.join("evidence").join(name);
        let time_ns = self.shared.now_ns();
        let operations = self.shared.recorder.completed();
        let answers = match order.asks {
            true => self.ask(order, &folder).await,
            false => Vec::new(),
        };
        let nodes = match order.at_once {
            true => self.all_at_once(order, &folder).await,
            false => self.one_by_one(order, &folder).await,
        };
        let bytes = self.copier().bytes;
        let mut index = self.shared.index();
        index.bytes = bytes;
        index.collections.push(Collection {
            folder: self.shared.relative(&folder),
            why: order.why.join(", "),
            time_ns,
            operations,
            nodes,
            answers,
        });
        drop(index);
        self.shared.save();
    }

    fn copier(&self) -> std::sync::MutexGuard<'_, Copier> {
        self.copier.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether no more may be kept; says so once.
    fn is_full(&mut self) -> bool {
        let (bytes, count) = (self.copier().bytes, self.shared.index().collections.len());
        let full = bytes >= BYTES_MAX || count >= COLLECTIONS_MAX;
        if full && !self.full {
            self.full = true;
            self.shared.lost(format!(
                "what came after {count} collections of {bytes} bytes: no more is kept of a run"
            ));
        }
        full
    }

    async fn one_by_one(&self, order: &Order, folder: &Path) -> Vec<NodeCopy> {
        let mut copies = Vec::new();
        for &node in &order.nodes {
            if let Some(frozen) = self.freeze(node).await {
                copies.extend(self.copy(node, frozen, folder).await);
            }
        }
        copies
    }

    async fn all_at_once(&self, order: &Order, folder: &Path) -> Vec<NodeCopy> {
        let frozen = join_all(order.nodes.iter().map(|&node| self.freeze(node))).await;
        let copies = order.nodes.iter().zip(frozen);
        let copies = copies.filter_map(|(&node, frozen)| Some(self.copy(node, frozen?, folder)));
        join_all(copies).await.into_iter().flatten().collect()
    }

    async fn freeze(&self, node: u16) -> Option<(Frozen<'_>, Instant)> {
        let begun = Instant::now();
        match self.shared.cluster.freeze(node).await {
            Ok(frozen) => Some((frozen, begun)),
            Err(error) => {
                self.shared.lost(error.to_string());
                None
            }
        }
    }

    /// Copies the files of a node that stands still, and lets it go on.
    async fn copy(
        &self,
        node: u16,
        (frozen, begun): (Frozen<'_>, Instant),
        folder: &Path,
    ) -> Option<NodeCopy> {
        let spec = self.shared.specs.get(usize::from(node))?;
        let (status, stopped) = frozen.found();
        let time_ns = self.shared.now_ns();
        let copied = match status {
            // A spare that waits has no files.
            NodeStatus::NeverStarted => None,
            _ => {
                let to = folder.join(&spec.id);
                Some(self.copy_files(node, status, to).await)
            }
        };
        if let Err(error) = self.shared.cluster.thaw(frozen).await {
            self.shared.lost(error.to_string());
        }
        let pid = status.pid().or_else(|| self.last_pid(&spec.id));
        match copied? {
            Ok(to) => Some(NodeCopy {
                node: spec.id.clone(),
                folder: self.shared.relative(&to),
                raft_id: raft_id(&spec.data_dir),
                time_ns,
                stood: match (status.is_up(), stopped) {
                    (true, true) => "stopped",
                    (true, false) => "paused",
                    (false, _) => "down",
                }
                .to_owned(),
                stopped_ns: match stopped {
                    true => begun.elapsed().as_nanos() as u64,
                    false => 0,
                },
                pid,
            }),
            Err(error) => {
                self.shared.lost(format!("files of {}: {error}", spec.id));
                None
            }
        }
    }

    async fn copy_files(
        &self,
        node: u16,
        status: NodeStatus,
        to: PathBuf,
    ) -> Result<PathBuf, String> {
        let spec = &self.shared.specs[usize::from(node)];
        let (copier, data) = (self.copier.clone(), spec.data_dir.clone());
        let keys = KeyFiles::of_run(&self.shared.run).folder(&spec.id);
        let name = raft_id(&data);
        let work = move || {
            let mut copier = copier.lock().unwrap_or_else(PoisonError::into_inner);
            copier.folder(&data, &to.join("data").join(name))?;
            copier.folder(&keys, &to.join("keys"))?;
            if let Some(pid) = status.pid() {
                copier.deleted(pid, &data, &to.join("deleted"))?;
            }
            Ok(to)
        };
        let done = tokio::task::spawn_blocking(work).await;
        done.unwrap_or_else(|_| Err("the copy was cut off".to_owned()))
    }

    fn last_pid(&self, node: &str) -> Option<u32> {
        let index = self.shared.index();
        let load = index.loads.iter().rfind(|load| load.node == node)?;
        Some(load.pid)
    }

    /// Asks the nodes that run, all at once.
    async fn ask(&self, order: &Order, folder: &Path) -> Vec<NodeAnswer> {
        let running = order.nodes.iter().filter(|node| {
            matches!(
                self.shared.cluster.status(**node),
                NodeStatus::Running { .. }
            )
        });
        let asked = running.filter_map(|&node| {
            let asking = self.asking.get(usize::from(node))?.as_ref()?;
            let time_ns = self.shared.now_ns();
            Some(async move { (node, time_ns, asking.testimony().await) })
        });
        let mut answers = Vec::new();
        for (node, time_ns, given) in join_all(asked).await {
            let name = self.shared.cluster.id(node);
            for (question, bytes) in given {
                let file = folder.join("answers").join(format!("{name}-{question}"));
                let written = std::fs::create_dir_all(folder.join("answers"))
                    .and_then(|()| std::fs::write(&file, bytes));
                match written {
                    Ok(()) => answers.push(NodeAnswer {
                        node: name.to_owned(),
                        question: question.to_owned(),
                        time_ns,
                        file: self.shared.relative(&file),
                    }),
                    Err(error) => self.shared.lost(format!("{}: {error}", file.display())),
                }
            }
        }
        answers
    }
}

/// A data directory is called by the node's id in its Raft group.
fn raft_id(data: &Path) -> String {
    let name = data.file_name().unwrap_or_default();
    name.to_string_lossy().into_owned()
}

/// A few words as the name of a folder.
fn slug(words: &str) -> String {
    const LONGEST: usize = 40;
    let plain = |letter: char| match letter.is_ascii_alphanumeric() {
        true => letter.to_ascii_lowercase(),
        false => '-',
    };
    let text: String = words.chars().map(plain).take(LONGEST).collect();
    let parts: Vec<_> = text.split('-').filter(|part| !part.is_empty()).collect();
    parts.join("-")
}
