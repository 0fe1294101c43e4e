//! The run itself.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use bin_support::{EXIT_OK, note};
use cascade::{CascadeConfig, CascadeOutcome, Goal, RESEARCH_NOTE, RunOptions, Stage, run_cascade};
use serde_json::{Value, json};
use stage_cli::{Progress, STOP_MESSAGE, ScoreTable};

use crate::args::RunArgs;

pub(crate) fn run(args: &RunArgs) -> Result<u8> {
    let config = config(args)?;
    let out = args.out.clone().unwrap_or_else(|| Path::new("out").join(&config.name));
    let options = RunOptions {
        resume: args.resume,
        device: args.device,
        threads: args.threads,
        ..RunOptions::new(out)
    };
    let stop = bin_support::stop_flag(Some(STOP_MESSAGE));
    let mut progress = Progress::new();
    let outcome = run_cascade(&config, &options, &mut |event| progress.show(event), stop);
    progress.finish();
    let outcome = outcome.with_context(|| format!("the run `{}` was not finished", config.name))?;
    if args.json {
        bin_support::json(&summary(&outcome, &config))?;
    }
    let mut table = ScoreTable::new();
    for stage in &outcome.stages {
        table.push(&stage.evaluation, goal(&config, stage.record.stage));
    }
    table.lines().iter().for_each(|line| note(line));
    note(&format!("report: {}", outcome.report.display()));
    note(RESEARCH_NOTE);
    Ok(EXIT_OK)
}

/// The configuration that the arguments name, on the data that they name.
pub(crate) fn config(args: &RunArgs) -> Result<CascadeConfig> {
    let Some(path) = &args.config else {
        return with_data(CascadeConfig::quickstart(), &args.data).context("the quickstart on other data");
    };
    let read = || with_data(CascadeConfig::read(path)?, &args.data);
    read().with_context(|| format!("cannot use the configuration `{}`", path.display()))
}

fn with_data(config: CascadeConfig, data: &[PathBuf]) -> Result<CascadeConfig> {
    Ok(if data.is_empty() { config } else { config.with_folders(data)? })
}

fn goal(config: &CascadeConfig, stage: Stage) -> Goal {
    config.stages.get(&stage).map(|stage| stage.goal).unwrap_or_default()
}

fn summary(outcome: &CascadeOutcome, config: &CascadeConfig) -> Value {
    let stages = outcome.stages.iter().map(|stage| {
        let goal = goal(config, stage.record.stage);
        let score = stage.evaluation.score();
        json!({
            "stage": stage.record.stage,
            "score_name": stage.record.stage.score_name(),
            "score": score,
            "ci95": stage.evaluation.ci95(),
            "floor": goal.floor,
            "goal": goal.goal,
            "is_above_floor": goal.floor.map(|floor| score >= floor),
            "is_goal_met": goal.goal.map(|goal| score >= goal),
            "checkpoint": stage.checkpoint,
            "evaluation": stage.evaluation,
        })
    });
    json!({
        "note": RESEARCH_NOTE,
        "name": config.name,
        "report": outcome.report,
        "stages": stages.collect::<Vec<_>>(),
    })
}
