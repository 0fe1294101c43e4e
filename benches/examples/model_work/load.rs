//! A checkpoint on disk to the first logits, in a fresh process.

use std::path::Path;
use std::time::Instant;

use anyhow::Result;
use burn::module::Module;
use serde_json::{Value, json};
use vlm_model::{Padding, SequencePart};

use crate::inputs;

/// Time from the start of reading to the logits of one token, which touch every weight of the
/// language model; and the process's peak memory.
pub(crate) fn load(folder: &Path) -> Result<Value> {
    let start = Instant::now();
    let model = inputs::open(folder)?.valid();
    let loaded = start.elapsed();
    let rows = [vec![SequencePart::Tokens(vec![1, 5, 6, 7])]];
    let (embeddings, mask) = model.assemble(&rows, None, Padding::Left)?;
    let context = model.context(&mask)?;
    let values = inputs::first_values(model.language_model.logits(embeddings, &context, None))?;
    let ready = start.elapsed();
    Ok(json!({
        "loaded_ms": loaded.as_secs_f64() * 1e3,
        "ms": ready.as_secs_f64() * 1e3,
        "peak_mb": peak_mb()?,
        "values": values,
    }))
}

/// The kernel's count of the process's largest resident memory.
fn peak_mb() -> Result<Option<u64>> {
    let status = fs_err::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    Ok(line
        .and_then(|line| line.split_whitespace().next())
        .and_then(|kb| kb.parse::<u64>().ok())
        .map(|kb| kb / 1024))
}
