//! Stage 2: whether the slice shows a tumor of the pancreas.

#![forbid(unsafe_code)]

use std::process::ExitCode;

use cascade::Stage;
use stage_cli::StageBinary;

const BINARY: StageBinary = StageBinary {
    name: env!("CARGO_BIN_NAME"),
    about: "Is there a tumor? Stage 2 of the cascade: train it, judge it, ask it.",
    version: env!("CARGO_PKG_VERSION"),
    stage: Stage::TumorYesNo,
};

fn main() -> ExitCode {
    stage_cli::run(&BINARY)
}
