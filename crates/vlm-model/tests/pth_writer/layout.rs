//! A synthetic checkpoint with the names, number types and files of the published one, at a
//! fraction of its width (SPEC 3.8).

use std::io;
use std::path::Path;

use burn::tensor::{DType, TensorData};
use half::f16;
use sha2::{Digest, Sha256};
use vlm_model::{LlamaConfig, TensorHeader, write_safetensors_shards};

use super::{Kind, Object, TensorObject, write_pth};

/// Blocks of the published encoder's file; the last is not run.
const VISION_BLOCKS: usize = 40;
/// Width of the head that the published encoder's file ends with.
const VISION_CLASSES: usize = 1024;
const RANK: usize = 64;

/// The published sizes with every width divided; depths, patches, vocabulary and the width of a
/// head stay.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sizes {
    pub(crate) vision_width: usize,
    pub(crate) vision_mlp: usize,
    pub(crate) llama: fn() -> LlamaConfig,
    divisor: usize,
}

impl Sizes {
    /// Widths divided by 1, 2, 4, 8 or 16.
    pub(crate) fn divided_by(divisor: usize) -> Self {
        assert!([1, 2, 4, 8, 16].contains(&divisor), "widths divided by {divisor}");
        Self {
            vision_width: 1408 / divisor,
            vision_mlp: 6144 / divisor,
            llama: LlamaConfig::llama_2_7b,
            divisor,
        }
    }

    pub(crate) fn llama_config(&self) -> LlamaConfig {
        let full = (self.llama)();
        LlamaConfig {
            hidden_size: full.hidden_size / self.divisor,
            intermediate_size: full.intermediate_size / self.divisor,
            n_heads: full.n_heads / self.divisor,
            n_kv_heads: full.n_kv_heads / self.divisor,
            ..full
        }
    }
}

/// Writes `eva_vit_g.pth`, `Llama-2-7b-chat-hf/` in two shards and `checkpoint_stage3.pth`.
pub(crate) fn write_published_layout(folder: &Path, divisor: usize) -> io::Result<()> {
    let sizes = Sizes::divided_by(divisor);
    fs_err::create_dir_all(folder)?;
    write_pth(&folder.join("eva_vit_g.pth"), &vision_file(&sizes))?;
    write_llama(&folder.join("Llama-2-7b-chat-hf"), &sizes.llama_config())?;
    write_pth(&folder.join("checkpoint_stage3.pth"), &checkpoint_file(&sizes))
}

fn vision_file(sizes: &Sizes) -> Object {
    let (width, mlp) = (sizes.vision_width, sizes.vision_mlp);
    let mut tensors: Vec<(String, Vec<usize>)> = vec![
        ("cls_token".into(), vec![1, 1, width]),
        ("pos_embed".into(), vec![1, 257, width]),
        ("patch_embed.proj.weight".into(), vec![width, 3, 14, 14]),
        ("patch_embed.proj.bias".into(), vec![width]),
    ];
    for block in 0..VISION_BLOCKS {
        for (name, shape) in [
            ("norm1.weight", vec![width]),
            ("norm1.bias", vec![width]),
            ("attn.q_bias", vec![width]),
            ("attn.v_bias", vec![width]),
            ("attn.qkv.weight", vec![3 * width, width]),
            ("attn.proj.weight", vec![width, width]),
            ("attn.proj.bias", vec![width]),
            ("norm2.weight", vec![width]),
            ("norm2.bias", vec![width]),
            ("mlp.fc1.weight", vec![mlp, width]),
            ("mlp.fc1.bias", vec![mlp]),
            ("mlp.fc2.weight", vec![width, mlp]),
            ("mlp.fc2.bias", vec![width]),
        ] {
            tensors.push((format!("blocks.{block}.{name}"), shape));
        }
    }
    for (name, shape) in [
        ("norm.weight", vec![width]),
        ("norm.bias", vec![width]),
        ("head.weight", vec![VISION_CLASSES, width]),
        ("head.bias", vec![VISION_CLASSES]),
    ] {
        tensors.push((name.into(), shape));
    }
    Object::dict(tensors.into_iter().map(|(name, shape)| {
        let tensor = tensor(&name, Kind::F16, &shape);
        (name, tensor)
    }))
}

fn write_llama(folder: &Path, config: &LlamaConfig) -> io::Result<()> {
    let (hidden, inner, vocab) = (config.hidden_size, config.intermediate_size, config.vocab_size);
    let mut headers = vec![header("model.embed_tokens.weight", &[vocab, hidden])];
    for layer in 0..config.n_layers {
        for (name, shape) in [
            ("input_layernorm", vec![hidden]),
            ("self_attn.q_proj", vec![config.query_width(), hidden]),
            ("self_attn.k_proj", vec![config.key_width(), hidden]),
            ("self_attn.v_proj", vec![config.key_width(), hidden]),
            ("self_attn.o_proj", vec![hidden, config.query_width()]),
            ("post_attention_layernorm", vec![hidden]),
            ("mlp.gate_proj", vec![inner, hidden]),
            ("mlp.up_proj", vec![inner, hidden]),
            ("mlp.down_proj", vec![hidden, inner]),
        ] {
            headers.push(header(&format!("model.layers.{layer}.{name}.weight"), &shape));
        }
    }
    headers.push(header("model.norm.weight", &[hidden]));
    headers.push(header("lm_head.weight", &[vocab, hidden]));
    fs_err::create_dir_all(folder)?;
    let bytes: usize = headers.iter().map(|header| 2 * header.shape.iter().product::<usize>()).sum();
    let mut read = |index: usize| {
        let TensorHeader { name, shape, .. } = &headers[index];
        Ok(TensorData::from_bytes_vec(values(name, Kind::F16, shape), shape.clone(), DType::F16))
    };
    write_safetensors_shards(folder, &headers, bytes as u64 * 3 / 4, &mut read).map_err(io::Error::other)?;
    fs_err::write(folder.join("config.json"), config.to_hf_json("float16"))
}

