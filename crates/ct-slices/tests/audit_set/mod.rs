//! Small sets of CT-like slices on disk, to plant faults in.
#![allow(dead_code, reason = "each test file uses a part of it")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use ct_slices::audit::AuditInput;
use ct_slices::index::{INDEX_FILE_NAME, SliceIndex, write_index};
use ct_slices::pixels::encode_gray;
use ct_slices::{BoxPx, IndexRecord, Neighbors, Organ, OrganRecord, SplitPart, Task};
use ndarray::Array2;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use sha2::{Digest, Sha256};

/// Columns and rows of a slice.
pub(crate) const SIDE: usize = 96;
/// Slices of a patient.
pub(crate) const N_SLICES: u32 = 4;
/// The pancreas box of every slice.
pub(crate) const PANCREAS: BoxPx = BoxPx { x_min: 30, y_min: 40, x_max: 69, y_max: 63 };

/// Lower-case hexadecimal SHA-256.
pub(crate) fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A body with a few organs of a patient's own places and sizes, and noise of the slice's own.
pub(crate) fn slice_image(patient_seed: u64, slice_index: u32) -> Array2<u8> {
    let mut anatomy = ChaCha8Rng::seed_from_u64(patient_seed);
    let mut uniform =
        |low: f64, high: f64| low + (high - low) * f64::from(anatomy.next_u32()) / f64::from(u32::MAX);
    let body = (uniform(32.0, 44.0), uniform(26.0, 36.0));
    let organs: Vec<[f64; 5]> = (0..9)
        .map(|_| {
            let level = uniform(70.0, 230.0);
            [uniform(20.0, 76.0), uniform(26.0, 70.0), uniform(4.0, 15.0), uniform(4.0, 15.0), level]
        })
        .collect();
    let mut noise = ChaCha8Rng::seed_from_u64(patient_seed * 1000 + u64::from(slice_index));
    let drift = f64::from(slice_index) * 0.7;
    Array2::from_shape_fn((SIDE, SIDE), |(row, column)| {
        let (x, y) = (column as f64, row as f64);
        let within =
            |cx: f64, cy: f64, rx: f64, ry: f64| ((x - cx) / rx).powi(2) + ((y - cy) / ry).powi(2) <= 1.0;
        let mut gray = if within(48.0, 48.0, body.0, body.1) { 110.0 } else { 0.0 };
        for &[cx, cy, rx, ry, level] in &organs {
            if gray > 0.0 && within(cx + drift, cy - drift, rx, ry) {
                gray = level;
            }
        }
        let tremble: f64 = (0..4).map(|_| f64::from(noise.next_u32() % 1000) / 1000.0 - 0.5).sum();
        to_gray(if gray > 0.0 { gray + 14.0 * tremble } else { 0.0 })
    })
}

/// Rounds to a gray level.
pub(crate) fn to_gray(value: f64) -> u8 {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to the range")]
    let gray = value.round().clamp(0.0, 255.0) as u8;
    gray
}

/// An index with its images in a folder of its own.
#[derive(Debug)]
pub(crate) struct Set {
    folder: tempfile::TempDir,
    pub(crate) name: String,
    pub(crate) dataset: String,
    pub(crate) records: Vec<IndexRecord>,
}

impl Set {
    pub(crate) fn new(name: &str, dataset: &str) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        Self { folder, name: name.to_owned(), dataset: dataset.to_owned(), records: Vec::new() }
    }

    pub(crate) fn root(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn path_of(&self, image: &str) -> PathBuf {
        self.root().join(image)
    }

    /// Adds a patient with slices of its own anatomy.
    pub(crate) fn add_patient(&mut self, patient: &str, seed: u64, part: SplitPart, has_tumor: bool) {
        for slice_index in 0..N_SLICES {
            let image = slice_image(seed, slice_index);
            self.add_slice(patient, slice_index, part, has_tumor, &image);
        }
    }

    /// Adds one slice, with its image as gray PNG.
    pub(crate) fn add_slice(
        &mut self,
        patient: &str,
        slice_index: u32,
        part: SplitPart,
        has_tumor: bool,
        image: &Array2<u8>,
    ) {
        let name = format!("{patient}_slice_{slice_index}.png");
        fs_err::write(self.path_of(&name), encode_gray(image.view()).expect("it has pixels"))
            .expect("room on disk");
        let pixels = u64::from(PANCREAS.width_px() * PANCREAS.height_px());
        let organ = |pixels: u64, bbox| OrganRecord {
            pixels,
            bbox,
            pixels_ratio: if pixels > 0 { 1.0 } else { 0.0 },
            bbox_ratio: if pixels > 0 { 1.0 } else { 0.0 },
            max_pixels: pixels,
            max_bbox_area: 0,
        };
        let tumor = BoxPx { x_min: 40, y_min: 45, x_max: 45, y_max: 50 };
        let tumor = if has_tumor { organ(36, Some(tumor)) } else { organ(0, None) };
        let (height, width) = image.dim();
        self.records.push(IndexRecord {
            schema_version: 1,
            dataset: self.dataset.clone(),
            patient: patient.to_owned(),
            volume: patient.to_owned(),
            slice_index,
            slice_count: N_SLICES,
            width: u32::try_from(width).expect("small"),
            height: u32::try_from(height).expect("small"),
            spacing_mm: Some([0.8, 0.8, 2.5]),
            image: Some(name),
            pixels_sha256: Some(sha256(image.as_slice().expect("standard layout"))),
            source_sha256: Some(sha256(format!("{}/{patient}", self.dataset).as_bytes())),
            mask_sha256: Some(sha256(format!("{}/{patient} mask", self.dataset).as_bytes())),
            neighbors: Neighbors::default(),
            organs: BTreeMap::from([(Organ::Pancreas, organ(pixels, Some(PANCREAS))), (Organ::Tumor, tumor)]),
            split: Some(part),
            tasks: vec![Task::PancreasDetection],
            answer: None,
            crop: None,
        });
    }

    pub(crate) fn index(&self) -> SliceIndex {
        let root = self.root().to_owned();
        SliceIndex { path: root.join(INDEX_FILE_NAME), root, records: self.records.clone() }
    }

    pub(crate) fn input(&self) -> AuditInput {
        AuditInput::new(self.index()).with_name(&self.name)
    }

    /// Writes the index beside its images.
    pub(crate) fn write(&self) -> PathBuf {
        let path = self.root().join(INDEX_FILE_NAME);
        write_index(&path, &self.records).expect("records are sound");
        path
    }
}
