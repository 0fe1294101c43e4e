//! The images of a batch, and features kept in memory.

use std::collections::HashMap;

use burn::tensor::{Tensor, TensorData};
use half::f16;
use half::slice::HalfFloatSliceExt;
use vlm_model::{FeatureFormat, MiniGpt};

use crate::{BatchImages, ImageId, TrainError};

/// Hands out the images of a batch.
pub trait ImageProvider {
    /// Pixels or features of these images, in this order. No image is asked for twice in a batch.
    ///
    /// # Errors
    /// [`TrainError::Images`] or another for an image that cannot be had; training ends.
    fn batch(&mut self, model: &MiniGpt, images: &[ImageId]) -> Result<BatchImages, TrainError>;
}

/// For training on text alone.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoImages;

impl ImageProvider for NoImages {
    fn batch(&mut self, _model: &MiniGpt, images: &[ImageId]) -> Result<BatchImages, TrainError> {
        match images.first() {
            None => Ok(BatchImages::Nothing),
            Some(image) => Err(TrainError::UnknownImage { image: image.0, n_images: 0 }),
        }
    }
}

/// Vision features of all images in memory: the tower is frozen, so each image needs it once.
#[derive(Debug, Clone)]
pub struct FeatureTable {
    n_image_tokens: usize,
    width: usize,
    places: HashMap<ImageId, usize>,
    values: Values,
}

#[derive(Debug, Clone)]
enum Values {
    F32(Vec<f32>),
    F16(Vec<f16>),
}

impl FeatureTable {
    /// An empty table for features `[n_image_tokens, width]`, kept in this precision.
    #[must_use]
    pub fn new(n_image_tokens: usize, width: usize, format: FeatureFormat) -> Self {
        let values = match format {
            FeatureFormat::F32 => Values::F32(Vec::new()),
            FeatureFormat::F16 => Values::F16(Vec::new()),
        };
        Self { n_image_tokens, width, places: HashMap::new(), values }
    }

    /// An empty table for the features of a model.
    #[must_use]
    pub fn of(model: &MiniGpt, format: FeatureFormat) -> Self {
        Self::new(model.config().n_image_tokens(), model.config().merged_width(), format)
    }

    /// Number of images.
    #[must_use]
    pub fn len(&self) -> usize {
        self.places.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// Whether the image has a row.
    #[must_use]
    pub fn contains(&self, image: ImageId) -> bool {
        self.places.contains_key(&image)
    }

    /// Keeps the features of an image, in place of what it had.
    ///
    /// # Shapes
    /// - `features`: `[n_image_tokens · width]`, row-major
    ///
    /// # Errors
    /// [`TrainError::Features`] for another number of values.
    pub fn insert(&mut self, image: ImageId, features: &[f32]) -> Result<(), TrainError> {
        let expected = self.row_len();
        if features.len() != expected {
            return Err(TrainError::Features { image: image.0, got: features.len(), expected });
        }
        let n_images = self.places.len();
        let place = *self.places.entry(image).or_insert(n_images);
        let row = place * expected..(place + 1) * expected;
        match &mut self.values {
            Values::F32(values) => {
                values.resize(values.len().max(row.end), 0.0);
                values[row].copy_from_slice(features);
            }
            Values::F16(values) => {
                values.resize(values.len().max(row.end), f16::ZERO);
                values[row].convert_from_f32_slice(features);
            }
        }
        Ok(())
    }

    fn row_len(&self) -> usize {
        self.n_image_tokens * self.width
    }

    /// # Shapes
    /// - returns `[images, n_image_tokens, width]`, f32
    fn gather(&self, images: &[ImageId]) -> Result<TensorData, TrainError> {
        let n = self.row_len();
        let mut gathered = vec![0.0; images.len() * n];
        for (image, row) in images.iter().zip(gathered.chunks_exact_mut(n.max(1))) {
            let unknown = TrainError::UnknownImage { image: image.0, n_images: self.len() };
            let place = *self.places.get(image).ok_or(unknown)?;
            match &self.values {
                Values::F32(values) => row.copy_from_slice(&values[place * n..(place + 1) * n]),
                Values::F16(values) => values[place * n..(place + 1) * n].convert_to_f32_slice(row),
            }
        }
        Ok(TensorData::new(gathered, [images.len(), self.n_image_tokens, self.width]))
    }
}

impl ImageProvider for FeatureTable {
    fn batch(&mut self, model: &MiniGpt, images: &[ImageId]) -> Result<BatchImages, TrainError> {
        if images.is_empty() {
            return Ok(BatchImages::Nothing);
        }
        Ok(BatchImages::Features(Tensor::from_data(self.gather(images)?, &model.device())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_gathered_in_the_order_asked_for() {
        for format in [FeatureFormat::F32, FeatureFormat::F16] {
            let mut table = FeatureTable::new(2, 2, format);
            table.insert(ImageId(70), &[1.0, 2.0, 3.0, 4.0]).unwrap();
            table.insert(ImageId(5), &[0.0; 4]).unwrap();
            table.insert(ImageId(5), &[5.0, 6.0, 7.0, -8.5]).unwrap();
            assert_eq!(
                (table.len(), table.contains(ImageId(5)), table.contains(ImageId(6))),
                (2, true, false)
            );
            let data = table.gather(&[ImageId(5), ImageId(70)]).unwrap();
            assert_eq!(
                data.try_to_vec::<f32>().unwrap(),
                [5.0, 6.0, 7.0, -8.5, 1.0, 2.0, 3.0, 4.0],
                "{format:?}"
            );
            assert!(matches!(table.gather(&[ImageId(6)]), Err(TrainError::UnknownImage { image: 6, .. })));
            assert!(matches!(table.insert(ImageId(1), &[0.0; 3]), Err(TrainError::Features { got: 3, .. })));
        }
    }
}
