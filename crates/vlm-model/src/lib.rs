//! MiniGPT-v2 on burn: a frozen EVA ViT, a linear projector and LLaMA with LoRA.
//!
//! Tensors in, tensors out: this crate knows nothing of CT files, prompts or tokenizers. The two
//! presets of [`MiniGptConfig`] are sizes of one code. Start at [`MiniGpt`].
//!
//! # Features
//! - `flex` (default): the CPU backend
//! - `cuda`: NVIDIA GPUs; kernels are compiled when first used
//! - `cuda-fusion`: `cuda` with kernel fusion
//!
//! "SPEC 3.6" in these docs is a section of the behavioural specification of the published system;
//! `docs/MODEL.md` restates what of it is computed here.

#![forbid(unsafe_code)]

mod checkpointing;
mod config;
mod device;
mod error;
mod export;
mod feature_cache;
mod generation;
mod hex;
mod layers;
mod llama;
mod lora;
mod loss;
mod minigpt;
mod precision;
mod trainable;
mod vision;
mod weights;

pub use checkpointing::{BlockCheckpointing, LossAndGradients};
pub use config::{LlamaConfig, LoraConfig, LoraTarget, MiniGptConfig, VisionConfig};
pub use device::DeviceChoice;
pub use error::ModelError;
pub use export::{
    CheckpointOptions, ExportError, TensorHeader, WrittenFile, init_checkpoint, initialized_model,
    with_new_adapters, write_adapter_folder, write_checkpoint, write_llama_folder, write_safetensors,
    write_safetensors_shards, write_vision_tower,
};
pub use feature_cache::{FeatureCache, FeatureFormat, image_hash, vision_fingerprint};
pub use generation::{
    ChoiceDistribution, DecodingGrammar, Generated, GenerationOptions, GrammarSegment, GroundedAnswer,
    GroundedOptions, NewToken, Sampling, StopReason, ValueRule, decode_grounded, generate,
};
pub use layers::{LayerNorm, Linear};
pub use llama::{Attention, AttentionContext, AttentionMask, FeedForward, KvCache, Llama, LlamaBlock, Rope};
pub use lora::{LoraAdapter, LoraLinear, Pass};
pub use loss::{IGNORED_LABEL, Labels, masked_cross_entropy};
pub use minigpt::{MiniGpt, Padding, Sequence, SequencePart};
pub use precision::Precision;
pub use trainable::Trainable;
pub use vision::{
    PatchEmbed, StemConv, VisionAttention, VisionBlock, VisionMlp, VisionTower, resize_position_embedding,
};
pub use weights::{
    AdapterConfig, CHECKPOINT_FORMAT, CheckpointFiles, CheckpointManifest, Comparison, FileSummary, Ignored,
    LoadReport, MANIFEST_FILE, Mismatch, ModelFiles, Part, PlannedTensor, TensorDifference, TensorFile,
    TensorInfo, TensorSummary, UnknownTensor, WeightsError, compare, discover, inspect, load,
    load_checkpoint, load_parts, published_files_config, published_name, tensor_plan,
};
