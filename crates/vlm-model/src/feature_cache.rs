//! Vision features on disk: the tower is frozen, so each image needs it once.

use std::path::{Path, PathBuf};

use burn::tensor::{DType, TensorData};
use serde_json::json;
use sha2::{Digest, Sha256};

use crate::export::{dims, module_sources, rounded, write_file};
use crate::hex::to_hex;
use crate::{ExportError, MiniGpt, Part};

/// The first bytes of a file of features; the digit is the format's version.
const MAGIC: &[u8; 8] = b"vlmfeat1";
/// Magic, fingerprint, image hash, hash of the values, number type, three sizes.
const HEADER_BYTES: usize = 8 + 32 + 32 + 32 + 8 + 3 * 8;
/// Bytes of features that one file may hold: the published model's are 5.8 MB.
const MAX_BYTES: u64 = 1 << 30;

/// The number type in which features are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum FeatureFormat {
    /// IEEE half: half the size, rounded to 11 bits.
    F16,
    /// As computed.
    #[default]
    F32,
}

impl FeatureFormat {
    fn dtype(self) -> DType {
        match self {
            Self::F16 => DType::F16,
            Self::F32 => DType::F32,
        }
    }
}

/// A folder of features, one file an image, for one vision tower.
///
/// What is not whole, or is of another tower, image or number type, counts as absent and is
/// written anew. Nothing is ever removed: a folder of another tower's features can be deleted.
#[derive(Debug, Clone)]
pub struct FeatureCache {
    folder: PathBuf,
    fingerprint: [u8; 32],
    format: FeatureFormat,
}

impl FeatureCache {
    /// Opens the features of one tower in `folder`, which is made where it is missing.
    ///
    /// `fingerprint` is [`vision_fingerprint`] of the model, so that several models can share a
    /// folder.
    ///
    /// # Errors
    /// [`ExportError::Io`] if the folder cannot be made.
    pub fn open(folder: &Path, fingerprint: [u8; 32], format: FeatureFormat) -> Result<Self, ExportError> {
        let mut name = to_hex(&fingerprint[..8]);
        name.push_str(match format {
            FeatureFormat::F16 => "-f16",
            FeatureFormat::F32 => "-f32",
        });
        let folder = folder.join(name);
        fs_err::create_dir_all(&folder).map_err(|source| ExportError::Io { path: folder.clone(), source })?;
        Ok(Self { folder, fingerprint, format })
    }

    /// The features of an image, if they are here.
    ///
    /// # Shapes
    /// - returns `[n_image_tokens, merge · width]`, or what was put, as f32
    #[must_use]
    pub fn get(&self, image: &[u8; 32]) -> Option<TensorData> {
        let path = self.path(image);
        let size = fs_err::metadata(&path).ok()?.len();
        if size > MAX_BYTES {
            return None;
        }
        let bytes = fs_err::read(&path).ok()?;
        let (header, values) = bytes.split_at_checked(HEADER_BYTES)?;
        let shape = self.shape_of(header, image)?;
        let n = shape.iter().try_fold(1_usize, |n, size| n.checked_mul(*size))?;
        let dtype = self.format.dtype();
        let whole = n.checked_mul(dtype.size())? == values.len();
        if !whole || header[72..104] != Sha256::digest(values)[..] {
            return None;
        }
        let data = TensorData::try_from_bytes_vec(values.to_vec(), shape, dtype).ok()?;
        data.try_cast(DType::F32).ok()
    }

    /// Keeps the features of an image.
    ///
    /// # Shapes
    /// - `features`: up to three axes, any float type
    ///
    /// # Errors
    /// [`ExportError::Tensor`] for more axes or no floats, [`ExportError::Io`].
    pub fn put(&self, image: &[u8; 32], features: &TensorData) -> Result<(), ExportError> {
        let shape = dims(features.shape());
        let refused = || ExportError::Tensor {
            name: "features".to_owned(),
            got: format!("{:?} {shape:?}", features.dtype()),
            expected: format!("floats of 1 to 3 axes, at most `{MAX_BYTES}` bytes"),
        };
        let too_large = features.as_bytes().len() as u64 > MAX_BYTES / 2;
        if !(1..=3).contains(&shape.len()) || !features.dtype().is_float() || too_large {
            return Err(refused());
        }
        let values: Vec<f32> = features.clone().try_into_vec_as().map_err(|_| refused())?;
        let data = rounded(values, &shape, self.format.dtype());
        write_file(&self.path(image), |file| {
            file.put(MAGIC)?;
            file.put(&self.fingerprint)?;
            file.put(image)?;
            file.put(&Sha256::digest(data.as_bytes()))?;
            file.put(&(data.dtype().size() as u64).to_le_bytes())?;
            for axis in 0..3 {
                // An axis that is not there is zero, which no axis of features is.
                let size = shape.get(axis).copied().unwrap_or(0);
                file.put(&(size as u64).to_le_bytes())?;
            }
            file.put(data.as_bytes())
        })?;
        Ok(())
    }

    fn path(&self, image: &[u8; 32]) -> PathBuf {
        self.folder.join(to_hex(image))
    }

