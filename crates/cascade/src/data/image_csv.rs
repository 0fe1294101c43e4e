//! Images with a table of answers: split here, since the table has no split.

use std::path::Path;

use ct_slices::index::{IndexLimits, SplitFile, SplitPart, read_image_csv};

use super::prepared::DataFolder;
use super::sample::patient_key;
use super::split::stratified_split;
use crate::CascadeError;

/// The table in a folder of images.
pub(crate) const LABELS_FILE: &str = "labels.csv";
/// Where the images are.
pub(crate) const IMAGES_FOLDER: &str = "images";
/// Patients held out for the test.
const TEST_SHARE: f64 = 0.2;

/// Reads `labels.csv` and splits its patients 80/20, stratified by source and answer.
pub(super) fn load(folder: &Path, seed: u64) -> Result<DataFolder, CascadeError> {
    let mut index =
        read_image_csv(&folder.join(LABELS_FILE), &folder.join(IMAGES_FOLDER), &IndexLimits::default())?;
    let mut strata = std::collections::BTreeMap::new();
    for record in &index.records {
        let yes = record.answer == Some(ct_slices::YesNo::Yes);
        let entry = strata
            .entry(patient_key(&record.dataset, &record.patient))
            .or_insert_with(|| (record.dataset.clone(), false));
        entry.1 |= yes;
    }
    let strata =
        strata.into_iter().map(|(patient, (dataset, yes))| (patient, format!("{dataset} {yes}"))).collect();
    let parts = stratified_split(&strata, TEST_SHARE, seed);
    for record in &mut index.records {
        let is_test = parts.held_out.contains(&patient_key(&record.dataset, &record.patient));
        record.split = Some(if is_test { SplitPart::Test } else { SplitPart::Train });
    }
    let rule = "patients, 80/20, stratified by source and answer, in the order of SHA-256(seed, name)";
    let split = SplitFile::new(
        "TC",
        Some(seed),
        rule,
        parts.train.into_iter().collect(),
        parts.held_out.into_iter().collect(),
    );
    let threshold = super::prepared::DEFAULT_THRESHOLD;
    Ok(DataFolder { index, split: Some(split), was_split_here: true, threshold })
}
