//! How prompts are written for a model, as its checkpoint says.

use serde::{Deserialize, Serialize};
use vlm_prompt::{AnswerHistory, BoxDecode, BoxFormat, PromptMode, PromptPhase, Template};

/// The `prompt` entry of a checkpoint. What is left out is as published.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PromptSettings {
    /// How prompts are written.
    pub mode: PromptMode,
    /// How boxes are written.
    pub box_format: BoxFormat,
    /// Where inside its bin a number is read back.
    pub box_decode: BoxDecode,
    /// What later questions see of earlier answers.
    pub history: AnswerHistory,
}

impl Default for PromptSettings {
    /// As published (SPEC 2.4, 2.5, 5.3, 5.7).
    fn default() -> Self {
        Self {
            mode: PromptMode::Reference,
            box_format: BoxFormat::Percent100,
            box_decode: BoxDecode::GridLine,
            history: AnswerHistory::EndSymbolOnly,
        }
    }
}

impl PromptSettings {
    /// Settings for models that are trained here: the same tokens in training and inference, and
    /// answers that later questions see.
    #[must_use]
    pub fn consistent(box_format: BoxFormat) -> Self {
        Self { mode: PromptMode::Consistent, box_format, history: AnswerHistory::Keep, ..Self::default() }
    }

    /// Reads the `prompt` entry; nothing there means the published settings.
    ///
    /// # Errors
    /// The parser's, for unknown entries or values.
    pub fn from_json(value: &serde_json::Value) -> Result<Self, serde_json::Error> {
        if value.is_null() { Ok(Self::default()) } else { Self::deserialize(value) }
    }

    /// The `prompt` entry for these settings.
    ///
    /// # Panics
    /// Never: names and nothing else are written.
    #[must_use]
    pub fn to_json(&self) -> serde_json::Value {
        serde_json::to_value(self).expect("names and nothing else")
    }

    /// The template of a question.
    #[must_use]
    pub fn template(&self) -> Template {
        Template::new(self.mode, PromptPhase::Inference).with_history(self.history)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn entries_are_read_and_written() {
        let check = |value, expected: PromptSettings| {
            let settings = PromptSettings::from_json(&value).unwrap();
            assert_eq!(settings, expected);
            assert_eq!(PromptSettings::from_json(&settings.to_json()).unwrap(), expected);
        };
        let published = PromptSettings::default();
        check(json!(null), published);
        check(json!({}), published);
        check(
            json!({"box_format": "permille"}),
            PromptSettings { box_format: BoxFormat::Permille1000, ..published },
        );
        let consistent = PromptSettings::consistent(BoxFormat::Percent100);
        check(json!({"mode": "consistent", "history": "keep"}), consistent);
        for wrong in [json!({"mode": "other"}), json!({"box": "percent"}), json!(3)] {
            assert!(PromptSettings::from_json(&wrong).is_err(), "{wrong}");
        }
    }
}
