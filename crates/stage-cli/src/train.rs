//! `train`.

use std::path::Path;

use anyhow::{Context, Result};
use bin_support::{EXIT_OK, note};
use cascade::{CascadeConfig, CascadeEvent, RunOptions, Stage, run_cascade_on_ranks};
use vlm_model::DeviceChoice;
use vlm_train::{GradientSync, Single};

use crate::args::TrainArgs;
use crate::progress::{Progress, STOP_MESSAGE};
use crate::scores::{summary, tell};

pub(crate) fn run(stage: Stage, args: &TrainArgs) -> Result<u8> {
    #[cfg(feature = "mpi")]
    if mpi_ranks::is_launched() {
        return crate::ranks::train_as_rank(stage, args);
    }
    train(stage, args, args.device.device, &mut Single)
}

/// Trains and judges, as one of several ranks or alone. The first rank alone tells anything.
pub(crate) fn train(
    stage: Stage,
    args: &TrainArgs,
    device: DeviceChoice,
    ranks: &mut dyn GradientSync,
) -> Result<u8> {
    let is_first = ranks.ranks().rank == 0;
    let mut config = stage_config(stage, &args.config, &args.data)?;
    if let Some(start) = &args.start {
        config = with_start(&config, start)?;
    }
    let options = RunOptions {
        resume: args.resume,
        device,
        threads: args.threads,
        ..RunOptions::new(args.out.clone())
    };
    let stop = bin_support::stop_flag(is_first.then_some(STOP_MESSAGE));
    let mut progress = Progress::new();
    let mut observe = |event: CascadeEvent<'_>| {
        if is_first {
            progress.show(event);
        }
    };
    let outcome = run_cascade_on_ranks(&config, &options, ranks, &mut observe, stop);
    progress.finish();
    let Some(outcome) = outcome.with_context(|| format!("{stage} was not trained"))? else {
        return Ok(EXIT_OK);
    };
    for stage in &outcome.stages {
        tell(&summary(&stage.evaluation));
        note(&format!("checkpoint: {}", stage.checkpoint.display()));
    }
    note(&format!("report: {}", outcome.report.display()));
    Ok(EXIT_OK)
}

/// The configuration of a file for one stage, on its own data or other folders.
pub(crate) fn stage_config(stage: Stage, path: &Path, data: &[std::path::PathBuf]) -> Result<CascadeConfig> {
    let read = || -> Result<CascadeConfig> {
        let config = CascadeConfig::read(path)?.with_stages(&[stage])?;
        Ok(if data.is_empty() { config } else { config.with_folders(data)? })
    };
    read().with_context(|| format!("cannot use the configuration `{}`", path.display()))
}

/// The same configuration from another checkpoint.
fn with_start(config: &CascadeConfig, start: &Path) -> Result<CascadeConfig> {
    let mut file: toml::Table = config.to_toml().parse().context("the resolved configuration")?;
    let model = file.entry("model").or_insert_with(|| toml::Table::new().into());
    if let Some(model) = model.as_table_mut() {
        // The checkpoint brings its own sizes.
        for key in ["preset", "sizes", "seed"] {
            model.remove(key);
        }
        model.insert("base".to_owned(), "folder".into());
        model.insert("folder".to_owned(), start.display().to_string().into());
    }
    let text = toml::to_string(&file).context("the resolved configuration")?;
    Ok(CascadeConfig::from_toml(&text, "the configuration with `--start`")?)
}

#[cfg(test)]
mod tests {
    use cascade::BaseModel;

    use super::*;

    #[test]
    fn a_start_replaces_the_base_and_nothing_else() {
        for (base, own) in [("embedded", ""), ("scratch", "preset = \"nano\"\nseed = 3\n")] {
            let text = format!(
                "name = \"a\"\nseed = 1\n[model]\nbase = \"{base}\"\n{own}precision = \"bf16\"\n\
                 [stages.pancreas_box]\ntraining = {{ steps = 2 }}\n"
            );
            let config = CascadeConfig::from_toml(&text, "test").unwrap();
            let started = with_start(&config, Path::new("a \"b\"/c")).unwrap();
            assert_eq!(started.model.base, BaseModel::Folder("a \"b\"/c".into()));
            assert_eq!(started.model.precision, config.model.precision);
            assert_eq!((&started.stages, started.prompt), (&config.stages, config.prompt));
        }
    }
}
