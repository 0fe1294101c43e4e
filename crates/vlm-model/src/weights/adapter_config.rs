//! PEFT's `adapter_config.json`.

use std::path::Path;

use serde::Deserialize;
use serde_json::Value;

use super::WeightsError;
use crate::{LoraConfig, LoraTarget};

/// The file that makes a folder a PEFT adapter.
pub(crate) const ADAPTER_CONFIG_FILE: &str = "adapter_config.json";

/// The settings of a PEFT folder that decide what is computed.
#[derive(Debug, Clone, PartialEq)]
pub struct AdapterConfig {
    /// `r`
    pub rank: usize,
    /// `lora_alpha`
    pub alpha: f64,
    /// `lora_dropout`
    pub dropout: f64,
    /// `target_modules`, in the order of a block.
    pub targets: Vec<LoraTarget>,
}

#[derive(Deserialize)]
struct PeftFile {
    peft_type: Option<String>,
    r: usize,
    lora_alpha: f64,
    #[serde(default)]
    lora_dropout: f64,
    target_modules: Value,
    bias: Option<String>,
    #[serde(default)]
    fan_in_fan_out: bool,
    #[serde(default)]
    use_dora: bool,
    #[serde(default)]
    use_rslora: bool,
    rank_pattern: Option<Value>,
    alpha_pattern: Option<Value>,
}

impl AdapterConfig {
    /// Reads `adapter_config.json` of a folder.
    ///
    /// # Errors
    /// [`WeightsError::Io`], [`WeightsError::Json`]; [`WeightsError::Setting`] for an adapter that
    /// this code does not compute (another kind, ranks that differ by layer, DoRA, rsLoRA, biases)
    /// or targets that LLaMA has not.
    pub fn read(folder: &Path) -> Result<Self, WeightsError> {
        let path = folder.join(ADAPTER_CONFIG_FILE);
        let text = fs_err::read_to_string(&path)
            .map_err(|source| WeightsError::Io { path: path.clone(), source })?;
        let file: PeftFile = serde_json::from_str(&text)
            .map_err(|source| WeightsError::Json { path: path.clone(), source })?;
        let setting = |field, value: String, reason: &str| WeightsError::Setting {
            path: path.clone(),
            field,
            value,
            reason: reason.to_owned(),
        };
        if let Some(kind) = file.peft_type.filter(|kind| kind != "LORA") {
            return Err(setting("peft_type", kind, "expected `LORA`"));
        }
        if let Some(bias) = file.bias.filter(|bias| bias != "none") {
            return Err(setting("bias", bias, "expected `none`"));
        }
        for (field, on) in [
            ("use_dora", file.use_dora),
            ("use_rslora", file.use_rslora),
            ("fan_in_fan_out", file.fan_in_fan_out),
        ] {
            if on {
                return Err(setting(field, "true".to_owned(), "not computed here"));
            }
        }
        for (field, pattern) in [("rank_pattern", file.rank_pattern), ("alpha_pattern", file.alpha_pattern)] {
            if let Some(pattern) =
                pattern.filter(|pattern| pattern.as_object().is_none_or(|map| !map.is_empty()))
                && !pattern.is_null()
            {
                return Err(setting(field, pattern.to_string(), "all layers have one rank and alpha here"));
            }
        }
        let targets = targets(&file.target_modules).ok_or_else(|| {
            let names: Vec<_> = LoraTarget::ALL.iter().map(|target| target.name()).collect();
            let reason = format!("expected names among {}, or a pattern that ends in them", names.join(", "));
            setting("target_modules", file.target_modules.to_string(), &reason)
        })?;
        let config = Self { rank: file.r, alpha: file.lora_alpha, dropout: file.lora_dropout, targets };
        match config.to_lora().validate() {
            Ok(()) => Ok(config),
            Err(source) => Err(WeightsError::Config { path, source }),
        }
    }

    /// The same in the model's words.
    #[must_use]
    pub fn to_lora(&self) -> LoraConfig {
        LoraConfig {
            rank: self.rank,
            alpha: self.alpha,
            dropout: self.dropout,
            targets: self.targets.clone(),
        }
    }

    /// Fails unless `lora` computes what this adapter was trained with. Dropout may differ.
    pub(crate) fn check(&self, folder: &Path, lora: &LoraConfig) -> Result<(), WeightsError> {
        let differs = |field, value: String, model: String| WeightsError::Setting {
            path: folder.join(ADAPTER_CONFIG_FILE),
            field,
            value,
            reason: format!("the model's is `{model}`"),
        };
        if self.rank != lora.rank {
            return Err(differs("r", self.rank.to_string(), lora.rank.to_string()));
        }
        #[expect(clippy::float_cmp, reason = "both come from files that spell them out")]
        if self.alpha != lora.alpha {
            return Err(differs("lora_alpha", self.alpha.to_string(), lora.alpha.to_string()));
        }
        if sorted(&self.targets) != sorted(&lora.targets) {
            return Err(differs("target_modules", target_names(&self.targets), target_names(&lora.targets)));
        }
        Ok(())
    }
}

