//! Containers of a real engine. Without one the tests are left out, and say so; on a CI
//! that is a failure.

mod healing;
mod images;
mod limits;
mod links;
mod nodes;
mod parts;
mod stage;

use std::process::ExitCode;

use keyquake_docker::{Engine, Images};
use libtest_mimic::{Arguments, Trial};

type Scenario = (&'static str, fn());

const SCENARIOS: [Scenario; 18] = [
    ("a_kill_is_seen_and_data_stays", nodes::kill),
    ("what_is_down_can_not_be_killed_or_paused", nodes::down),
    ("a_stop_asks_first_and_kills_then", nodes::stop),
    ("a_pause_stops_every_thread_of_every_process", nodes::pause),
    ("a_replaced_image_keeps_data_and_cuts", nodes::replace),
    (
        "every_kind_of_partition_is_seen_and_healed",
        links::partitions,
    ),
    ("a_cut_survives_a_kill_and_silences_tcp", links::silence),
    ("a_node_out_of_memory_is_said_to_be", limits::memory),
    ("less_processor_time_is_less_work", limits::processor),
    ("a_node_keeps_its_data_on_its_disk", nodes::on_disk),
    ("an_image_by_name", images::by_name),
    ("a_static_program_becomes_an_image", images::of_program),
    ("images_that_can_not_be_had_are_named", images::wrong),
    ("images_are_made_once", images::once),
    ("a_killed_suite_is_healed", healing::killed_suite),
    ("what_comes_after_its_suite_is_healed_too", healing::late),
    (
        "a_suite_that_ends_while_it_starts_leaves_nothing",
        healing::cut_short,
    ),
    ("without_the_engine_the_journal_stays", healing::no_engine),
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
        println!(
            "left out all {} tests of containers: {error}",
            SCENARIOS.len()
        );
        return ExitCode::SUCCESS;
    }
    let trials = SCENARIOS.map(|(name, play)| {
        Trial::test(name, move || {
            play();
            Ok(())
        })
    });
    let conclusion = libtest_mimic::run(&Arguments::from_args(), trials.into());
    stage::block_on(async {
        // The images of this very executable are of no use to anybody else.
        if let Ok(engine) = &engine
            && let Ok(images) = Images::prepare(engine, &stage::own()).await
            && let Err(error) = images.forget(engine).await
        {
            eprintln!("left behind: {error}");
        }
    });
    conclusion.exit_code()
}
