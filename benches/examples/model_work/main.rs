//! The model's work piece by piece, for `benches/peers/model.sh`, which runs a peer's beside it.
//!
//! - `model_work write CONFIG FOLDER`: a checkpoint with first weights, which both sides read
//! - `model_work prompt FOLDER QUESTION`: the ids around the image of a question, as JSON
//! - `model_work load FOLDER`: opens a checkpoint in a fresh process; time and peak memory, as JSON
//! - `model_work WORK FOLDER [QUESTION]`: gets ready, prints `{"ready": true}`, then does the work once
//!   for each line on stdin (an image's path for `answer`) and prints
//!   `{"ms": .., "values": [..]}`; the values must be the peer's

mod answer;
mod inference;
mod inputs;
mod load;
mod training;

use std::io::{BufRead, Write};
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::json;
use vlm_model::{CheckpointOptions, MiniGptConfig, Precision, init_checkpoint};
use vlm_prompt::BoxFormat;

/// One piece of work: given a line of stdin, what was timed and the values to compare.
type Work = Box<dyn FnMut(&str) -> Result<(Duration, Vec<f64>)>>;

fn main() -> Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let mut out = std::io::stdout().lock();
    match args[..] {
        ["write", config, folder] => write(config, Path::new(folder)),
        ["prompt", folder, question] => {
            Ok(writeln!(out, "{}", answer::prompt(Path::new(folder), question)?)?)
        }
        ["load", folder] => Ok(writeln!(out, "{}", load::load(Path::new(folder))?)?),
        [name, folder] => serve(work(name, Path::new(folder), "")?, &mut out),
        [name, folder, question] => serve(work(name, Path::new(folder), question)?, &mut out),
        _ => bail!("expected a command and its arguments; see the head of this program"),
    }
}

fn work(name: &str, folder: &Path, question: &str) -> Result<Work> {
    match name {
        "train" => training::step(folder),
        "train-parts" => training::parts(folder),
        "encode" => inference::encode(folder, 1),
        "encode-16" => inference::encode(folder, 16),
        "prefill" => inference::prefill(folder),
        "decode" => inference::decode(folder, 1),
        "decode-16" => inference::decode(folder, 16),
        "answer" => answer::answer(folder, question),
        _ => bail!("no work is named `{name}`"),
    }
}

fn serve(mut work: Work, out: &mut impl Write) -> Result<()> {
    writeln!(out, "{}", json!({"ready": true}))?;
    out.flush()?;
    for line in std::io::stdin().lock().lines() {
        let (time, values) = work(&line?)?;
        writeln!(out, "{}", json!({"ms": time.as_secs_f64() * 1e3, "values": values}))?;
        out.flush()?;
    }
    Ok(())
}

fn write(config: &str, folder: &Path) -> Result<()> {
    let config = MiniGptConfig::from_json(&fs_err::read_to_string(config)?)?;
    let prompt = vlm_infer::PromptSettings::consistent(BoxFormat::Percent100).to_json();
    let options = CheckpointOptions { overwrite: true, ..CheckpointOptions::default() };
    init_checkpoint(&config, 1, Precision::F32, folder, &prompt, &options).context("first weights")?;
    Ok(())
}
