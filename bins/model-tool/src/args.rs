//! What the command line takes.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use vlm_model::{DeviceChoice, Precision};

const AFTER_HELP: &str = "\
Exit codes: 0 done; 1 data, device or system error, or a golden case that failed; 2 wrong usage;
3 `diff` found a difference; 130 stopped by Ctrl-C.

Research use only, not for diagnosis. Nothing is sent anywhere.";

/// Model files: check, inspect, make, convert, merge, compare; and one answer about an image.
#[derive(Debug, Parser)]
#[command(version, after_help = AFTER_HELP, arg_required_else_help = true)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Compare this model with golden values from PyTorch.
    Verify(VerifyArgs),
    /// Tell the tensors of a file or folder, and which preset they fit.
    Inspect(InspectArgs),
    /// Make a checkpoint folder with seeded random weights.
    Init(InitArgs),
    /// Make a checkpoint folder from published files or from another checkpoint.
    Convert(ConvertArgs),
    /// Make a checkpoint folder whose adapters are part of the language model's weights.
    MergeAdapter(MergeArgs),
    /// Compare the tensors of two files or folders.
    Diff(DiffArgs),
    /// Ask a model about an image.
    Generate(GenerateArgs),
}

/// Where the model runs.
#[derive(Debug, Args)]
pub(crate) struct DeviceArgs {
    /// auto, cpu or cuda:N.
    #[arg(long, default_value_t = DeviceChoice::Auto)]
    pub(crate) device: DeviceChoice,
    /// Number type of frozen weights: f32, bf16 or f16.
    #[arg(long, default_value_t = Precision::F32)]
    pub(crate) precision: Precision,
}

