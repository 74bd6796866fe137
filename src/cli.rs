//! The words of the command line. Names here are kept, so that scripts last.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::commands::admin::words::AdminArgs;
use crate::commands::audit::words::AuditArgs;
use crate::commands::matrix::words::MatrixArgs;
use crate::plan::{Encryption, RuntimeName};
use crate::wiring::Given;

/// Fault injection for replicated key-value stores that encrypt their disks.
#[derive(Parser)]
#[command(name = "keyquake", version, about, long_about = None)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Subcommand)]
pub enum Command {
    /// Start a cluster, break it, judge it: the main job
    Run(Box<RunArgs>),
    /// Print the plan that a seed draws
    Plan(Box<PlanArgs>),
    /// Judge a stored history again, or one of another tool by a model
    Check(CheckArgs),
    /// Check the certificate of a verdict, by a verifier that shares no code with the checkers
    Verify(VerifyArgs),
    /// Audit the disks of a run, or of a stopped cluster: envelopes, canaries, keys
    Audit(AuditArgs),
    /// Write a run's report again and say where it is
    Report(ReportArgs),
    /// List the stored runs, newest first
    List(ListArgs),
    /// Undo whatever dead runs left behind
    Heal(HealArgs),
    /// List the faults: what each does, needs and proves
    Faults(CatalogueArgs),
    /// List the seeded bugs of the reference store
    Bugs(CatalogueArgs),
    /// Run every seeded bug under the plans that have to show it
    Matrix(MatrixArgs),
    /// List the invariants that a run is judged by
    Invariants(CatalogueArgs),
    /// Turn the keys of a running cluster by hand
    Admin(AdminArgs),
    /// The suite's own part of a node's pause container
    #[command(hide = true, disable_help_flag = true)]
    Agent,
    /// Run one node of the reference store (takes elastickv's flags)
    #[command(disable_help_flag = true)]
    Node,
}

#[derive(Args)]
pub struct RunArgs {
    #[command(flatten)]
    pub shape: ShapeArgs,
    /// Run this plan instead of drawing one
    #[arg(long, value_name = "FILE", conflicts_with_all = ["seed", "time", "nodes", "workload", "faults", "rate",
        "clients", "protocol", "target", "system", "release", "encryption", "bug", "network", "first_port", "cas"])]
    pub plan: Option<PathBuf>,
    #[command(flatten)]
    pub programs: ProgramArgs,
    #[command(flatten)]
    pub results: ResultsArgs,
    /// Print the verdict as JSON on standard output
    #[arg(long)]
    pub json: bool,
}

#[derive(Args)]
pub struct PlanArgs {
    #[command(flatten)]
    pub shape: ShapeArgs,
    #[command(flatten)]
    pub programs: ProgramArgs,
}

/// What runs the releases. Of a plan it shapes only which releases an operator can roll to.
#[derive(Args)]
pub struct ProgramArgs {
    /// The server to start, for a system that is not built in: one for all (`PATH`) or one per
    /// release (`6a=PATH`); may be repeated
    #[arg(long, value_name = "PATH")]
    pub binary: Vec<String>,
    /// On Docker: the image to run, one for all (`NAME`) or one per release (`6a=NAME`); may be
    /// repeated
    #[arg(long, value_name = "NAME")]
    pub image: Vec<String>,
}

impl ProgramArgs {
    /// What was given, whichever way.
    pub fn given(&self) -> anyhow::Result<Given> {
        let mut given = Given::read("--binary", &self.binary)?;
        let images = Given::read("--image", &self.image)?;
        given.by_release.extend(images.by_release);
        Ok(given)
    }
}

/// What a run is made of; all of it goes into the plan.
#[derive(Args)]
pub struct ShapeArgs {
    /// Where everything random comes from (default: drawn, and said)
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,
    /// How long the workloads run
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = humantime::parse_duration)]
    pub time: std::time::Duration,
    /// How many nodes the cluster has
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..=9))]
    pub nodes: u16,
    /// The workloads, at the same time on the same cluster
    #[arg(
        long,
        value_name = "NAMES",
        value_delimiter = ',',
        default_value = "register,append"
    )]
    pub workload: Vec<String>,
    /// The faults to draw from: names, families (`partition`), `operator` for an operator's steps
    /// between them, or `none` (default: all that the network allows, no steps)
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    pub faults: Vec<String>,
    /// Operations per second of each workload (default: the workload's own)
    #[arg(long, value_name = "N")]
    pub rate: Option<f64>,
    /// Concurrent clients of each workload (default: the workload's own)
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub clients: Option<u32>,
    /// How clients speak to the nodes (default: the workload's own)
    #[arg(long, value_name = "grpc|resp")]
    pub protocol: Option<String>,
    /// Which nodes a client talks to
    #[arg(long, value_name = "any|leader|each")]
    pub target: Option<String>,
    /// Let the register workload use compare-and-set too
    #[arg(long)]
    pub cas: bool,
    /// The store to test
    #[arg(long, value_enum, default_value = "reference")]
    pub system: SystemArg,
    /// The release to run: one for all (`6b`) or one per node (`n1=6a,n2=6b`)
    #[arg(long, value_name = "RELEASE", value_delimiter = ',')]
    pub release: Vec<String>,
    /// How much of its encryption the cluster has in force when the workloads begin
    #[arg(long, value_enum, default_value_t)]
    pub encryption: Encryption,
    /// Switch on a seeded bug of the reference store (may be repeated)
    #[arg(long, value_name = "NAME")]
    pub bug: Vec<String>,
    /// What runs the nodes: processes (the default), or containers. Beside --plan it overrides
    /// what the plan says
    #[arg(long, value_enum)]
    pub runtime: Option<RuntimeName>,
    /// Where the nodes live: network namespaces of their own, or loopback ports
    #[arg(long, value_enum, default_value = "auto")]
    pub network: NetworkArg,
    /// On loopback: the first port to use (default: free ones are looked for)
    #[arg(long, value_name = "PORT")]
    pub first_port: Option<u16>,
}

