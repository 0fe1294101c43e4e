//! Sizes of the language model, and the `config.json` of published LLaMA folders.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{check_positive, check_size, config_error};
use crate::ModelError;

/// Sizes of a LLaMA language model (SPEC 3.5).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LlamaConfig {
    /// Rows of the token embedding.
    pub vocab_size: usize,
    /// Width of a position.
    pub hidden_size: usize,
    /// Width inside the feed-forward part.
    pub intermediate_size: usize,
    /// Blocks.
    pub n_layers: usize,
    /// Query heads.
    pub n_heads: usize,
    /// Key and value heads; query head h uses h / (`n_heads` / `n_kv_heads`).
    pub n_kv_heads: usize,
    /// Width of one head.
    pub head_dim: usize,
    /// Epsilon of the norms: read from the file, published copies differ (SPEC 3.5).
    pub rms_norm_eps: f64,
    /// Base of the rotary frequencies.
    pub rope_theta: f64,
    /// Positions that the model may see.
    pub max_positions: usize,
    /// Whether the head is the token embedding.
    pub tied_head: bool,
    /// Begin-of-sequence token.
    pub bos_token: u32,
    /// End-of-sequence token.
    pub eos_token: u32,
}

impl LlamaConfig {
    /// LLaMA-2-7B-chat with the corrected epsilon and length (SPEC 3.5).
    #[must_use]
    pub fn llama_2_7b() -> Self {
        Self {
            vocab_size: 32_000,
            hidden_size: 4096,
            intermediate_size: 11_008,
            n_layers: 32,
            n_heads: 32,
            n_kv_heads: 32,
            head_dim: 128,
            rms_norm_eps: 1e-5,
            rope_theta: 10_000.0,
            max_positions: 4096,
            tied_head: false,
            bos_token: 1,
            eos_token: 2,
        }
    }

    /// A small model of the same form.
    #[must_use]
    pub fn nano() -> Self {
        Self {
            vocab_size: 1024,
            hidden_size: 192,
            intermediate_size: 512,
            n_layers: 4,
            n_heads: 6,
            n_kv_heads: 6,
            head_dim: 32,
            rms_norm_eps: 1e-5,
            rope_theta: 10_000.0,
            max_positions: 1024,
            tied_head: true,
            bos_token: 1,
            eos_token: 2,
        }
    }

    /// Reads a published `config.json`, in the spelling of LLaMA-2 folders or of transformers 5.
    ///
    /// # Errors
    /// [`ModelError::ConfigText`] for other JSON; [`ModelError::Config`] for a network that this
    /// code does not compute (another activation, scaled rotary frequencies, biases, sliding
    /// windows) or impossible numbers.
    pub fn from_hf_json(text: &str) -> Result<Self, ModelError> {
        let file: HfConfig = serde_json::from_str(text).map_err(ModelError::ConfigText)?;
        file.refuse_unsupported()?;
        let n_heads = file.num_attention_heads;
        check_size("num_attention_heads", n_heads, 1 << 12)?;
        let theta = file.rope_theta.or(file.rope_parameters.as_ref().and_then(|rope| rope.rope_theta));
        let config = Self {
            vocab_size: file.vocab_size,
            hidden_size: file.hidden_size,
            intermediate_size: file.intermediate_size,
            n_layers: file.num_hidden_layers,
            n_heads,
            n_kv_heads: file.num_key_value_heads.unwrap_or(n_heads),
            head_dim: file.head_dim.unwrap_or(file.hidden_size / n_heads),
            // transformers' own default where the file is silent
            rms_norm_eps: file.rms_norm_eps.unwrap_or(1e-6),
            rope_theta: theta.unwrap_or(10_000.0),
            max_positions: file.max_position_embeddings.unwrap_or(2048),
            tied_head: file.tie_word_embeddings.unwrap_or(false),
            bos_token: first_token(file.bos_token_id.as_ref()).unwrap_or(1),
            eos_token: first_token(file.eos_token_id.as_ref()).unwrap_or(2),
        };
        config.validate()?;
        Ok(config)
    }

