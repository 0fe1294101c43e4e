//! The label names of nnU-Net's `dataset.json`.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;
use serde_json::Value;

use super::config::DatasetError;
use crate::organ::{LabelMap, Organ};

/// Largest `dataset.json` that is read.
const MAX_BYTES: u64 = 4 << 20;

#[derive(Deserialize)]
struct DatasetJson {
    labels: BTreeMap<String, Value>,
}

/// Reads the label map from `dataset.json`: nnU-Net v2 writes name -> number (or numbers, for
/// regions), v1 and MSD number -> name. Names are matched to organs by their words; a tumour counts
/// as pancreas too. Labels of other structures are left out.
pub(super) fn label_map(path: &Path) -> Result<LabelMap, DatasetError> {
    let read = |source| DatasetError::Read { path: path.to_owned(), source };
    let fail = |reason: String| DatasetError::NnUnet { path: path.to_owned(), reason };
    let size = fs_err::metadata(path).map_err(read)?.len();
    if size > MAX_BYTES {
        return Err(fail(format!("{size} bytes, more than {MAX_BYTES}")));
    }
    let text = fs_err::read_to_string(path).map_err(read)?;
    let json: DatasetJson = serde_json::from_str(&text).map_err(|e| fail(e.to_string()))?;
    let mut map: BTreeMap<Organ, Vec<u16>> = BTreeMap::new();
    for (key, value) in &json.labels {
        let (name, numbers) = match value {
            Value::String(name) => (name.as_str(), vec![key.parse().ok()]),
            Value::Array(list) => (key.as_str(), list.iter().map(number).collect()),
            other => (key.as_str(), vec![number(other)]),
        };
        for organ in organs_of(name) {
            for label in &numbers {
                let label = label.ok_or_else(|| fail(format!("label `{key}` has no number")))?;
                let labels = map.entry(organ).or_default();
                if label != 0 && !labels.contains(&label) {
                    labels.push(label);
                }
            }
        }
    }
    map.values_mut().for_each(|labels| labels.sort_unstable());
    map.retain(|_, labels| !labels.is_empty());
    if map.is_empty() {
        let names: Vec<&str> = json.labels.keys().map(String::as_str).collect();
        return Err(fail(format!("no label is a pancreas, tumour, liver, kidney or spleen: {names:?}")));
    }
    Ok(LabelMap(map))
}

fn number(value: &Value) -> Option<u16> {
    value.as_u64().and_then(|n| u16::try_from(n).ok())
}

fn organs_of(name: &str) -> Vec<Organ> {
    let name = name.to_lowercase();
    let has = |words: &[&str]| words.iter().any(|w| name.contains(w));
    if has(&["tumor", "tumour", "cancer", "lesion", "pdac"]) {
        vec![Organ::Pancreas, Organ::Tumor]
    } else if has(&["pancreas"]) {
        vec![Organ::Pancreas]
    } else if has(&["liver"]) {
        vec![Organ::Liver]
    } else if has(&["left kidney", "kidney_left", "left_kidney"]) {
        // Detection asks for the right kidney; a separate left one is another structure.
        vec![]
    } else if has(&["kidney"]) {
        vec![Organ::Kidney]
    } else if has(&["spleen"]) {
        vec![Organ::Spleen]
    } else {
        vec![]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_spellings_of_label_lists() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("dataset.json");
        for text in [
            r#"{"labels": {"background": 0, "pancreas": 1, "cancer": 2}}"#,
            r#"{"labels": {"0": "background", "1": "pancreas", "2": "cancer"}, "name": "x"}"#,
        ] {
            fs_err::write(&path, text).unwrap();
            assert_eq!(label_map(&path).unwrap(), LabelMap::msd());
        }
        fs_err::write(&path, r#"{"labels": {"background": 0, "heart": 1}}"#).unwrap();
        assert!(label_map(&path).is_err());
    }
}
