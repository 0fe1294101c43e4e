//! Names of parameters in published checkpoints.

use serde::{Deserialize, Serialize};

/// What the published names of the language model start with (SPEC 3.8).
pub(crate) const LLAMA_PREFIX: &str = "llama_model.base_model.model.";
/// What the published names of the vision tower start with.
pub(crate) const VISION_PREFIX: &str = "visual_encoder.";

/// A part of the model that has a file of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Part {
    /// The image encoder.
    VisionTower,
    /// The norm after it.
    LnVision,
    /// The linear map to the language model.
    Projector,
    /// The language model without adapters.
    LanguageModel,
    /// LoRA factors.
    Adapters,
}

impl Part {
    /// All parts.
    pub const ALL: [Self; 5] =
        [Self::VisionTower, Self::LnVision, Self::Projector, Self::LanguageModel, Self::Adapters];

    /// The part that a published name belongs to.
    pub(crate) fn of(published: &str) -> Option<Self> {
        if published.starts_with(VISION_PREFIX) {
            Some(Self::VisionTower)
        } else if published.starts_with("ln_vision.") {
            Some(Self::LnVision)
        } else if published.starts_with("llama_proj.") {
            Some(Self::Projector)
        } else if published.starts_with(LLAMA_PREFIX) {
            let adapter = published.contains(".lora_A.") || published.contains(".lora_B.");
            Some(if adapter { Self::Adapters } else { Self::LanguageModel })
        } else {
            None
        }
    }
}

/// The name that a MiniGPT-v2 checkpoint gives to the parameter at a module path, or `None` for a
/// path that is not the model's.
///
/// `language_model.layers.0.self_attn.q_proj.adapter.a` becomes
/// `llama_model.base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight`.
///
/// # Source
/// SPEC 3.8.
#[must_use]
pub fn published_name(path: &str) -> Option<String> {
    let (head, rest) = path.split_once('.')?;
    match head {
        "vision_tower" => vision_name(rest),
        "ln_vision" => norm_field(rest).map(|field| format!("ln_vision.{field}")),
        "projector" => matches!(rest, "weight" | "bias").then(|| format!("llama_proj.{rest}")),
        "language_model" => llama_name(rest).map(|name| format!("{LLAMA_PREFIX}{name}")),
        _ => None,
    }
}

/// burn's field of a norm in torch's words.
fn norm_field(field: &str) -> Option<&'static str> {
    match field {
        "gamma" => Some("weight"),
        "beta" => Some("bias"),
        _ => None,
    }
}

fn vision_name(path: &str) -> Option<String> {
    let name = match path {
        "cls_token" | "pos_embed" => path.to_owned(),
        "patch_embed.weight" | "patch_embed.bias" => path.replacen("patch_embed", "patch_embed.proj", 1),
        _ if path.starts_with("stem.") => {
            let (_, field) = numbered(path.strip_prefix("stem.")?)?;
            return matches!(field, "weight" | "bias").then(|| format!("{VISION_PREFIX}{path}"));
        }
        _ => {
            let (index, field) = numbered(path.strip_prefix("blocks.")?)?;
            match field.rsplit_once('.')? {
                (norm @ ("norm1" | "norm2"), field) => {
                    format!("blocks.{index}.{norm}.{}", norm_field(field)?)
                }
                ("attn", "q_bias" | "v_bias")
                | ("attn.qkv", "weight")
                | ("attn.proj" | "mlp.fc1" | "mlp.fc2", "weight" | "bias") => path.to_owned(),
                _ => return None,
            }
        }
    };
    Some(format!("{VISION_PREFIX}{name}"))
}

fn llama_name(path: &str) -> Option<String> {
    match path {
        "embed_tokens" => return Some("model.embed_tokens.weight".to_owned()),
        "norm.gamma" => return Some("model.norm.weight".to_owned()),
        "lm_head.weight" => return Some(path.to_owned()),
        _ => {}
    }
    let (index, field) = numbered(path.strip_prefix("layers.")?)?;
    if let Some(norm) = field.strip_suffix(".gamma") {
        return matches!(norm, "input_layernorm" | "post_attention_layernorm")
            .then(|| format!("model.layers.{index}.{norm}.weight"));
    }
    let (map, tensor) = if let Some(map) = field.strip_suffix(".base.weight") {
        (map, "weight")
    } else if let Some(map) = field.strip_suffix(".adapter.a") {
        (map, "lora_A.weight")
    } else {
        (field.strip_suffix(".adapter.b")?, "lora_B.weight")
    };
    matches!(
        map,
        "self_attn.q_proj"
            | "self_attn.k_proj"
            | "self_attn.v_proj"
            | "self_attn.o_proj"
            | "mlp.gate_proj"
            | "mlp.up_proj"
            | "mlp.down_proj"
    )
    .then(|| format!("model.layers.{index}.{map}.{tensor}"))
}

/// `12.rest` as its number and the rest.
pub(crate) fn numbered(path: &str) -> Option<(usize, &str)> {
    let (index, rest) = path.split_once('.')?;
    Some((index.parse().ok()?, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn module_paths_become_published_names() {
        let llama = "llama_model.base_model.model.model";
        for (path, expected) in [
            ("vision_tower.cls_token", "visual_encoder.cls_token".to_owned()),
            ("vision_tower.patch_embed.bias", "visual_encoder.patch_embed.proj.bias".to_owned()),
            ("vision_tower.stem.1.weight", "visual_encoder.stem.1.weight".to_owned()),
            ("vision_tower.blocks.0.norm1.gamma", "visual_encoder.blocks.0.norm1.weight".to_owned()),
            ("vision_tower.blocks.38.norm2.beta", "visual_encoder.blocks.38.norm2.bias".to_owned()),
            ("vision_tower.blocks.7.attn.q_bias", "visual_encoder.blocks.7.attn.q_bias".to_owned()),
            ("vision_tower.blocks.7.mlp.fc2.bias", "visual_encoder.blocks.7.mlp.fc2.bias".to_owned()),
            ("ln_vision.gamma", "ln_vision.weight".to_owned()),
            ("projector.weight", "llama_proj.weight".to_owned()),
            ("language_model.embed_tokens", format!("{llama}.embed_tokens.weight")),
            ("language_model.norm.gamma", format!("{llama}.norm.weight")),
            ("language_model.lm_head.weight", "llama_model.base_model.model.lm_head.weight".to_owned()),
            (
                "language_model.layers.3.input_layernorm.gamma",
                format!("{llama}.layers.3.input_layernorm.weight"),
            ),
            (
                "language_model.layers.31.mlp.down_proj.base.weight",
                format!("{llama}.layers.31.mlp.down_proj.weight"),
            ),
            (
                "language_model.layers.0.self_attn.q_proj.adapter.a",
                format!("{llama}.layers.0.self_attn.q_proj.lora_A.weight"),
            ),
            (
                "language_model.layers.0.self_attn.v_proj.adapter.b",
                format!("{llama}.layers.0.self_attn.v_proj.lora_B.weight"),
            ),
        ] {
            assert_eq!(published_name(path), Some(expected), "{path}");
        }
        for path in [
            "",
            "projector",
            "projector.gamma",
            "vision_tower.blocks.x.norm1.gamma",
            "vision_tower.stem.0.gamma",
            "vision_tower.blocks.0.attn.qkv.bias",
            "language_model.layers.0.self_attn.q_proj.weight",
            "language_model.layers.0.self_attn.x_proj.base.weight",
            "language_model.rope.cos",
        ] {
            assert_eq!(published_name(path), None, "{path}");
        }
    }
}