    /// The shape that a header announces, if the header is this cache's.
    fn shape_of(&self, header: &[u8], image: &[u8; 32]) -> Option<Vec<usize>> {
        let number = |start: usize| Some(u64::from_le_bytes(header.get(start..start + 8)?.try_into().ok()?));
        let ours = header.get(..8)? == MAGIC
            && header.get(8..40)? == self.fingerprint
            && header.get(40..72)? == image
            && number(104)? == self.format.dtype().size() as u64;
        if !ours {
            return None;
        }
        let sizes: Vec<usize> =
            (0..3).map(|axis| usize::try_from(number(112 + 8 * axis)?).ok()).collect::<Option<_>>()?;
        Some(sizes.into_iter().take_while(|size| *size > 0).collect())
    }
}

/// What an image is known by: SHA-256 of its file or of its pixels, whichever the caller keeps to.
#[must_use]
pub fn image_hash(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

/// What decides the features of an image: SHA-256 of the encoder's sizes, the merge, and every
/// weight before the projector in the type that the model holds.
///
/// # Errors
/// [`ExportError::Model`] if a tensor cannot be read back, [`ExportError::Json`].
pub fn vision_fingerprint(model: &MiniGpt) -> Result<[u8; 32], ExportError> {
    let config = model.config();
    let settings = serde_json::to_vec(&json!({ "vision": config.vision, "merge": config.merge }))
        .map_err(|source| ExportError::Json { what: "vision settings", source })?;
    let mut hash = Sha256::new();
    hash.update(&settings);
    let mut sources = module_sources(&model.vision_tower, "vision_tower")?;
    sources.extend(module_sources(&model.ln_vision, "ln_vision")?);
    for source in &sources {
        debug_assert!(matches!(source.part, Part::VisionTower | Part::LnVision));
        let header = &source.header;
        // Sizes are in the settings, so name and type leave no doubt where the values end.
        hash.update(format!("\n{} {:?} {:?}\n", source.path, header.dtype, header.shape).as_bytes());
        hash.update((source.read)()?.as_bytes());
    }
    Ok(hash.finalize().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: [u8; 32] = [7; 32];

    fn features() -> TensorData {
        TensorData::new(vec![1.0_f32, -2.5, 0.1, 65504.0, 0.0, 3.0], [1, 2, 3])
    }

    fn only_file(folder: &Path) -> PathBuf {
        let inner = fs_err::read_dir(folder).unwrap().next().unwrap().unwrap().path();
        fs_err::read_dir(inner).unwrap().next().unwrap().unwrap().path()
    }

    #[test]
    fn features_come_back_in_their_precision() {
        for (format, tolerance) in [(FeatureFormat::F32, 0.0), (FeatureFormat::F16, 5e-4)] {
            let folder = tempfile::tempdir().unwrap();
            let cache = FeatureCache::open(folder.path(), KEY, format).unwrap();
            let image = image_hash(b"an image");
            assert!(cache.get(&image).is_none());
            cache.put(&image, &features()).unwrap();
            let got = cache.get(&image).unwrap();
            assert_eq!(got.shape(), features().shape());
            for (got, put) in got.iter::<f32>().zip(features().iter::<f32>()) {
                assert!((got - put).abs() <= tolerance * put.abs(), "{format:?}: {got}, {put}");
            }
            let other = FeatureCache::open(folder.path(), [8; 32], format).unwrap();
            assert!(other.get(&image).is_none(), "another tower");
            assert!(cache.get(&image_hash(b"another image")).is_none());
        }
    }

    #[test]
    fn what_is_not_whole_is_absent_and_written_anew() {
        let folder = tempfile::tempdir().unwrap();
        let cache = FeatureCache::open(folder.path(), KEY, FeatureFormat::F32).unwrap();
        let image = image_hash(b"x");
        cache.put(&image, &features()).unwrap();
        let path = only_file(folder.path());
        let good = fs_err::read(&path).unwrap();
        assert_eq!(good.len(), HEADER_BYTES + 24);
        for at in 0..good.len() {
            let mut bad = good.clone();
            bad[at] ^= 0x10;
            fs_err::write(&path, &bad).unwrap();
            assert!(cache.get(&image).is_none(), "byte {at}");
            fs_err::write(&path, &good[..at]).unwrap();
            assert!(cache.get(&image).is_none(), "cut at {at}");
        }
        fs_err::write(&path, [&good[..], &[0]].concat()).unwrap();
        assert!(cache.get(&image).is_none(), "a byte too many");
        cache.put(&image, &features()).unwrap();
        assert_eq!(fs_err::read(&path).unwrap(), good);
        assert_eq!(cache.get(&image), Some(features()));
    }

    #[test]
    fn other_tensors_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let cache = FeatureCache::open(folder.path(), KEY, FeatureFormat::F16).unwrap();
        for bad in [TensorData::new(vec![1_i32], [1]), TensorData::new(vec![1.0_f32], [1, 1, 1, 1])] {
            assert!(cache.put(&KEY, &bad).is_err());
        }
    }
}
