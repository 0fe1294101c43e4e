//! Commands that read and write files of weights.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use bin_support::{EXIT_FINDINGS, EXIT_OK};
use serde_json::Value;
use vlm_infer::PromptSettings;
use vlm_model::{
    CheckpointOptions, DeviceChoice, MiniGpt, MiniGptConfig, ModelFiles, Precision, compare, discover,
    init_checkpoint, load, published_files_config, write_checkpoint,
};
use vlm_prompt::BoxFormat;

use crate::args::{ConvertArgs, DiffArgs, InitArgs, InspectArgs, MergeArgs};

/// A tokenizer in a checkpoint folder.
const TOKENIZER_FILE: &str = "tokenizer.json";

pub(crate) fn inspect(args: &InspectArgs) -> anyhow::Result<u8> {
    let files = vlm_model::inspect(&args.path)?;
    if args.json {
        bin_support::json(&files)?;
        return Ok(EXIT_OK);
    }
    for file in &files {
        bin_support::data(&format!(
            "{}: {} tensors, {} parameters, {} bytes",
            file.path.display(),
            file.tensors.len(),
            file.n_parameters,
            file.n_bytes
        ))?;
        bin_support::data(&format!("  {}", file.guess.as_deref().unwrap_or("no part of a MiniGPT model")))?;
        for tensor in &file.tensors {
            bin_support::data(&format!(
                "  {:<5} {:<20} {}",
                tensor.dtype,
                format!("{:?}", tensor.shape),
                tensor.name
            ))?;
        }
    }
    Ok(EXIT_OK)
}

pub(crate) fn init(args: &InitArgs) -> anyhow::Result<u8> {
    let config = match (&args.preset, &args.config) {
        (Some(preset), _) => MiniGptConfig::preset(preset)?,
        (None, Some(file)) => read_config(file)?,
        (None, None) => bail!("a preset or a configuration is needed"),
    };
    refuse_existing(&args.out)?;
    // A model of published size is asked as published; others learn here, from consistent prompts.
    let prompt = if config == MiniGptConfig::minigpt_v2() {
        PromptSettings::default()
    } else {
        PromptSettings::consistent(BoxFormat::Percent100)
    };
    let prompt = prompt.to_json();
    init_checkpoint(&config, args.seed, args.precision, &args.out, &prompt, &CheckpointOptions::default())?;
    bin_support::note(&format!("{}: random weights, seed {}", args.out.display(), args.seed));
    Ok(EXIT_OK)
}

pub(crate) fn convert(args: &ConvertArgs) -> anyhow::Result<u8> {
    refuse_existing(&args.out)?;
    let (config, files, prompt) = match &args.from {
        Some(folder) => discover(folder)?,
        None => {
            let files = ModelFiles {
                vision_tower: args.vision.clone(),
                ln_vision: None,
                language_model: args.llama.clone(),
                checkpoint: args.checkpoint.clone(),
                adapter: args.adapter.clone(),
            };
            let config = match &args.config {
                Some(file) => read_config(file)?,
                None => published_files_config(&files)?,
            };
            (config, files, Value::Null)
        }
    };
    let mut options = CheckpointOptions::default();
    if args.reference_base {
        let absolute = |path: &Option<PathBuf>| path.as_ref().map(fs_err::canonicalize).transpose();
        options.vision_tower = absolute(&files.vision_tower)?;
        options.language_model = absolute(&files.language_model)?;
    }
    if let Some(base) = &args.base {
        (options.vision_tower, options.language_model) = same_base(base, &files)?;
    }
    options.beside = tokenizer(args.tokenizer.as_deref(), args.from.as_deref())?;
    let model = load_on_cpu(&files, &config, args.precision)?;
    write(&model, &prompt, &options, &args.out)
}

