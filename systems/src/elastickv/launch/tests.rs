//! The command lines of nodes, word by word.

use super::*;

fn loopback() -> NetworkKind {
    NetworkKind::Loopback {
        why: "test".to_owned(),
    }
}

fn prepare_with(name: SystemName, options: &SystemOptions) -> Result<Vec<NodeSpec>, String> {
    let programs = Programs {
        other: Some(std::env::current_exe().unwrap()),
        ..Programs::NONE
    };
    prepare_from(name, &programs, options)
}

fn prepare_from(
    name: SystemName,
    programs: &Programs,
    options: &SystemOptions,
) -> Result<Vec<NodeSpec>, String> {
    let dir = Path::new("/run-folder");
    prepare(name, programs, 3, dir, &loopback(), options).map_err(|error| error.to_string())
}

#[test]
fn the_command_line_is_the_recipe() {
    let options = SystemOptions {
        release: Some("6b".to_owned()),
        node_releases: [("n2".to_owned(), "6a".to_owned())].into(),
        bugs: vec!["stale-read".to_owned()],
        snapshot_every: Some(50),
        env: vec![("A".to_owned(), "b".to_owned())],
        ..SystemOptions::default()
    };
    let specs = prepare(
        SystemName::Reference,
        &Programs::NONE,
        3,
        Path::new("/run-folder"),
        &NetworkKind::Namespace,
        &options,
    )
    .unwrap();
    let n2 = &specs[1];
    assert_eq!(
        (n2.id.as_str(), n2.index, n2.release.as_str()),
        ("n2", 1, "6a")
    );
    assert_eq!(n2.data_dir, Path::new("/run-folder/nodes/n2"));
    assert_eq!(n2.log_dir, Path::new("/run-folder/logs"));
    assert_eq!(n2.launch.program, std::env::current_exe().unwrap());
    let env = [("ELASTICKV_RAFT_SNAPSHOT_COUNT", "50"), ("A", "b")];
    let env = env.map(|(name, value)| (name.to_owned(), value.to_owned()));
    assert_eq!(n2.launch.env, env);
    assert_eq!(
        n2.launch.args,
        [
            "node",
            "--raftId=n2",
            "--address=10.77.0.2:20051",
            "--redisAddress=10.77.0.2:20052",
            "--dynamoAddress=10.77.0.2:20053",
            "--s3Address=10.77.0.2:20054",
            "--sqsAddress=10.77.0.2:20055",
            "--metricsAddress=127.0.0.1:20056",
            "--pprofAddress=",
            "--raftDataDir=/run-folder/nodes",
            "--raftBootstrapMembers=n1=10.77.0.1:20051,n2=10.77.0.2:20051,n3=10.77.0.3:20051",
            "--raftRedisMap=10.77.0.1:20051=10.77.0.1:20052,10.77.0.2:20051=10.77.0.2:20052,10.77.0.3:20051=10.77.0.3:20052",
            "--raftDynamoMap=10.77.0.1:20051=10.77.0.1:20053,10.77.0.2:20051=10.77.0.2:20053,10.77.0.3:20051=10.77.0.3:20053",
            "--raftS3Map=10.77.0.1:20051=10.77.0.1:20054,10.77.0.2:20051=10.77.0.2:20054,10.77.0.3:20051=10.77.0.3:20054",
            "--raftSqsMap=10.77.0.1:20051=10.77.0.1:20055,10.77.0.2:20051=10.77.0.2:20055,10.77.0.3:20051=10.77.0.3:20055",
            "--bug=stale-read",
            "--release=6a",
        ]
    );
}

#[test]
fn elastickv_gets_neither_subcommand_nor_flags_of_ours() {
    let specs = prepare_with(SystemName::Elastickv, &SystemOptions::default()).unwrap();
    let args = &specs[0].launch.args;
    assert_eq!(args[0], "--raftId=n1");
    assert!(!args.iter().any(|arg| arg.contains("release")), "{args:?}");
    assert_eq!(specs[0].release, "head");
}

#[test]
fn a_program_that_can_not_be_started_is_refused_clearly() {
    let folder = tempfile::tempdir().unwrap();
    let plain = folder.path().join("plain");
    std::fs::write(&plain, "text").unwrap();
    for (path, expected) in [
        (None, "pass --binary PATH"),
        (Some(folder.path().join("absent")), "No such file"),
        (Some(folder.path().to_owned()), "it is not a file"),
        (Some(plain), "it is not executable"),
    ] {
        let programs = Programs {
            other: path,
            ..Programs::NONE
        };
        let options = SystemOptions::default();
        let error = prepare_from(SystemName::Elastickv, &programs, &options).unwrap_err();
        assert!(error.contains(expected), "{expected}: {error}");
    }
}

#[test]
fn each_node_starts_the_program_of_its_release_with_the_flags_that_it_knows() {
    let own = std::env::current_exe().unwrap();
    let programs = Programs {
        by_release: [
            ("6a".to_owned(), PathBuf::from("/bin/sh")),
            ("6b".to_owned(), own.clone()),
        ]
        .into(),
        ..Programs::NONE
    };
    let mut options = SystemOptions {
        release: Some("6b".to_owned()),
        node_releases: [("n1".to_owned(), "6a".to_owned())].into(),
        encryption: true,
        ..SystemOptions::default()
    };
    let specs = prepare_from(SystemName::Elastickv, &programs, &options).unwrap();
    let starts: Vec<_> = specs
        .iter()
        .map(|spec| {
            let enabled = spec
                .launch
                .args
                .iter()
                .any(|arg| arg == "--encryption-enabled");
            (spec.launch.program.as_path(), enabled)
        })
        .collect();
    let own = own.as_path();
    assert_eq!(
        starts,
        [(Path::new("/bin/sh"), false), (own, true), (own, true)]
    );
    options
        .node_releases
        .insert("n3".to_owned(), "6c".to_owned());
    let error = prepare_from(SystemName::Elastickv, &programs, &options).unwrap_err();
    assert!(error.contains("--binary 6c=PATH"), "{error}");
}

#[test]
fn what_makes_no_cluster_is_refused_clearly() {
    for (options, expected) in [
        (
            SystemOptions {
                bugs: vec!["stale-read".to_owned()],
                ..SystemOptions::default()
            },
            "no seeded bugs",
        ),
        (
            SystemOptions {
                node_releases: [("n9".to_owned(), "6a".to_owned())].into(),
                ..SystemOptions::default()
            },
            "no node \"n9\"",
        ),
    ] {
        let error = prepare_with(SystemName::Elastickv, &options).unwrap_err();
        assert!(error.contains(expected), "{expected}: {error}");
    }
    let none = prepare(
        SystemName::Reference,
        &Programs::NONE,
        0,
        Path::new("/run-folder"),
        &loopback(),
        &SystemOptions::default(),
    );
    assert!(matches!(none, Err(SystemError::NodeCount(0))));
}
