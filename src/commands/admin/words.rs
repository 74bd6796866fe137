//! The words behind `keyquake admin`.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};

#[derive(Args)]
pub struct AdminArgs {
    #[command(subcommand)]
    pub call: Call,
    /// A node's gRPC address; give all of them and the leader is found
    #[arg(long = "endpoint", value_name = "HOST:PORT", global = true)]
    pub endpoints: Vec<String>,
    /// How long one call may take
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = humantime::parse_duration, global = true)]
    pub timeout: Duration,
    /// Print the answer as JSON on standard output
    #[arg(long, global = true)]
    pub json: bool,
}

#[derive(Subcommand)]
pub enum Call {
    /// Ask every endpoint for its part, capability, keys and flags
    Status,
    /// Make the first two keys and register every member
    Bootstrap {
        #[command(flatten)]
        kek: KekArgs,
    },
    /// Phase 1: encrypt values that are written from here on
    EnableStorageEnvelope(ProposerArgs),
    /// Phase 2: encrypt log entries from here on
    EnableRaftEnvelope(ProposerArgs),
    /// Make a new key and let it take the active one's place
    RotateDek {
        /// Which key to replace
        #[arg(long, value_enum)]
        purpose: PurposeArg,
        #[command(flatten)]
        kek: KekArgs,
        #[command(flatten)]
        proposer: ProposerArgs,
    },
    /// Register a writer under a key
    RegisterWriter {
        /// The key
        #[arg(long, value_name = "ID", value_parser = clap::value_parser!(u32).range(1..))]
        dek_id: u32,
        #[command(flatten)]
        node: NodeArgs,
        /// Its local epoch under that key
        #[arg(long, value_name = "N")]
        local_epoch: u16,
    },
    /// Ask the leader for its keys, and for what it has registered of a node
    Resync(NodeArgs),
    /// Key-encryption key files
    #[command(subcommand)]
    Kek(KekCall),
}

#[derive(Subcommand)]
pub enum KekCall {
    /// Write 32 random bytes to a new file that only its owner can read
    New {
        /// The file; it must not be there yet
        file: PathBuf,
    },
}

#[derive(Args)]
pub struct KekArgs {
    /// The key-encryption key that all nodes were started with
    #[arg(long = "kek", value_name = "FILE")]
    pub file: PathBuf,
}

#[derive(Args)]
pub struct NodeArgs {
    /// The node's Raft id
    #[arg(long, value_name = "NAME")]
    pub raft_id: String,
}

#[derive(Args)]
pub struct ProposerArgs {
    /// The leader's local epoch under the active key (default: as the leader has it registered)
    #[arg(long, value_name = "N")]
    pub proposer_epoch: Option<u16>,
}

#[derive(Clone, Copy, ValueEnum)]
pub enum PurposeArg {
    /// Values in the storage engine
    Storage,
    /// Payloads in the Raft log
    Raft,
}
