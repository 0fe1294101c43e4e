//! What the language model gets of an image: features computed once, or pixels each time.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use burn::tensor::{Tensor, TensorData};
use rayon::prelude::*;
use sha2::{Digest, Sha256};
use vlm_model::{FeatureCache, FeatureFormat, MiniGpt, vision_fingerprint};
use vlm_train::{BatchImages, FeatureTable, ImageId, ImageProvider, TrainError};

use super::id::{BLANK, View};
use super::table::ImageTable;
use crate::CascadeError;

/// Images whose features are computed together: enough to keep all cores busy.
const CHUNK: usize = 32;

/// The images of a run as the model takes them.
///
/// While the tower is frozen each view's features are computed once and kept, in memory and, if
/// asked for, on disk; all stages and their evaluations share them.
#[derive(Debug)]
pub struct ImageFeatures {
    table: Arc<ImageTable>,
    format: FeatureFormat,
    /// Whether the tower learns, so that training needs pixels.
    is_learning: bool,
    known: Option<(FeatureTable, [u8; 32])>,
    disk: Option<(std::path::PathBuf, Option<FeatureCache>)>,
}

impl ImageFeatures {
    /// Features of a table's images, kept in this precision.
    #[must_use]
    pub fn new(table: Arc<ImageTable>, format: FeatureFormat) -> Self {
        Self { table, format, is_learning: false, known: None, disk: None }
    }

    /// Also keeps features in a folder, which may be shared by runs.
    #[must_use]
    pub fn with_folder(mut self, folder: &Path) -> Self {
        self.disk = Some((folder.to_owned(), None));
        self
    }

    /// The images.
    #[must_use]
    pub fn table(&self) -> &ImageTable {
        &self.table
    }

    pub(crate) fn shared_table(&self) -> Arc<ImageTable> {
        Arc::clone(&self.table)
    }

    /// Says that another tower may follow, or that it stays: training is then given pixels, or
    /// features.
    pub(crate) fn set_learning(&mut self, is_learning: bool) {
        self.is_learning = is_learning;
    }

    /// Says which model asks from now on: features of another tower are forgotten.
    ///
    /// # Errors
    /// [`CascadeError::Export`] if the tower cannot be read back or the folder not be used.
    pub(crate) fn begin(&mut self, model: &MiniGpt) -> Result<(), CascadeError> {
        // A fingerprint reads all of the tower: it is taken once a stage, not once a batch.
        let fingerprint = vision_fingerprint(model)?;
        if self.known.as_ref().is_none_or(|(_, of)| *of != fingerprint) {
            self.known = Some((FeatureTable::of(model, self.format), fingerprint));
            if let Some((folder, cache)) = &mut self.disk {
                *cache = Some(FeatureCache::open(folder, fingerprint, self.format)?);
            }
        }
        Ok(())
    }

    /// Makes sure that the features of these images are known.
    ///
    /// # Errors
    /// [`CascadeError::Image`] or [`CascadeError::Io`] for an image, [`CascadeError::Model`],
    /// [`CascadeError::Stopped`].
    pub(crate) fn prepare(
        &mut self,
        model: &MiniGpt,
        images: &[ImageId],
        progress: &mut dyn FnMut(usize, usize),
        stop: &AtomicBool,
    ) -> Result<(), CascadeError> {
        if self.known.is_none() {
            self.begin(model)?;
        }
        let mut missing: Vec<ImageId> = {
            let known = self.known.as_ref().map(|known| &known.0);
            images.iter().copied().filter(|id| !known.is_some_and(|known| known.contains(*id))).collect()
        };
        missing.sort_unstable();
        missing.dedup();
        let n_missing = missing.len();
        for (done, chunk) in missing.chunks(CHUNK).enumerate() {
            if stop.load(Ordering::Relaxed) {
                return Err(CascadeError::Stopped);
            }
            self.compute(model, chunk)?;
            progress((done * CHUNK + chunk.len()).min(n_missing), n_missing);
        }
        Ok(())
    }

