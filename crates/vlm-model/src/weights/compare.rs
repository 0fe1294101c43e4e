//! Whether two files or folders hold the same tensors.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Serialize;

use super::inspect::tensor_files;
use super::{TensorFile, WeightsError};

/// How two sets of tensors differ.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Comparison {
    /// Tensors that are equal, number type and all.
    pub n_equal: usize,
    /// Names that only the first set holds.
    pub only_first: Vec<String>,
    /// Names that only the second set holds.
    pub only_second: Vec<String>,
    /// Tensors that differ.
    pub different: Vec<TensorDifference>,
}

impl Comparison {
    /// Whether nothing differs by more than `tolerance`; number types may differ.
    #[must_use]
    pub fn is_same(&self, tolerance: f64) -> bool {
        let within = |tensor: &TensorDifference| tensor.largest.is_some_and(|largest| largest <= tolerance);
        self.only_first.is_empty() && self.only_second.is_empty() && self.different.iter().all(within)
    }
}

/// How one tensor differs.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TensorDifference {
    /// Its name.
    pub name: String,
    /// Number type and shape in the first set.
    pub first: String,
    /// Number type and shape in the second set.
    pub second: String,
    /// Largest absolute difference; none where the shapes differ or a value is not a number.
    pub largest: Option<f64>,
    /// Entries that differ.
    pub n_different: usize,
}

/// Compares two files, or all files of tensors of two folders by the tensors' names.
///
/// One pair of tensors is in memory at a time.
///
/// # Errors
/// [`WeightsError`] if a file cannot be read, or a folder holds one name twice.
pub fn compare(first: &Path, second: &Path) -> Result<Comparison, WeightsError> {
    let (first, second) = (Tensors::open(first)?, Tensors::open(second)?);
    let only = |a: &Tensors, b: &Tensors| -> Vec<String> {
        a.by_name.keys().filter(|name| !b.by_name.contains_key(*name)).cloned().collect()
    };
    let mut comparison = Comparison {
        n_equal: 0,
        only_first: only(&first, &second),
        only_second: only(&second, &first),
        different: Vec::new(),
    };
    for name in first.by_name.keys().filter(|name| second.by_name.contains_key(*name)) {
        match difference(name, first.file(name), second.file(name))? {
            None => comparison.n_equal += 1,
            Some(difference) => comparison.different.push(difference),
        }
    }
    Ok(comparison)
}

/// The tensors of one or several files, and the file of each.
struct Tensors {
    files: Vec<TensorFile>,
    by_name: BTreeMap<String, usize>,
}

impl Tensors {
    fn open(path: &Path) -> Result<Self, WeightsError> {
        let files: Vec<TensorFile> =
            tensor_files(path)?.iter().map(|file| TensorFile::open(file)).collect::<Result<_, _>>()?;
        let mut by_name = BTreeMap::new();
        for (file_idx, file) in files.iter().enumerate() {
            for name in file.names() {
                if by_name.insert(name.to_owned(), file_idx).is_some() {
                    return Err(WeightsError::Layout {
                        folder: path.to_owned(),
                        reason: format!("tensor `{name}` is in two files"),
                    });
                }
            }
        }
        Ok(Self { files, by_name })
    }

    fn file(&self, name: &str) -> &TensorFile {
        &self.files[self.by_name[name]]
    }
}

fn difference(name: &str, a: &TensorFile, b: &TensorFile) -> Result<Option<TensorDifference>, WeightsError> {
    let describe = |file: &TensorFile| {
        file.info(name)
            .map_or_else(String::new, |info| format!("{:?} {:?}", info.dtype, info.shape).to_lowercase())
    };
    let mut difference = TensorDifference {
        name: name.to_owned(),
        first: describe(a),
        second: describe(b),
        largest: None,
        n_different: 0,
    };
    if a.info(name).map(|info| &info.shape) != b.info(name).map(|info| &info.shape) {
        return Ok(Some(difference));
    }
    let (a, b) = (a.read(name)?, b.read(name)?);
    if a == b {
        return Ok(None);
    }
    let mut largest = 0.0_f64;
    for (a, b) in a.iter::<f64>().zip(b.iter::<f64>()) {
        if a != b && !(a.is_nan() && b.is_nan()) {
            difference.n_different += 1;
            // A difference from NaN has no size, and stays so.
            let size = (a - b).abs();
            largest = if largest.is_nan() || size.is_nan() { f64::NAN } else { largest.max(size) };
        }
    }
    difference.largest = (!largest.is_nan()).then_some(largest);
    Ok(Some(difference))
}
