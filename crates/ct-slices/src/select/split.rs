//! Volumes into training and test part.

use std::collections::HashSet;

use crate::python::PyRandom;
use crate::records::SliceRecord;

/// Names of the volumes of each part, in the shuffled order that the published files keep.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct VolumeSplit {
    /// The rest.
    pub train: Vec<String>,
    /// The first fifth of the shuffled names.
    pub test: Vec<String>,
}

/// The volumes of some records in the order of their first appearance: what is shuffled.
#[must_use]
pub fn volume_order<R: SliceRecord>(records: &[R]) -> Vec<String> {
    let mut seen = HashSet::new();
    let names = records.iter().map(SliceRecord::volume_name);
    names.filter(|&name| seen.insert(name)).map(str::to_owned).collect()
}

/// Shuffles the names and takes the first fifth, rounded down, as test part (SPEC 1.6).
///
/// `random` is left where balanced draws go on from; seed 42 gives the split of eras M and P.
/// Names that are patients instead of volumes give a split by patient.
///
/// ```
/// use ct_slices::python::PyRandom;
/// use ct_slices::select::split_volumes;
///
/// let names: Vec<String> = (0..10).map(|n| format!("v{n}")).collect();
/// let split = split_volumes(&names, &mut PyRandom::new(42));
/// assert_eq!(split.test, ["v7", "v3"]);
/// assert_eq!(split.train, ["v2", "v8", "v5", "v6", "v9", "v4", "v0", "v1"]);
/// ```
#[must_use]
pub fn split_volumes(names: &[String], random: &mut PyRandom) -> VolumeSplit {
    let mut test = names.to_vec();
    random.shuffle(&mut test);
    // int(n * 0.2): 0.2 as f64 lies above a fifth, by too little to reach the next whole number.
    let train = test.split_off(names.len() / 5);
    VolumeSplit { train, test }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn test_part_is_a_fifth_rounded_down() {
        for (n, n_test) in [(281, 56), (80, 16), (82, 16), (1000, 200), (5, 1), (4, 0), (0, 0)] {
            let names: Vec<String> = (0..n).map(|i| i.to_string()).collect();
            let split = split_volumes(&names, &mut PyRandom::new(1));
            assert_eq!((split.test.len(), split.train.len()), (n_test, n - n_test), "{n} names");
        }
    }
}
