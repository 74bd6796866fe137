//! What only a power loss would show: whether a sidecar is durable when its writing is over.
//! Seen by the system calls that the node makes.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::kit::Purpose;
use crate::run::{ALL, Run};
use crate::symptom::{Finding, Symptom};
use crate::tracer::{Event, Tracer};

pub async fn syncs(bug: Option<&'static str>) -> Vec<Finding> {
    let mut run = Run::new(bug, &[ALL]);
    run.lab.start_all();
    run.leader().await;
    let tracer = Tracer::attach(run.lab.cluster.pid(0));
    run.enter_phase_1().await;
    run.rotate(Purpose::Storage).await;
    let events = tracer.detach();
    run.write("goes-on", 5).await;
    run.check().await;
    let path = run.lab.sidecar_path(0);
    let path = path.canonicalize().expect("a sidecar");
    judge(&mut run, &path, &events);
    run.found
}

/// File synced, renamed, folder synced: every time.
fn judge(run: &mut Run, path: &Path, events: &[Event]) {
    let folder = path.parent().expect("a folder");
    let mut synced: BTreeSet<&PathBuf> = BTreeSet::new();
    let (mut written, mut named_only) = (0, false);
    for event in events {
        match event {
            Event::Sync(file) if file == folder => named_only = false,
            Event::Sync(file) => drop(synced.insert(file)),
            Event::Rename(from, to) if to == path => {
                written += 1;
                let durable = synced.remove(from);
                let what = format!("writing {written}: renamed and not synced before");
                run.find_if(!durable, Symptom::SidecarFileNotSynced, what);
                let what = format!("writing {}: the folder is not synced", written - 1);
                run.find_if(named_only, Symptom::SidecarFolderNotSynced, what);
                named_only = true;
            }
            Event::Rename(..) => {}
        }
    }
    let what = format!("writing {written}: the folder is not synced");
    run.find_if(named_only, Symptom::SidecarFolderNotSynced, what);
    assert_eq!(written, 3, "bootstrap, phase 1 and rotation: {events:?}");
}
