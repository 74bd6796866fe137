//! The cluster against real processes, namespaces and disks.

mod disks;
mod errors;
mod groups;
mod healing;
mod links;
mod nodes;
#[path = "../stage/mod.rs"]
mod stage;

use std::process::ExitCode;

fn main() -> ExitCode {
    stage::main(
        &[
            (
                "all_links_are_open_at_first_and_a_cut_is_seen_exactly",
                links::cut_is_seen_exactly,
            ),
            (
                "a_cut_silences_an_established_connection_one_way",
                links::cut_silences_tcp,
            ),
            (
                "the_hub_reaches_every_node_whatever_is_cut",
                links::hub_stays_connected,
            ),
            (
                "a_node_lives_in_a_namespace_that_survives_it",
                nodes::namespace_survives,
            ),
            ("start_kill_stop_restart", nodes::lifecycle),
            ("an_end_by_itself_is_noticed_and_logged", nodes::own_end),
            ("a_node_is_held_still", nodes::frozen),
            ("a_pause_stops_every_thread", nodes::pause),
            ("a_node_s_children_end_with_it", nodes::children),
            ("loopback_says_what_it_costs", errors::loopback),
            ("without_permission_there_is_a_reason", errors::denied),
            ("threads_are_refused", errors::threads),
            ("what_can_not_be_started_is_named", errors::not_startable),
            (
                "a_directory_that_can_not_be_used_is_named",
                errors::no_directory,
            ),
            ("misuse_is_named", errors::misuse),
            ("a_killed_suite_leaves_nothing", healing::killed_suite),
            (
                "an_orphan_is_healed_and_strangers_are_left_alone",
                healing::orphan,
            ),
            ("broken_journals_are_said", healing::broken_journals),
            ("less_processor_time_is_less_work", groups::processor),
            ("a_node_out_of_memory_is_said_to_be", groups::memory),
            ("without_a_group_nothing_is_limited", groups::no_groups),
            ("a_killed_suite_s_groups_are_healed", groups::killed_suite),
            ("a_full_disk_is_one_node_s", disks::full),
            ("a_node_keeps_its_data_on_its_disk", disks::node),
            ("data_outlives_its_disk", disks::copied_back),
            ("a_killed_suite_s_disks_are_healed", disks::killed_suite),
            ("a_disk_that_can_not_be_had_leaves_nothing", disks::refused),
            ("strangers_folders_are_left_alone", groups::strangers),
        ],
        &[
            ("part_disk_suite", disks::part_disk_suite),
            ("part_busy", groups::part_busy),
            ("part_greedy", groups::part_greedy),
            ("part_grouped_suite", groups::part_grouped_suite),
            ("part_stranger_run", groups::part_stranger_run),
            ("part_threads", nodes::part_threads),
            ("part_suite", healing::part_suite),
            ("part_dead_run", healing::part_dead_run),
        ],
    )
}
