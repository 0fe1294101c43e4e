//! All samples of a run.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

use ct_slices::index::SplitFile;
use sha2::{Digest, Sha256};

use super::conversations::Conversations;
use super::prepared::load_folder;
use super::sample::Samples;
use super::split::{cut_validation, stratified_split};
use crate::config::CascadeConfig;
use crate::hex::to_hex;
use crate::images::ImageTable;
use crate::{CascadeError, Stage};

/// The samples of all stages, split once: no patient is in two parts of any two stages (D8).
#[derive(Debug, Clone)]
pub struct RunData {
    /// The images of all samples.
    pub table: Arc<ImageTable>,
    /// By stage.
    pub samples: BTreeMap<Stage, Samples>,
    /// By stage: other questions and answers that it learns.
    pub conversations: BTreeMap<Stage, Vec<Conversations>>,
    /// SHA-256 over the splits and the validation patients.
    pub split_sha256: String,
    /// Training patients that choose checkpoints.
    pub validation_patients: BTreeSet<String>,
    /// Splits that were made here and are to be kept.
    pub new_splits: Vec<SplitFile>,
}

impl RunData {
    /// Reads folders and takes from them what the configuration's stages need, for a model with
    /// squares of this size. Images are not opened.
    ///
    /// # Errors
    /// [`CascadeError::NoData`] for a folder without data, [`CascadeError::Index`],
    /// [`CascadeError::Split`], [`CascadeError::Train`] for a file of conversations.
    pub fn load(config: &CascadeConfig, folders: &[PathBuf], size_px: usize) -> Result<Self, CascadeError> {
        let loaded: Vec<_> = folders
            .iter()
            .map(|folder| load_folder(folder, config.data.split_seed))
            .collect::<Result<_, _>>()?;
        let mut strata = BTreeMap::new();
        for (patient, stratum) in loaded.iter().flat_map(super::prepared::DataFolder::training_strata) {
            // A tumor set repeats patients of the folder it is made of, which says more of them.
            strata.entry(patient).or_insert(stratum);
        }
        let validation_patients =
            stratified_split(&strata, config.data.validation_share, config.data.split_seed).held_out;
        let mut table = ImageTable::new(size_px);
        let (mut samples, mut conversations) = (BTreeMap::new(), BTreeMap::new());
        for (stage, settings) in &config.stages {
            table.set_augmentation(*stage, settings.augmentation, settings.training.seed);
            let mut of_stage = Samples::default();
            for folder in &loaded {
                let datasets = settings.datasets.as_ref();
                let shows_regions = settings.region.is_some();
                folder.add_samples(
                    *stage,
                    datasets,
                    settings.image_fit,
                    shows_regions,
                    &mut table,
                    &mut of_stage,
                );
            }
            samples.insert(*stage, cut_validation(of_stage, &validation_patients));
            let files = settings.conversations.iter();
            let read = files.map(|data| Conversations::read(data, settings.image_fit, &mut table));
            conversations.insert(*stage, read.collect::<Result<Vec<_>, _>>()?);
        }
        let mut hash = Sha256::new();
        for split in loaded.iter().filter_map(|folder| folder.split.as_ref()) {
            hash.update(format!("{}\n", split.sha256));
        }
        for patient in &validation_patients {
            hash.update(format!("validation\t{patient}\n"));
        }
        let new_splits =
            loaded.iter().filter(|folder| folder.was_split_here).filter_map(|folder| folder.split.clone());
        Ok(Self {
            table: Arc::new(table),
            samples,
            conversations,
            split_sha256: to_hex(&hash.finalize()),
            validation_patients,
            new_splits: new_splits.collect(),
        })
    }

    /// Checks that every stage has something to learn from and to be judged by.
    ///
    /// # Errors
    /// [`CascadeError::NoSamples`] for the first that has not.
    pub(crate) fn check(&self) -> Result<(), CascadeError> {
        for (stage, samples) in &self.samples {
            for (part, is_empty) in
                [("training", samples.train.is_empty()), ("test", samples.test.is_empty())]
            {
                if is_empty {
                    let reason =
                        format!("none of the data's slices in this part has the task `{}`", stage.task());
                    return Err(CascadeError::NoSamples { stage: stage.name(), part, reason });
                }
            }
        }
        Ok(())
    }

    /// The samples of a stage; none where the configuration has no such stage.
    #[must_use]
    pub fn of(&self, stage: Stage) -> Option<&Samples> {
        self.samples.get(&stage)
    }

    /// The conversations that a stage learns too.
    #[must_use]
    pub fn conversations_of(&self, stage: Stage) -> &[Conversations] {
        self.conversations.get(&stage).map_or(&[], Vec::as_slice)
    }
}
