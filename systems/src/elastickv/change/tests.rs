//! What becomes of a command line, and what a node says of itself.

use std::path::{Path, PathBuf};

use keyquake_cluster::NetworkKind;

use super::*;
use crate::elastickv::launch::prepare;
use crate::system::SystemOptions;

fn nodes(name: SystemName, options: SystemOptions) -> Vec<NodeSpec> {
    let run = Path::new("/run-folder");
    let network = NetworkKind::Namespace;
    prepare(name, &programs(), 3, run, &network, &options).unwrap()
}

/// What is no program of any release is the test itself.
fn programs() -> Programs {
    Programs {
        by_release: [("6a".to_owned(), PathBuf::from("/bin/sh"))].into(),
        other: Some(std::env::current_exe().unwrap()),
        images: false,
    }
}

fn changed(
    name: SystemName,
    node: &NodeSpec,
    change: &NodeChange,
) -> Result<NodeSpec, SystemError> {
    super::changed(name, &programs(), node, change)
}

const WITH_KEYS: [&str; 3] = [
    "--encryptionSidecarPath=/run-folder/nodes/n2.keys/sidecar.json",
    "--kekFile=/run-folder/kek",
    "--encryption-enabled",
];

fn release(name: &str) -> NodeChange {
    NodeChange {
        release: Some(name.to_owned()),
        flags: FlagChange::default(),
    }
}

fn all(on: bool) -> FlagChange {
    FlagChange {
        encryption: Some(if on { Switch::On } else { Switch::Off }),
        ..FlagChange::default()
    }
}

fn encryption(on: bool) -> NodeChange {
    NodeChange {
        release: None,
        flags: all(on),
    }
}

#[test]
fn a_node_changes_its_release_and_flags_and_nothing_else() {
    let options = SystemOptions {
        release: Some("5d".to_owned()),
        bugs: vec!["stale-read".to_owned()],
        ..SystemOptions::default()
    };
    let n2 = &nodes(SystemName::Reference, options.clone())[1];
    let change = NodeChange {
        release: Some("6b".to_owned()),
        flags: all(true),
    };
    let rolled = changed(SystemName::Reference, n2, &change).unwrap();
    let started_so = SystemOptions {
        release: Some("6b".to_owned()),
        encryption: true,
        ..options.clone()
    };
    assert_eq!(rolled, nodes(SystemName::Reference, started_so)[1]);
    assert!(rolled.launch.args.ends_with(&WITH_KEYS.map(str::to_owned)));
    assert!(rolled.launch.args.contains(&"--bug=stale-read".to_owned()));
    // The flags stay over a change of the release alone, and go when they are told to.
    let later = changed(SystemName::Reference, &rolled, &release("6c")).unwrap();
    assert!(later.launch.args.ends_with(&WITH_KEYS.map(str::to_owned)));
    let off = changed(SystemName::Reference, &rolled, &encryption(false)).unwrap();
    let back = changed(SystemName::Reference, &off, &release("5d")).unwrap();
    assert_eq!(&back, n2);
}

#[test]
fn elastickv_changes_its_program_and_has_the_flags_that_its_release_knows() {
    let n2 = &nodes(SystemName::Elastickv, SystemOptions::default())[1];
    let on = changed(SystemName::Elastickv, n2, &encryption(true)).unwrap();
    assert!(on.launch.args.ends_with(&WITH_KEYS.map(str::to_owned)));
    assert!(!on.launch.args.iter().any(|flag| flag.starts_with(RELEASE)));
    let old = changed(SystemName::Elastickv, &on, &release("6A")).unwrap();
    assert_eq!(old.launch.program, Path::new("/bin/sh"));
    assert_eq!(old.launch.args.last().unwrap(), WITH_KEYS[0]);
    let later = changed(SystemName::Elastickv, &old, &release("6b")).unwrap();
    assert_eq!(later.launch, on.launch);
    let only_6a = Programs {
        other: None,
        ..programs()
    };
    let error = super::changed(SystemName::Elastickv, &only_6a, n2, &release("6b"));
    let error = error.unwrap_err().to_string();
    assert!(error.contains("--binary 6b=PATH"), "{error}");
}

