//! Stage 3: where the tumor is.

#![forbid(unsafe_code)]

use std::process::ExitCode;

use cascade::Stage;
use stage_cli::StageBinary;

const BINARY: StageBinary = StageBinary {
    name: env!("CARGO_BIN_NAME"),
    about: "Where is the tumor? Stage 3 of the cascade: train it, judge it, ask it.",
    version: env!("CARGO_PKG_VERSION"),
    stage: Stage::TumorBox,
};

fn main() -> ExitCode {
    stage_cli::run(&BINARY)
}
