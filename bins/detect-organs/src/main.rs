//! Liver, right kidney, spleen and pancreas boxes.

#![forbid(unsafe_code)]

use std::process::ExitCode;

use cascade::Stage;
use stage_cli::StageBinary;

const BINARY: StageBinary = StageBinary {
    name: env!("CARGO_BIN_NAME"),
    about: "Where are liver, right kidney, spleen and pancreas? Train it, judge it, ask it.",
    version: env!("CARGO_PKG_VERSION"),
    stage: Stage::Organs,
};

fn main() -> ExitCode {
    stage_cli::run(&BINARY)
}
