//! Our half of `tools/interop/peft_roundtrip.sh`: a small model and its logits for Python, and
//! Python's model and logits read here.
//!
//! `write DIR` makes `DIR/checkpoint` (our checkpoint folder), `DIR/merged` (a plain LLaMA folder)
//! and `DIR/ours.safetensors`. `read DIR` compares the logits of `DIR/python.safetensors` with those
//! of `DIR/python_adapter` over our base, and of `DIR/python_merged`.

#![expect(clippy::print_stdout, reason = "a tool for the shell")]

use std::error::Error;
use std::path::Path;
use std::process::ExitCode;

use burn::module::{Module, ModuleMapper, Param};
use burn::tensor::{Device, Tensor, TensorData};
use serde_json::Value;
use vlm_model::{
    AttentionMask, CheckpointOptions, Llama, LlamaConfig, LoraConfig, MiniGpt, MiniGptConfig, ModelError,
    ModelFiles, Part, Precision, TensorFile, TensorHeader, initialized_model, load_parts, write_checkpoint,
    write_llama_folder, write_safetensors,
};

/// Largest difference of logits, which are up to about 5.
const TOLERANCE: f32 = 1e-4;
const BATCH: usize = 3;
const LENGTH: usize = 24;

fn main() -> Result<ExitCode, Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["write", folder] => write(Path::new(folder)),
        ["read", folder] => read(Path::new(folder)),
        _ => Err("usage: interop_logits write|read DIR".into()),
    }
}

fn config() -> MiniGptConfig {
    MiniGptConfig {
        llama: LlamaConfig {
            vocab_size: 512,
            hidden_size: 64,
            intermediate_size: 172,
            n_layers: 3,
            n_heads: 4,
            n_kv_heads: 2,
            head_dim: 16,
            max_positions: 128,
            tied_head: false,
            ..LlamaConfig::nano()
        },
        lora: Some(LoraConfig { rank: 4, alpha: 6.0, dropout: 0.1, ..LoraConfig::default() }),
        ..MiniGptConfig::nano()
    }
}

fn write(folder: &Path) -> Result<ExitCode, Box<dyn Error>> {
    let device = Device::flex();
    let config = config();
    let mut model = initialized_model(&config, 11, Precision::F32, &device)?;
    // First weights are small and B is zero: logits would hardly show a wrong adapter.
    model.language_model = model.language_model.map(&mut Enlarge);
    for layer in &mut model.language_model.layers {
        for map in [&mut layer.self_attn.q_proj, &mut layer.self_attn.v_proj] {
            let Some(adapter) = &mut map.adapter else { continue };
            let [rows, columns] = adapter.b.dims();
            #[expect(clippy::cast_precision_loss, reason = "small numbers")]
            let values: Vec<f32> =
                (0..rows * columns).map(|i| ((i * 37 % 101) as f32 / 101.0 - 0.5) * 0.4).collect();
            let tensor = Tensor::from_data(TensorData::new(values, [rows, columns]), &device);
            adapter.b = Param::initialized(adapter.b.id, tensor);
        }
    }
    let ids = token_ids(config.llama.vocab_size);
    let adapted = logits(&model.language_model, &ids)?;
    let merged = model.clone().merge_adapters();
    // Small shards, so that the index is used.
    let options =
        CheckpointOptions { max_shard_bytes: 200_000, overwrite: true, ..CheckpointOptions::default() };
    write_checkpoint(&model, &folder.join("checkpoint"), &Value::Null, &options)?;
    write_llama_folder(&merged.language_model, &folder.join("merged"), u64::MAX)?;
    for layer in &mut model.language_model.layers {
        layer.self_attn.q_proj.adapter = None;
        layer.self_attn.v_proj.adapter = None;
    }
    let ids_data: Vec<i64> = ids.iter().flatten().map(|id| i64::from(*id)).collect();
    let tensors = [
        ("input_ids", TensorData::new(ids_data, [BATCH, LENGTH])),
        ("logits_base", logits(&model.language_model, &ids)?),
        ("logits_adapted", adapted),
        ("logits_merged", logits(&merged.language_model, &ids)?),
    ];
    let headers = tensors.each_ref().map(|(name, data)| TensorHeader {
        name: (*name).to_owned(),
        dtype: data.dtype(),
        shape: data.shape().to_vec(),
    });
    write_safetensors(&folder.join("ours.safetensors"), &headers, &mut |index| Ok(tensors[index].1.clone()))?;
    Ok(ExitCode::SUCCESS)
}

