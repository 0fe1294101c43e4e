//! How large a preset is; no model is built.

use std::collections::BTreeMap;

use anyhow::Result;
use serde_json::{Value, json};
use vlm_model::{MiniGptConfig, tensor_plan};

/// Parameters by part; `learning` are those of the published training.
pub(crate) fn parameters(preset: &str) -> Result<Value> {
    let config = MiniGptConfig::preset(preset)?;
    let mut parts: BTreeMap<String, usize> = BTreeMap::new();
    for tensor in tensor_plan(&config) {
        *parts.entry(format!("{:?}", tensor.part)).or_default() += tensor.shape.iter().product::<usize>();
    }
    let of = |part: &str| parts.get(part).copied().unwrap_or_default();
    let learning = of("Adapters") + of("Projector");
    Ok(json!({ "preset": preset, "parts": parts, "learning": learning }))
}
