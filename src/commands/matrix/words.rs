//! The words behind `keyquake matrix`.

use std::path::PathBuf;

use clap::Args;

use crate::cli::ResultsArgs;

#[derive(Args)]
pub struct MatrixArgs {
    /// Only this bug (may be repeated; default: all that the table has plans for)
    #[arg(long = "bug", value_name = "NAME")]
    pub bugs: Vec<String>,
    /// Only this plan (may be repeated); with --bug: these in place of those that the table names
    #[arg(long = "plan", value_name = "FILE")]
    pub plans: Vec<PathBuf>,
    /// How often each bug is run under each of its plans, every time under another seed
    #[arg(long, value_name = "M", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub runs: u32,
    /// How many runs at the same time; they wait far more than they compute
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=64))]
    pub side_by_side: u32,
    /// Run each plan without a bug as well: it must be valid
    #[arg(long)]
    pub clean: bool,
    /// Write the matrix into this file, as Markdown
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// Which plan is to show which bug
    #[arg(long, value_name = "FILE", default_value = "docs/matrix.toml")]
    pub table: PathBuf,
    #[command(flatten)]
    pub results: ResultsArgs,
    /// Print the matrix as JSON
    #[arg(long)]
    pub json: bool,
}
