//! The reference store as a program of its own, for this crate's tests.
fn main() -> std::process::ExitCode {
    keyquake_node::main(std::env::args_os().skip(1))
}
