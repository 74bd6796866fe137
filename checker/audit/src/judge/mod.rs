//! From what lies on the disks to findings and counts.

mod clock;
mod conclude;
mod damage;
mod diagnose;
mod envelopes;
mod facts;
mod gone;
mod log;
mod nonces;
mod overtime;
mod past;
mod put_back;
mod replicas;
mod rollout;
mod sidecars;
mod state;
mod tables;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Component, Path, PathBuf};

use keyquake_formats::keys::Kek;
use keyquake_formats::node_id::{full_node_id, node_id};
use keyquake_formats::sidecar::Sidecar;
use rustc_hash::FxHashSet;

use crate::canaries::{Canaries, MayStand};
use crate::disk::{self, DiskError, Found};
use crate::finding::{Findings, Invariant, Place, Spot};
use crate::keyring::Keyring;
use crate::nonces::NonceSet;
use crate::report::{Audit, Counts, NodeAudit, PastCounts, Scanned};
use crate::scan::{Hit, Needles, Spelling};
use crate::secrets;
use crate::subject::{AuditError, NodeDisks, Subject};

use clock::Clock;
use facts::Facts;
use nonces::Nonces;
use overtime::Chains;
use put_back::{At, PutBack};
use replicas::Replicas;
use sidecars::ClusterState;

/// After this many bare keys in one file, no more are noted.
const SECRETS_MAX: u32 = 10_000;

/// Audits a cluster. Reads only: nothing that belongs to it is written or locked.
///
/// # Errors
/// [`AuditError`] if nothing could be looked at. What can't be looked at on its own is a gap
/// in the audit, not an error.
pub fn audit(subject: &Subject) -> Result<Audit, AuditError> {
    audit_remembering(subject, &mut NonceSet::default())
}

/// The same for one of several audits of a cluster over time: `nonces` is what the earlier ones
/// met, and takes up what this one meets. ENC-NONCE is judged over all of them.
///
/// # Errors
/// As [`audit`]. What was met until then stays in `nonces`.
pub fn audit_remembering(subject: &Subject, nonces: &mut NonceSet) -> Result<Audit, AuditError> {
    if subject.nodes.is_empty() {
        return Err(AuditError::NoNodes);
    }
    for node in &subject.nodes {
        fs::read_dir(&node.data_dir).map_err(|source| AuditError::DataDir {
            node: node.name.clone(),
            path: node.data_dir.clone(),
            source,
        })?;
    }
    let kek = subject.kek.as_deref().map(Kek::load).transpose()?;
    let mut findings = Findings::default();
    let mut gaps = Vec::new();
    let sidecars: Vec<Option<Sidecar>> = subject
        .nodes
        .iter()
        .map(|node| sidecars::read(node, &mut findings, &mut gaps))
        .collect();
    let rings: Vec<Keyring> = subject
        .nodes
        .iter()
        .zip(&sidecars)
        .map(|(node, sidecar)| keyring(node, sidecar.as_ref(), kek.as_ref(), &mut findings))
        .collect();
    let past = subject.past.as_ref();
    let mut chains = past.map_or_else(Chains::default, |past| Chains::read(past, &mut findings));
    let ever = past::every_key(&chains, kek.as_ref());
    let all_rings: Vec<_> = rings.iter().chain([&ever]).collect();
    let needles = Needles::new(subject.canaries.as_ref(), secrets(kek.as_ref(), &all_rings));
    let mut judge = Judge::new(subject, &sidecars, &needles, nonces, findings, gaps);
    judge.has_kek = kek.is_some();
    judge.ever = Some(&ever);
    for (node, sidecar) in chains.all() {
        judge.persisted(node, sidecar);
    }
    let mut begun = Vec::new();
    for (node, ring) in subject.nodes.iter().zip(&rings) {
        let found = disk::begin(&node.data_dir);
        judge.clock.read(&found.logs, ring);
        begun.push(found);
    }
    if let Some(past) = past {
        judge.past(past, &ever, &chains);
    }
    for ((place, node), begun) in subject.nodes.iter().enumerate().zip(begun) {
        let others = subject.nodes.iter().zip(&rings).enumerate();
        let others = others
            .filter(|(other, _)| *other != place)
            .map(|(_, (node, ring))| (node.name.as_str(), ring))
            .collect();
        let node = Node {
            name: &node.name,
            ring: &rings[place],
            others,
            disks: node,
            dropped: BTreeSet::new(),
        };
        judge.node(&node, begun);
    }
    if let Some(past) = past {
        judge.over_time(past, &mut chains);
    }
    Ok(judge.conclude(&chains))
}