#[derive(Debug, Args)]
#[command(after_help = "Example:\n  model-tool verify goldens --device cpu --json")]
pub(crate) struct VerifyArgs {
    /// A golden group, or a folder of them.
    pub(crate) folder: PathBuf,
    #[command(flatten)]
    pub(crate) device: DeviceArgs,
    /// Print JSON: cases with group, name, worst, tolerance, pass; skipped; passed.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "Example:\n  model-tool inspect checkpoint_stage3.pth")]
pub(crate) struct InspectArgs {
    /// A .safetensors, .pth, .pt or .bin file, or a folder of them.
    pub(crate) path: PathBuf,
    /// Print JSON: a list of files with their tensors.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "Example:\n  model-tool init --preset nano --seed 7 --out nano-checkpoint")]
pub(crate) struct InitArgs {
    /// minigpt-v2 or nano.
    #[arg(long, required_unless_present = "config", conflicts_with = "config")]
    pub(crate) preset: Option<String>,
    /// A JSON file with the model's sizes, as in minigpt.json's `config`.
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// The same seed gives the same bytes.
    #[arg(long, default_value_t = 0)]
    pub(crate) seed: u64,
    /// Number type of the frozen weights in the files.
    #[arg(long, default_value_t = Precision::F32)]
    pub(crate) precision: Precision,
    /// The folder to make; it must not exist.
    #[arg(long, value_name = "FOLDER")]
    pub(crate) out: PathBuf,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  model-tool convert --vision eva_vit_g.pth --llama Llama-2-7b-chat-hf --checkpoint checkpoint_stage3.pth --out stage3
  model-tool convert --from stage3 --precision bf16 --out stage3-bf16
  model-tool convert --from out/run/tumor_box/checkpoint --base models/base --out models/tumor_box")]
pub(crate) struct ConvertArgs {
    /// A checkpoint folder, or a folder with the published files.
    #[arg(
        long,
        value_name = "FOLDER",
        required_unless_present_all = ["vision", "llama", "checkpoint"],
        conflicts_with_all = ["vision", "llama", "checkpoint", "adapter", "config"]
    )]
    pub(crate) from: Option<PathBuf>,
    /// The image encoder's file (`eva_vit_g.pth`).
    #[arg(long, value_name = "FILE", requires = "llama")]
    pub(crate) vision: Option<PathBuf>,
    /// LLaMA's folder (config.json and safetensors).
    #[arg(long, value_name = "FOLDER", requires = "vision")]
    pub(crate) llama: Option<PathBuf>,
    /// A MiniGPT-v2 or MiniGPT-Pancreas checkpoint (.pth).
    #[arg(long, value_name = "FILE")]
    pub(crate) checkpoint: Option<PathBuf>,
    /// A PEFT folder; used instead of the checkpoint's adapters.
    #[arg(long, value_name = "FOLDER")]
    pub(crate) adapter: Option<PathBuf>,
    /// A JSON file with the model's sizes, where the files do not tell them.
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// A tokenizer.json to copy beside the weights.
    #[arg(long, value_name = "FILE")]
    pub(crate) tokenizer: Option<PathBuf>,
    /// Number type of the frozen weights in the new files.
    #[arg(long, default_value_t = Precision::F32)]
    pub(crate) precision: Precision,
    /// Point to the image encoder and LLaMA where they are instead of copying them.
    #[arg(long)]
    pub(crate) reference_base: bool,
    /// Point to the image encoder and LLaMA of this checkpoint, which must hold the same weights.
    #[arg(long, value_name = "FOLDER", conflicts_with = "reference_base")]
    pub(crate) base: Option<PathBuf>,
    /// The folder to make; it must not exist.
    #[arg(long, value_name = "FOLDER")]
    pub(crate) out: PathBuf,
}

#[derive(Debug, Args)]
#[command(after_help = "Example:\n  model-tool merge-adapter --checkpoint stage3 --out stage3-merged")]
pub(crate) struct MergeArgs {
    /// A checkpoint folder, or a folder with the published files.
    #[arg(long, value_name = "FOLDER")]
    pub(crate) checkpoint: PathBuf,
    /// Number type of the frozen weights in the new files.
    #[arg(long, default_value_t = Precision::F32)]
    pub(crate) precision: Precision,
    /// The folder to make; it must not exist.
    #[arg(long, value_name = "FOLDER")]
    pub(crate) out: PathBuf,
}

#[derive(Debug, Args)]
#[command(after_help = "Example:\n  model-tool diff stage1/adapter stage2/adapter --json")]
pub(crate) struct DiffArgs {
    /// A file or folder of tensors.
    pub(crate) first: PathBuf,
    /// Another.
    pub(crate) second: PathBuf,
    /// Largest absolute difference that still counts as the same.
    #[arg(long, default_value_t = 0.0)]
    pub(crate) tolerance: f64,
    /// Print JSON: n_equal, only_first, only_second, different.
    #[arg(long)]
    pub(crate) json: bool,
}

/// What a grounded answer is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum GroundedArg {
    /// One box.
    Box,
    /// yes or no.
    YesNo,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  model-tool generate --checkpoint nano-checkpoint --image slice.png --prompt '[refer] where is the pancreas?'
  model-tool generate --checkpoint stage3 --image slice.png --prompt '[refer] where is the pancreas?' --grounded --json")]
pub(crate) struct GenerateArgs {
    /// A checkpoint folder, or a folder with the published files and a tokenizer.json.
    #[arg(long, value_name = "FOLDER")]
    pub(crate) checkpoint: PathBuf,
    /// The image; given several times, the prompt is about all of them.
    #[arg(long, value_name = "FILE", required = true)]
    pub(crate) image: Vec<PathBuf>,
    /// The question, task tag and all.
    #[arg(long)]
    pub(crate) prompt: String,
    /// Let only a well-formed answer be produced, with its probability.
    #[arg(long, value_enum, value_name = "KIND", num_args = 0..=1, default_missing_value = "box")]
    pub(crate) grounded: Option<GroundedArg>,
    /// Print the answer while it is made.
    #[arg(long, conflicts_with_all = ["json", "grounded"])]
    pub(crate) stream: bool,
    /// Largest number of new tokens.
    #[arg(long, default_value_t = 20)]
    pub(crate) max_new_tokens: usize,
    /// Sample at this temperature (then top-k 50, top-p 0.9); greedy if not given.
    #[arg(long)]
    pub(crate) temperature: Option<f64>,
    /// Seed of sampling.
    #[arg(long, default_value_t = 42)]
    pub(crate) seed: u64,
    /// Print JSON: text, answer, box_px, probability, distributions, counts, times.
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) device: DeviceArgs,
}
