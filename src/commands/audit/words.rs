//! The words behind `keyquake audit`.

use std::path::PathBuf;

use clap::Args;

use crate::cli::ResultsArgs;
use crate::plan::Encryption;

#[derive(Args)]
pub struct AuditArgs {
    /// A run (id, prefix, `latest`, its folder), or a folder with data directories in it
    #[arg(value_name = "RUN|FOLDER")]
    pub subject: String,
    /// Of a folder: the KEK (a run has its own)
    #[arg(long, value_name = "FILE")]
    pub kek: Option<PathBuf>,
    /// Of a folder: a node's sidecar (may be repeated)
    #[arg(long = "sidecar", value_name = "NODE=FILE")]
    pub sidecars: Vec<String>,
    /// Of a folder: what was written
    #[arg(long, value_name = "HISTORY", requires = "seed")]
    pub history: Option<PathBuf>,
    /// Of a folder: the seed of that history's values
    #[arg(long, value_name = "N", requires = "history")]
    pub seed: Option<u64>,
    /// Of a folder: how much of its encryption was in force when that history began
    #[arg(long, value_enum, default_value_t, requires = "history")]
    pub encryption: Encryption,
    /// Remember every nonce in this file (made if need be), and judge ENC-NONCE over all audits
    /// that did so
    #[arg(long, value_name = "FILE")]
    pub nonces: Option<PathBuf>,
    #[command(flatten)]
    pub results: ResultsArgs,
    /// Print what was found as JSON
    #[arg(long)]
    pub json: bool,
}
