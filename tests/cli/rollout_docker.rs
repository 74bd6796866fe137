//! The rows of the tables in containers: the plans and bugs of [`crate::rollout`], on images.

use crate::docker::is_here;
use crate::rollout::{as_they_must, cases};

/// What is run where time is dear: a startup guard, and a cutover that one member bars.
const FEW: [&str; 2] = ["guard-foreign-kek", "one-without-flag"];

#[test]
fn rows_pass_clean_and_find_their_bugs_in_containers() {
    if !is_here() {
        return;
    }
    let mut cases = cases();
    if std::env::var_os("KEYQUAKE_SLOW").is_none() {
        println!("{} rows of all; ./test --slow runs the others", FEW.len());
        cases.retain(|(name, _)| FEW.contains(name));
        assert_eq!(cases.len(), 4, "each clean and with its bug");
    }
    as_they_must(cases, "docker");
}
