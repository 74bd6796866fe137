//! Faults on containers of a real engine. Without one the tests are left out, and say so; on a
//! CI that is a failure.

#[expect(dead_code, reason = "shared with scenarios that need more of it")]
#[path = "../scenarios/actors.rs"]
mod actors;
#[expect(dead_code, reason = "shared with scenarios that need more of it")]
#[path = "../../../docker/tests/scenarios/stage.rs"]
mod docker_stage;
mod faults;
mod parts;
mod stage;

use std::process::ExitCode;

use keyquake_docker::{Engine, Images};
use libtest_mimic::{Arguments, Trial};

const SCENARIOS: [(&str, fn()); 8] = [
    ("kill", faults::kill),
    ("pause", faults::pause),
    ("restart", faults::restart),
    ("crash_loop", faults::crash_loop),
    ("partitions", faults::partitions),
    ("slow_cpu", faults::slow_cpu),
    ("memory_limit", faults::memory_limit),
    ("full_disk", faults::full_disk),
];

fn main() -> ExitCode {
    let mut words = std::env::args_os();
    if words.nth(1).is_some_and(|word| word == "agent") {
        return keyquake_docker::agent::main(words);
    }
    if let Ok(part) = std::env::var(parts::PART) {
        parts::play(&part);
        return ExitCode::SUCCESS;
    }
    let engine = stage::block_on(Engine::find());
    if let Err(error) = &engine {
        if std::env::var_os("CI").is_some() {
            eprintln!("the tests of containers need Docker: {error}");
            return ExitCode::FAILURE;
        }
        println!("left out all tests of containers: {error}");
        return ExitCode::SUCCESS;
    }
    let trials = SCENARIOS.map(|(name, play)| {
        Trial::test(
            format!("{name}_takes_effect_and_its_failing_is_noticed"),
            move || {
                play();
                Ok(())
            },
        )
    });
    let conclusion = libtest_mimic::run(&Arguments::from_args(), trials.into());
    stage::block_on(async {
        // The images of this very executable are of no use to anybody else.
        if let Ok(engine) = &engine
            && let Ok(images) = Images::prepare(engine, &docker_stage::own()).await
            && let Err(error) = images.forget(engine).await
        {
            eprintln!("left behind: {error}");
        }
    });
    conclusion.exit_code()
}
