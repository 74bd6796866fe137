//! Programs that this executable is inside a container, or as a suite that gets killed.

use std::fs::OpenOptions;
use std::io::Write;
use std::net::TcpListener;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// The variable that names a part.
pub const PART: &str = "KEYQUAKE_TEST_PART";
/// The node's data folder.
pub const DATA: &str = "KEYQUAKE_TEST_DATA";
/// Where `sink` listens.
pub const PORT: u16 = 7000;

pub fn play(part: &str) {
    match part {
        "idle" => idle(),
        "stubborn" => stubborn(),
        "exit" => std::process::exit(3),
        "busy" => busy(),
        "greedy" => greedy(),
        "sink" => sink(),
        "suite" => crate::healing::part_suite(),
        other => panic!("there is no part {other}"),
    }
}

/// Notes its start in its data, and does nothing more.
fn idle() {
    note("started");
    println!("up");
    sleep();
}

/// Takes no notice of SIGTERM.
fn stubborn() {
    use nix::sys::signal::{SigHandler, Signal, signal};
    // SAFETY: no handler runs.
    unsafe { signal(Signal::SIGTERM, SigHandler::SigIgn) }.unwrap();
    idle();
}

/// Two threads that count as fast as they can, and a child that does the same.
fn busy() {
    if std::env::var_os("KEYQUAKE_TEST_CHILD").is_none() {
        let mut child = Command::new("/keyquake")
            .env("KEYQUAKE_TEST_CHILD", "1")
            .spawn()
            .unwrap();
        std::thread::spawn(move || child.wait());
    }
    let count = Arc::new(AtomicU64::new(0));
    for _ in 0..2 {
        let count = count.clone();
        std::thread::spawn(move || {
            loop {
                count.fetch_add(1, Ordering::Relaxed);
            }
        });
    }
    loop {
        std::thread::sleep(Duration::from_millis(50));
        println!("{}", count.load(Ordering::Relaxed));
    }
}

/// Takes memory for ever, a mebibyte at a time.
fn greedy() {
    println!("up");
    let mut taken: Vec<Vec<u8>> = Vec::new();
    loop {
        taken.push(vec![taken.len() as u8 | 1; 1 << 20]);
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Accepts connections and says what it hears.
fn sink() {
    let listener = TcpListener::bind(("0.0.0.0", PORT)).unwrap();
    println!("up");
    for stream in listener.incoming() {
        let mut stream = stream.unwrap();
        std::thread::spawn(move || {
            let _ = std::io::copy(&mut stream.try_clone().unwrap(), &mut stream);
        });
    }
}

fn note(line: &str) {
    let path = std::path::Path::new(&std::env::var_os(DATA).unwrap()).join("notes");
    let mut file = OpenOptions::new()
        .create(true)
        .append(true)
        .open(path)
        .unwrap();
    writeln!(file, "{line}").unwrap();
}

fn sleep() {
    loop {
        std::thread::sleep(Duration::from_secs(3600));
    }
}
