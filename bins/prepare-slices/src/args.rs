//! What the command line takes.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use ct_slices::dataset::Layout;
use ct_slices::prepare::Shard;
use ct_slices::{Organ, Preset};

#[cfg(not(feature = "object-store"))]
const AFTER_HELP: &str = "\
Exit codes: 0 done; 1 data or system error; 2 wrong usage; 3 the audit found something;
130 stopped by Ctrl-C (finished work is kept: go on with --resume, a shard with the same command).

Research use only, not for diagnosis. Nothing is sent anywhere.";

#[cfg(feature = "object-store")]
const AFTER_HELP: &str = "\
Exit codes: 0 done; 1 data or system error; 2 wrong usage; 3 the audit found something;
130 stopped by Ctrl-C (finished work is kept: go on with --resume, a shard or a transfer with the same command).

Research use only, not for diagnosis. A network is used by `fetch` and `push` only, for the URL that they are given.";

/// CT studies in; windowed training slices with boxes, an index, splits and an audit out.
#[derive(Debug, Parser)]
#[command(version, after_help = AFTER_HELP, arg_required_else_help = true)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Tell the geometry and values of a study.
    Inspect(InspectArgs),
    /// Write one slice of a study as PNG.
    Slice(SliceArgs),
    /// Write a study as NIfTI.
    Convert(ConvertArgs),
    /// Prepare a dataset: images, index, split, reference files, audit.
    Run(RunArgs),
    /// Join the shards of a run.
    Merge(MergeArgs),
    /// Mix a tumour yes/no set from prepared folders.
    TumorMix(TumorMixArgs),
    /// Look for leaks and shortcuts in prepared folders.
    Audit(AuditArgs),
    /// Write synthetic abdominal CT studies with masks.
    Phantom(PhantomArgs),
    /// List the datasets that `run --dataset` knows.
    Datasets(DatasetsArgs),
    /// Copy studies or prepared folders from object storage, all or one shard's share.
    #[cfg(feature = "object-store")]
    Fetch(crate::store::FetchArgs),
    /// Copy a folder to object storage.
    #[cfg(feature = "object-store")]
    Push(crate::store::PushArgs),
}

/// How to read a study.
#[derive(Debug, Args)]
pub(crate) struct ReadArgs {
    /// Frame of a 4-D NIfTI file, from 0.
    #[arg(long, value_name = "N")]
    pub(crate) frame: Option<usize>,
    /// Series of a DICOM folder that holds several, from 0 (the error lists them).
    #[arg(long, value_name = "N")]
    pub(crate) series: Option<usize>,
    /// Go on where a DICOM series is irregular: missing or repeated slices, tilt.
    #[arg(long)]
    pub(crate) allow_irregular: bool,
    /// Largest decoded volume, in MiB.
    #[arg(long, value_name = "MIB", default_value_t = 4096)]
    pub(crate) max_mib: u64,
}

#[derive(Debug, Args)]
#[command(after_help = "Example:\n  prepare-slices inspect study.nii.gz --json")]
pub(crate) struct InspectArgs {
    /// A NIfTI file, a DICOM file (one slice), or a folder with a DICOM series.
    pub(crate) study: PathBuf,
    /// Print JSON: shape, spacing_mm, affine, orientation, hu, n_slices, warnings.
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) read: ReadArgs,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  prepare-slices slice study.nii.gz --index 40 --preset fixed --out slice.png"
)]
pub(crate) struct SliceArgs {
    /// A NIfTI file, a DICOM file, or a folder with a DICOM series.
    pub(crate) study: PathBuf,
    /// Slice number from 0: in file order, for preset `fixed` from feet to head.
    #[arg(long, value_name = "K")]
    pub(crate) index: usize,
    /// paper-2024, code-2025 or fixed.
    #[arg(long, default_value_t = Preset::Fixed)]
    pub(crate) preset: Preset,
    /// Published index maps to follow; msd for NIfTI and nih for DICOM if not given.
    #[arg(long)]
    pub(crate) layout: Option<Layout>,
    /// Preset paper-2024: images as published (stored axes), or consistent with the boxes.
    #[arg(long, value_enum, default_value_t = OrientationArg::Published)]
    pub(crate) image_orientation: OrientationArg,
    /// HU window of preset `fixed`, as LOW,HIGH.
    #[arg(long, value_name = "LOW,HIGH", value_parser = parse_window, allow_hyphen_values = true)]
    pub(crate) window: Option<[f64; 2]>,
    /// Write slices z-1, z, z+1 as red, green, blue.
    #[arg(long)]
    pub(crate) neighbors: bool,
    /// PNG file to write.
    #[arg(long, value_name = "FILE")]
    pub(crate) out: PathBuf,
    #[command(flatten)]
    pub(crate) read: ReadArgs,
}

