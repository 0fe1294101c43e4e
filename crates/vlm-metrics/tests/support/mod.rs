//! Where fixtures are.

use std::path::PathBuf;

use serde_json::Value;

/// A committed fixture; `tests/fixtures/generate.py` makes them.
pub(crate) fn fixture(name: &str) -> Value {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name);
    serde_json::from_str(&fs_err::read_to_string(path).unwrap()).unwrap()
}

/// A golden of the shared folder, or a note that the test is skipped.
pub(crate) fn shared_golden(name: &str) -> Option<Value> {
    let folder = std::env::var_os("MINIGPT_PANCREAS_SHARED")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared"), PathBuf::from);
    let path = folder.join("goldens/metrics").join(name);
    if path.is_file() {
        return Some(serde_json::from_str(&fs_err::read_to_string(path).unwrap()).unwrap());
    }
    eprintln!("skipped: `{}` is not there", path.display());
    None
}

/// The rows of a list.
pub(crate) fn rows(value: &Value) -> &[Value] {
    value.as_array().unwrap()
}

/// Both within `tolerance`, absolute.
pub(crate) fn assert_near(got: f64, expected: f64, tolerance: f64, what: &str) {
    assert!((got - expected).abs() <= tolerance, "{what}: {got}, expected {expected}");
}
