//! The parts of a checkpoint that are not tensors.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::TrainError;
use crate::log::LogSizes;
use crate::mixture::MixturePosition;

/// The format of a checkpoint; a new number for every change of meaning.
pub(super) const FORMAT: &str = "vlm-train-checkpoint-1";

/// `checkpoint.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Manifest {
    pub(super) format: String,
    pub(super) files: BTreeMap<String, FileEntry>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct FileEntry {
    pub(super) bytes: u64,
    pub(super) sha256: String,
}

/// The best validation so far.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Best {
    /// Steps done when it was made.
    pub step: u64,
    /// Its score.
    pub score: f64,
}

/// What a run is of: none of it may change when it is resumed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RunIdentity {
    /// Settings of the loop.
    pub(crate) training: Value,
    /// Sizes of the model.
    pub(crate) model: Value,
    /// The caller's resolved configuration.
    pub(crate) config: Value,
    pub(crate) split_sha256: String,
    pub(crate) base_weights_sha256: String,
    /// Fingerprints by source.
    pub(crate) sources: BTreeMap<String, String>,
    pub(crate) world_size: usize,
}

impl RunIdentity {
    /// # Errors
    /// [`TrainError::Changed`] naming the first difference and both its values.
    pub(crate) fn check(&self, now: &Self, place: &std::path::Path) -> Result<(), TrainError> {
        // As texts, so that both went the same way through JSON.
        let as_json = |one: &Self| {
            let text = serde_json::to_string(one)?;
            serde_json::from_str::<Value>(&text)
        };
        let json = |source| TrainError::Json { path: place.to_owned(), source };
        let (saved, now) = (as_json(self).map_err(json)?, as_json(now).map_err(json)?);
        match first_difference("", &saved, &now) {
            None => Ok(()),
            Some((what, saved, now)) => Err(TrainError::Changed { what, saved, now }),
        }
    }
}

/// Path and both values of the first difference.
fn first_difference(path: &str, saved: &Value, now: &Value) -> Option<(String, String, String)> {
    if let (Value::Object(saved), Value::Object(now)) = (saved, now) {
        let keys: std::collections::BTreeSet<&String> = saved.keys().chain(now.keys()).collect();
        return keys.into_iter().find_map(|key| {
            let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
            let of = |map: &serde_json::Map<String, Value>| map.get(key).cloned().unwrap_or(Value::Null);
            first_difference(&path, &of(saved), &of(now))
        });
    }
    let text = |value: &Value| match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    (saved != now).then(|| (path.to_owned(), text(saved), text(now)))
}

/// How far a run came.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RunState {
    /// Steps done.
    pub(crate) step: u64,
    pub(crate) mixture: MixturePosition,
    /// Updates that each parameter had.
    pub(crate) n_updates: BTreeMap<String, u64>,
    /// Batches whose gradients wait for an update.
    pub(crate) n_pending_batches: u64,
    pub(crate) n_pending_targets: u64,
    pub(crate) best: Option<Best>,
    /// Score of the last validation that was a gain.
    pub(crate) last_gain: Option<f64>,
    /// Validations since then.
    pub(crate) n_without_gain: u64,
    pub(crate) log: LogSizes,
}

/// `state.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct StateFile {
    pub(super) identity: RunIdentity,
    pub(super) state: RunState,
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn differences_are_named_by_their_path() {
        let check = |a: Value, b: Value| first_difference("", &a, &b);
        assert_eq!(check(json!({"a": {"b": 1}}), json!({"a": {"b": 1}})), None);
        let named = |path: &str, a: &str, b: &str| Some((path.to_owned(), a.to_owned(), b.to_owned()));
        assert_eq!(
            check(json!({"a": {"b": 1, "c": 2}}), json!({"a": {"b": 1, "c": 3}})),
            named("a.c", "2", "3")
        );
        assert_eq!(check(json!({"a": "x"}), json!({})), named("a", "x", "null"));
        assert_eq!(check(json!({"a": [1, 2]}), json!({"a": [1]})), named("a", "[1,2]", "[1]"));
    }
}
