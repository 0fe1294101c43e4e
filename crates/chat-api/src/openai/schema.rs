//! A JSON schema to a plan of what goes where. What cannot be filled in truth is refused, and so is every keyword
//! that is not understood, so that what is sent has the form that was asked for.

use serde_json::{Map, Value};

use crate::model::AnswerForm;

/// Deepest nesting.
const MAX_DEPTH: usize = 12;
/// Most parts, so that references that branch do not grow without end.
const MAX_PARTS: usize = 512;

/// Why a schema cannot be filled.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the schema cannot be filled at `{path}`: {reason}")]
pub(super) struct SchemaError {
    path: String,
    reason: &'static str,
}

/// What goes where.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Plan {
    /// An object: name, content, whether it must be there.
    Object(Vec<(String, Plan, bool)>),
    /// One item for each box, at most so many.
    EachBox(Box<Plan>, Option<usize>),
    /// `[left, upper, right, lower]` of the box at hand, or of the first.
    Edges(Number),
    /// One number of the box at hand.
    Edge(Edge, Number),
    /// What the box shows.
    Label,
    /// How sure the model is.
    Confidence(Number),
    /// Place of the picture.
    Image,
    /// Number of boxes.
    Count,
    /// The answer's words.
    Text,
    /// Yes or no, as a boolean.
    YesNo,
    /// Yes or no, as one of two words: that for yes, that for no.
    YesNoWord(String, String),
    /// A given value.
    Constant(Value),
    /// Null where the content is not known.
    Nullable(Box<Plan>),
}

/// A number's type and bounds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Number {
    pub(super) is_integer: bool,
    pub(super) min: Option<f64>,
    pub(super) max: Option<f64>,
}

/// A number of a box.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Edge {
    Left,
    Upper,
    Right,
    Lower,
    Width,
    Height,
}

impl Plan {
    pub(super) fn compile(schema: &Value) -> Result<Self, SchemaError> {
        Compiler { root: schema, n_parts: 0 }.plan(schema, "#", "", false, 0)
    }

    /// What the model is asked for, so that the plan can be filled.
    pub(super) fn answer_form(&self) -> AnswerForm {
        let (mut boxes, mut yes_no) = (false, false);
        self.visit(&mut |plan| match plan {
            Self::EachBox(..) | Self::Edges(_) | Self::Edge(..) => boxes = true,
            Self::YesNo | Self::YesNoWord(..) => yes_no = true,
            _ => {}
        });
        match (boxes, yes_no) {
            (true, _) => AnswerForm::Boxes,
            (false, true) => AnswerForm::YesNo,
            (false, false) => AnswerForm::Auto,
        }
    }

    fn visit(&self, see: &mut impl FnMut(&Self)) {
        see(self);
        match self {
            Self::Object(parts) => parts.iter().for_each(|(_, part, _)| part.visit(see)),
            Self::EachBox(part, _) | Self::Nullable(part) => part.visit(see),
            _ => {}
        }
    }
}

struct Compiler<'a> {
    root: &'a Value,
    n_parts: usize,
}

type Planned = Result<Plan, SchemaError>;

impl Compiler<'_> {
    fn plan(&mut self, schema: &Value, path: &str, name: &str, in_box: bool, depth: usize) -> Planned {
        let refuse = |reason| Err(SchemaError { path: path.to_owned(), reason });
        self.n_parts += 1;
        if depth > MAX_DEPTH || self.n_parts > MAX_PARTS {
            return refuse("it is nested too deeply");
        }
        let Some(object) = schema.as_object() else { return refuse("a schema is an object") };
        if let Some(reference) = object.get("$ref") {
            let target = reference.as_str().and_then(|r| r.strip_prefix('#'));
            return match target.and_then(|pointer| self.root.pointer(pointer)) {
                Some(target) => self.plan(&target.clone(), path, name, in_box, depth + 1),
                None => refuse("the reference leads nowhere"),
            };
        }
        if let Some(options) = object.get("anyOf").or_else(|| object.get("oneOf")).and_then(Value::as_array) {
            let (nulls, others): (Vec<_>, Vec<_>) = options.iter().partition(|o| is_null(o));
            return match &others[..] {
                [only] => Ok(nullable(self.plan(only, path, name, in_box, depth + 1)?, !nulls.is_empty())),
                _ => refuse("a choice other than between a value and null"),
            };
        }
        if let Some(value) = object.get("const") {
            return Ok(Plan::Constant(value.clone()));
        }
        check_keywords(object, path)?;
        let (kind, with_null) = match object.get("type") {
            Some(Value::String(kind)) => (kind.as_str(), false),
            Some(Value::Array(kinds)) => {
                let names: Vec<&str> = kinds.iter().filter_map(Value::as_str).collect();
                let others: Vec<&str> = names.iter().copied().filter(|kind| *kind != "null").collect();
                match &others[..] {
                    [only] => (*only, names.len() > 1),
                    _ => return refuse("a choice of types"),
                }
            }
            None if object.contains_key("properties") => ("object", false),
            None if object.contains_key("enum") => ("string", false),
            _ => return refuse("a type is missing"),
        };
        let plan = match kind {
            "object" => self.object(object, path, in_box, depth)?,
            "array" => self.array(object, path, in_box, depth)?,
            "string" => string(object, path, name, in_box)?,
            "boolean" => Plan::YesNo,
            "number" | "integer" => number(object, path, name, in_box)?,
            _ => return refuse("a type that is not known"),
        };
        Ok(nullable(plan, with_null))
    }

    fn object(&mut self, object: &Map<String, Value>, path: &str, in_box: bool, depth: usize) -> Planned {
        let empty = Map::new();
        let properties = object.get("properties").and_then(Value::as_object).unwrap_or(&empty);
        let required: Vec<&str> = object
            .get("required")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .collect();
        if let Some(name) = required.iter().find(|name| !properties.contains_key(**name)) {
            let path = format!("{path}/{name}");
            return Err(SchemaError { path, reason: "it is required and not described" });
        }
        let mut parts = Vec::with_capacity(properties.len());
        for (name, schema) in properties {
            let is_required = required.contains(&name.as_str());
            match self.plan(schema, &format!("{path}/{name}"), name, in_box, depth + 1) {
                Ok(part) => parts.push((name.clone(), part, is_required)),
                Err(error) if is_required => return Err(error),
                // What need not be there is left out.
                Err(_) => {}
            }
        }
        Ok(Plan::Object(parts))
    }

    fn array(&mut self, object: &Map<String, Value>, path: &str, in_box: bool, depth: usize) -> Planned {
        let refuse = |reason| Err(SchemaError { path: path.to_owned(), reason });
        let bound = |name| object.get(name).and_then(Value::as_u64);
        let items = object.get("items").or_else(|| object.get("prefixItems").and_then(|items| items.get(0)));
        let Some(items) = items else { return refuse("the items are not described") };
        if let Some(kind @ ("number" | "integer")) = items.get("type").and_then(Value::as_str) {
            let fits = bound("minItems").is_none_or(|n| n <= 4) && bound("maxItems").is_none_or(|n| n >= 4);
            let n_prefix = object.get("prefixItems").and_then(Value::as_array).map_or(4, Vec::len);
            return if fits && n_prefix == 4 {
                Ok(Plan::Edges(bounds(items, kind == "integer")))
            } else {
                refuse("a list of numbers is a box, which has four")
            };
        }
        if in_box {
            return refuse("a list within a box");
        }
        if bound("minItems").is_some_and(|n| n > 0) {
            return refuse("how many boxes there are is not known before");
        }
        let most = bound("maxItems").map(|n| usize::try_from(n).unwrap_or(usize::MAX));
        let item = self.plan(items, &format!("{path}/items"), "label", true, depth + 1)?;
        Ok(Plan::EachBox(Box::new(item), most))
    }
}

