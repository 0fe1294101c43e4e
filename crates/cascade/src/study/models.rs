//! The checkpoints that a study is asked with.

use std::path::{Path, PathBuf};

use burn::tensor::Device;
use findings::Provenance;
use vlm_model::{Precision, discover};

use crate::base::weights_sha256;
use crate::embedded::write_embedded_stage;
use crate::evaluate_stage::{OpenCheckpoint, open_checkpoint};
use crate::train_stage::{CHECKPOINT_FOLDER, StageRecord};
use crate::{CascadeError, Stage};

/// Checkpoint folders, one a stage; stages without one are not asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StudyModels {
    /// Finds the pancreas.
    pub pancreas_box: PathBuf,
    /// Says whether a slice shows a tumor.
    pub tumor_yes_no: Option<PathBuf>,
    /// Finds the tumor.
    pub tumor_box: Option<PathBuf>,
    /// Finds liver, right kidney and spleen.
    pub organs: Option<PathBuf>,
}

impl StudyModels {
    /// The chosen checkpoints of a run folder.
    ///
    /// # Errors
    /// [`CascadeError::NoData`] if it has no pancreas stage.
    pub fn of_run(run: &Path) -> Result<Self, CascadeError> {
        let folder = |stage: Stage| {
            let folder = run.join(stage.name()).join(CHECKPOINT_FOLDER);
            folder.is_dir().then_some(folder)
        };
        let missing = || CascadeError::NoData { path: run.join(Stage::PancreasBox.name()) };
        Ok(Self {
            pancreas_box: folder(Stage::PancreasBox).ok_or_else(missing)?,
            tumor_yes_no: folder(Stage::TumorYesNo),
            tumor_box: folder(Stage::TumorBox),
            organs: folder(Stage::Organs),
        })
    }

    /// The checkpoints that the program carries, written side by side into a folder.
    ///
    /// # Errors
    /// Those of [`write_embedded_stage`].
    pub fn embedded(folder: &Path) -> Result<Self, CascadeError> {
        Ok(Self {
            pancreas_box: write_embedded_stage(Stage::PancreasBox, folder)?,
            tumor_yes_no: Some(write_embedded_stage(Stage::TumorYesNo, folder)?),
            tumor_box: Some(write_embedded_stage(Stage::TumorBox, folder)?),
            organs: Some(write_embedded_stage(Stage::Organs, folder)?),
        })
    }
}

/// Opens a checkpoint and writes down what it is.
pub(super) fn open(
    folder: &Path,
    stage: Stage,
    precision: Precision,
    device: &Device,
    provenance: &mut Provenance,
) -> Result<OpenCheckpoint, CascadeError> {
    let opened = open_checkpoint(folder, Some(stage), precision, device)?;
    let (_, files, _) = discover(folder)?;
    provenance.weights_sha256.insert(stage.name().to_owned(), weights_sha256(folder, &files)?);
    provenance.versions.insert("cascade".to_owned(), env!("CARGO_PKG_VERSION").to_owned());
    if let Ok(record) = StageRecord::read(folder) {
        let is_hash = record.split_sha256.len() == 64;
        provenance.split_sha256 = is_hash.then_some(record.split_sha256).or(provenance.split_sha256.take());
    }
    Ok(opened)
}
