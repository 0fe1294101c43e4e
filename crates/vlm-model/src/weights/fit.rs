//! Which configuration a tensor of another shape would fit.

use super::tensor_plan;
use crate::MiniGptConfig;

/// Says which field or preset would fit a tensor of the shape `file`.
pub(crate) fn hint(published: &str, file: &[usize], model: &[usize]) -> String {
    if file.len() != model.len() {
        return format!("`{}` axes instead of `{}`", file.len(), model.len());
    }
    if file.len() == 2 && file != model && file[0] == model[1] && file[1] == model[0] {
        return "the file holds the transpose".to_owned();
    }
    let mut fields: Vec<String> = Vec::new();
    for ((field, size), model) in axes(published).iter().zip(file).zip(model) {
        let text = format!("`{field}` would be `{size}`");
        if size != model && !field.is_empty() && !fields.contains(&text) {
            fields.push(text);
        }
    }
    let presets = [("minigpt-v2", MiniGptConfig::minigpt_v2()), ("nano", MiniGptConfig::nano())];
    let preset = presets.iter().find(|(_, config)| {
        tensor_plan(config).iter().any(|tensor| tensor.published == published && tensor.shape == file)
    });
    if let Some((name, _)) = preset {
        fields.push(format!("the preset `{name}` has this shape"));
    }
    if fields.is_empty() { "no field explains it".to_owned() } else { fields.join(", ") }
}

/// The configuration's field that sets each axis; empty where none does.
fn axes(published: &str) -> &'static [&'static str] {
    const WIDTH: &str = "vision.width";
    const HIDDEN: &str = "llama.hidden_size";
    const INNER: &str = "llama.intermediate_size";
    const QUERIES: &str = "llama.n_heads * llama.head_dim";
    const KEYS: &str = "llama.n_kv_heads * llama.head_dim";
    const MLP: &str = "vision.mlp_hidden";
    const RANK: &str = "lora.rank";
    let ends = |end: &str| published.ends_with(end);
    if published.starts_with("visual_encoder.") {
        return if ends("patch_embed.proj.weight") {
            &[WIDTH, "vision.stem_channels", "vision.patch_size", "vision.patch_size"]
        } else if published.starts_with("visual_encoder.stem.") {
            &["vision.stem_channels", "vision.stem_channels", "", ""]
        } else if ends("cls_token") {
            &["", "", WIDTH]
        } else if ends("pos_embed") {
            &["", "1 + (vision.image_size / vision.patch_size)^2", WIDTH]
        } else if ends("qkv.weight") {
            &["3 * vision.width", WIDTH]
        } else if ends("fc1.weight") || ends("fc1.bias") {
            &[MLP, WIDTH]
        } else if ends("fc2.weight") {
            &[WIDTH, MLP]
        } else {
            &[WIDTH, WIDTH]
        };
    }
    if ends(".lora_A.weight") {
        return if ends("o_proj.lora_A.weight") {
            &[RANK, QUERIES]
        } else if ends("down_proj.lora_A.weight") {
            &[RANK, INNER]
        } else {
            &[RANK, HIDDEN]
        };
    }
    let map = published.strip_suffix(".lora_B.weight");
    let is_factor = map.is_some();
    let rows = match map.or_else(|| published.strip_suffix(".weight")).and_then(|map| map.rsplit('.').next())
    {
        Some("q_proj") => QUERIES,
        Some("k_proj" | "v_proj") => KEYS,
        Some("gate_proj" | "up_proj") => INNER,
        _ => HIDDEN,
    };
    match (rows, is_factor) {
        (QUERIES, true) => &[QUERIES, RANK],
        (KEYS, true) => &[KEYS, RANK],
        (INNER, true) => &[INNER, RANK],
        (_, true) => &[HIDDEN, RANK],
        (QUERIES, false) => &[QUERIES, HIDDEN],
        (KEYS, false) => &[KEYS, HIDDEN],
        (INNER, false) => &[INNER, HIDDEN],
        _ if ends("o_proj.weight") => &[HIDDEN, QUERIES],
        _ if ends("down_proj.weight") => &[HIDDEN, INNER],
        _ if ends("embed_tokens.weight") || ends("lm_head.weight") => &["llama.vocab_size", HIDDEN],
        _ if ends("llama_proj.weight") => &[HIDDEN, "merge * vision.width"],
        _ if published.starts_with("ln_vision.") => &[WIDTH],
        _ => &[HIDDEN, HIDDEN],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(published: &str, file: &[usize], model: &[usize], expected: &str) {
        assert_eq!(hint(published, file, model), expected, "{published}");
    }

    #[test]
    fn hints_name_the_field_and_the_preset() {
        let map = "llama_model.base_model.model.model.layers.0.self_attn.q_proj";
        check(
            &format!("{map}.lora_A.weight"),
            &[64, 4096],
            &[8, 4096],
            "`lora.rank` would be `64`, the preset `minigpt-v2` has this shape",
        );
        check(&format!("{map}.lora_B.weight"), &[64, 4], &[64, 8], "`lora.rank` would be `4`");
        check("llama_proj.weight", &[64, 192], &[64, 96], "`merge * vision.width` would be `192`");
        check("llama_proj.bias", &[64], &[65], "`llama.hidden_size` would be `64`");
        check("llama_proj.weight", &[192, 64], &[64, 192], "the file holds the transpose");
        check("ln_vision.weight", &[1, 2], &[2], "`2` axes instead of `1`");
        check("visual_encoder.blocks.0.mlp.fc1.bias", &[210], &[768], "`vision.mlp_hidden` would be `210`");
        check(
            "visual_encoder.pos_embed",
            &[1, 65, 192],
            &[1, 65, 48],
            "`vision.width` would be `192`, the preset `nano` has this shape",
        );
        let embed = "llama_model.base_model.model.model.embed_tokens.weight";
        check(embed, &[512, 64], &[1024, 64], "`llama.vocab_size` would be `512`");
        check(
            &format!("{map}.weight"),
            &[32, 64],
            &[64, 64],
            "`llama.n_heads * llama.head_dim` would be `32`",
        );
    }
}