    /// Writes a `config.json` that transformers opens.
    #[must_use]
    pub fn to_hf_json(&self, dtype: &str) -> String {
        let value = json!({
            "architectures": ["LlamaForCausalLM"],
            "model_type": "llama",
            "hidden_act": "silu",
            "vocab_size": self.vocab_size,
            "hidden_size": self.hidden_size,
            "intermediate_size": self.intermediate_size,
            "num_hidden_layers": self.n_layers,
            "num_attention_heads": self.n_heads,
            "num_key_value_heads": self.n_kv_heads,
            "head_dim": self.head_dim,
            "rms_norm_eps": self.rms_norm_eps,
            "rope_theta": self.rope_theta,
            "rope_scaling": null,
            "max_position_embeddings": self.max_positions,
            "tie_word_embeddings": self.tied_head,
            "attention_bias": false,
            "mlp_bias": false,
            "bos_token_id": self.bos_token,
            "eos_token_id": self.eos_token,
            "torch_dtype": dtype,
            "use_cache": true,
        });
        format!("{value:#}\n")
    }

    /// Width of all query heads together.
    #[must_use]
    pub fn query_width(&self) -> usize {
        self.n_heads * self.head_dim
    }

    /// Width of all key heads together.
    #[must_use]
    pub fn key_width(&self) -> usize {
        self.n_kv_heads * self.head_dim
    }

    /// Checks that a model can be built.
    ///
    /// # Errors
    /// [`ModelError::Config`] naming the first impossible field.
    pub fn validate(&self) -> Result<(), ModelError> {
        check_size("llama.vocab_size", self.vocab_size, 1 << 22)?;
        check_size("llama.hidden_size", self.hidden_size, 1 << 17)?;
        check_size("llama.intermediate_size", self.intermediate_size, 1 << 19)?;
        check_size("llama.n_layers", self.n_layers, 1 << 10)?;
        check_size("llama.n_heads", self.n_heads, 1 << 12)?;
        check_size("llama.n_kv_heads", self.n_kv_heads, self.n_heads)?;
        check_size("llama.head_dim", self.head_dim, 1 << 12)?;
        check_size("llama.max_positions", self.max_positions, 1 << 24)?;
        check_positive("llama.rms_norm_eps", self.rms_norm_eps)?;
        check_positive("llama.rope_theta", self.rope_theta)?;
        if !self.n_heads.is_multiple_of(self.n_kv_heads) {
            return Err(config_error(
                "llama.n_kv_heads",
                self.n_kv_heads,
                format!("{} query heads are not a multiple of it", self.n_heads),
            ));
        }
        // The rotary tables are made with the model: a file must not ask for more than 256 MiB of them.
        if self.max_positions.saturating_mul(self.head_dim) > 1 << 26 {
            return Err(config_error(
                "llama.max_positions",
                self.max_positions,
                format!("with heads of {} expected at most {}", self.head_dim, (1 << 26) / self.head_dim),
            ));
        }
        if !self.head_dim.is_multiple_of(2) {
            return Err(config_error("llama.head_dim", self.head_dim, "rotary halves need an even width"));
        }
        Ok(())
    }
}

/// The fields of a published file that decide what is computed.
#[derive(Debug, Deserialize)]
struct HfConfig {
    vocab_size: usize,
    hidden_size: usize,
    intermediate_size: usize,
    num_hidden_layers: usize,
    num_attention_heads: usize,
    num_key_value_heads: Option<usize>,
    head_dim: Option<usize>,
    rms_norm_eps: Option<f64>,
    rope_theta: Option<f64>,
    rope_parameters: Option<HfRope>,
    rope_scaling: Option<Value>,
    max_position_embeddings: Option<usize>,
    tie_word_embeddings: Option<bool>,
    bos_token_id: Option<Value>,
    eos_token_id: Option<Value>,
    hidden_act: Option<String>,
    attention_bias: Option<bool>,
    mlp_bias: Option<bool>,
    model_type: Option<String>,
}

#[derive(Debug, Deserialize)]
struct HfRope {
    rope_theta: Option<f64>,
    rope_type: Option<String>,
}

