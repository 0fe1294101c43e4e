//! What the command line takes.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use stage_cli::AFTER_HELP;
use vlm_model::DeviceChoice;

const EXAMPLES: &str = "\
Examples:
  run-cascade
  run-cascade --config configs/paper-2024.toml --dry-run
  run-cascade --config configs/recommended.toml --out out/recommended --resume";

/// Data, three stages and organs, scores beside their controls, one report.
///
/// Without arguments the quickstart: synthetic patients and the small base model that the program
/// carries, into `out/quickstart`. `run-cascade pretrain` makes another base.
#[derive(Debug, Parser)]
#[command(
    version,
    after_help = format!("{EXAMPLES}\n\n{AFTER_HELP}"),
    args_conflicts_with_subcommands = true
)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
    #[command(flatten)]
    pub(crate) run: RunArgs,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Make the small base model that the quickstart starts from.
    Pretrain(PretrainArgs),
}

#[derive(Debug, Args)]
pub(crate) struct RunArgs {
    /// The configuration; the quickstart if not given.
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// A prepared folder instead of the configuration's data; several times for several.
    #[arg(long, value_name = "FOLDER")]
    pub(crate) data: Vec<PathBuf>,
    /// The run folder [default: out/NAME, the configuration's name].
    #[arg(long, value_name = "FOLDER")]
    pub(crate) out: Option<PathBuf>,
    /// Go on with the run that the folder holds.
    #[arg(long)]
    pub(crate) resume: bool,
    /// Say what the run would take: parameters, samples, steps, memory, disk, time.
    #[arg(long, conflicts_with_all = ["out", "resume"])]
    pub(crate) dry_run: bool,
    /// Operations a second that --dry-run counts with [default: measured by a small product].
    #[arg(long, value_name = "N", requires = "dry_run")]
    pub(crate) flops: Option<f64>,
    /// auto, cpu or cuda:N.
    #[arg(long, default_value_t = DeviceChoice::Auto)]
    pub(crate) device: DeviceChoice,
    /// Threads for data and images [default: as many as there are cores].
    #[arg(long, value_name = "N")]
    pub(crate) threads: Option<usize>,
    /// Print JSON: note, report, stages with floor, goal, checkpoint and evaluation; or the plan.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
#[command(after_help = format!("Example:\n  run-cascade pretrain --out out/nano-base\n\n{AFTER_HELP}"))]
pub(crate) struct PretrainArgs {
    /// The checkpoint folder to make; it must not exist.
    #[arg(long, value_name = "FOLDER")]
    pub(crate) out: PathBuf,
    /// A recipe (TOML); the built-in one if not given.
    #[arg(long, value_name = "FILE")]
    pub(crate) recipe: Option<PathBuf>,
    /// Weights trained elsewhere (safetensors, published names): a tower, or everything. Leaves phase 1 out.
    #[arg(long, value_name = "FILE")]
    pub(crate) start: Option<PathBuf>,
    /// auto, cpu or cuda:N.
    #[arg(long, default_value_t = DeviceChoice::Auto)]
    pub(crate) device: DeviceChoice,
    /// Print JSON: note, checkpoint, held-out box IoU by structure where the tower was trained.
    #[arg(long)]
    pub(crate) json: bool,
}
