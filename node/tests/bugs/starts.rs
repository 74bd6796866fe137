//! Starts that must be refused, leaving everything as it was.

use std::path::PathBuf;

use crate::kit::sidecar::{bytes_of, copy_folder};
use crate::kit::{Kek, Purpose, Setup};
use crate::run::{ALL, Run, Start};
use crate::symptom::{Finding, Symptom};

/// What a guard says of itself.
const GUARD: &str = "encryption startup guards refused process start";

pub async fn starts(bug: Option<&'static str>) -> Vec<Finding> {
    let mut run = Run::new(bug, &[ALL]);
    run.lab.start_all();
    run.enter_phase_2().await;
    run.write("first", 5).await;
    run.lab.restart(0);
    run.write("second", 5).await;
    let old = run.lab.cluster.dir().join("old");
    copy_folder(&run.lab.sidecar_dir(0), &old);
    run.rotate(Purpose::Storage).await;
    run.write("rotated", 5).await;
    run.lab.kill(0);
    run.inspect();
    let now = run.save("now");

    let other_kek = Setup {
        kek: Kek::Other,
        ..ALL
    };
    let started = (Symptom::StartedWithWrongKek, "ErrKEKMismatch");
    run.must_refuse(other_kek, started).await;
    run.restore(&now);
    let without_flag = Setup {
        enabled: false,
        ..ALL
    };
    let started = (Symptom::StartedWithoutFlag, "ErrSidecarPresentWithoutFlag");
    run.must_refuse(without_flag, started).await;
    run.restore(&now);
    // The sidecar of before the rotation, as from an old disk.
    copy_folder(&old, &run.lab.sidecar_dir(0));
    let started = (Symptom::StartedWithOldSidecar, "ErrSidecarBehindRaftLog");
    run.must_refuse(ALL, started).await;
    run.restore(&now);

    run.lab.setups.insert(0, ALL);
    run.lab.start(0);
    run.write("goes-on", 5).await;
    run.check().await;
    run.found
}

impl Run {
    /// A start that a guard must refuse, by name.
    pub async fn must_refuse(&mut self, setup: Setup, started: (Symptom, &str)) {
        let (symptom, sentinel) = started;
        let folder = self.lab.sidecar_dir(0);
        let before = bytes_of(&folder);
        self.lab.setups.insert(0, setup);
        self.lab.start(0);
        match self.started(0).await {
            Start::Serves => {
                self.find(symptom, format!("not {sentinel}: it serves"));
                self.lab.kill(0);
            }
            Start::Ended(said) => {
                let refused = said.contains(GUARD);
                self.find_if(!refused, symptom, format!("not {sentinel}: {said}"));
                let otherwise = refused && !said.contains(sentinel);
                let what = format!("not {sentinel}: {said}");
                self.find_if(otherwise, Symptom::Stuck, what);
                let changed = refused && bytes_of(&folder) != before;
                let what = format!("{sentinel}: its folder changed");
                self.find_if(changed, Symptom::RefusedStartChanged, what);
            }
        }
    }

    /// Copies a stopped node's disk.
    pub fn save(&self, name: &str) -> PathBuf {
        let copy = self.lab.cluster.dir().join(name);
        copy_folder(&self.lab.data_dir(0), &copy.join("data"));
        copy_folder(&self.lab.sidecar_dir(0), &copy.join("keys"));
        copy
    }

    /// Puts a copy back.
    pub fn restore(&self, copy: &std::path::Path) {
        copy_folder(&copy.join("data"), &self.lab.data_dir(0));
        copy_folder(&copy.join("keys"), &self.lab.sidecar_dir(0));
    }
}
