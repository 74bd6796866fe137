//! Each fault twice: it takes effect, and its failing is noticed; on real
//! processes and namespaces.

mod actors;
mod disks;
mod downs;
mod limits;
mod links;
mod moments;
mod overlaps;
mod processes;
#[path = "../../../cluster/tests/stage/mod.rs"]
mod stage;
mod starts;
mod steps;
mod stopping;
mod until;
mod watched;

use std::process::ExitCode;

fn main() -> ExitCode {
    stage::main(
        &[
            ("kill_takes_effect", processes::kill_takes_effect),
            ("kill_of_the_dead_is_noticed", processes::kill_of_the_dead),
            (
                "kill_undone_by_another_hand_is_noticed",
                processes::kill_undone,
            ),
            (
                "kill_of_who_never_serves_again_is_noticed",
                processes::kill_not_healed,
            ),
            ("pause_takes_effect", processes::pause_takes_effect),
            ("pause_of_the_dead_is_noticed", processes::pause_of_the_dead),
            (
                "pause_undone_by_another_hand_is_noticed",
                processes::pause_undone,
            ),
            (
                "pause_undone_for_a_moment_is_noticed",
                processes::pause_interrupted,
            ),
            ("restart_takes_effect", downs::restart_takes_effect),
            ("a_whole_cluster_is_taken_down", downs::whole_cluster),
            ("restart_of_the_dead_is_noticed", downs::restart_of_the_dead),
            (
                "restart_undone_by_another_hand_is_noticed",
                downs::restart_undone,
            ),
            ("crash_loop_takes_effect", downs::crash_loop_takes_effect),
            (
                "crash_loop_of_the_dead_is_noticed",
                downs::crash_loop_of_the_dead,
            ),
            (
                "crash_loop_broken_by_another_hand_is_noticed",
                downs::crash_loop_broken,
            ),
            ("slow_cpu_takes_effect", limits::slow_cpu),
            ("slow_cpu_of_the_idle_is_noticed", limits::slow_cpu_idle),
            (
                "slow_cpu_lifted_by_another_hand_is_noticed",
                limits::slow_cpu_lifted,
            ),
            (
                "memory_limit_that_kills_takes_effect",
                limits::memory_limit_kills,
            ),
            (
                "memory_limit_that_is_survived_takes_effect",
                limits::memory_limit_survived,
            ),
            (
                "memory_limit_of_the_idle_is_noticed",
                limits::memory_limit_idle,
            ),
            (
                "memory_limit_lifted_by_another_hand_is_noticed",
                limits::memory_limit_lifted,
            ),
            (
                "limits_without_control_groups_are_noticed",
                limits::without_groups,
            ),
            ("full_disk_takes_effect", disks::full_disk),
            (
                "full_disk_that_ends_a_node_is_healed",
                disks::full_disk_ends,
            ),
            (
                "full_disk_emptied_by_another_hand_is_noticed",
                disks::full_disk_emptied,
            ),
            (
                "full_disk_without_a_disk_or_a_file_is_noticed",
                disks::full_disk_nowhere,
            ),
            ("roll_takes_effect", steps::roll_takes_effect),
            ("roll_brings_up_the_dead", steps::roll_of_the_dead),
            (
                "roll_to_what_does_not_start_is_noticed",
                steps::roll_to_broken,
            ),
            (
                "roll_to_what_is_something_else_is_noticed",
                steps::roll_to_liar,
            ),
            ("roll_undone_by_another_hand_is_noticed", steps::roll_undone),
            (
                "a_refused_start_that_changes_its_disk_is_noticed",
                starts::refused_with_changes,
            ),
            (
                "a_halt_at_another_entry_is_noticed",
                starts::halts_elsewhere,
            ),
            ("an_accepted_call_takes_effect", steps::call_accepted),
            ("a_refused_call_is_noticed", steps::call_refused),
            (
                "a_call_that_nobody_applies_is_noticed",
                steps::call_not_applied,
            ),
            ("a_kill_hits_a_call_in_flight", moments::hit),
            (
                "a_kill_whose_call_was_answered_before_is_noticed",
                moments::missed,
            ),
            (
                "a_kill_whose_call_was_never_sent_is_noticed",
                moments::never_sent,
            ),
            ("several_faults_hit_one_call", overlaps::several_hit),
            ("a_call_is_made_during_a_call", overlaps::call_during_call),
            ("a_step_is_done_while_faults_are_held", overlaps::beside),
            (
                "a_fault_in_the_way_of_another_is_noticed",
                overlaps::in_the_way,
            ),
            (
                "a_follower_is_kept_away_until_a_snapshot",
                until::snapshot_comes,
            ),
            (
                "a_snapshot_counts_after_the_steps_meanwhile",
                until::steps_come_before_it,
            ),
            (
                "a_snapshot_that_does_not_come_is_noticed",
                until::snapshot_missed,
            ),
            ("the_nth_operation_comes", watched::operations_come),
            (
                "the_nth_operation_missed_is_noticed",
                watched::operations_missed,
            ),
            ("a_line_of_a_log_comes", watched::line_comes),
            ("a_line_missed_is_noticed", watched::line_missed),
            ("another_answer_comes", watched::answer_comes),
            ("another_answer_missed_is_noticed", watched::answer_missed),
            (
                "the_moment_between_two_members_comes",
                watched::between_comes,
            ),
            (
                "the_moment_between_two_members_missed_is_noticed",
                watched::between_missed,
            ),
            ("partitions_take_effect", links::all_take_effect),
            ("partition_one_reopened_is_noticed", links::one_reopened),
            (
                "partition_halves_reopened_is_noticed",
                links::halves_reopened,
            ),
            (
                "partition_majority_ring_reopened_is_noticed",
                links::ring_reopened,
            ),
            (
                "partition_one_way_reopened_is_noticed",
                links::one_way_reopened,
            ),
            ("a_partition_that_stays_is_noticed", links::stays_cut),
            ("a_partition_on_loopback_is_ineffective", links::on_loopback),
            (
                "a_stop_while_looking_for_the_leader_hits_nobody",
                stopping::stop_while_aiming,
            ),
            (
                "a_stop_heals_the_active_fault_at_once",
                stopping::stop_heals,
            ),
            ("with_no_leader_nothing_is_hit", stopping::no_leader),
            ("a_follower_is_never_the_leader", stopping::follower),
        ],
        &[
            ("part_node", actors::part_node),
            ("part_scribe", disks::part_scribe),
            ("part_stubborn_scribe", disks::part_stubborn_scribe),
            ("part_idle", limits::part_idle),
            ("part_busy", limits::part_busy),
            ("part_hungry", limits::part_hungry),
            ("part_writer", limits::part_writer),
        ],
    )
}