fn header(name: &str, shape: &[usize]) -> TensorHeader {
    TensorHeader { name: name.to_owned(), dtype: DType::F16, shape: shape.to_vec() }
}

/// SPEC 3.8 c and d: what the published code saves.
fn checkpoint_file(sizes: &Sizes) -> Object {
    let config = sizes.llama_config();
    let hidden = config.hidden_size;
    let mut model = Vec::new();
    for layer in 0..config.n_layers {
        let attention = format!("llama_model.base_model.model.model.layers.{layer}.self_attn");
        for (map, output) in [("q_proj", config.query_width()), ("v_proj", config.key_width())] {
            model.push((format!("{attention}.{map}.lora_A.weight"), vec![RANK, hidden]));
            model.push((format!("{attention}.{map}.lora_B.weight"), vec![output, RANK]));
        }
        model.push((format!("{attention}.rotary_emb.inv_freq"), vec![config.head_dim / 2]));
    }
    model.push(("llama_proj.weight".into(), vec![hidden, 4 * sizes.vision_width]));
    model.push(("llama_proj.bias".into(), vec![hidden]));
    let model = Object::dict(model.into_iter().map(|(name, shape)| {
        let tensor = tensor(&name, Kind::F32, &shape);
        (name, tensor)
    }));
    let moment = |name: &str| tensor(name, Kind::F32, &[RANK, hidden]);
    let state = Object::dict([
        ("step", Object::Int(20_000)),
        ("exp_avg", moment("exp_avg")),
        ("exp_avg_sq", moment("exp_avg_sq")),
    ]);
    let group = Object::dict([
        ("lr", Object::Float(1e-5)),
        ("weight_decay", Object::Float(0.05)),
        ("betas", Object::List(vec![Object::Float(0.9), Object::Float(0.999)])),
        ("params", Object::List((0..129).map(Object::Int).collect())),
    ]);
    let settings = Object::dict([
        ("arch", Object::text("minigpt_v2")),
        ("lora_r", Object::Int(64)),
        ("lora_alpha", Object::Int(16)),
        ("image_size", Object::Int(448)),
    ]);
    let run = Object::dict([("task", Object::text("image_text_pretrain")), ("amp", Object::Bool(true))]);
    Object::dict([
        ("model", model),
        (
            "optimizer",
            Object::dict([
                ("state", Object::Dict(vec![(Object::Int(0), state)])),
                ("param_groups", Object::List(vec![group])),
            ]),
        ),
        ("config", Object::dict([("model", settings), ("run", run)])),
        (
            "scaler",
            Object::dict([
                ("scale", Object::Float(65536.0)),
                ("growth_factor", Object::Float(2.0)),
                ("_growth_tracker", Object::Int(7)),
            ]),
        ),
        ("epoch", Object::Int(48)),
    ])
}

fn tensor(name: &str, kind: Kind, shape: &[usize]) -> Object {
    let (name, sizes) = (name.to_owned(), shape.to_vec());
    Object::Tensor(TensorObject {
        kind,
        shape: shape.to_vec(),
        bytes: Box::new(move || values(&name, kind, &sizes)),
    })
}

/// The bytes of a tensor: norms are ones, all else has random signs and mantissas at magnitudes
/// from 2^-6 to 2^-5, which needs no arithmetic. They depend on the name alone.
pub(crate) fn values(name: &str, kind: Kind, shape: &[usize]) -> Vec<u8> {
    let n: usize = shape.iter().product();
    if name.contains("norm") && name.ends_with(".weight") {
        return match kind {
            Kind::F16 => f16::ONE.to_le_bytes().repeat(n),
            Kind::F32 => 1.0_f32.to_le_bytes().repeat(n),
        };
    }
    let (random, fixed) = match kind {
        Kind::F16 => (0x83ff_83ff_83ff_83ff, 0x2400_2400_2400_2400),
        Kind::F32 => (0x807f_ffff_807f_ffff, 0x3c80_0000_3c80_0000_u64),
    };
    let seed = Sha256::digest(name.as_bytes());
    let mut state = u64::from_le_bytes(seed[..8].try_into().unwrap()) | 1;
    let n_bytes = n * kind.size();
    let mut bytes = Vec::with_capacity(n_bytes + 8);
    while bytes.len() < n_bytes {
        // xorshift64 (Marsaglia 2003)
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend((state & random | fixed).to_le_bytes());
    }
    bytes.truncate(n_bytes);
    bytes
}
