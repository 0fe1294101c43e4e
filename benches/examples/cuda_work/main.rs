//! The full-size model's work piece by piece, for `benches/cuda/run.sh`, which runs a peer's
//! (`benches/cuda/peer.py`, the same arguments and lines) beside it.
//!
//! `cuda_work WORK [--device cpu|cuda:N] [--NAME VALUE]...` does one thing and prints JSON lines:
//!
//! - `write --scale 1|16 --out FOLDER`: first weights of the preset `minigpt-v2`, all widths divided
//!   by the scale; bf16 on CUDA, f32 on the CPU
//! - `matmul`: the most multiplications a second of a large matrix product
//! - `load --weights FOLDER`: a fresh process to its first logits
//! - `train --weights FOLDER --batch N --checkpointing on|off --features on|off`: training steps
//! - `prefill --weights FOLDER`, `decode --weights FOLDER --tokens N`: one row
//! - `curve --precision f32|bf16 --steps N`: losses of the preset `nano`
//!
//! `--steps N` and `--seconds S` end what is repeated, whichever comes first.

mod curve;
mod inference;
#[path = "../model_work/inputs.rs"]
#[allow(dead_code, reason = "the other comparison uses more of it")]
mod inputs;
mod matmul;
mod options;
mod training;
mod weights;

use std::io::Write;

use anyhow::{Result, bail};
use serde_json::Value;

use options::Options;

fn main() -> Result<()> {
    let mut args = std::env::args().skip(1);
    let work = args.next().unwrap_or_default();
    let options = Options::parse(args)?;
    match work.as_str() {
        "write" => weights::write(&options),
        "matmul" => matmul::top(&options),
        "load" => weights::load(&options),
        "train" => training::train(&options),
        "prefill" => inference::prefill(&options),
        "decode" => inference::decode(&options),
        "curve" => curve::curve(&options),
        _ => bail!("no work is named `{work}`; see the head of this program"),
    }
}

/// Writes a line at once: a process that is stopped late leaves what it had.
fn print(line: &Value) -> Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}")?;
    Ok(out.flush()?)
}