fn read(folder: &Path) -> Result<ExitCode, Box<dyn Error>> {
    let theirs = TensorFile::open(&folder.join("python.safetensors"))?;
    let adapted_config = MiniGptConfig {
        // as peft_roundtrip.py makes it
        lora: Some(LoraConfig {
            rank: 8,
            alpha: 12.0,
            dropout: 0.0,
            targets: serde_json::from_str(r#"["q_proj", "k_proj", "o_proj", "down_proj"]"#)?,
        }),
        ..config()
    };
    let plain = MiniGptConfig { lora: None, ..config() };
    let mut is_close = true;
    for (name, base, adapter, config) in [
        ("logits_adapted", "checkpoint/llama", Some("python_adapter"), adapted_config),
        ("logits_merged", "python_merged", None, plain),
    ] {
        let files = ModelFiles {
            language_model: Some(folder.join(base)),
            adapter: adapter.map(|adapter| folder.join(adapter)),
            ..ModelFiles::default()
        };
        let model = language_model(&files, &config)?;
        let ours = logits(&model.language_model, &token_ids(config.llama.vocab_size))?;
        let theirs = theirs.read(name)?;
        let worst = worst(&ours, &theirs);
        println!(
            "python -> rust  {name:<15} worst difference {worst:.1e} (largest logit {:.1})",
            largest(&theirs)
        );
        is_close &= ours.shape() == theirs.shape() && worst <= TOLERANCE;
    }
    Ok(if is_close { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The language model of some files; all else stays empty.
fn language_model(files: &ModelFiles, config: &MiniGptConfig) -> Result<MiniGpt, Box<dyn Error>> {
    let parts = [Part::LanguageModel, Part::Adapters];
    let (model, report) = load_parts(files, config, &parts, Precision::F32, &Device::flex(), &mut |_, _| {})?;
    if !report.is_complete() {
        return Err(report.to_string().into());
    }
    Ok(model)
}

fn token_ids(vocab: usize) -> Vec<Vec<u32>> {
    let id = |i: usize| u32::try_from((i * i * 31 + i * 7 + 3) % vocab).unwrap_or(0);
    (0..BATCH).map(|row| (0..LENGTH).map(|column| id(row * LENGTH + column)).collect()).collect()
}

fn logits(model: &Llama, ids: &[Vec<u32>]) -> Result<TensorData, ModelError> {
    let rows = ids.iter().map(|row| model.embed(row)).collect::<Result<Vec<_>, _>>()?;
    let context = model.context(&AttentionMask::full(BATCH, LENGTH))?;
    let hidden = model.blocks(Tensor::stack(rows, 0), &context, None);
    Ok(model.head(model.final_norm(hidden)).into_data())
}

fn worst(left: &TensorData, right: &TensorData) -> f32 {
    left.iter::<f32>().zip(right.iter::<f32>()).map(|(left, right)| (left - right).abs()).fold(0.0, f32::max)
}

fn largest(data: &TensorData) -> f32 {
    data.iter::<f32>().map(f32::abs).fold(0.0, f32::max)
}

/// Makes matrices seven times as large.
struct Enlarge;

impl ModuleMapper for Enlarge {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        param.map(|tensor| if D == 2 { tensor * 7.0 } else { tensor })
    }
}
