//! A data set on disk.

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use ct_volume::dicom::{SeriesTags, write_series};
use ct_volume::nifti::{VoxelType, write_labels, write_volume};
use ct_volume::{LabelVolume, write_atomic};
use rayon::iter::{IndexedParallelIterator, IntoParallelIterator, ParallelIterator};
use serde::{Deserialize, Serialize};

use crate::assignment::tumor_labels;
use crate::error::PhantomError;
use crate::facts::PatientFacts;
use crate::label::PhantomLabel;
use crate::phantom::{Phantom, generate_oriented};
use crate::spec::{Layout, PhantomSpec, Tumors};

/// Name of the record that [`write_dataset`] leaves in the data set's folder.
pub const MANIFEST_NAME: &str = "phantom.json";

/// One patient more is on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Progress {
    /// The patient that was finished.
    pub index: u32,
    /// Patients finished so far.
    pub done: u32,
    /// Patients in all.
    pub patients: u32,
}

/// What a written data set holds: the content of `phantom.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PhantomManifest {
    /// Version of the generator's drawing: the same spec gives the same bytes within a version.
    pub generator: String,
    /// Seed of the spec.
    pub seed: u64,
    /// Layout of the folders.
    pub layout: Layout,
    /// Rows and columns of a slice.
    pub matrix: u32,
    /// Fewest and most slices.
    pub slices: (u32, u32),
    /// Which patients have a tumour.
    pub tumors: Tumors,
    /// The patients, in the order of their numbers.
    pub studies: Vec<StudyRecord>,
}

/// One patient of a written data set.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StudyRecord {
    /// Name of the case in the data set's own style.
    pub name: String,
    /// NIfTI file, or folder of the DICOM series, relative to the data set's folder.
    pub image: String,
    /// Mask, relative to the data set's folder.
    pub labels: String,
    /// What was drawn; voxel indices and shape are those of the files.
    pub facts: PatientFacts,
}

/// Writes the patients of `spec` under `out` in its layout, with [`MANIFEST_NAME`] beside them.
///
/// Patients are made in parallel on the current rayon pool, one a thread; at 512x512x100 each takes
/// about 300 MB while it is made and written. The bytes do not depend on the number of threads.
/// `progress` is called once a patient, from the thread that made it. When `cancel` becomes true,
/// the patients under way are dropped; files that are complete stay, and no manifest is written.
///
/// # Errors
/// [`PhantomError::Spec`], [`Folder`](PhantomError::Folder), [`Write`](PhantomError::Write),
/// [`Record`](PhantomError::Record), [`Cancelled`](PhantomError::Cancelled).
pub fn write_dataset(
    out: &Path,
    spec: &PhantomSpec,
    progress: &(dyn Fn(Progress) + Sync),
    cancel: &AtomicBool,
) -> Result<PhantomManifest, PhantomError> {
    spec.check()?;
    make_folder(out)?;
    let labels = tumor_labels(spec);
    let done = AtomicU32::new(0);
    let studies: Result<Vec<StudyRecord>, PhantomError> = (0..spec.patients)
        .into_par_iter()
        .with_max_len(1)
        .map(|index| {
            let record = write_patient(out, spec, index, labels[index as usize], cancel)?;
            let done = done.fetch_add(1, Ordering::Relaxed) + 1;
            progress(Progress { index, done, patients: spec.patients });
            Ok(record)
        })
        .collect();
    let manifest = PhantomManifest {
        generator: format!("ct-phantom {}", env!("CARGO_PKG_VERSION")),
        seed: spec.seed,
        layout: spec.layout,
        matrix: spec.matrix,
        slices: spec.slices,
        tumors: spec.tumors,
        studies: studies?,
    };
    let path = out.join(MANIFEST_NAME);
    let mut text = serde_json::to_string_pretty(&manifest)
        .map_err(|source| PhantomError::Record { path: path.clone(), source })?;
    text.push('\n');
    write_atomic(&path, text.as_bytes())?;
    Ok(manifest)
}

fn write_patient(
    out: &Path,
    spec: &PhantomSpec,
    index: u32,
    tumor: bool,
    cancel: &AtomicBool,
) -> Result<StudyRecord, PhantomError> {
    if cancel.load(Ordering::Relaxed) {
        return Err(PhantomError::Cancelled);
    }
    let layout = spec.layout;
    let paths = layout.paths(index);
    let (image, labels) = (out.join(&paths.image), out.join(&paths.labels));
    make_folder(image.parent().unwrap_or(out))?;
    make_folder(labels.parent().unwrap_or(out))?;

    let Phantom { volume, organs, facts } =
        generate_oriented(spec, index, tumor, layout.orientation(), cancel)?;
    let affine = *organs.geometry().affine();
    let mut values = organs.into_array();
    let numbers = PhantomLabel::ALL.map(|label| layout.label_value(label));
    values.mapv_inplace(|value| numbers[usize::from(value)]);
    write_labels(&labels, &LabelVolume::new(values, affine)?)?;
    match layout {
        Layout::Msd | Layout::Abd => write_volume(&image, &volume, VoxelType::Int16)?,
        Layout::Nih => {
            make_folder(&image)?;
            let tags = SeriesTags {
                patient: paths.name.clone(),
                // Unique by seed and patient; the writer adds series and instance.
                uid_root: format!("2.25.{}.{}", spec.seed, index + 1),
                slice_thickness_mm: facts.slice_thickness_mm,
            };
            write_series(&image, &volume, &tags)?;
        }
    }
    Ok(StudyRecord { name: paths.name, image: paths.image, labels: paths.labels, facts })
}

fn make_folder(path: &Path) -> Result<(), PhantomError> {
    fs_err::create_dir_all(path).map_err(|source| PhantomError::Folder { path: path.to_owned(), source })
}
