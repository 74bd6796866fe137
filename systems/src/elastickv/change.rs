//! The flags that a node can change during its life: its release, and those of encryption.
//! Everything else about a node stays what [`super::launch`] made it.

use std::time::Duration;

use keyquake_cluster::NodeSpec;

use super::addresses::{self, GRPC};
use super::encryption::files::run_folder;
use super::encryption::{AdminClient, Answer, KeyFiles, NotAccepted, Refusal, SidecarStateReport};
use super::launch::program;
use crate::programs::Programs;
use crate::system::{NodeChange, SystemError, SystemName};

const RELEASE: &str = "--release=";
const SIDECAR: &str = "--encryptionSidecarPath=";
const KEK: &str = "--kekFile=";
const ENABLED: &str = "--encryption-enabled";

/// A node is asked what it is right after it became ready.
const ASK_TIMEOUT: Duration = Duration::from_secs(5);

/// The flags of a node at one moment of its life. Without `keys` it knows nothing of encryption.
pub(super) fn flags(
    name: SystemName,
    id: &str,
    release: &str,
    keys: Option<&KeyFiles>,
) -> Vec<String> {
    let mut flags = Vec::new();
    if name == SystemName::Reference {
        flags.push(format!("{RELEASE}{release}"));
    }
    if let Some(keys) = keys {
        flags.push(format!("{SIDECAR}{}", keys.sidecar(id).display()));
        if takes_keys(name, release) {
            flags.push(format!("{KEK}{}", keys.kek().display()));
            flags.push(ENABLED.to_owned());
        }
    }
    flags
}

/// Whether a release knows the flags that came with 6B: elastickv ends at a flag that it
/// doesn't know. A word that is no stage names a program that nobody here knows: it gets all.
fn takes_keys(name: SystemName, release: &str) -> bool {
    let before = ["5d", "6a"].iter();
    name == SystemName::Reference
        || !before
            .into_iter()
            .any(|old| release.eq_ignore_ascii_case(old))
}

fn is_changeable(flag: &str) -> bool {
    flag == ENABLED
        || [RELEASE, SIDECAR, KEK]
            .iter()
            .any(|start| flag.starts_with(start))
}

/// The node after a change.
pub(super) fn changed(
    name: SystemName,
    programs: &Programs,
    node: &NodeSpec,
    change: &NodeChange,
) -> Result<NodeSpec, SystemError> {
    let mut node = node.clone();
    if let Some(release) = &change.release {
        node.launch.program = program(name, programs, release)?;
        node.release.clone_from(release);
    }
    let args = &mut node.launch.args;
    // The path is the one flag of them that every release has.
    let encrypts = change
        .encryption
        .unwrap_or_else(|| args.iter().any(|flag| flag.starts_with(SIDECAR)));
    args.retain(|flag| !is_changeable(flag));
    let keys = encrypts.then(|| KeyFiles::of_run(run_folder(&node.data_dir)));
    args.extend(flags(name, &node.id, &node.release, keys.as_ref()));
    Ok(node)
}

/// Where the files of a node's encryption lie, with flags that name them and without.
pub(super) fn key_files(node: &NodeSpec) -> KeyFiles {
    KeyFiles::of_run(run_folder(&node.data_dir))
}

/// Asks the node whether it is what the change made of it.
pub(super) async fn check(
    name: SystemName,
    node: &NodeSpec,
    change: &NodeChange,
) -> Result<String, String> {
    let client = AdminClient::new(addresses::of(node, GRPC).to_string(), ASK_TIMEOUT);
    let unsaid = |error: NotAccepted| format!("it does not say what it is: {error}");
    let build = client.capability().await.map_err(unsaid)?.build_sha;
    let path = has_path(client.sidecar_state().await).map_err(unsaid)?;
    fits(name, &build, path, change)
}

/// Whether a node was given a sidecar path, by its answer about its keys: the one flag that
/// every release tells about, with keys and without.
fn has_path(state: Answer<SidecarStateReport>) -> Answer<bool> {
    match state {
        Ok(_) => Ok(true),
        Err(NotAccepted::Refused { refusal, text }) => match refusal {
            Refusal::SidecarPathNotConfigured => Ok(false),
            Refusal::SidecarMissing | Refusal::SidecarUnreadable => Ok(true),
            _ => Err(NotAccepted::Refused { refusal, text }),
        },
        Err(error) => Err(error),
    }
}

/// The reference store names its release in its build.
fn fits(name: SystemName, build: &str, path: bool, change: &NodeChange) -> Result<String, String> {
    let has = if path { "a" } else { "no" };
    let said = format!("build {build}, {has} sidecar path");
    let release = change.release.as_deref();
    let other_release = name == SystemName::Reference
        && release.is_some_and(|release| build.rsplit('-').next() != Some(release));
    let other_flags = change.encryption.is_some_and(|on| on != path);
    if other_release || other_flags {
        Err(format!("it says it is {said}"))
    } else {
        Ok(said)
    }
}

#[cfg(test)]
mod tests {
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
            encryption: None,
        }
    }

    fn encryption(on: bool) -> NodeChange {
        NodeChange {
            release: None,
            encryption: Some(on),
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
            encryption: Some(true),
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
    fn a_node_that_is_something_else_is_seen() {
        let six_b = "keyquake-0.1.0-6b";
        let to = |release_name: &str, on| NodeChange {
            encryption: Some(on),
            ..release(release_name)
        };
        let fits =
            |build, path, change: &NodeChange| fits(SystemName::Reference, build, path, change);
        assert_eq!(
            fits(six_b, true, &to("6b", true)).unwrap(),
            "build keyquake-0.1.0-6b, a sidecar path"
        );
        for wrong in [to("6c", true), to("6b", false), to("b", true)] {
            assert!(fits(six_b, true, &wrong).is_err(), "{wrong:?}");
        }
        let error = fits("keyquake-0.1.0-5d", false, &to("5d", true)).unwrap_err();
        assert!(error.ends_with("5d, no sidecar path"), "{error}");
        // elastickv's build is a commit, which names no release.
        assert!(super::fits(SystemName::Elastickv, "d9a031d0", true, &encryption(true)).is_ok());
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
}