/// Names of maps, for people.
pub(crate) fn target_names(targets: &[LoraTarget]) -> String {
    sorted(targets).iter().map(|target| target.name()).collect::<Vec<_>>().join(", ")
}

fn sorted(targets: &[LoraTarget]) -> Vec<LoraTarget> {
    let mut targets = targets.to_vec();
    targets.sort_unstable();
    targets
}

/// PEFT takes a list of module names (or ends of them) or one pattern. Of a pattern only the names
/// in it are taken: which layers it means is checked against the tensors.
fn targets(value: &Value) -> Option<Vec<LoraTarget>> {
    let targets: Vec<LoraTarget> = match value {
        Value::Array(names) => {
            let mut targets = names
                .iter()
                .map(|name| LoraTarget::from_name(name.as_str()?.rsplit('.').next()?))
                .collect::<Option<Vec<_>>>()?;
            targets.sort_unstable();
            targets.dedup();
            targets
        }
        Value::String(pattern) if pattern == "all-linear" => LoraTarget::ALL.to_vec(),
        Value::String(pattern) => {
            let words: Vec<&str> = pattern.split(|c: char| !c.is_alphanumeric() && c != '_').collect();
            LoraTarget::ALL.into_iter().filter(|target| words.contains(&target.name())).collect()
        }
        _ => return None,
    };
    (!targets.is_empty()).then_some(targets)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Result<AdapterConfig, WeightsError> {
        let folder = tempfile::tempdir().unwrap();
        fs_err::write(folder.path().join(ADAPTER_CONFIG_FILE), json).unwrap();
        AdapterConfig::read(folder.path())
    }

    const PEFT: &str = r#"{"peft_type":"LORA","r":4,"lora_alpha":2,"lora_dropout":0.1,"bias":"none",
        "rank_pattern":{},"alpha_pattern":null,"use_dora":false,"target_modules":["v_proj","q_proj"]}"#;
    const LIST: &str = r#"["v_proj","q_proj"]"#;

    #[test]
    fn targets_are_a_list_or_a_pattern() {
        use LoraTarget::{DownProj, QProj, VProj};
        for (spelled, expected) in [
            (LIST, vec![QProj, VProj]),
            (r#"["self_attn.q_proj","self_attn.v_proj"]"#, vec![QProj, VProj]),
            (r#"".*\\.(q_proj|v_proj)""#, vec![QProj, VProj]),
            (r#"".*down_proj$""#, vec![DownProj]),
            (r#"".*_proj""#, vec![]),
            (r#"".*\\.down_proj""#, vec![DownProj]),
            (r#""all-linear""#, LoraTarget::ALL.to_vec()),
        ] {
            let got = read(&PEFT.replace(LIST, spelled));
            match got {
                Ok(config) => assert_eq!(config.targets, expected, "{spelled}"),
                Err(WeightsError::Setting { field: "target_modules", .. }) if expected.is_empty() => {}
                Err(error) => panic!("{spelled}: {error}"),
            }
        }
        let config = read(PEFT).unwrap();
        assert_eq!((config.rank, config.alpha, config.dropout), (4, 2.0, 0.1));
    }

    #[test]
    fn other_adapters_are_refused() {
        for (from, to, field) in [
            (r#""LORA""#, r#""IA3""#, "peft_type"),
            (r#""bias":"none""#, r#""bias":"all""#, "bias"),
            (r#""use_dora":false"#, r#""use_dora":true"#, "use_dora"),
            (r#""use_dora":false"#, r#""use_rslora":true"#, "use_rslora"),
            (r#""rank_pattern":{}"#, r#""rank_pattern":{"q_proj":8}"#, "rank_pattern"),
            (LIST, r#"["query_key_value"]"#, "target_modules"),
            (LIST, "7", "target_modules"),
        ] {
            match read(&PEFT.replace(from, to)) {
                Err(WeightsError::Setting { field: got, .. }) => assert_eq!(got, field),
                other => panic!("{field}: {other:?}"),
            }
        }
        for (from, to) in [(r#""r":4"#, r#""r":0"#), (r#""lora_alpha":2"#, r#""lora_alpha":-1"#)] {
            assert!(matches!(read(&PEFT.replace(from, to)), Err(WeightsError::Config { .. })), "{to}");
        }
        assert!(matches!(read("{"), Err(WeightsError::Json { .. })));
    }

    #[test]
    fn a_disagreement_with_the_model_names_the_field() {
        let config = read(PEFT).unwrap();
        let folder = Path::new("adapter");
        let fits = LoraConfig {
            rank: 4,
            alpha: 2.0,
            dropout: 0.0,
            targets: vec![LoraTarget::VProj, LoraTarget::QProj],
        };
        config.check(folder, &fits).unwrap();
        for (other, expected) in [
            (LoraConfig { rank: 8, ..fits.clone() }, "r"),
            (LoraConfig { alpha: 16.0, ..fits.clone() }, "lora_alpha"),
            (LoraConfig { targets: vec![LoraTarget::QProj], ..fits.clone() }, "target_modules"),
        ] {
            match config.check(folder, &other) {
                Err(WeightsError::Setting { field, .. }) => assert_eq!(field, expected),
                other => panic!("{expected}: {other:?}"),
            }
        }
    }
}