#[derive(Debug, Args)]
#[command(after_help = "Example:\n  prepare-slices convert dicom-folder --out study.nii.gz")]
pub(crate) struct ConvertArgs {
    /// A NIfTI file, a DICOM file, or a folder with a DICOM series.
    pub(crate) study: PathBuf,
    /// NIfTI file to write; gzip if it ends in .gz. 16-bit if all values are whole HU, else 32-bit float.
    #[arg(long, value_name = "FILE")]
    pub(crate) out: PathBuf,
    #[command(flatten)]
    pub(crate) read: ReadArgs,
}

/// Threads and bounds of long work.
#[derive(Debug, Args)]
pub(crate) struct WorkArgs {
    /// Volumes worked on at once; all processors if not given.
    #[arg(long, value_name = "N")]
    pub(crate) threads: Option<usize>,
    /// Print a JSON summary on stdout.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  prepare-slices run --dataset msd-pancreas --root Task07_Pancreas --out prepared
  prepare-slices run --images cts --labels masks --label pancreas=1 --out prepared
  prepare-slices run --images dicom-folder --labels mask.nii.gz --label liver=5 --label pancreas=7 --out prepared

--shard i/n does a share of the volumes (i from 0 to n-1, or from 1 to n) into a folder of its own, and goes on
with what is there: the same command again does what is missing, or nothing. `merge` joins the shards.")]
pub(crate) struct RunArgs {
    /// A dataset of the list (see `prepare-slices datasets`).
    #[arg(long, value_name = "NAME", required_unless_present = "images", conflicts_with_all = ["images", "labels", "layout"])]
    pub(crate) dataset: Option<String>,
    /// Where the dataset lies; the list's own `root` if not given.
    #[arg(long, value_name = "DIR", requires = "dataset")]
    pub(crate) root: Option<PathBuf>,
    /// Another dataset list than the built-in one.
    #[arg(long, value_name = "FILE", requires = "dataset")]
    pub(crate) datasets: Option<PathBuf>,
    /// Folder of studies, or one study.
    #[arg(long, value_name = "PATH", requires = "labels")]
    pub(crate) images: Option<PathBuf>,
    /// Folder of masks, or one mask.
    #[arg(long, value_name = "PATH", requires = "images")]
    pub(crate) labels: Option<PathBuf>,
    /// How --images and --labels lie on disk: msd, nih, abd, images-masks or nnunet.
    #[arg(long)]
    pub(crate) layout: Option<Layout>,
    /// Mask labels that mean an organ, as ORGAN=NUMBER or ORGAN=NUMBER,NUMBER; repeat for more organs. Replaces the
    /// dataset's own.
    #[arg(long = "label", value_name = "ORGAN=N", value_parser = parse_label)]
    pub(crate) label: Vec<(Organ, Vec<u16>)>,
    /// paper-2024, code-2025 or fixed.
    #[arg(long, default_value_t = Preset::Fixed)]
    pub(crate) preset: Preset,
    /// A slice is selected where the box ratio of an organ is above this (strictly).
    #[arg(long, default_value_t = 0.6)]
    pub(crate) threshold: f64,
    /// Seed of the split and of every draw: a number, or `random` to draw one, which is then recorded.
    #[arg(long, default_value = "42", value_parser = parse_seed)]
    pub(crate) seed: u64,
    /// Draw as many slices without the organ as there are with it.
    #[arg(long)]
    pub(crate) balanced: bool,
    /// HU window of preset `fixed`, as LOW,HIGH.
    #[arg(long, value_name = "LOW,HIGH", value_parser = parse_window, allow_hyphen_values = true)]
    pub(crate) window: Option<[f64; 2]>,
    /// Preset paper-2024: images consistent with their boxes, or as published (they disagree).
    #[arg(long, value_enum, default_value_t = OrientationArg::Consistent)]
    pub(crate) image_orientation: OrientationArg,
    /// Write slices z-1, z, z+1 as red, green, blue.
    #[arg(long)]
    pub(crate) neighbors: bool,
    /// Also write the reference's JSON files, under `reference/`.
    #[arg(long)]
    pub(crate) reference_json: bool,
    /// Go on where a DICOM series is irregular.
    #[arg(long)]
    pub(crate) allow_irregular: bool,
    /// Go on where a mask lies elsewhere than its study but has the same shape and axes.
    #[arg(long)]
    pub(crate) ignore_mask_position: bool,
    /// Do this share of the volumes only; implies --resume.
    #[arg(long, value_name = "I/N")]
    pub(crate) shard: Option<Shard>,
    /// Folder to write.
    #[arg(long, value_name = "DIR")]
    pub(crate) out: PathBuf,
    /// Go on with what an earlier run left in --out.
    #[arg(long)]
    pub(crate) resume: bool,
    /// Skip the audit.
    #[arg(long)]
    pub(crate) no_audit: bool,
    /// Largest decoded volume, in MiB.
    #[arg(long, value_name = "MIB", default_value_t = 4096)]
    pub(crate) max_mib: u64,
    #[command(flatten)]
    pub(crate) work: WorkArgs,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  prepare-slices merge shard-1 shard-2 shard-3 shard-4 --out prepared

Every image is read and held against the hash that its shard wrote. --out is there whole or not at all; the same
command again finds it complete and changes nothing. --json prints summary.json and, under `merge`, what was checked.")]
pub(crate) struct MergeArgs {
    /// Folders that `run --shard` wrote.
    #[arg(required = true)]
    pub(crate) shards: Vec<PathBuf>,
    /// Folder to write.
    #[arg(long, value_name = "DIR")]
    pub(crate) out: PathBuf,
    /// Skip the audit.
    #[arg(long)]
    pub(crate) no_audit: bool,
    #[command(flatten)]
    pub(crate) work: WorkArgs,
}

/// Which part of a slice the tumour question shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum CropArg {
    /// The mask's pancreas box: an oracle at test time.
    GroundTruth,
    /// A predicted pancreas box, from --predictions.
    Predicted,
    /// The whole slice.
    Full,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  prepare-slices tumor-mix prepared --out tumor-set
  prepare-slices tumor-mix msd nih --preset code-2025 --crop ground-truth --out tumor-set")]
pub(crate) struct TumorMixArgs {
    /// Prepared folders (with index.jsonl).
    #[arg(required = true)]
    pub(crate) index: Vec<PathBuf>,
    /// code-2025: MSD tumour slices against NIH slices. fixed: matched slices of the same sources.
    #[arg(long, default_value_t = Preset::Fixed)]
    pub(crate) preset: Preset,
    /// What the images show; ground-truth for code-2025, full for fixed if not given.
    #[arg(long, value_enum)]
    pub(crate) crop: Option<CropArg>,
    /// Predicted pancreas boxes: JSON Lines with the keys volume, slice_index and bbox (x_min, y_min,
    /// x_max, y_max in slice pixels, edges inside).
    #[arg(long, value_name = "FILE", required_if_eq("crop", "predicted"))]
    pub(crate) predictions: Option<PathBuf>,
    /// A tumour slice counts where the tumour's box ratio is above this (strictly).
    #[arg(long, default_value_t = 0.6)]
    pub(crate) threshold: f64,
    /// Seed of the draws: a number, or `random`.
    #[arg(long, default_value = "42", value_parser = parse_seed)]
    pub(crate) seed: u64,
    /// Folder to write.
    #[arg(long, value_name = "DIR")]
    pub(crate) out: PathBuf,
    /// Print a JSON summary on stdout.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  prepare-slices audit prepared
  prepare-slices audit stage-1 stage-3 --json
  prepare-slices audit labels.csv --images images")]
pub(crate) struct AuditArgs {
    /// Prepared folders or index.jsonl files (stages and datasets together), or a labels CSV.
    #[arg(required = true)]
    pub(crate) index: Vec<PathBuf>,
    /// Image folder of a labels CSV; `images` beside it if not given.
    #[arg(long, value_name = "DIR")]
    pub(crate) images: Option<PathBuf>,
    /// Print the report as JSON.
    #[arg(long)]
    pub(crate) json: bool,
    /// Warnings fail too.
    #[arg(long)]
    pub(crate) strict: bool,
    /// Do not open the images: faster, blind to pixel content.
    #[arg(long)]
    pub(crate) no_images: bool,
    /// Do not train the shortcut probe.
    #[arg(long)]
    pub(crate) no_probe: bool,
    /// Show patients, volumes and images as the start of a hash.
    #[arg(long)]
    pub(crate) redact: bool,
    /// Seed of the probe.
    #[arg(long, default_value = "42", value_parser = parse_seed)]
    pub(crate) seed: u64,
    /// Threads for reading images; all processors if not given.
    #[arg(long, value_name = "N")]
    pub(crate) threads: Option<usize>,
}

/// Layout of a phantom dataset.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum PhantomLayoutArg {
    /// Medical Segmentation Decathlon, Task07.
    Msd,
    /// NIH Pancreas-CT: DICOM with NIfTI labels.
    Nih,
    /// AbdomenCT-1K.
    Abd,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  prepare-slices phantom --patients 20 --layout msd --size 128 --out phantoms"
)]
pub(crate) struct PhantomArgs {
    /// Patients to make.
    #[arg(long, default_value_t = 10)]
    pub(crate) patients: u32,
    /// Dataset layout to write.
    #[arg(long, value_enum, default_value_t = PhantomLayoutArg::Msd)]
    pub(crate) layout: PhantomLayoutArg,
    /// Rows and columns of a slice.
    #[arg(long, default_value_t = 512)]
    pub(crate) size: u32,
    /// Fewest and most slices of a study, as MIN-MAX; whole upper abdomens if not given.
    #[arg(long, value_name = "MIN-MAX", value_parser = parse_range)]
    pub(crate) slices: Option<[u32; 2]>,
    /// Seed: the same seed gives the same files.
    #[arg(long, default_value = "42", value_parser = parse_seed)]
    pub(crate) seed: u64,
    /// Folder to write.
    #[arg(long, value_name = "DIR")]
    pub(crate) out: PathBuf,
    #[command(flatten)]
    pub(crate) work: WorkArgs,
}

#[derive(Debug, Args)]
#[command(after_help = "Example:\n  prepare-slices datasets --json")]
pub(crate) struct DatasetsArgs {
    /// Another dataset list than the built-in one.
    #[arg(long, value_name = "FILE")]
    pub(crate) datasets: Option<PathBuf>,
    /// Print JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

/// How images of preset paper-2024 lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum OrientationArg {
    /// As the boxes.
    Consistent,
    /// As stored, which is what was published.
    Published,
}

fn parse_seed(text: &str) -> Result<u64, String> {
    if text == "random" {
        // The hasher's keys come from the system's random source.
        use std::hash::{BuildHasher, Hasher};
        let drawn = std::collections::hash_map::RandomState::new().build_hasher().finish();
        // Kept below 2^53, so that any JSON reader gives it back exactly.
        return Ok(drawn & ((1 << 53) - 1));
    }
    text.parse().map_err(|_| format!("`{text}` is neither a whole number nor `random`"))
}

fn parse_range(text: &str) -> Result<[u32; 2], String> {
    let parse = || {
        let (fewest, most) = text.split_once('-').unwrap_or((text, text));
        Some([fewest.parse().ok()?, most.parse().ok()?])
    };
    parse().ok_or_else(|| format!("`{text}` is not MIN-MAX, such as 24-40"))
}

fn parse_window(text: &str) -> Result<[f64; 2], String> {
    let parse = || {
        let (low, high) = text.split_once(',')?;
        Some([low.trim().parse().ok()?, high.trim().parse().ok()?])
    };
    parse().ok_or_else(|| format!("`{text}` is not LOW,HIGH in HU, such as -150,250"))
}

fn parse_label(text: &str) -> Result<(Organ, Vec<u16>), String> {
    let (organ, numbers) = text.split_once('=').ok_or("write ORGAN=NUMBER, such as pancreas=7")?;
    let organ = organ.parse::<Organ>().map_err(|e| e.to_string())?;
    let number = |n: &str| n.trim().parse().ok().filter(|&n| n != 0);
    let numbers: Option<Vec<u16>> = numbers.split(',').map(number).collect();
    numbers
        .map(|numbers| (organ, numbers))
        .ok_or_else(|| format!("`{text}`: labels are numbers from 1 to 65535"))
}