/// The frozen parts of `base`, which must hold the tensors of `files`, perhaps in other number types.
fn same_base(base: &Path, files: &ModelFiles) -> anyhow::Result<(Option<PathBuf>, Option<PathBuf>)> {
    let (_, of_base, _) = discover(base)?;
    let pairs =
        [(&files.vision_tower, &of_base.vision_tower), (&files.language_model, &of_base.language_model)];
    for (ours, theirs) in pairs {
        let (Some(ours), Some(theirs)) = (ours, theirs) else {
            bail!("`{}` is not a whole base", base.display());
        };
        if !compare(ours, theirs)?.is_same(0.0) {
            bail!("`{}` and `{}` hold other weights", ours.display(), theirs.display());
        }
    }
    Ok((of_base.vision_tower, of_base.language_model))
}

pub(crate) fn merge_adapter(args: &MergeArgs) -> anyhow::Result<u8> {
    refuse_existing(&args.out)?;
    let (config, files, prompt) = discover(&args.checkpoint)?;
    if config.lora.is_none() {
        bail!("`{}` has no adapters", args.checkpoint.display());
    }
    let beside = tokenizer(None, Some(&args.checkpoint))?;
    let model = load_on_cpu(&files, &config, args.precision)?.merge_adapters();
    write(&model, &prompt, &CheckpointOptions { beside, ..CheckpointOptions::default() }, &args.out)
}

pub(crate) fn diff(args: &DiffArgs) -> anyhow::Result<u8> {
    let comparison = compare(&args.first, &args.second)?;
    if args.json {
        bin_support::json(&comparison)?;
    } else {
        for (names, path) in [(&comparison.only_first, &args.first), (&comparison.only_second, &args.second)]
        {
            for name in names {
                bin_support::data(&format!("only in {}: {name}", path.display()))?;
            }
        }
        for tensor in &comparison.different {
            let largest = tensor.largest.map_or_else(|| "-".to_owned(), |largest| format!("{largest:.3e}"));
            bin_support::data(&format!(
                "{largest:>10}  {} entries differ  {}  ({}, {})",
                tensor.n_different, tensor.name, tensor.first, tensor.second
            ))?;
        }
        bin_support::data(&format!("{} tensors equal", comparison.n_equal))?;
    }
    Ok(if comparison.is_same(args.tolerance) { EXIT_OK } else { EXIT_FINDINGS })
}

fn load_on_cpu(files: &ModelFiles, config: &MiniGptConfig, precision: Precision) -> anyhow::Result<MiniGpt> {
    let device = DeviceChoice::Cpu.open()?;
    let bar = bin_support::byte_bar("reading");
    let (model, report) = load(files, config, precision, &device, &mut |done, total| {
        bar.set_length(total);
        bar.set_position(done);
    })?;
    bar.finish_and_clear();
    bin_support::note(&format!("{report}\n{:.1} s, {:.2} s/GB", report.seconds, report.seconds_per_gb()));
    Ok(model)
}

fn write(model: &MiniGpt, prompt: &Value, options: &CheckpointOptions, out: &Path) -> anyhow::Result<u8> {
    write_checkpoint(model, out, prompt, options)?;
    bin_support::note(&format!("wrote {}", out.display()));
    Ok(EXIT_OK)
}

/// The tokenizer that goes beside the weights: the one given, else that of the folder they come from.
fn tokenizer(given: Option<&Path>, from: Option<&Path>) -> anyhow::Result<Vec<(String, Vec<u8>)>> {
    let of_folder = from.map(|folder| folder.join(TOKENIZER_FILE)).filter(|file| file.is_file());
    let Some(file) = given.map(Path::to_owned).or(of_folder) else { return Ok(Vec::new()) };
    Ok(vec![(TOKENIZER_FILE.to_owned(), fs_err::read(file)?)])
}

fn read_config(file: &Path) -> anyhow::Result<MiniGptConfig> {
    let text = fs_err::read_to_string(file)?;
    MiniGptConfig::from_json(&text).with_context(|| format!("cannot use `{}`", file.display()))
}

fn refuse_existing(folder: &Path) -> anyhow::Result<()> {
    if folder.exists() {
        bail!("`{}` exists already", folder.display());
    }
    Ok(())
}
