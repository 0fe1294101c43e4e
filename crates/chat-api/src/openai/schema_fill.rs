//! A plan and an answer to JSON.

use serde_json::{Map, Value, json};

use super::schema::{Edge, Number, Plan};
use crate::model::{AnswerBox, ChatAnswer};

/// What is known.
pub(super) struct Facts<'a> {
    pub(super) answer: &'a ChatAnswer,
    pub(super) boxes: &'a [AnswerBox],
}

impl Plan {
    /// Fills the plan. A box that is not there has zeros, a confidence that is not known is 0, where null and
    /// leaving it out are not allowed.
    pub(super) fn fill(&self, facts: &Facts<'_>) -> Value {
        self.known(facts, facts.boxes.first()).unwrap_or_else(|| self.unknown())
    }

    /// The value, if it is known.
    fn known(&self, facts: &Facts<'_>, found: Option<&AnswerBox>) -> Option<Value> {
        match self {
            Self::Object(parts) => {
                // A box that is not there is not there as a whole.
                let describes_box = parts.iter().any(|(_, part, _)| matches!(part, Self::Edge(..)));
                if describes_box && found.is_none() {
                    return None;
                }
                let mut object = Map::new();
                for (name, part, is_required) in parts {
                    match part.known(facts, found) {
                        Some(value) => drop(object.insert(name.clone(), value)),
                        None if *is_required => drop(object.insert(name.clone(), part.unknown())),
                        None => {}
                    }
                }
                Some(object.into())
            }
            Self::EachBox(part, most) => {
                let each = facts.boxes.iter().take(most.unwrap_or(usize::MAX));
                Some(each.map(|b| part.known(facts, Some(b)).unwrap_or_else(|| part.unknown())).collect())
            }
            Self::Edges(number) => found.map(|b| b.box_px.iter().map(|edge| number.value(*edge)).collect()),
            Self::Edge(edge, number) => found.map(|b| number.value(edge.of(b.box_px))),
            Self::Label => found.map(|b| b.label.clone().into()),
            Self::Confidence(number) => {
                let of_word = facts.answer.yes_no.and_then(|word| word.yes_probability);
                found.and_then(|b| b.confidence).or(of_word).map(|value| number.value(value))
            }
            Self::Image => found.map(|b| b.image.into()),
            Self::Count => Some(facts.boxes.len().into()),
            Self::Text => Some(facts.answer.text.clone().into()),
            Self::YesNo => yes(facts).map(Value::from),
            Self::YesNoWord(word, no) => {
                yes(facts).map(|yes| if yes { word.as_str() } else { no.as_str() }.into())
            }
            Self::Constant(value) => Some(value.clone()),
            Self::Nullable(part) => Some(part.known(facts, found).unwrap_or(Value::Null)),
        }
    }

    /// What stands for something that is not known and must be there.
    fn unknown(&self) -> Value {
        match self {
            Self::Object(parts) => parts
                .iter()
                .filter(|(.., must)| *must)
                .map(|(name, part, _)| (name.clone(), part.unknown()))
                .collect(),
            Self::EachBox(..) => json!([]),
            Self::Edges(number) => {
                json!([number.value(0.0), number.value(0.0), number.value(0.0), number.value(0.0)])
            }
            Self::Edge(_, number) | Self::Confidence(number) => number.value(0.0),
            Self::Label | Self::Text => "".into(),
            Self::Image | Self::Count => 0.into(),
            Self::YesNo => false.into(),
            Self::YesNoWord(_, no) => no.clone().into(),
            Self::Constant(value) => value.clone(),
            Self::Nullable(_) => Value::Null,
        }
    }
}

/// Yes or no: the model's own word, else that of its text, else whether it found something.
fn yes(facts: &Facts<'_>) -> Option<bool> {
    let word = facts.answer.yes_no.map(|word| word.yes);
    let read = || vlm_prompt::parse_yes_no(&facts.answer.text, vlm_prompt::YesNoRule::FirstWord);
    word.or_else(read).or((!facts.boxes.is_empty()).then_some(true))
}

impl Edge {
    fn of(self, [x1, y1, x2, y2]: [f64; 4]) -> f64 {
        match self {
            Self::Left => x1,
            Self::Upper => y1,
            Self::Right => x2,
            Self::Lower => y2,
            Self::Width => x2 - x1,
            Self::Height => y2 - y1,
        }
    }
}

impl Number {
    fn value(self, value: f64) -> Value {
        let value = value.max(self.min.unwrap_or(f64::MIN)).min(self.max.unwrap_or(f64::MAX));
        if self.is_integer { json!(to_integer(value)) } else { json!(value) }
    }
}

