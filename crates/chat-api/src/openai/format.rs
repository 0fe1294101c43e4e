//! The form of an answer's text.

use serde_json::{Value, json};

use super::schema::{Plan, SchemaError};
use super::schema_fill::Facts;
use super::wire::ResponseFormat;
use crate::RESEARCH_NOTE;
use crate::http::ApiError;
use crate::model::{AnswerBox, AnswerForm, ChatAnswer};

/// How the answer's text is made.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum OutputFormat {
    /// As the model writes it.
    Text,
    /// JSON of a form.
    Json(Plan),
}

impl OutputFormat {
    pub(super) fn read(format: Option<ResponseFormat>) -> Result<Self, ApiError> {
        let refused = |error: SchemaError| {
            ApiError::bad("unsupported_schema", error.to_string()).at("response_format.json_schema")
        };
        match format {
            None | Some(ResponseFormat::Text) => Ok(Self::Text),
            Some(ResponseFormat::JsonObject) => Plan::compile(&own_schema()).map(Self::Json).map_err(refused),
            Some(ResponseFormat::JsonSchema { json_schema }) => {
                let schema = json_schema.schema.unwrap_or_else(own_schema);
                Plan::compile(&schema).map(Self::Json).map_err(refused)
            }
        }
    }

    /// What the model is asked for.
    pub(super) fn answer_form(&self, asked: AnswerForm) -> AnswerForm {
        match self {
            Self::Json(plan) if asked == AnswerForm::Auto => plan.answer_form(),
            _ => asked,
        }
    }

    /// The text for the client.
    pub(super) fn content(&self, answer: &ChatAnswer, boxes: &[AnswerBox]) -> String {
        match self {
            Self::Text => answer.text.clone(),
            Self::Json(plan) => plan.fill(&Facts { answer, boxes }).to_string(),
        }
    }

    pub(super) fn is_text(&self) -> bool {
        *self == Self::Text
    }
}

/// The form where none is asked for.
fn own_schema() -> Value {
    json!({
        "type": "object",
        "properties": {
            "answer": { "type": "string" },
            "boxes": {
                "type": "array",
                "items": {
                    "type": "object",
                    "properties": {
                        "label": { "type": "string" },
                        "box": { "type": "array", "items": { "type": "number" }, "minItems": 4, "maxItems": 4 },
                        "confidence": { "type": ["number", "null"] },
                    },
                    "required": ["label", "box", "confidence"],
                },
            },
            "note": { "const": RESEARCH_NOTE },
        },
        "required": ["answer", "boxes", "note"],
    })
}
