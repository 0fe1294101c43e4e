//! What tensors are called in each kind of file, and what that means here.

use super::names::{LLAMA_PREFIX, VISION_PREFIX, numbered};

/// What a file was given as: the same name means different things in different files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// An image encoder, in EVA's names or HF's.
    VisionTower,
    /// `ln_vision` alone.
    LnVision,
    /// LLaMA in HF's names.
    LanguageModel,
    /// A MiniGPT-v2 training checkpoint, or one of everything.
    Checkpoint,
    /// PEFT's file, and the projector beside it.
    Adapter,
}

/// What a tensor of a file is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Meaning {
    /// The parameter with this published name.
    Parameter(String),
    /// The biases of queries, keys and values in one: those of queries and values have these names.
    /// One for keys adds the same to all scores of a query, which the softmax takes out again.
    QkvBias {
        /// The first third.
        q: String,
        /// The last third.
        v: String,
    },
    /// Known to be of no use.
    Ignored(&'static str),
    /// Nothing that is known.
    Unknown,
}

/// What `name` means in a file of this role. Whether the model has such a parameter is not asked
/// here, but for blocks past the `depth` that it runs.
pub(crate) fn meaning(role: Role, name: &str, depth: usize) -> Meaning {
    // torch's DataParallel writes this before every name
    let name = name.strip_prefix("module.").unwrap_or(name);
    match role {
        Role::VisionTower => {
            if is_ln_vision(name) {
                return Meaning::Parameter(name.to_owned());
            }
            let inner = name.strip_prefix(VISION_PREFIX).or_else(|| name.strip_prefix("vision_model."));
            vision(inner.unwrap_or(name), depth)
        }
        Role::LnVision => match name {
            "weight" | "bias" => Meaning::Parameter(format!("ln_vision.{name}")),
            _ if is_ln_vision(name) => Meaning::Parameter(name.to_owned()),
            _ => Meaning::Unknown,
        },
        Role::LanguageModel => llama(name),
        Role::Checkpoint | Role::Adapter => {
            if is_ln_vision(name) || matches!(name, "llama_proj.weight" | "llama_proj.bias") {
                return Meaning::Parameter(name.to_owned());
            }
            if let Some(name) = name.strip_prefix(VISION_PREFIX) {
                return vision(name, depth);
            }
            if let Some(name) = name.strip_prefix("llama_model.") {
                return llama(name.strip_prefix("base_model.model.").unwrap_or(name));
            }
            if let Some(name) = name.strip_prefix("base_model.model.") {
                return llama(name);
            }
            let state = ["optimizer.", "scaler.", "scheduler.", "epoch", "config."];
            if state.iter().any(|prefix| name.starts_with(prefix)) {
                return Meaning::Ignored("the training's state");
            }
            Meaning::Unknown
        }
    }
}

fn is_ln_vision(name: &str) -> bool {
    matches!(name, "ln_vision.weight" | "ln_vision.bias")
}

/// EVA's names, and HF's for the same network.
fn vision(name: &str, depth: usize) -> Meaning {
    let parameter = |name: &str| Meaning::Parameter(format!("{VISION_PREFIX}{name}"));
    if matches!(name.split('.').next(), Some("norm" | "fc_norm" | "head" | "mask_token")) {
        return Meaning::Ignored("the encoder ends after its last block");
    }
    match name {
        "cls_token" | "pos_embed" | "patch_embed.proj.weight" | "patch_embed.proj.bias" => {
            return parameter(name);
        }
        "embeddings.class_embedding" => return parameter("cls_token"),
        "embeddings.position_embedding" => return parameter("pos_embed"),
        "embeddings.patch_embedding.weight" => return parameter("patch_embed.proj.weight"),
        "embeddings.patch_embedding.bias" => return parameter("patch_embed.proj.bias"),
        "post_layernorm.weight" => return Meaning::Parameter("ln_vision.weight".to_owned()),
        "post_layernorm.bias" => return Meaning::Parameter("ln_vision.bias".to_owned()),
        _ => {}
    }
    if name.starts_with("stem.") {
        return parameter(name);
    }
    let (block, is_hf) = match (name.strip_prefix("blocks."), name.strip_prefix("encoder.layers.")) {
        (Some(block), _) => (block, false),
        (None, Some(block)) => (block, true),
        (None, None) => return Meaning::Unknown,
    };
    let Some((index, field)) = numbered(block) else {
        return Meaning::Unknown;
    };
    if index >= depth {
        return Meaning::Ignored("a block past those that are run");
    }
    let eva = if is_hf { hf_vision_field(field) } else { Some(field) };
    match eva {
        Some("attn.qkv.bias") => Meaning::QkvBias {
            q: format!("{VISION_PREFIX}blocks.{index}.attn.q_bias"),
            v: format!("{VISION_PREFIX}blocks.{index}.attn.v_bias"),
        },
        Some(field) => parameter(&format!("blocks.{index}.{field}")),
        None => Meaning::Unknown,
    }
}

/// EVA's field of a block for HF's.
fn hf_vision_field(field: &str) -> Option<&'static str> {
    Some(match field {
        "layer_norm1.weight" => "norm1.weight",
        "layer_norm1.bias" => "norm1.bias",
        "layer_norm2.weight" => "norm2.weight",
        "layer_norm2.bias" => "norm2.bias",
        "self_attn.qkv.weight" => "attn.qkv.weight",
        "self_attn.qkv.bias" => "attn.qkv.bias",
        "self_attn.projection.weight" => "attn.proj.weight",
        "self_attn.projection.bias" => "attn.proj.bias",
        "mlp.fc1.weight" => "mlp.fc1.weight",
        "mlp.fc1.bias" => "mlp.fc1.bias",
        "mlp.fc2.weight" => "mlp.fc2.weight",
        "mlp.fc2.bias" => "mlp.fc2.bias",
        _ => return None,
    })
}

