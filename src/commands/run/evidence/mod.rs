//! Evidence: what the nodes have on disk and say of themselves, collected while the run goes on.
//!
//! [`Evidence`] is the hand that the run holds. Behind it [`watch`] looks at sidecars and
//! processes every few milliseconds, and [`collect`] copies the files of the nodes when somebody
//! asks for it: after every fault, when a node went down, on a finding, and at the end. A node is
//! stopped while its files are copied, so that they are what a kill at that moment would leave.
//! What a run may keep is bounded; what is lost for that is said, and then the audit of what lies
//! over time is inconclusive.

mod collect;
mod copy;
mod requests;
mod watch;

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use keyquake_cluster::{Cluster, NodeSpec};
use keyquake_results::{EVIDENCE_FORMAT, EvidenceIndex, RunFolder};
use keyquake_systems::System;
use keyquake_workloads::Recorder;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

pub use self::requests::{Collecting, Requests};

use self::collect::Collector;
use super::stage::Stage;

/// What both halves share.
#[derive(Clone)]
struct Shared {
    cluster: Arc<Cluster>,
    system: Arc<dyn System>,
    specs: Vec<NodeSpec>,
    recorder: Recorder,
    folder: RunFolder,
    /// The run's folder, as its nodes know it.
    run: PathBuf,
    index: Arc<Mutex<EvidenceIndex>>,
}

impl Shared {
    fn index(&self) -> MutexGuard<'_, EvidenceIndex> {
        self.index.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Now, on the history's clock.
    fn now_ns(&self) -> u64 {
        self.recorder.elapsed().as_nanos() as u64
    }

    /// A path of the run, as it stands in the index.
    fn relative(&self, path: &std::path::Path) -> String {
        let below = path.strip_prefix(&self.run).unwrap_or(path);
        below.display().to_string()
    }

    /// Notes what could not be collected; of many a few are told.
    fn lost(&self, what: String) {
        const TOLD_MAX: usize = 50;
        let mut index = self.index();
        if index.lost.len() < TOLD_MAX && !index.lost.contains(&what) {
            index.lost.push(what);
        }
    }

    /// The index as it is now, to the disk: a run that is cut off has it too.
    fn save(&self) {
        let index = self.index().clone();
        if let Err(error) = self.folder.write_evidence(&index) {
            eprintln!("warning: {error}");
        }
    }
}

/// Collects evidence until it is finished.
pub struct Evidence {
    requests: Requests,
    shared: Shared,
    watcher: JoinHandle<()>,
    collector: JoinHandle<()>,
}

impl Evidence {
    /// Begins to collect from a cluster that has just been started.
    pub fn begin(stage: &Stage, cluster: &Arc<Cluster>) -> anyhow::Result<Evidence> {
        let shared = Shared {
            cluster: cluster.clone(),
            system: stage.system.clone(),
            specs: stage.specs.clone(),
            recorder: stage.recorder.clone(),
            folder: stage.folder.clone(),
            run: stage.folder.path().canonicalize()?,
            index: Arc::new(Mutex::new(EvidenceIndex {
                format: EVIDENCE_FORMAT,
                ..EvidenceIndex::default()
            })),
        };
        let (sender, receiver) = mpsc::unbounded_channel();
        let requests = Requests(sender);
        let collector = Collector::new(shared.clone())?;
        Ok(Evidence {
            watcher: tokio::spawn(watch::watch(shared.clone(), requests.clone())),
            collector: tokio::spawn(collector.work(receiver)),
            requests,
            shared,
        })
    }

    /// Where collections are asked for.
    pub fn requests(&self) -> Requests {
        self.requests.clone()
    }

    /// Collects once more, and ends.
    pub async fn finish(self) -> anyhow::Result<()> {
        self.requests.end();
        let collected = self.collector.await;
        self.watcher.abort();
        let _ = self.watcher.await;
        if collected.is_err() {
            self.shared
                .lost("the collector failed, see the terminal".to_owned());
        }
        self.shared.index().complete = true;
        let index = self.shared.index().clone();
        self.shared.folder.write_evidence(&index)?;
        Ok(())
    }
}
