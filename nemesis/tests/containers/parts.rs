//! Programs that this executable is inside a container.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

/// The variable that names a part.
pub const PART: &str = "KEYQUAKE_TEST_PART";
/// The node's data folder.
pub const DATA: &str = "KEYQUAKE_TEST_DATA";

pub fn play(part: &str) {
    match part {
        "part_node" => idle(),
        "busy" => busy(),
        "hungry" => hungry(),
        "scribe" => scribe(),
        other => panic!("there is no part {other}"),
    }
}

fn serve() {
    println!("serving");
    std::io::stdout().flush().unwrap();
}

fn idle() {
    serve();
    loop {
        std::thread::sleep(Duration::from_secs(3600));
    }
}

fn busy() {
    serve();
    loop {
        std::hint::spin_loop();
    }
}

/// Takes a quarter of a gibibyte, and is content.
fn hungry() {
    serve();
    let mut taken = Vec::new();
    while taken.len() < 256 {
        taken.push(vec![1_u8; 1 << 20]);
        std::thread::sleep(Duration::from_millis(10));
    }
    idle();
}

/// Writes a page now and then, and ends when it can't.
fn scribe() {
    let path = PathBuf::from(std::env::var(DATA).unwrap()).join("notes");
    let opened = OpenOptions::new().create(true).append(true).open(path);
    let mut file = opened.unwrap();
    file.write_all(&[7; 4096]).unwrap();
    serve();
    while file.write_all(&[7; 4096]).is_ok() {
        std::thread::sleep(Duration::from_millis(5));
    }
    std::process::exit(28);
}