    /// Features of these images.
    ///
    /// # Shapes
    /// - returns `[images, n_image_tokens, merge · width]`, f32
    ///
    /// # Errors
    /// As [`ImageFeatures::prepare`].
    pub(crate) fn features(
        &mut self,
        model: &MiniGpt,
        images: &[ImageId],
    ) -> Result<Tensor<3>, CascadeError> {
        if self.is_learning {
            let pixels = self.pixels(model, images)?;
            return Ok(model.vision_features(pixels)?);
        }
        self.prepare(model, images, &mut |_, _| {}, &AtomicBool::new(false))?;
        let (known, _) = self.known.as_mut().expect("made by prepare");
        match known.batch(model, images)? {
            BatchImages::Features(features) => Ok(features),
            _ => Err(CascadeError::setting("images", images.len(), "expected at least one")),
        }
    }

    fn compute(&mut self, model: &MiniGpt, images: &[ImageId]) -> Result<(), CascadeError> {
        let (known, _) = self.known.as_mut().expect("checked by the caller");
        let cache = self.disk.as_ref().and_then(|(_, cache)| cache.as_ref());
        let mut left = Vec::with_capacity(images.len());
        for id in images {
            let key = disk_key(&self.table, *id);
            let kept = cache.zip(key).and_then(|(cache, key)| cache.get(&key));
            match kept.and_then(|data| data.try_into_vec::<f32>().ok()) {
                Some(row) => known.insert(*id, &row)?,
                None => left.push((*id, key)),
            }
        }
        if left.is_empty() {
            return Ok(());
        }
        let ids: Vec<ImageId> = left.iter().map(|(id, _)| *id).collect();
        let pixels = pixels_of(&self.table, model, &ids)?;
        let features = model.vision_features(pixels)?;
        let [_, n_tokens, width] = features.dims();
        let values = read_back(features)?;
        for ((id, key), row) in left.iter().zip(values.chunks_exact(n_tokens * width)) {
            known.insert(*id, row)?;
            if let Some((cache, key)) = cache.zip(*key) {
                cache.put(&key, &TensorData::new(row.to_vec(), [n_tokens, width]))?;
            }
        }
        Ok(())
    }

    fn pixels(&self, model: &MiniGpt, images: &[ImageId]) -> Result<Tensor<4>, CascadeError> {
        pixels_of(&self.table, model, images)
    }
}

impl ImageProvider for ImageFeatures {
    fn batch(&mut self, model: &MiniGpt, images: &[ImageId]) -> Result<BatchImages, TrainError> {
        if self.is_learning {
            let pixels = self.pixels(model, images);
            return pixels
                .map(BatchImages::Pixels)
                .map_err(|error| TrainError::Images { source: error.into() });
        }
        let missing =
            self.known.as_ref().is_none_or(|(known, _)| images.iter().any(|image| !known.contains(*image)));
        if missing {
            self.prepare(model, images, &mut |_, _| {}, &AtomicBool::new(false))
                .map_err(|error| TrainError::Images { source: error.into() })?;
        }
        let (known, _) = self.known.as_mut().expect("made by prepare");
        known.batch(model, images)
    }
}

/// # Shapes
/// - returns `[images, 3, size, size]`
fn pixels_of(table: &ImageTable, model: &MiniGpt, images: &[ImageId]) -> Result<Tensor<4>, CascadeError> {
    let size = table.size_px();
    let rows: Vec<Vec<f32>> =
        images.par_iter().map(|id| table.pixels(View::from(*id))).collect::<Result<_, _>>()?;
    let data = TensorData::new(rows.concat(), [images.len(), 3, size, size]);
    Ok(Tensor::from_data(data, &model.device()))
}

/// What a view is known by on disk; none for the blank image, which costs nothing to keep out.
fn disk_key(table: &ImageTable, id: ImageId) -> Option<[u8; 32]> {
    let view = View::from(id);
    if view.image == BLANK {
        return None;
    }
    let bytes = table.png_bytes(view.image).ok()?;
    let mut hash = Sha256::new();
    hash.update(Sha256::digest(&bytes));
    hash.update(format!("\n{:?} {} {:?}", table.fit(view.image), table.size_px(), table.change(view)));
    Some(hash.finalize().into())
}

fn read_back(tensor: Tensor<3>) -> Result<Vec<f32>, CascadeError> {
    let data = tensor.into_data();
    data.try_into_vec_as::<f32>().map_err(|error| {
        CascadeError::setting("device", "features", format!("cannot be read back: {error:?}"))
    })
}
