//! A kill in the middle of a rotation: shortly after it was asked for.

use std::time::Duration;

use tokio::time::sleep;

use crate::kit::Purpose;
use crate::run::{ALL, Run, Start};
use crate::symptom::{Finding, Symptom};

/// How long after it was asked for; the bug's window is 50 ms long.
const AFTER: [u64; 4] = [15, 20, 30, 40];

pub async fn window(bug: Option<&'static str>) -> Vec<Finding> {
    let mut run = Run::new(bug, &[ALL]);
    run.lab.start_all();
    run.enter_phase_1().await;
    run.write("first", 5).await;
    for after in AFTER {
        let call = run.lab.rotate_call(Purpose::Storage).await;
        let mut admin = run.lab.admin(0).await;
        tokio::select! {
            _ = call.make(&mut admin) => {}
            () = sleep(Duration::from_millis(after)) => {}
        }
        run.lab.kill(0);
        run.lab.start(0);
        if let Start::Ended(said) = run.started(0).await {
            run.find(Symptom::RefusedToStart, said);
            return run.found;
        }
        run.write(&format!("after-{after}"), 5).await;
    }
    run.check().await;
    run.found
}