impl HfConfig {
    fn refuse_unsupported(&self) -> Result<(), ModelError> {
        if let Some(kind) = self.model_type.as_deref().filter(|kind| *kind != "llama") {
            return Err(config_error("model_type", kind, "expected `llama`"));
        }
        if let Some(activation) = self.hidden_act.as_deref().filter(|name| *name != "silu") {
            return Err(config_error("hidden_act", activation, "expected `silu`"));
        }
        if let Some(kind) = self.rope_parameters.as_ref().and_then(|rope| rope.rope_type.as_deref())
            && kind != "default"
        {
            return Err(config_error(
                "rope_parameters",
                kind,
                "scaled rotary positions are not computed here",
            ));
        }
        if let Some(scaling) = self.rope_scaling.as_ref().filter(|value| !is_plain_rope(value)) {
            return Err(config_error(
                "rope_scaling",
                scaling,
                "scaled rotary positions are not computed here",
            ));
        }
        if self.attention_bias == Some(true) {
            return Err(config_error("attention_bias", true, "biases are not computed here"));
        }
        if self.mlp_bias == Some(true) {
            return Err(config_error("mlp_bias", true, "biases are not computed here"));
        }
        Ok(())
    }
}

/// Whether a `rope_scaling` entry asks for nothing.
fn is_plain_rope(value: &Value) -> bool {
    let kind = value.get("rope_type").or_else(|| value.get("type")).and_then(Value::as_str);
    value.is_null() || kind == Some("default")
}

/// A token id that files spell as a number or as a list.
fn first_token(value: Option<&Value>) -> Option<u32> {
    let value = match value? {
        Value::Array(list) => list.first()?,
        other => other,
    };
    u32::try_from(value.as_u64()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const LLAMA_2: &str = r#"{"architectures":["LlamaForCausalLM"],"bos_token_id":1,"eos_token_id":2,
        "hidden_act":"silu","hidden_size":64,"intermediate_size":172,"max_position_embeddings":256,
        "model_type":"llama","num_attention_heads":4,"num_hidden_layers":2,"num_key_value_heads":2,
        "rms_norm_eps":1e-05,"rope_scaling":null,"rope_theta":500000.0,"tie_word_embeddings":true,
        "torch_dtype":"float32","vocab_size":512}"#;

    #[test]
    fn both_spellings_give_one_config() {
        let old = LlamaConfig::from_hf_json(LLAMA_2).unwrap();
        let new = LLAMA_2
            .replace(
                r#""rope_scaling":null,"rope_theta":500000.0"#,
                r#""rope_parameters":{"rope_theta":500000.0,"rope_type":"default"}"#,
            )
            .replace(r#""eos_token_id":2"#, r#""eos_token_id":[2,7]"#);
        assert_eq!(old, LlamaConfig::from_hf_json(&new).unwrap());
        assert_eq!((old.head_dim, old.n_kv_heads, old.rope_theta, old.tied_head), (16, 2, 500_000.0, true));
        assert_eq!(
            old,
            LlamaConfig::from_hf_json(&old.to_hf_json("float32")).unwrap(),
            "written and read again"
        );
    }

    #[test]
    fn what_is_not_computed_is_refused() {
        for (from, to, field) in [
            (r#""silu""#, r#""gelu""#, "hidden_act"),
            (r#""rope_scaling":null"#, r#""rope_scaling":{"type":"linear","factor":2.0}"#, "rope_scaling"),
            (r#""model_type":"llama""#, r#""model_type":"mistral""#, "model_type"),
            (r#""vocab_size":512"#, r#""vocab_size":512,"attention_bias":true"#, "attention_bias"),
            (r#""num_key_value_heads":2"#, r#""num_key_value_heads":3"#, "llama.n_kv_heads"),
            (r#""num_attention_heads":4"#, r#""num_attention_heads":0"#, "num_attention_heads"),
            (r#""rms_norm_eps":1e-05"#, r#""rms_norm_eps":0.0"#, "llama.rms_norm_eps"),
            (r#""hidden_size":64"#, r#""hidden_size":99999999999"#, "llama.hidden_size"),
            (
                r#""max_position_embeddings":256"#,
                r#""max_position_embeddings":16000000"#,
                "llama.max_positions",
            ),
        ] {
            let text = LLAMA_2.replace(from, to);
            assert_ne!(text, LLAMA_2, "{field}");
            match LlamaConfig::from_hf_json(&text) {
                Err(ModelError::Config { field: got, .. }) => assert_eq!(got, field),
                other => panic!("{field}: {other:?}"),
            }
        }
        assert!(matches!(LlamaConfig::from_hf_json("{"), Err(ModelError::ConfigText(_))));
    }
}