/// HF's names of LLaMA, as they are and as PEFT's wrappers change them.
fn llama(name: &str) -> Meaning {
    if name.ends_with(".rotary_emb.inv_freq") {
        return Meaning::Ignored("computed from the configuration");
    }
    // The head of the live reference model is wrapped (SPEC 3.8).
    if matches!(name, "lm_head.weight" | "lm_head.0.weight") {
        return Meaning::Parameter(format!("{LLAMA_PREFIX}lm_head.weight"));
    }
    // A model without its head is saved without this prefix.
    let inner = name.strip_prefix("model.").unwrap_or(name);
    if !["layers.", "embed_tokens.", "norm."].iter().any(|start| inner.starts_with(start)) {
        return Meaning::Unknown;
    }
    // PEFT 0.2 writes `lora_A.weight`; a later one's live model names the adapter, `default`, and
    // the wrapped map, `base_layer`.
    let inner = inner
        .replace(".lora_A.default.", ".lora_A.")
        .replace(".lora_B.default.", ".lora_B.")
        .replace(".base_layer.", ".");
    Meaning::Parameter(format!("{LLAMA_PREFIX}model.{inner}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const QKV: &str = "visual_encoder.blocks.0.attn.qkv.weight";
    const Q_A: &str = "llama_model.base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight";

    fn check(role: Role, name: &str, expected: &str) {
        assert_eq!(meaning(role, name, 2), Meaning::Parameter(expected.to_owned()), "{role:?} {name}");
    }

    #[test]
    fn one_parameter_has_many_spellings() {
        for name in ["blocks.0.attn.qkv.weight", QKV, "module.blocks.0.attn.qkv.weight"] {
            check(Role::VisionTower, name, QKV);
        }
        check(Role::VisionTower, "encoder.layers.0.self_attn.qkv.weight", QKV);
        check(Role::VisionTower, "vision_model.encoder.layers.0.self_attn.qkv.weight", QKV);
        check(Role::VisionTower, "post_layernorm.bias", "ln_vision.bias");
        check(Role::LnVision, "weight", "ln_vision.weight");
        check(Role::Checkpoint, "module.ln_vision.weight", "ln_vision.weight");
        check(Role::Checkpoint, &format!("module.{QKV}"), QKV);
        let map = "llama_model.base_model.model.model.layers.0.self_attn.q_proj";
        for name in [
            format!("{map}.lora_A.weight"),
            format!("module.{map}.lora_A.default.weight"),
            map.replace("llama_model.", "") + ".lora_A.weight",
        ] {
            check(Role::Checkpoint, &name, Q_A);
            check(Role::Adapter, &name, Q_A);
        }
        check(Role::Checkpoint, &format!("{map}.base_layer.weight"), &format!("{map}.weight"));
        let head = format!("{LLAMA_PREFIX}lm_head.weight");
        check(Role::Checkpoint, "llama_model.base_model.model.lm_head.0.weight", &head);
        check(Role::Checkpoint, "llama_model.lm_head.weight", &head);
        check(Role::LanguageModel, "lm_head.weight", &head);
        check(Role::LanguageModel, "model.norm.weight", &format!("{LLAMA_PREFIX}model.norm.weight"));
        check(Role::LanguageModel, "norm.weight", &format!("{LLAMA_PREFIX}model.norm.weight"));
    }

    #[test]
    fn known_leftovers_are_ignored_and_the_rest_is_unknown() {
        let inv_freq = "model.layers.0.self_attn.rotary_emb.inv_freq";
        for (role, name) in [
            (Role::VisionTower, "norm.weight"),
            (Role::VisionTower, "head.bias"),
            (Role::VisionTower, "fc_norm.weight"),
            (Role::VisionTower, "blocks.2.norm1.weight"),
            (Role::Checkpoint, "visual_encoder.blocks.39.norm1.weight"),
            (Role::LanguageModel, inv_freq),
            (Role::Checkpoint, &format!("llama_model.base_model.model.{inv_freq}")),
            (Role::Checkpoint, "optimizer.state.0.exp_avg"),
        ] {
            assert!(matches!(meaning(role, name, 2), Meaning::Ignored(_)), "{role:?} {name}");
        }
        for (role, name) in [
            (Role::VisionTower, ""),
            (Role::VisionTower, "blocks.a.norm1.weight"),
            (Role::VisionTower, "encoder.layers.0.norm1.weight"),
            (Role::VisionTower, "model.norm.weight"),
            (Role::LnVision, "gamma"),
            (Role::LanguageModel, "transformer.h.0.weight"),
            (Role::Checkpoint, "t5_model.shared.weight"),
            (Role::Adapter, "lora_A.weight"),
        ] {
            assert_eq!(meaning(role, name, 2), Meaning::Unknown, "{role:?} {name}");
        }
    }

    #[test]
    fn joined_biases_are_taken_apart() {
        let expected = Meaning::QkvBias {
            q: "visual_encoder.blocks.1.attn.q_bias".to_owned(),
            v: "visual_encoder.blocks.1.attn.v_bias".to_owned(),
        };
        for name in ["encoder.layers.1.self_attn.qkv.bias", "blocks.1.attn.qkv.bias"] {
            assert_eq!(meaning(Role::VisionTower, name, 2), expected, "{name}");
        }
    }
}