fn keyring(
    node: &NodeDisks,
    sidecar: Option<&Sidecar>,
    kek: Option<&Kek>,
    findings: &mut Findings,
) -> Keyring {
    let (Some(sidecar), Some(kek)) = (sidecar, kek) else {
        return Keyring::default();
    };
    let (ring, shut) = Keyring::of(sidecar, kek);
    for id in shut {
        let path = node.sidecar.as_deref().unwrap_or(Path::new(""));
        let spot = Spot::new(&node.name, Place::Sidecar, path);
        let text = format!("key {id} does not unwrap under the KEK");
        findings.add(Invariant::Open, "key-does-not-unwrap", spot, text);
    }
    ring
}

fn secrets(kek: Option<&Kek>, rings: &[&Keyring]) -> Vec<secrets::Secret> {
    let mut names = BTreeMap::new();
    for (id, key) in rings.iter().flat_map(|ring| ring.keys()) {
        // One id has the same bytes everywhere; if not, that is a finding of its own.
        names.insert((id, *key.dek.expose()), format!("{} DEK {id}", key.purpose));
    }
    let mut all: Vec<_> = names
        .iter()
        .flat_map(|((_, key), name)| secrets::spellings(name, key))
        .collect();
    if let Some(kek) = kek {
        all.extend(secrets::spellings("KEK", kek.expose()));
    }
    all
}

/// A node while it is judged.
struct Node<'a> {
    name: &'a str,
    disks: &'a NodeDisks,
    ring: &'a Keyring,
    others: Vec<(&'a str, &'a Keyring)>,
    /// Keys that its sidecar had before, and has no more.
    dropped: BTreeSet<u32>,
}

/// In how many ways a canary was seen.
#[derive(Clone, Copy, Default)]
struct Sighting {
    in_bytes: bool,
    in_rows: bool,
    sealed: bool,
    by_wrong: bool,
}

/// An audit under way.
struct Judge<'a> {
    subject: &'a Subject,
    needles: &'a Needles,
    cluster: ClusterState,
    /// Sidecars that could be read.
    sidecars: usize,
    has_kek: bool,
    findings: Findings,
    gaps: Vec<String>,
    nonces: Nonces<'a>,
    replicas: Replicas,
    put_back: PutBack,
    /// Whether what is looked at was collected on the way.
    on_the_way: bool,
    /// What is gone and was opened on the way.
    gone_opened: FxHashSet<u64>,
    nodes: Vec<NodeAudit>,
    scanned: Scanned,
    sightings: Vec<Sighting>,
    diagnosed: u32,
    /// Snapshots whose header names the cutover that the sidecars name.
    headers: u64,
    /// Which entry made which row, where a row does not say it itself.
    clock: Clock,
    cuts: Vec<String>,
    /// Every key that any sidecar ever had.
    ever: Option<&'a Keyring>,
    facts: Facts,
    /// Files of copies that were looked through, by device and inode.
    looked_through: FxHashSet<(u64, u64)>,
    past_counts: PastCounts,
    /// What could not be looked at on the way.
    past_gaps: Vec<String>,
    startup_rotations: u64,
}