#[test]
fn single_flags_change_alone_and_come_back() {
    let n2 = &nodes(SystemName::Reference, SystemOptions::default())[1];
    let change = |flags| NodeChange {
        release: None,
        flags,
    };
    let to = |node, flags| changed(SystemName::Reference, node, &change(flags)).unwrap();
    let foreign = FlagChange {
        kek: Some(KekFile::Foreign),
        rotate_on_startup: Some(Switch::On),
        ..all(true)
    };
    let rolled = to(n2, foreign);
    let given = |node: &NodeSpec, flag: &str| node.launch.args.contains(&flag.to_owned());
    assert!(given(&rolled, "--kekFile=/run-folder/kek-foreign"));
    assert!(given(&rolled, "--encryption-rotate-on-startup"));
    let unflagged = FlagChange {
        flag: Some(Switch::Off),
        sidecar: Some(SidecarPath::Undurable),
        ..FlagChange::default()
    };
    let rolled = to(&rolled, unflagged);
    assert!(!given(&rolled, "--encryption-enabled"));
    assert!(given(&rolled, "--kekFile=/run-folder/kek-foreign"));
    let path = "--encryptionSidecarPath=/proc/tty/ldisc/sidecar.json";
    assert!(given(&rolled, path));
    let off = FlagChange {
        rotate_on_startup: Some(Switch::Off),
        ..all(false)
    };
    assert_eq!(&to(&rolled, off), n2);
}

#[test]
fn a_program_gets_no_flag_that_it_does_not_know() {
    let options = SystemOptions {
        release: Some("6a".to_owned()),
        ..SystemOptions::default()
    };
    let n2 = &nodes(SystemName::Elastickv, options)[1];
    let to = |flags| {
        let change = NodeChange {
            release: None,
            flags,
        };
        changed(SystemName::Elastickv, n2, &change)
    };
    let foreign = FlagChange {
        kek: Some(KekFile::Foreign),
        ..FlagChange::default()
    };
    let text = to(foreign).unwrap_err().to_string();
    assert!(text.contains("--kekFile") && text.contains("6a"), "{text}");
    let path = FlagChange {
        sidecar: Some(SidecarPath::On),
        ..FlagChange::default()
    };
    let rolled = to(path).unwrap();
    assert!(rolled.launch.args.ends_with(&[WITH_KEYS[0].to_owned()]));
}

#[test]
fn a_node_that_is_something_else_is_seen() {
    let said = |build: &str, path, capable| Said {
        build: build.to_owned(),
        path,
        capable,
    };
    let full = Setup::full(Release::R6B);
    let bare = Setup::bare(Release::R6B);
    let fits =
        |said: &Said, setup, change: &NodeChange| fits(SystemName::Reference, said, setup, change);
    let six_b = said("keyquake-0.1.0-6b", true, true);
    assert_eq!(
        fits(&six_b, &full, &release("6b")).unwrap(),
        "build keyquake-0.1.0-6b, a sidecar path, capable"
    );
    assert!(fits(&six_b, &full, &release("6c")).is_err());
    assert!(fits(&six_b, &full, &release("b")).is_err());
    assert!(fits(&six_b, &bare, &release("6b")).is_err());
    let idle = said("keyquake-0.1.0-6b", true, false);
    assert!(fits(&idle, &full, &release("6b")).is_ok());
    let later = said("keyquake-0.1.0-6d", true, false);
    let full_6d = Setup::full(Release::R6D);
    assert!(fits(&later, &full_6d, &release("6d")).is_err());
    let no_kek = Setup {
        kek: KekFile::Absent,
        ..full
    };
    assert!(fits(&idle, &no_kek, &encryption(true)).is_ok());
    let none = said("keyquake-0.1.0-5d", false, false);
    let error = fits(&none, &full, &release("5d")).unwrap_err();
    assert!(
        error.ends_with("5d, no sidecar path, not capable"),
        "{error}"
    );
    // elastickv's build is a commit, which names no release.
    let commit = said("d9a031d0", true, true);
    assert!(super::fits(SystemName::Elastickv, &commit, &full, &release("6b")).is_ok());
}

#[test]
fn the_path_is_known_by_the_answer_about_keys() {
    let refused = |refusal| {
        Err(NotAccepted::Refused {
            refusal,
            text: String::new(),
        })
    };
    assert_eq!(has_path(Ok(SidecarStateReport::default())), Ok(true));
    assert_eq!(has_path(refused(Refusal::SidecarMissing)), Ok(true));
    let not_given = refused(Refusal::SidecarPathNotConfigured);
    assert_eq!(has_path(not_given), Ok(false));
    assert!(has_path(refused(Refusal::CallUnknown)).is_err());
}

#[tokio::test]
async fn a_node_that_is_not_there_is_nothing() {
    let mut node = nodes(SystemName::Reference, SystemOptions::default()).remove(0);
    node.addresses.ip = std::net::Ipv4Addr::LOCALHOST.into();
    node.addresses.ports.insert(GRPC.to_owned(), 1);
    let error = check(SystemName::Reference, &node, &release("6f")).await;
    assert!(error.unwrap_err().starts_with("it does not say what it is"));
}