#[expect(clippy::cast_possible_truncation, reason = "float to integer casts saturate, as is wanted here")]
fn to_integer(value: f64) -> i64 {
    value.round() as i64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{AnswerForm, YesNo};

    fn answer() -> ChatAnswer {
        let yes_no = Some(YesNo { yes: true, yes_probability: Some(0.75) });
        ChatAnswer { text: "{<10><20><30><40>}".to_owned(), yes_no, ..ChatAnswer::default() }
    }

    fn found(confidence: Option<f64>) -> AnswerBox {
        AnswerBox { label: "pancreas".to_owned(), box_px: [10.4, 20.0, 30.6, 40.0], confidence, image: 0 }
    }

    fn check(schema: Value, boxes: &[AnswerBox], expected: Value) {
        let plan = Plan::compile(&schema).unwrap();
        assert_eq!(plan.fill(&Facts { answer: &answer(), boxes }), expected, "{schema}");
    }

    fn object(properties: Value) -> Value {
        let required: Vec<&String> = properties.as_object().unwrap().keys().collect();
        json!({ "type": "object", "properties": properties, "required": required, "additionalProperties": false })
    }

    #[test]
    fn boxes_fill_the_forms_that_people_write() {
        let edges = json!({ "type": "array", "items": { "type": "integer" }, "minItems": 4, "maxItems": 4 });
        let one = object(
            json!({ "label": { "type": "string" }, "box": edges, "confidence": { "type": "number" } }),
        );
        let filled = json!({ "label": "pancreas", "box": [10, 20, 31, 40], "confidence": 0.5 });
        let list = object(json!({ "boxes": { "type": "array", "items": one } }));
        check(list.clone(), &[found(Some(0.5))], json!({ "boxes": [filled] }));
        check(list.clone(), &[], json!({ "boxes": [] }));
        check(one, &[found(Some(0.5))], filled);
        let named = object(json!({
            "x_min": { "type": "number" }, "yMin": { "type": "number" },
            "width": { "type": "number" }, "h": { "type": "number", "maximum": 5 },
        }));
        let plan = json!({ "x_min": 10.4, "yMin": 20.0, "width": 30.6 - 10.4, "h": 5.0 });
        check(named.clone(), &[found(None)], plan);
        check(named, &[], json!({ "x_min": 0.0, "yMin": 0.0, "width": 0.0, "h": 0.0 }));
        assert_eq!(Plan::compile(&list).unwrap().answer_form(), AnswerForm::Boxes);
    }

    #[test]
    fn references_and_nulls_of_pydantic_are_followed() {
        let schema = json!({
            "$defs": { "Box": { "type": "object", "title": "Box", "properties": {
                "corners": { "prefixItems": [
                    { "type": "number" }, { "type": "number" }, { "type": "number" }, { "type": "number" },
                ], "minItems": 4, "maxItems": 4, "type": "array" },
                "score": { "anyOf": [{ "type": "number" }, { "type": "null" }] },
            }, "required": ["corners", "score"] } },
            "type": "object",
            "properties": {
                "tumor": { "type": "boolean" },
                "answer": { "enum": ["Yes", "No"], "type": "string" },
                "pancreas": { "anyOf": [{ "$ref": "#/$defs/Box" }, { "type": "null" }] },
                "count": { "type": "integer" },
                "remark": { "type": "number" },
            },
            "required": ["tumor", "answer", "pancreas", "count"],
        });
        let corners = json!({ "corners": [10.4, 20.0, 30.6, 40.0], "score": 0.75 });
        let expected = json!({ "tumor": true, "answer": "Yes", "pancreas": corners, "count": 1 });
        check(schema, &[found(None)], expected);
    }

    #[test]
    fn what_cannot_be_filled_is_refused() {
        let deep = (0..40).fold(json!({ "type": "string" }), |inner, _| object(json!({ "a": inner })));
        for schema in [
            json!(true),
            json!({}),
            json!({ "type": "object", "required": ["a"] }),
            object(json!({ "age": { "type": "number" } })),
            object(json!({ "stage": { "type": "string", "enum": ["I", "II"] } })),
            object(json!({ "text": { "type": "string", "pattern": "^a$" } })),
            object(json!({ "boxes": { "type": "array", "items": { "type": "string" }, "minItems": 1 } })),
            object(json!({ "box": { "type": "array", "items": { "type": "number" }, "maxItems": 3 } })),
            json!({ "$ref": "#/$defs/Missing" }),
            json!({ "$ref": "#" }),
            json!({ "anyOf": [{ "type": "string" }, { "type": "number" }] }),
            deep,
        ] {
            assert!(Plan::compile(&schema).is_err(), "{schema}");
        }
    }

    #[test]
    fn yes_and_no_come_from_the_word_or_the_text() {
        let plan = Plan::compile(&object(json!({ "tumor": { "type": "boolean" } }))).unwrap();
        assert_eq!(plan.answer_form(), AnswerForm::YesNo);
        let said = |text: &str| {
            let answer = ChatAnswer { text: text.to_owned(), ..ChatAnswer::default() };
            plan.fill(&Facts { answer: &answer, boxes: &[] })
        };
        assert_eq!(said("No."), json!({ "tumor": false }));
        assert_eq!(said("Yes, there is"), json!({ "tumor": true }));
        assert_eq!(said("maybe"), json!({ "tumor": false }));
    }
}
