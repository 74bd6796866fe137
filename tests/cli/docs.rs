//! The commands that the book shows are run, page by page, as a reader would:
//! every line that begins with `$ ` in a block marked `console`.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::{Said, Scene, binary};

/// The pages of the book.
fn pages() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs");
    let entries = std::fs::read_dir(&folder).expect("the book is there");
    let mut pages: Vec<_> = entries
        .map(|entry| entry.expect("a readable folder").path())
        .collect();
    pages.retain(|path| path.extension().is_some_and(|ending| ending == "md"));
    pages.sort();
    pages
}

/// The commands that a page shows.
fn commands(page: &str) -> Vec<String> {
    let mut shown = Vec::new();
    let mut within = false;
    for line in page.lines() {
        match line.trim_end() {
            "```console" => within = true,
            line if line.starts_with("```") => within = false,
            line if within => shown.extend(line.strip_prefix("$ ").map(str::to_owned)),
            _ => {}
        }
    }
    shown
}

#[test]
fn the_commands_of_the_book_work() {
    let mut ran = 0;
    for page in pages() {
        let text = std::fs::read_to_string(&page).expect("a page");
        let scene = Scene::new();
        for command in commands(&text) {
            let said = Said::of(shell(&scene, &command).output().expect("a shell"));
            let name = page.display();
            println!("{name}: $ {command}\n{}{}", said.stdout, said.stderr);
            assert_eq!(said.code, 0, "{name} shows `{command}`");
            ran += 1;
        }
    }
    assert!(ran >= 10, "the book shows commands ({ran} found)");
}

#[test]
fn only_commands_stand_in_console_blocks() {
    for page in pages() {
        let text = std::fs::read_to_string(&page).expect("a page");
        for command in commands(&text) {
            assert!(
                command.starts_with("keyquake "),
                "{}: `{command}` would not be keyquake's",
                page.display()
            );
        }
    }
}

/// The command in a shell that finds `keyquake` where an installed one would be.
fn shell(scene: &Scene, command: &str) -> Command {
    let folder = binary().parent().expect("the binary lies in a folder");
    let path = std::env::var("PATH").unwrap_or_default();
    let mut shell = Command::new("sh");
    shell
        .args(["-c", command])
        .env("PATH", format!("{}:{path}", folder.display()))
        .current_dir(scene.dir.path());
    shell
}
