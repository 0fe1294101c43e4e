//! Every parameter of a model, from its configuration alone.

use super::names::{Part, published_name};
use crate::{LlamaConfig, LoraConfig, LoraTarget, MiniGptConfig, VisionConfig};

/// A parameter that a model has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlannedTensor {
    /// Where it is in the model, `projector.weight`.
    pub path: String,
    /// What checkpoints call it, `llama_proj.weight`.
    pub published: String,
    /// The part that it belongs to.
    pub part: Part,
    /// Its shape, which is the files' too.
    pub shape: Vec<usize>,
}

/// Every parameter of a model of this configuration, in the order of the modules. No model is
/// built.
#[must_use]
pub fn tensor_plan(config: &MiniGptConfig) -> Vec<PlannedTensor> {
    let mut plan = Plan(Vec::new());
    plan.vision(&config.vision);
    plan.norm("ln_vision", config.vision.width, true);
    plan.add("projector.weight".to_owned(), &[config.llama.hidden_size, config.merged_width()]);
    plan.add("projector.bias".to_owned(), &[config.llama.hidden_size]);
    plan.llama(&config.llama, config.lora.as_ref());
    plan.0
}

struct Plan(Vec<PlannedTensor>);

impl Plan {
    fn add(&mut self, path: String, shape: &[usize]) {
        let published = published_name(&path).expect("a path of the model");
        let part = Part::of(&published).expect("a published name");
        self.0.push(PlannedTensor { path, published, part, shape: shape.to_vec() });
    }

    fn norm(&mut self, path: &str, width: usize, bias: bool) {
        self.add(format!("{path}.gamma"), &[width]);
        if bias {
            self.add(format!("{path}.beta"), &[width]);
        }
    }

    fn vision(&mut self, config: &VisionConfig) {
        let (width, inner) = (config.width, config.mlp_hidden);
        let [channels, patch, _] = config.patch_shape();
        let tower = |name: &str| format!("vision_tower.{name}");
        let mut from = 3;
        for (index, to) in config.stem_channels.iter().copied().enumerate() {
            self.add(tower(&format!("stem.{index}.weight")), &[to, from, 3, 3]);
            self.add(tower(&format!("stem.{index}.bias")), &[to]);
            from = to;
        }
        self.add(tower("patch_embed.weight"), &[width, channels, patch, patch]);
        self.add(tower("patch_embed.bias"), &[width]);
        self.add(tower("cls_token"), &[1, 1, width]);
        self.add(tower("pos_embed"), &[1, 1 + config.n_patches(), width]);
        for index in 0..config.depth {
            let block = |name: &str| format!("vision_tower.blocks.{index}.{name}");
            self.norm(&block("norm1"), width, true);
            self.add(block("attn.qkv.weight"), &[3 * width, width]);
            self.add(block("attn.q_bias"), &[width]);
            self.add(block("attn.v_bias"), &[width]);
            self.add(block("attn.proj.weight"), &[width, width]);
            self.add(block("attn.proj.bias"), &[width]);
            self.norm(&block("norm2"), width, true);
            self.add(block("mlp.fc1.weight"), &[inner, width]);
            self.add(block("mlp.fc1.bias"), &[inner]);
            self.add(block("mlp.fc2.weight"), &[width, inner]);
            self.add(block("mlp.fc2.bias"), &[width]);
        }
    }

    fn llama(&mut self, config: &LlamaConfig, lora: Option<&LoraConfig>) {
        let hidden = config.hidden_size;
        self.add("language_model.embed_tokens".to_owned(), &[config.vocab_size, hidden]);
        for index in 0..config.n_layers {
            let layer = |name: &str| format!("language_model.layers.{index}.{name}");
            self.norm(&layer("input_layernorm"), hidden, false);
            for target in [LoraTarget::QProj, LoraTarget::KProj, LoraTarget::VProj, LoraTarget::OProj] {
                self.map(&layer("self_attn"), target, config, lora);
            }
            self.norm(&layer("post_attention_layernorm"), hidden, false);
            for target in [LoraTarget::GateProj, LoraTarget::UpProj, LoraTarget::DownProj] {
                self.map(&layer("mlp"), target, config, lora);
            }
        }
        self.norm("language_model.norm", hidden, false);
        if !config.tied_head {
            self.add("language_model.lm_head.weight".to_owned(), &[config.vocab_size, hidden]);
        }
    }

    fn map(&mut self, parent: &str, target: LoraTarget, config: &LlamaConfig, lora: Option<&LoraConfig>) {
        let (output, input) = map_sizes(target, config);
        let path = format!("{parent}.{}", target.name());
        self.add(format!("{path}.base.weight"), &[output, input]);
        if let Some(lora) = lora.filter(|lora| lora.adapts(target)) {
            self.add(format!("{path}.adapter.a"), &[lora.rank, input]);
            self.add(format!("{path}.adapter.b"), &[output, lora.rank]);
        }
    }
}

/// Rows and columns of a map's weight.
fn map_sizes(target: LoraTarget, config: &LlamaConfig) -> (usize, usize) {
    let (hidden, inner) = (config.hidden_size, config.intermediate_size);
    match target {
        LoraTarget::QProj => (config.query_width(), hidden),
        LoraTarget::KProj | LoraTarget::VProj => (config.key_width(), hidden),
        LoraTarget::OProj => (hidden, config.query_width()),
        LoraTarget::GateProj | LoraTarget::UpProj => (inner, hidden),
        LoraTarget::DownProj => (hidden, inner),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(plan: &[PlannedTensor], part: Part) -> (usize, usize) {
        let sizes: Vec<usize> =
            plan.iter().filter(|t| t.part == part).map(|t| t.shape.iter().product()).collect();
        (sizes.len(), sizes.iter().sum())
    }

    /// SPEC 3.8, 3.9: keys and parameters of the published model.
    #[test]
    fn the_published_model_has_the_published_counts() {
        let plan = tensor_plan(&MiniGptConfig::minigpt_v2());
        assert_eq!(count(&plan, Part::VisionTower), (511, 986_975_872));
        assert_eq!(count(&plan, Part::LnVision), (2, 2_816));
        assert_eq!(count(&plan, Part::Projector), (2, 23_072_768));
        assert_eq!(count(&plan, Part::LanguageModel), (291, 6_738_415_616));
        assert_eq!(count(&plan, Part::Adapters), (128, 33_554_432));
        let total: usize = plan.iter().map(|t| t.shape.iter().product::<usize>()).sum();
        assert_eq!(total, 7_782_021_504);
    }
}
