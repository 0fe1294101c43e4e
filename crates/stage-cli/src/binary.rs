//! One binary a stage: parse, call, report.

use std::process::ExitCode;

use bin_support::run_main;
use cascade::Stage;
use clap::{ArgMatches, Command, CommandFactory, FromArgMatches};

use crate::args::{AFTER_HELP, BoxArgs, StageCommand, YesNoArgs, YesNoCommand};
use crate::{cross_validate, evaluate, predict, train};

/// What tells one stage binary from another.
#[derive(Debug, Clone, Copy)]
pub struct StageBinary {
    /// Its name on the command line.
    pub name: &'static str,
    /// What it does, in a sentence.
    pub about: &'static str,
    /// Its version.
    pub version: &'static str,
    /// Its stage.
    pub stage: Stage,
}

/// Parses the process's arguments, does what they say, and returns the exit code.
///
/// clap ends the process for `--help` and wrong usage.
#[must_use]
pub fn run(binary: &StageBinary) -> ExitCode {
    let matches = command(binary).get_matches();
    let stage = binary.stage;
    run_main(|| match parse(stage, &matches)? {
        YesNoCommand::Stage(StageCommand::Train(args)) => train::run(stage, &args),
        YesNoCommand::Stage(StageCommand::Evaluate(args)) => evaluate::run(stage, &args),
        YesNoCommand::Stage(StageCommand::Predict(args)) => predict::run(stage, &args),
        YesNoCommand::CrossValidate(args) => cross_validate::run(&args),
    })
}

fn parse(stage: Stage, matches: &ArgMatches) -> Result<YesNoCommand, clap::Error> {
    if stage.is_box() {
        return Ok(YesNoCommand::Stage(BoxArgs::from_arg_matches(matches)?.command));
    }
    Ok(YesNoArgs::from_arg_matches(matches)?.command)
}

/// The binary's command line, with examples in its own name.
fn command(binary: &StageBinary) -> Command {
    let (name, stage) = (binary.name, binary.stage);
    let command = if stage.is_box() { BoxArgs::command() } else { YesNoArgs::command() };
    let command = command
        .name(name)
        .about(binary.about)
        .version(binary.version)
        .after_help(AFTER_HELP)
        .arg_required_else_help(true);
    let checkpoint = format!("out/run/{stage}/checkpoint");
    let (config, data) =
        if stage.is_box() { ("recommended", "out/prepared") } else { ("crops", "datasets/pancreas-crops") };
    let mut train = format!(
        "Example:\n  {name} train --config configs/{config}.toml --data {data} --out out/run\n\n\
         The checkpoint is OUT/{stage}/checkpoint, the page for people OUT/report.html."
    );
    if cfg!(feature = "mpi") {
        train.push_str(&format!(
            "\n\nOn several devices, a rank each:\n  mpirun -n 8 {name} train --config configs/{config}.toml --data {data} \
             --out out/run\nExit code 75: a rank was lost; the same with `--resume` goes on."
        ));
    }
    let evaluate = format!("Example:\n  {name} evaluate --checkpoint {checkpoint} --data {data} --json");
    let predict = format!(
        "Examples:\n  {name} predict slice.png --overlay out/overlays\n  \
         {name} predict --checkpoint {checkpoint} study.nii.gz --json"
    );
    let command = command
        .mut_subcommand("train", |command| command.after_help(train))
        .mut_subcommand("evaluate", |command| command.after_help(evaluate))
        .mut_subcommand("predict", |command| command.after_help(predict));
    if stage.is_box() {
        return command;
    }
    let folds = format!(
        "Example:\n  {name} cross-validate --config configs/crops.toml --data {data} --out out/folds --json"
    );
    command.mut_subcommand("cross-validate", |command| command.after_help(folds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn command_lines_are_well_formed() {
        for stage in Stage::ALL {
            let binary = StageBinary { name: "a-stage", about: "What it does", version: "1", stage };
            command(&binary).debug_assert();
        }
    }

    #[test]
    fn folds_are_for_yes_and_no() {
        let line = ["a-stage", "cross-validate", "--config", "a.toml", "--out", "b"];
        for stage in Stage::ALL {
            let binary = StageBinary { name: "a-stage", about: "What it does", version: "1", stage };
            let parsed = command(&binary).try_get_matches_from(line);
            assert_eq!(parsed.is_ok(), stage == Stage::TumorYesNo, "{stage}");
        }
    }
}