/// Keywords that are followed, or that change nothing.
fn check_keywords(object: &Map<String, Value>, path: &str) -> Result<(), SchemaError> {
    const KNOWN: [&str; 19] = [
        "type",
        "properties",
        "required",
        "additionalProperties",
        "items",
        "prefixItems",
        "minItems",
        "maxItems",
        "enum",
        "minimum",
        "maximum",
        "title",
        "description",
        "default",
        "examples",
        "$schema",
        "$defs",
        "definitions",
        "$id",
    ];
    match object.keys().find(|key| !KNOWN.contains(&key.as_str())) {
        Some(key) => {
            let path = format!("{path}/{key}");
            Err(SchemaError { path, reason: "this keyword is not followed here" })
        }
        None => Ok(()),
    }
}

fn string(object: &Map<String, Value>, path: &str, name: &str, in_box: bool) -> Planned {
    let Some(words) = object.get("enum") else {
        let is_label = in_box || matches!(plain(name).as_str(), "label" | "target" | "structure" | "organ");
        return Ok(if is_label { Plan::Label } else { Plan::Text });
    };
    let words: Vec<&str> = words.as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let word =
        |meant: &str| words.iter().find(|word| word.eq_ignore_ascii_case(meant)).map(|w| (*w).to_owned());
    match (word("yes"), word("no")) {
        (Some(yes), Some(no)) if words.len() == 2 => Ok(Plan::YesNoWord(yes, no)),
        _ => Err(SchemaError { path: path.to_owned(), reason: "a choice of words other than yes and no" }),
    }
}

fn number(object: &Map<String, Value>, path: &str, name: &str, in_box: bool) -> Planned {
    let is_integer = object.get("type").is_some_and(|kind| {
        kind == "integer" || kind.as_array().is_some_and(|kinds| kinds.iter().any(|kind| kind == "integer"))
    });
    let bounds = bounds(&Value::Object(object.clone()), is_integer);
    Ok(match plain(name).as_str() {
        "x1" | "xmin" | "left" | "x" => Plan::Edge(Edge::Left, bounds),
        "y1" | "ymin" | "top" | "upper" | "y" => Plan::Edge(Edge::Upper, bounds),
        "x2" | "xmax" | "right" => Plan::Edge(Edge::Right, bounds),
        "y2" | "ymax" | "bottom" | "lower" => Plan::Edge(Edge::Lower, bounds),
        "w" | "width" => Plan::Edge(Edge::Width, bounds),
        "h" | "height" => Plan::Edge(Edge::Height, bounds),
        "confidence" | "score" | "probability" | "certainty" => Plan::Confidence(bounds),
        "image" | "imageindex" if in_box && is_integer => Plan::Image,
        "count" | "nboxes" if !in_box && is_integer => Plan::Count,
        _ => {
            return Err(SchemaError { path: path.to_owned(), reason: "a number whose meaning is not known" });
        }
    })
}

fn bounds(schema: &Value, is_integer: bool) -> Number {
    let bound = |name| schema.get(name).and_then(Value::as_f64);
    Number { is_integer, min: bound("minimum"), max: bound("maximum") }
}

/// A name without its punctuation: `x_min` and `xMin` are `xmin`.
fn plain(name: &str) -> String {
    name.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect()
}

fn is_null(schema: &Value) -> bool {
    schema.get("type").is_some_and(|kind| kind == "null")
}

fn nullable(plan: Plan, with_null: bool) -> Plan {
    if with_null { Plan::Nullable(Box::new(plan)) } else { plan }
}
