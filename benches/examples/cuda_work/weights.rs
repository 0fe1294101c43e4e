//! The preset's first weights on disk, and back.

use std::time::Instant;

use anyhow::{Result, ensure};
use burn::module::Module;
use burn::tensor::Device;
use serde_json::{Value, json};
use vlm_model::{
    CheckpointOptions, LoraConfig, MiniGpt, MiniGptConfig, Padding, Part, SequencePart, discover,
    init_checkpoint, load_parts, tensor_plan,
};

use crate::options::Options;
use crate::{inputs, print};

/// The published sizes, every width divided by `scale`; depths, head widths, positions and the
/// vocabulary stay. Nothing is dropped, so that both sides compute the same numbers.
fn config(scale: usize) -> Result<MiniGptConfig> {
    ensure!(matches!(scale, 1 | 2 | 4 | 8 | 16), "a scale is 1, 2, 4, 8 or 16, not {scale}");
    let mut config = MiniGptConfig::minigpt_v2();
    let (vision, llama) = (&mut config.vision, &mut config.llama);
    let widths = [&mut vision.width, &mut vision.n_heads, &mut vision.mlp_hidden];
    let widths = widths.into_iter().chain([&mut llama.hidden_size, &mut llama.intermediate_size]);
    widths.chain([&mut llama.n_heads, &mut llama.n_kv_heads]).for_each(|width| *width /= scale);
    config.lora = Some(LoraConfig { dropout: 0.0, ..LoraConfig::default() });
    Ok(config)
}

/// Writes a checkpoint folder.
pub(crate) fn write(options: &Options) -> Result<()> {
    let start = Instant::now();
    let config = config(options.scale)?;
    let overwrite = CheckpointOptions { overwrite: true, ..CheckpointOptions::default() };
    init_checkpoint(&config, 1, options.precision(), options.out()?, &Value::Null, &overwrite)?;
    let n_parameters: usize = tensor_plan(&config).iter().map(|t| t.shape.iter().product::<usize>()).sum();
    print(&json!({"seconds": start.elapsed().as_secs_f64(), "parameters": n_parameters}))
}

/// The model of the options' folder; without its tower where features stand in for it.
pub(crate) fn open(options: &Options, device: &Device) -> Result<MiniGpt> {
    let start = Instant::now();
    let (config, files, _) = discover(options.weights()?)?;
    let parts: Vec<Part> =
        Part::ALL.into_iter().filter(|part| !(options.features && *part == Part::VisionTower)).collect();
    let (model, _) = load_parts(&files, &config, &parts, options.precision(), device, &mut |_, _| {})?;
    device.sync()?;
    print(&json!({"loaded_s": start.elapsed().as_secs_f64()}))?;
    Ok(model)
}

/// Files to the logits of a few tokens, which touch every weight of the language model.
pub(crate) fn load(options: &Options) -> Result<()> {
    let start = Instant::now();
    let device = options.open_device()?;
    let model = open(options, &device)?.valid();
    let rows = [vec![SequencePart::Tokens(vec![1, 5, 6, 7])]];
    let (embeddings, mask) = model.assemble(&rows, None, Padding::Left)?;
    let context = model.context(&mask)?;
    let values = inputs::first_values(model.language_model.logits(embeddings, &context, None))?;
    print(&json!({"load_s": start.elapsed().as_secs_f64(), "values": values}))
}