impl<'a> Judge<'a> {
    fn new(
        subject: &'a Subject,
        sidecars: &'a [Option<Sidecar>],
        needles: &'a Needles,
        nonces: &'a mut NonceSet,
        mut findings: Findings,
        gaps: Vec<String>,
    ) -> Judge<'a> {
        let with: Vec<(&NodeDisks, &Sidecar)> = subject
            .nodes
            .iter()
            .zip(sidecars)
            .filter_map(|(node, sidecar)| Some((node, sidecar.as_ref()?)))
            .collect();
        let names = subject.nodes.iter().map(|node| node.name.as_str());
        let former = subject.former_members.iter().map(String::as_str);
        let mut nonces = Nonces::new(nonces, names.chain(former), &mut findings);
        for (node, sidecar) in &with {
            for (id, key) in &sidecar.keys {
                nonces.persisted(&node.name, *id, key.local_epoch);
            }
        }
        let cluster = sidecars::agree(&with, subject.answered, &mut findings);
        Judge {
            subject,
            needles,
            cluster,
            sidecars: with.len(),
            has_kek: false,
            findings,
            gaps,
            nonces,
            replicas: Replicas::default(),
            put_back: PutBack::default(),
            on_the_way: false,
            gone_opened: FxHashSet::default(),
            nodes: Vec::new(),
            scanned: Scanned::default(),
            sightings: vec![
                Sighting::default();
                subject.canaries.as_ref().map_or(0, Canaries::len)
            ],
            diagnosed: 0,
            headers: 0,
            clock: Clock::default(),
            cuts: Vec::new(),
            ever: None,
            facts: Facts::default(),
            looked_through: FxHashSet::default(),
            past_counts: PastCounts::default(),
            past_gaps: Vec::new(),
            startup_rotations: 0,
        }
    }

    /// Notes the epochs that a node's sidecar has, or had.
    fn persisted(&mut self, node: &str, sidecar: &Sidecar) {
        for (id, key) in &sidecar.keys {
            self.nonces.persisted(node, *id, key.local_epoch);
        }
    }

    /// Everything of one node.
    fn node(&mut self, node: &Node<'_>, begun: Found) {
        self.nodes.push(NodeAudit {
            node: node.name.to_owned(),
            places: BTreeMap::new(),
        });
        self.facts
            .begin(node.name, node_id(full_node_id(node.name)));
        let found = self.rows_and_entries(node, begun);
        self.replicas.see(node, &found);
        self.put_back(node, u64::MAX, &found);
        self.facts.end(false, &mut self.findings);
        self.bytes(node);
    }

    /// Whether anything older stands where it was newer. Of files that the plan changed nothing is said.
    fn put_back(&mut self, node: &Node<'_>, time_ns: u64, found: &Found) {
        let past = self.subject.past.as_ref();
        if past.is_none_or(|past| !past.is_tampered(node.name, time_ns)) {
            let at = At {
                node: node.name,
                time_ns,
                past,
            };
            self.put_back.see(at, found, &mut self.findings);
        }
    }

    /// What the engines give of one node's files, whose log may have been read already.
    fn rows_and_entries(&mut self, node: &Node<'_>, begun: Found) -> Found {
        self.put_back.begin();
        let found = disk::read_on(&node.disks.data_dir, begun);
        for gap in &found.gaps {
            self.gaps.push(format!("{}: {gap}", node.name));
        }
        self.damaged(node, &found);
        for row in &found.registry {
            let spot = Spot::new(node.name, Place::Tables, &node.disks.data_dir);
            self.facts.registered(*row, &spot, &mut self.findings);
        }
        let all: Vec<_> = found.tables.iter().chain(&found.table_logs).collect();
        for (place, tables) in [
            (Place::Tables, &found.tables),
            (Place::TableLogs, &found.table_logs),
            (Place::Snapshots, &found.half_snapshots),
        ] {
            for table in tables {
                self.table(node, place, table, &all, found.stamps);
            }
        }
        for log in &found.logs {
            self.log(node, log);
        }
        for snapshot in &found.snapshots {
            self.snapshot(node, snapshot, found.stamps);
        }
        self.gone(node, &found);
        let unplaced = std::mem::take(&mut self.clock.unplaced);
        if unplaced > 0 {
            self.gaps.push(format!(
                "{}: {unplaced} values in the clear can't be said to be older or newer than \
                 phase 1: no log holds the entries that made them, nor any near the cutover",
                node.name
            ));
        }
        found
    }

    fn counts(&mut self, node: &Node<'_>, place: Place) -> &mut Counts {
        // The node under way is the last.
        let at = match self.nodes.iter().rposition(|audit| audit.node == node.name) {
            Some(at) => at,
            None => {
                let places = BTreeMap::new();
                let node = node.name.to_owned();
                self.nodes.push(NodeAudit { node, places });
                self.nodes.len() - 1
            }
        };
        self.nodes[at].places.entry(place).or_default()
    }

    /// Canaries in a value or a proposal that the engine gives in the clear; says whether there
    /// were any.
    fn see_clear(&mut self, bytes: &[u8]) -> bool {
        let mut any = false;
        self.needles.each_in(bytes, |hit, _| {
            if let Hit::Canary(at, _) = hit {
                self.sightings[at].in_rows = true;
                any = true;
            }
        });
        any
    }

    /// All bytes of all files of a node.
    fn bytes(&mut self, node: &Node<'_>) {
        let data_dir = &node.disks.data_dir;
        match disk::files(data_dir) {
            Ok(files) => {
                for path in files {
                    let place = place_of(data_dir, &path);
                    self.file(node, place, &path);
                }
            }
            Err(error) => self.gap(node, &error),
        }
        for path in self.beside_the_sidecar(node) {
            self.file(node, Place::Sidecar, &path);
        }
        for path in &node.disks.logs {
            self.file(node, Place::ProcessLog, path);
        }
    }

    fn gap(&mut self, node: &Node<'_>, error: &DiskError) {
        self.gaps.push(format!("{}: {error}", node.name));
    }

    /// The files in the sidecar's folder that are not looked through as something else: the
    /// sidecar, its temporaries, probes.
    fn beside_the_sidecar(&mut self, node: &Node<'_>) -> Vec<PathBuf> {
        let sidecar = node.disks.sidecar.as_deref();
        let Some(folder) = sidecar
            .and_then(Path::parent)
            .filter(|folder| folder.is_dir())
        else {
            return Vec::new();
        };
        let paths = match disk::entries(folder) {
            Ok(paths) => paths,
            Err(error) => {
                self.gap(node, &error);
                return Vec::new();
            }
        };
        let known = |path: &PathBuf| {
            let is = |other: &Path| same(path, other);
            self.subject.kek.as_deref().is_some_and(is)
                || self.subject.nodes.iter().any(|node| {
                    path.starts_with(&node.data_dir) || node.logs.iter().any(|log| is(log))
                })
        };
        let plain = paths
            .into_iter()
            .filter(|path| path.is_file() && !path.is_symlink());
        plain.filter(|path| !known(path)).collect()
    }

    fn file(&mut self, node: &Node<'_>, place: Place, path: &Path) {
        let mut hits = Vec::new();
        let mut secrets = 0;
        let scanned = self.needles.each_in_file(path, |hit, offset| {
            // A key of zeros stands wherever nothing does.
            secrets += u32::from(matches!(hit, Hit::Secret(_)));
            if secrets <= SECRETS_MAX || matches!(hit, Hit::Canary(..)) {
                hits.push((hit, offset));
            }
        });
        match scanned {
            Ok(bytes) => {
                self.scanned.files += 1;
                self.scanned.bytes += bytes;
            }
            Err(source) => {
                let path = path.to_owned();
                self.gap(node, &DiskError::Io { path, source });
            }
        }
        for (hit, offset) in hits {
            let spot = Spot::new(node.name, place, path).offset(Some(offset));
            match hit {
                Hit::Canary(at, spelling) => self.canary(at, spelling, place, spot),
                Hit::Secret(at) => {
                    let secret = self.needles.secret(at);
                    let text = format!("the {} stands here, {}", secret.name, secret.spelling);
                    self.findings
                        .add(Invariant::KeysSecret, "key-in-the-clear", spot, text);
                }
            }
        }
    }

    fn canary(&mut self, at: usize, spelling: Spelling, place: Place, spot: Spot) {
        let Some(planted) = self
            .subject
            .canaries
            .as_ref()
            .and_then(|c| c.planted().get(at))
        else {
            return;
        };
        let may = match place {
            // What a process says is no part of its disks.
            Place::ProcessLog | Place::Answer => return,
            Place::Log => planted.may_stand <= MayStand::InLog,
            _ => planted.may_stand == MayStand::Anywhere,
        };
        self.sightings[at].in_bytes = true;
        if !may {
            self.sightings[at].by_wrong = true;
            let (key, value) = (planted.key, planted.value);
            let told = spelling.told();
            let text = format!("value {value} of key {key} stands in the clear{told}");
            self.findings
                .add(Invariant::Plain, "canary-in-the-clear", spot, text);
        }
    }
}

fn same(one: &Path, other: &Path) -> bool {
    one == other
        || match (one.canonicalize(), other.canonicalize()) {
            (Ok(one), Ok(other)) => one == other,
            _ => false,
        }
}

/// What kind of place a file under a data directory is.
fn place_of(data_dir: &Path, path: &Path) -> Place {
    let below = path.strip_prefix(data_dir).unwrap_or(path);
    let mut parts = below.components();
    let of_group = |part: &Component<'_>| part.as_os_str().to_string_lossy().starts_with("group-");
    let first = parts.find(|part| !of_group(part));
    let first = first.map(|part| part.as_os_str().to_string_lossy());
    match first.as_deref().unwrap_or_default() {
        "wal" => Place::Log,
        "fsm-snap" => Place::Snapshots,
        name if name.starts_with("elastickv-etcd-snapshot-") => Place::Snapshots,
        name if name.starts_with("fsm.db") => match path.extension() {
            Some(ending) if ending == "log" => Place::TableLogs,
            _ => Place::Tables,
        },
        _ => Place::Other,
    }
}