#[derive(Clone, Copy, ValueEnum)]
pub enum SystemArg {
    /// The reference store inside this binary
    Reference,
    /// elastickv's production server (give it with --binary)
    Elastickv,
}

#[derive(Clone, Copy, ValueEnum)]
pub enum NetworkArg {
    /// Namespaces where they can be made, else loopback (and say what that costs)
    Auto,
    /// Namespaces or nothing
    Namespace,
    /// 127.0.0.1 and a port each: no partitions
    Loopback,
}

#[derive(Args, Clone)]
pub struct ResultsArgs {
    /// Where runs are stored
    #[arg(
        long = "results",
        value_name = "DIR",
        env = "KEYQUAKE_RESULTS",
        default_value = "results/runs"
    )]
    pub root: PathBuf,
}

#[derive(Args)]
pub struct CheckArgs {
    /// A run (id, prefix, `latest`, folder) or a history file
    #[arg(value_name = "RUN|HISTORY")]
    pub subject: String,
    /// Check a history file of any tool by this model. For linearizability: register, cas-register,
    /// multi-register, kv-map, mutex, set, counter, fifo-queue, unordered-queue, priority-queue; for an
    /// isolation level: list-append, rw-register, rmw, bank, long-fork, monotonic
    #[arg(long, value_name = "MODEL")]
    pub model: Option<String>,
    #[command(flatten)]
    pub history: HistoryArgs,
    #[command(flatten)]
    pub results: ResultsArgs,
    /// Print the verdict as JSON
    #[arg(long)]
    pub json: bool,
}

/// How a history file of any tool is checked.
#[derive(Args)]
pub struct HistoryArgs {
    /// How it is spelled: edn, json, porcupine or keyquake; found out if not given
    #[arg(long, value_name = "FORMAT", requires = "model")]
    pub format: Option<String>,
    /// The isolation level that transactions are to keep, by its usual name [default:
    /// strict-serializable]
    #[arg(long, value_name = "LEVEL", requires = "model")]
    pub level: Option<String>,
    /// What registers hold before everything [default: nil]
    #[arg(
        long,
        value_name = "NUMBER",
        requires = "model",
        allow_negative_numbers = true
    )]
    pub initial: Option<i64>,
    /// Steps that a search may take on one key
    #[arg(long, value_name = "STEPS", requires = "model")]
    pub budget: Option<u64>,
    /// Write the certificate of the verdict here
    #[arg(long, value_name = "FILE", requires = "model")]
    pub certificate: Option<PathBuf>,
    /// Draw the counterexample here, as SVG
    #[arg(long, value_name = "FILE", requires = "model")]
    pub picture: Option<PathBuf>,
    /// Write the history here for other tools: as JSON if the name ends so, else as EDN
    #[arg(long, value_name = "FILE", requires = "model")]
    pub export: Option<PathBuf>,
}

#[derive(Args)]
pub struct VerifyArgs {
    /// What `keyquake check --certificate` wrote
    #[arg(value_name = "CERTIFICATE")]
    pub certificate: PathBuf,
    /// The history that it is about
    #[arg(value_name = "HISTORY")]
    pub history: PathBuf,
    /// How the history is spelled: edn, json, porcupine or keyquake; found out if not given
    #[arg(long, value_name = "FORMAT")]
    pub format: Option<String>,
    /// Print what was verified as JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(Args)]
pub struct ReportArgs {
    /// A run: id, unique prefix, `latest`, or its folder
    #[arg(value_name = "RUN")]
    pub subject: String,
    #[command(flatten)]
    pub results: ResultsArgs,
    /// Print what the report rests on as JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(Args)]
pub struct ListArgs {
    #[command(flatten)]
    pub results: ResultsArgs,
    /// Print the runs as JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(Args)]
pub struct HealArgs {
    #[command(flatten)]
    pub results: ResultsArgs,
    /// Print what was found and undone as JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(Args)]
pub struct CatalogueArgs {
    /// Print the list as JSON
    #[arg(long)]
    pub json: bool,
}
