//! What the stage binaries take.

use std::path::PathBuf;

use cascade::Decoding;
use clap::{Args, Parser, Subcommand, ValueEnum};
use vlm_model::{DeviceChoice, Precision};

/// The end of every help text.
pub const AFTER_HELP: &str = "\
Exit codes: 0 done; 1 data, device or system error; 2 wrong usage; 130 stopped by Ctrl-C, what is
complete is kept and `--resume` goes on.

Research use only, not for diagnosis. Nothing is sent anywhere.";

/// Arguments of a stage that answers with boxes.
#[derive(Debug, Parser)]
pub(crate) struct BoxArgs {
    #[command(subcommand)]
    pub(crate) command: StageCommand,
}

/// Arguments of the stage that answers yes or no.
#[derive(Debug, Parser)]
pub(crate) struct YesNoArgs {
    #[command(subcommand)]
    pub(crate) command: YesNoCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum StageCommand {
    /// Train the stage, and judge the chosen checkpoint on the test patients.
    Train(TrainArgs),
    /// Judge a checkpoint, with all that its score must be read against.
    Evaluate(EvaluateArgs),
    /// Answer about images and studies.
    Predict(PredictArgs),
}

#[derive(Debug, Subcommand)]
pub(crate) enum YesNoCommand {
    #[command(flatten)]
    Stage(StageCommand),
    /// Train and judge on folds by patient: the mean accuracy with its interval.
    CrossValidate(CrossValidateArgs),
}

#[derive(Debug, Args)]
pub(crate) struct TrainArgs {
    /// The configuration; of its stages this one alone runs.
    #[arg(long, value_name = "FILE")]
    pub(crate) config: PathBuf,
    /// A prepared folder, or one of images with labels.csv; several times for several. Without it the
    /// configuration's own data.
    #[arg(long, value_name = "FOLDER")]
    pub(crate) data: Vec<PathBuf>,
    /// The run folder.
    #[arg(long, value_name = "FOLDER")]
    pub(crate) out: PathBuf,
    /// Go on with the run that the folder holds.
    #[arg(long)]
    pub(crate) resume: bool,
    /// Start from this checkpoint folder instead of the configuration's base.
    #[arg(long, value_name = "FOLDER")]
    pub(crate) start: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) device: DeviceArgs,
    /// Threads for data and images [default: as many as there are cores].
    #[arg(long, value_name = "N")]
    pub(crate) threads: Option<usize>,
    /// Seconds of silence after which a rank of an MPI job is lost, and the job ends with code 75.
    #[cfg(feature = "mpi")]
    #[arg(long, value_name = "SECONDS", default_value_t = 20)]
    pub(crate) rank_timeout: u64,
}

/// Where the model runs.
#[derive(Debug, Args)]
pub(crate) struct DeviceArgs {
    /// auto, cpu or cuda:N.
    #[arg(long, default_value_t = DeviceChoice::Auto)]
    pub(crate) device: DeviceChoice,
}

/// A checkpoint and how it is opened.
#[derive(Debug, Args)]
pub(crate) struct CheckpointArgs {
    /// A checkpoint folder of a run, or a folder with the published files [default: the quickstart's, which
    /// the program carries].
    #[arg(long, value_name = "FOLDER")]
    pub(crate) checkpoint: Option<PathBuf>,
    /// Number type of frozen weights: f32, bf16 or f16.
    #[arg(long, default_value_t = Precision::F32)]
    pub(crate) precision: Precision,
    #[command(flatten)]
    pub(crate) device: DeviceArgs,
}

/// The patients that judge.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum PartArg {
    /// Patients that no training sees.
    Test,
    /// Patients that chose the checkpoint.
    Validation,
    /// Patients that were learned from.
    Train,
}

/// How answers are generated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum DecodingArg {
    /// Only well-formed answers can come out, with their probabilities.
    Grounded,
    /// Any 20 tokens, greedily, as published.
    Free,
}

impl From<DecodingArg> for Decoding {
    fn from(decoding: DecodingArg) -> Self {
        match decoding {
            DecodingArg::Grounded => Self::Grounded,
            DecodingArg::Free => Self::Free,
        }
    }
}

#[derive(Debug, Args)]
pub(crate) struct EvaluateArgs {
    #[command(flatten)]
    pub(crate) checkpoint: CheckpointArgs,
    /// A prepared folder, or one of images with labels.csv; several times for several.
    #[arg(long, value_name = "FOLDER", required = true)]
    pub(crate) data: Vec<PathBuf>,
    /// The patients that judge.
    #[arg(long, value_enum, value_name = "PART", default_value = "test")]
    pub(crate) split: PartArg,
    /// Patients of the parts, in place of the data's own split.
    #[arg(long, value_name = "FILE")]
    pub(crate) split_file: Option<PathBuf>,
    /// How answers are generated [default: as the checkpoint was trained].
    #[arg(long, value_enum, value_name = "HOW")]
    pub(crate) decoding: Option<DecodingArg>,
    /// Write predictions, scores and figures into this folder.
    #[arg(long, value_name = "FOLDER")]
    pub(crate) out: Option<PathBuf>,
    /// Samples that the image controls answer too; 0 leaves them out.
    #[arg(long, value_name = "N", default_value_t = 200)]
    pub(crate) control_samples: usize,
    /// Print JSON: n, n_unparsed, scores with 95 % intervals, probe, controls, published numbers.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct PredictArgs {
    #[command(flatten)]
    pub(crate) checkpoint: CheckpointArgs,
    /// PNG images, NIfTI files or folders of DICOM files.
    #[arg(required = true, value_name = "INPUT")]
    pub(crate) inputs: Vec<PathBuf>,
    /// Write images with the boxes drawn into this folder.
    #[arg(long, value_name = "FOLDER")]
    pub(crate) overlay: Option<PathBuf>,
    /// Print JSON: note, stage, predictions.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct CrossValidateArgs {
    /// The configuration; of its stages this one alone runs.
    #[arg(long, value_name = "FILE")]
    pub(crate) config: PathBuf,
    /// A prepared folder, or one of images with labels.csv; several times for several. Without it the
    /// configuration's own data.
    #[arg(long, value_name = "FOLDER")]
    pub(crate) data: Vec<PathBuf>,
    /// The folder of the folds; folds that it holds already are gone on with.
    #[arg(long, value_name = "FOLDER")]
    pub(crate) out: PathBuf,
    /// Folds; each patient is judged in one of them.
    #[arg(long, value_name = "N", default_value_t = 5)]
    pub(crate) folds: usize,
    #[command(flatten)]
    pub(crate) device: DeviceArgs,
    /// Print JSON: note, accuracy with its interval, the probe's, and every fold.
    #[arg(long)]
    pub(crate) json: bool,
}
