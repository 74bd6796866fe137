//! Nodes that must refuse every change of keys.

use crate::kit::{Call, Setup};
use crate::run::{Run, Start};
use crate::symptom::{Finding, Symptom};

pub async fn gates(bug: Option<&'static str>) -> Vec<Finding> {
    let without_flag = Setup {
        enabled: false,
        ..Setup::all("6f")
    };
    let mut run = Run::new(bug, &[without_flag]);
    run.lab.start_all();
    run.leader().await;
    let accepted = run.bootstrap().await;
    let what = format!("{accepted:?}");
    run.find_if(accepted.is_ok(), Symptom::AcceptedWithoutFlag, what);
    goes_on(&mut run).await;
    let mut old = Run::new(bug, &[Setup::all("6a"); 3]);
    old.lab.start_all();
    let id = old.lab.full_node_id(old.leader().await);
    let accepted = old.call(&Call::register(1, id, 0)).await;
    let what = format!("{accepted:?}");
    old.find_if(accepted.is_ok(), Symptom::AcceptedBy6a, what);
    goes_on(&mut old).await;
    run.found.extend(old.found);
    run.found
}

async fn goes_on(run: &mut Run) {
    run.write("goes-on", 5).await;
    run.check().await;
    for node in run.lab.running() {
        let start = run.started(node).await;
        run.find_if(start != Start::Serves, Symptom::Stuck, format!("{start:?}"));
    }
}
