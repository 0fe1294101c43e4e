//! Image tokens of images that were seen before.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use burn::tensor::Tensor;

/// Images kept; at 448 px one takes 4 MB.
const CAPACITY: usize = 16;

/// SHA-256 of an image file's bytes.
pub(crate) type ImageKey = [u8; 32];

/// An image as the language model takes it.
#[derive(Debug, Clone)]
pub(crate) struct ImageTokens {
    /// `[1, n_image_tokens, hidden]`
    pub(crate) tokens: Tensor<3>,
    pub(crate) size_px: [u32; 2],
}

/// The latest images, the oldest first.
#[derive(Debug, Default)]
pub(crate) struct FeatureCache {
    kept: Mutex<VecDeque<(ImageKey, ImageTokens)>>,
}

impl FeatureCache {
    pub(crate) fn get(&self, key: &ImageKey) -> Option<ImageTokens> {
        // The entries are whole whatever happened to another holder of the lock.
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let place = kept.iter().position(|(other, _)| other == key)?;
        let entry = kept.remove(place)?;
        kept.push_back(entry.clone());
        Some(entry.1)
    }

    pub(crate) fn put(&self, key: ImageKey, tokens: ImageTokens) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.iter().all(|(other, _)| *other != key) {
            kept.push_back((key, tokens));
        }
        while kept.len() > CAPACITY {
            kept.pop_front();
        }
    }
}
