//! Facts of the machine that go into `run.json`.

use keyquake_results::HostInfo;

/// Asks the machine. What can't be read is said as such, never guessed.
pub fn facts() -> HostInfo {
    HostInfo {
        kernel: nix::sys::utsname::uname().map_or_else(
            |error| format!("unknown ({error})"),
            |name| name.release().to_string_lossy().into_owned(),
        ),
        cores: std::thread::available_parallelism().map_or(0, |cores| cores.get() as u32),
        memory_bytes: memory_bytes().unwrap_or(0),
        user: user(),
    }
}

fn memory_bytes() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024)
}

fn user() -> String {
    let uid = nix::unistd::geteuid();
    match nix::unistd::User::from_uid(uid) {
        Ok(Some(user)) => format!("{} (uid {uid})", user.name),
        _ => format!("uid {uid}"),
    }
}
