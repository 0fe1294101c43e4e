//! `evaluate`.

use anyhow::{Context, Result, bail};
use bin_support::{EXIT_OK, note};
use cascade::{CheckpointEvaluation, EvaluationPart, Stage, StageRecord, evaluate_checkpoint};

use crate::args::{EvaluateArgs, PartArg};
use crate::checkpoint::CheckpointFolder;
use crate::progress::{Progress, STOP_MESSAGE};
use crate::scores::{summary, tell};

pub(crate) fn run(stage: Stage, args: &EvaluateArgs) -> Result<u8> {
    let opened = CheckpointFolder::of(&args.checkpoint, stage)?;
    let folder = opened.path();
    let failed = || format!("checkpoint `{}` was not judged", folder.display());
    let [first, ..] = args.data.as_slice() else { bail!("no data is given") };
    let mut evaluation = CheckpointEvaluation {
        stage: Some(stage),
        data: args.data.clone(),
        part: part(args.split),
        split: args.split_file.clone(),
        precision: args.checkpoint.precision,
        decoding: args.decoding.map(Into::into),
        out: args.out.clone(),
        ..CheckpointEvaluation::new(folder.to_owned(), first.clone())
    };
    evaluation.settings.control_samples = args.control_samples;
    if let Ok(record) = StageRecord::read(folder)
        && record.stage != stage
    {
        note(&format!("the checkpoint was trained for `{}` and is judged on `{stage}`", record.stage));
    }
    let stop = bin_support::stop_flag(Some(STOP_MESSAGE));
    let device = args.checkpoint.device.device.open().with_context(failed)?;
    let mut progress = Progress::new();
    let scores = evaluate_checkpoint(&evaluation, &device, &mut |event| progress.show(event), stop);
    progress.finish();
    let scores = scores.with_context(failed)?;
    if args.json {
        bin_support::json(&scores)?;
    }
    tell(&summary(&scores));
    if let Some(out) = &args.out {
        note(&format!("predictions, scores and figures: {}", out.display()));
    }
    Ok(EXIT_OK)
}

fn part(part: PartArg) -> EvaluationPart {
    match part {
        PartArg::Test => EvaluationPart::Test,
        PartArg::Validation => EvaluationPart::Validation,
        PartArg::Train => EvaluationPart::Train,
    }
}
