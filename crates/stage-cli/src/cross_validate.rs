//! `cross-validate`.

use anyhow::{Context, Result, ensure};
use bin_support::{EXIT_OK, note};
use cascade::{CrossValidationOptions, Stage, cross_validate};

use crate::args::CrossValidateArgs;
use crate::progress::{Progress, STOP_MESSAGE};
use crate::scores::{number, with_interval};
use crate::train::stage_config;

pub(crate) fn run(args: &CrossValidateArgs) -> Result<u8> {
    let config = stage_config(Stage::TumorYesNo, &args.config, &args.data)?;
    let data = config.data.folders.clone();
    ensure!(!data.is_empty(), "`{}` names no prepared folders: give --data", args.config.display());
    let options = CrossValidationOptions {
        n_folds: args.folds,
        data,
        out: args.out.clone(),
        device: args.device.device,
    };
    let stop = bin_support::stop_flag(Some(STOP_MESSAGE));
    let mut progress = Progress::new();
    let result = cross_validate(&config, &options, &mut |event| progress.show(event), stop);
    progress.finish();
    let result = result.context("the folds were not finished")?;
    if args.json {
        bin_support::json(&result)?;
    }
    for (place, fold) in result.folds.iter().enumerate() {
        note(&format!(
            "fold {}: accuracy {:.3}, AUROC {}, probe {} on {} samples of {} patients",
            place + 1,
            fold.accuracy,
            number(fold.auroc),
            number(fold.probe_accuracy),
            fold.n,
            fold.n_patients
        ));
    }
    let [low, high] = result.accuracy_range;
    note(&format!(
        "mean accuracy of {} folds: {}, folds from {low:.3} to {high:.3}",
        result.folds.len(),
        with_interval(result.accuracy_mean, result.accuracy_ci95)
    ));
    note(&format!("mean accuracy of the probe on the same folds: {}", number(result.probe_accuracy_mean)));
    note(&result.note);
    Ok(EXIT_OK)
}
