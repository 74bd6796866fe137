//! The command line: elastickv's flags in Go's style (one or two dashes, `--x=v`,
//! `--x v`, booleans bare or with a value), and this store's own two.

use std::ffi::OsString;

use clap::parser::ValueSource;
use clap::{ArgAction, CommandFactory, FromArgMatches, Parser};

use crate::bugs::Bug;
use crate::release::Release;

/// Go's spelling of booleans.
fn go_bool(text: &str) -> Result<bool, String> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(false),
        _ => Err("not a boolean".to_owned()),
    }
}

macro_rules! flags {
    ($(#[$meta:meta])* struct $name:ident {
        texts { $($(#[$tdoc:meta])* $text:ident $tlong:literal = $tdefault:literal,)* }
        switches { $($(#[$sdoc:meta])* $switch:ident $slong:literal,)* }
    }) => {
        $(#[$meta])*
        pub struct $name {
            $($(#[$tdoc])*
              #[arg(long = $tlong, default_value = $tdefault, allow_hyphen_values = true)]
              pub $text: String,)*
            $($(#[$sdoc])*
              #[arg(long = $slong, num_args = 0..=1, require_equals = true, default_value = "false",
                    default_missing_value = "true", action = ArgAction::Set, value_parser = go_bool)]
              pub $switch: bool,)*
            /// Behave as this release: 5d, 6a, 6b, 6c, 6d, 6e or 6f.
            #[arg(long, default_value_t)]
            pub release: Release,
            /// Switch a seeded bug on; repeatable.
            #[arg(long = "bug", value_name = "NAME")]
            pub bugs: Vec<Bug>,
            /// Flags that were given and have no effect here.
            #[arg(skip)]
            pub unused: Vec<String>,
        }
    };
}

flags! {
    /// The reference store: a replicated key-value store with elastickv's flags and wire.
    #[derive(Clone, Debug, Parser)]
    #[command(name = "keyquake node", args_override_self = true, disable_version_flag = true)]
    struct Flags {
        texts {
            /// host:port of everything gRPC; also this node's Raft address.
            address "address" = "localhost:50051",
            /// host:port of RESP.
            redis_address "redisAddress" = "localhost:6379",
            /// host:port of HTTP health; off when empty.
            dynamo_address "dynamoAddress" = "",
            /// host:port of HTTP health; off when empty.
            s3_address "s3Address" = "",
            /// Accepted, without effect.
            sqs_address "sqsAddress" = "",
            /// Accepted, without effect.
            metrics_address "metricsAddress" = "",
            /// Accepted, without effect.
            metrics_token "metricsToken" = "",
            /// Accepted, without effect.
            pprof_address "pprofAddress" = "",
            /// Accepted, without effect.
            pprof_token "pprofToken" = "",
            /// This node's stable name. Required.
            raft_id "raftId" = "",
            /// Parent folder; the node uses <dir>/<raftId>.
            raft_data_dir "raftDataDir" = "data/",
            /// Only "etcd".
            raft_engine "raftEngine" = "etcd",
            /// id=host:port,… of a new cluster's voters; safe to keep on every start.
            raft_bootstrap_members "raftBootstrapMembers" = "",
            /// id=host:port,… of an existing cluster to join, this node included.
            raft_join_members "raftJoinMembers" = "",
            /// Accepted, without effect: there is one group.
            raft_group_peers "raftGroupPeers" = "",
            /// Accepted, without effect: there is one group.
            raft_groups "raftGroups" = "",
            /// Accepted, without effect: there is one group.
            shard_ranges "shardRanges" = "",
            /// Accepted, without effect: commands are forwarded over gRPC.
            raft_redis_map "raftRedisMap" = "",
            /// Accepted, without effect.
            raft_dynamo_map "raftDynamoMap" = "",
            /// Accepted, without effect.
            raft_s3_map "raftS3Map" = "",
            /// Accepted, without effect.
            raft_sqs_map "raftSqsMap" = "",
            /// Accepted, without effect.
            admin_listen "adminListen" = "",
            /// Accepted, without effect.
            admin_token_file "adminTokenFile" = "",
            /// Accepted, without effect.
            tso_batch_size "tsoBatchSize" = "256",
            /// The key sidecar's path.
            encryption_sidecar_path "encryptionSidecarPath" = "",
            /// The key-encryption key's file: 32 raw bytes, owner-only. Releases before 6B ignore it.
            kek_file "kekFile" = "",
        }
        switches {
            /// Bootstrap a cluster of this node alone.
            raft_bootstrap "raftBootstrap",
            /// Start as a learner of an existing cluster.
            raft_join_as_learner "raftJoinAsLearner",
            /// Accepted, without effect.
            admin_enabled "adminEnabled",
            /// Accepted, without effect.
            admin_insecure_no_auth "adminInsecureNoAuth",
            /// Accepted, without effect.
            tso_enabled "tsoEnabled",
            /// Take part in encryption. Releases before 6B ignore it.
            encryption_enabled "encryption-enabled",
            /// Rotate the keys once, if this process leads or comes to lead. Releases before 6F ignore it.
            encryption_rotate_on_startup "encryption-rotate-on-startup",
        }
    }
}

/// Flags that are parsed and do nothing.
const WITHOUT_EFFECT: &[&str] = &[
    "sqsAddress",
    "metricsAddress",
    "metricsToken",
    "pprofAddress",
    "pprofToken",
    "raftGroupPeers",
    "raftGroups",
    "shardRanges",
    "raftRedisMap",
    "raftDynamoMap",
    "raftS3Map",
    "raftSqsMap",
    "adminListen",
    "adminTokenFile",
    "adminEnabled",
    "adminInsecureNoAuth",
    "tsoEnabled",
    "tsoBatchSize",
];
/// elastickv's leader balancer: a family of flags, all without effect.
const BALANCER: &str = "--leaderBalance";

impl Flags {
    /// Parses the arguments behind the program's (and subcommand's) name.
    ///
    /// # Errors
    /// clap's error, which prints itself and knows its exit code.
    pub fn parse_go(args: impl Iterator<Item = OsString>) -> Result<Self, clap::Error> {
        let (words, mut unused) = normalize(args);
        let program = OsString::from("keyquake node");
        let matches =
            Self::command().try_get_matches_from(std::iter::once(program).chain(words))?;
        let flags = Self::command();
        for arg in flags.get_arguments() {
            let Some(long) = arg.get_long().filter(|long| WITHOUT_EFFECT.contains(long)) else {
                continue;
            };
            if matches.value_source(arg.get_id().as_str()) == Some(ValueSource::CommandLine) {
                unused.push(long.to_owned());
            }
        }
        let mut parsed = Self::from_arg_matches(&matches)?;
        parsed.unused = unused;
        Ok(parsed)
    }
}

/// Go's single dash becomes two; the balancer's flags are taken out.
fn normalize(args: impl Iterator<Item = OsString>) -> (Vec<OsString>, Vec<String>) {
    let (mut words, mut unused) = (Vec::new(), Vec::new());
    let mut args = args.peekable();
    while let Some(word) = args.next() {
        let Some(text) = word.to_str() else {
            words.push(word);
            continue;
        };
        let single = text.len() > 2
            && text.starts_with('-')
            && text[1..].starts_with(|c: char| c.is_ascii_alphabetic());
        let text = if single {
            format!("-{text}")
        } else {
            text.to_owned()
        };
        if text.starts_with(BALANCER) {
            let bare = !text.contains('=');
            let value = |next: &OsString| next.to_str().is_some_and(|v| !v.starts_with('-'));
            if bare {
                args.next_if(value);
            }
            unused.push(text.trim_start_matches('-').to_owned());
        } else {
            words.push(text.into());
        }
    }
    (words, unused)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(words: &[&str]) -> Result<Flags, clap::Error> {
        Flags::parse_go(words.iter().map(OsString::from))
    }

    #[test]
    fn go_styles_are_equal() -> Result<(), clap::Error> {
        for words in [
            &["--raftId", "n1", "--raftBootstrap"][..],
            &["-raftId", "n1", "-raftBootstrap=true"],
            &["--raftId=n1", "--raftBootstrap=1"],
            &["--raftId=n0", "--raftId=n1", "-raftBootstrap"],
        ] {
            let flags = parse(words)?;
            assert_eq!(flags.raft_id, "n1");
            assert!(flags.raft_bootstrap);
        }
        assert!(!parse(&["--raftBootstrap=false"])?.raft_bootstrap);
        Ok(())
    }

    #[test]
    fn what_has_no_effect_is_named() -> Result<(), clap::Error> {
        let flags = parse(&[
            "--pprofAddress",
            "",
            "--leaderBalanceEnabled",
            "--leaderBalanceInterval",
            "5s",
            "--raftId",
            "n1",
        ])?;
        assert_eq!(flags.raft_id, "n1");
        assert_eq!(
            flags.unused,
            [
                "leaderBalanceEnabled",
                "leaderBalanceInterval",
                "pprofAddress"
            ]
        );
        Ok(())
    }

    #[test]
    fn unknown_flags_bugs_and_releases_are_refused() {
        assert!(parse(&["--nope"]).is_err());
        let bug = parse(&["--bug", "nope"])
            .map(|_| ())
            .unwrap_err()
            .to_string();
        assert!(bug.contains("stale-read"), "{bug}");
        assert!(parse(&["--release", "7a"]).is_err());
    }
}
