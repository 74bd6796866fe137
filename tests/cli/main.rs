//! The command line as a user meets it: the real binary, real clusters, real
//! disks. `KEYQUAKE_SLOW=1` adds the long runs (`./test --slow`).

mod admin;
mod audit;
mod bad_input;
mod cut_short;
mod docker;
mod docs;
mod encrypted;
mod evidence;
mod hands;
mod histories;
mod matrix;
mod moments;
mod nights;
mod programs;
mod rollout;
mod rollout_docker;
mod seeded_bugs;
mod stored;
mod support;
mod unprivileged;
mod valid;
