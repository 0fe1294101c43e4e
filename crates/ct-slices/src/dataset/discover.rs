//! Studies and masks of a folder, in the order of the records.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::config::{Dataset, DatasetError, Layout};
use super::nnunet;
use crate::organ::LabelMap;
use crate::records::{volume_stem, without_modality};

/// Where the voxels of a study are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StudyImage {
    /// A NIfTI or DICOM file.
    File(PathBuf),
    /// A folder of DICOM files.
    Folder(PathBuf),
}

impl StudyImage {
    /// The file or folder.
    #[must_use]
    pub fn path(&self) -> &Path {
        match self {
            Self::File(path) | Self::Folder(path) => path,
        }
    }
}

/// One study with its mask.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Study {
    /// The `volume_name` of the published records: a file name with ending.
    pub record_name: String,
    /// The name without ending: in image names and the index.
    pub stem: String,
    /// Whose study it is.
    pub patient: String,
    /// Voxels.
    pub image: StudyImage,
    /// Mask.
    pub mask: PathBuf,
}

/// What [`discover`] found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Discovery {
    /// Studies with masks, in the order of the records.
    pub studies: Vec<Study>,
    /// Names of studies without a mask; they are left out.
    pub without_mask: Vec<String>,
    /// Labels that the dataset's own files give.
    pub label_map: Option<LabelMap>,
}

/// Lists the studies of a dataset below `root`.
///
/// Names are sorted by code point, as the published code does from its middle era on (SPEC 1.1);
/// files starting with `.` (macOS twins) are left out. Image parts keep their order.
///
/// # Errors
/// A [`DatasetError`] if a folder cannot be read or is empty, a mask lacks its study, or two studies
/// have one name.
pub fn discover(dataset: &Dataset, root: &Path) -> Result<Discovery, DatasetError> {
    let images: Vec<PathBuf> = dataset.images.iter().map(|folder| root.join(folder)).collect();
    let labels = root.join(&dataset.labels);
    let mut found = match dataset.layout {
        // One study and its mask, whatever the layout says about label numbers and index maps.
        layout if layout != Layout::ImagesCsv && labels.is_file() => images_masks(&images[0], &labels),
        Layout::Msd => by_mask(&images[0], &labels, "", |stem| stem.to_owned()),
        Layout::NnUnet => by_mask(&images[0], &labels, "_0000", |stem| stem.to_owned()),
        Layout::Nih => nih(&images[0], &labels),
        Layout::Abd => abdomen(&images, &labels),
        Layout::ImagesMasks => images_masks(&images[0], &labels),
        Layout::ImagesCsv => Err(DatasetError::Entry {
            dataset: dataset.name.clone(),
            reason: "layout images-csv holds images, not studies".to_owned(),
        }),
    }?;
    if dataset.layout == Layout::NnUnet && dataset.label_map.is_none() {
        found.label_map = Some(nnunet::label_map(&root.join("dataset.json"))?);
    }
    if found.studies.is_empty() {
        return Err(DatasetError::Empty { what: "study with a mask", path: labels });
    }
    let mut stems = BTreeSet::new();
    for study in &found.studies {
        // Case-insensitive file systems would let one overwrite the other.
        if !stems.insert(study.stem.to_lowercase()) {
            return Err(DatasetError::SameName { stem: study.stem.clone() });
        }
    }
    Ok(found)
}

fn sorted_names(folder: &Path) -> Result<Vec<String>, DatasetError> {
    let read = |source| DatasetError::Read { path: folder.to_owned(), source };
    let mut names = Vec::new();
    for entry in fs_err::read_dir(folder).map_err(read)? {
        if let Ok(name) = entry.map_err(read)?.file_name().into_string()
            && !name.starts_with('.')
        {
            names.push(name);
        }
    }
    names.sort_unstable();
    Ok(names)
}

fn nifti_names(folder: &Path) -> Result<Vec<String>, DatasetError> {
    let mut names = sorted_names(folder)?;
    names.retain(|name| name.ends_with(".nii.gz") || name.ends_with(".nii"));
    Ok(names)
}

fn found(studies: Vec<Study>, without_mask: Vec<String>) -> Discovery {
    Discovery { studies, without_mask, label_map: None }
}

/// One study a mask; its image is `STEM{suffix}.nii.gz` or `.nii`.
fn by_mask(
    images: &Path,
    labels: &Path,
    suffix: &str,
    patient: impl Fn(&str) -> String,
) -> Result<Discovery, DatasetError> {
    let mut studies = Vec::new();
    for name in nifti_names(labels)? {
        let stem = volume_stem(&name).to_owned();
        let candidates = [".nii.gz", ".nii"].map(|ending| images.join(format!("{stem}{suffix}{ending}")));
        let mask = labels.join(&name);
        let image = candidates.iter().find(|path| path.is_file());
        let image = image
            .ok_or_else(|| DatasetError::MissingImage { mask: mask.clone(), image: candidates[0].clone() })?;
        studies.push(Study {
            record_name: name,
            patient: patient(&stem),
            stem,
            image: StudyImage::File(image.clone()),
            mask,
        });
    }
    let masked: BTreeSet<&str> = studies.iter().map(|s| s.stem.as_str()).collect();
    let mut without_mask = nifti_names(images)?;
    without_mask.retain(|name| {
        let stem = volume_stem(name);
        !masked.contains(stem.strip_suffix(suffix).unwrap_or(stem))
    });
    Ok(found(studies, without_mask))
}

/// Labels `labelXXXX.nii.gz`, studies in `PANCREAS_XXXX`.
fn nih(images: &Path, labels: &Path) -> Result<Discovery, DatasetError> {
    let mut studies = Vec::new();
    for name in nifti_names(labels)? {
        let Some(number) = volume_stem(&name).strip_prefix("label") else { continue };
        let patient = format!("PANCREAS_{number}");
        let folder = images.join(&patient);
        let mask = labels.join(&name);
        if !folder.is_dir() {
            return Err(DatasetError::MissingImage { mask, image: folder });
        }
        studies.push(Study {
            record_name: name,
            stem: patient.clone(),
            patient,
            image: StudyImage::Folder(folder),
            mask,
        });
    }
    let masked: BTreeSet<&str> = studies.iter().map(|s| s.stem.as_str()).collect();
    let mut without_mask = sorted_names(images)?;
    without_mask.retain(|name| images.join(name).is_dir() && !masked.contains(name.as_str()));
    Ok(found(studies, without_mask))
}

/// Images `Case_XXXXX_0000.nii.gz` in parts, masks `Case_XXXXX.nii.gz`; every part is searched, not
/// the one that the case number suggests (SPEC 1.10).
fn abdomen(parts: &[PathBuf], labels: &Path) -> Result<Discovery, DatasetError> {
    let mut studies = Vec::new();
    let mut without_mask = Vec::new();
    for part in parts {
        for name in nifti_names(part)? {
            let stem = volume_stem(&name);
            let case = without_modality(stem);
            let candidates = [".nii.gz", ".nii"].map(|ending| labels.join(format!("{case}{ending}")));
            let Some(mask) = candidates.iter().find(|path| path.is_file()) else {
                without_mask.push(name);
                continue;
            };
            studies.push(Study {
                stem: stem.to_owned(),
                patient: case.to_owned(),
                image: StudyImage::File(part.join(&name)),
                mask: mask.clone(),
                record_name: name,
            });
        }
    }
    Ok(found(studies, without_mask))
}

/// Studies of any kind and masks with the same stem; both paths may also name one study and its mask.
fn images_masks(images: &Path, labels: &Path) -> Result<Discovery, DatasetError> {
    if labels.is_file() {
        let name =
            |path: &Path| path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
        let image_name = name(images);
        let stem = volume_stem(&image_name).to_owned();
        let image = study_image(images);
        let study =
            Study { record_name: image_name, patient: stem.clone(), stem, image, mask: labels.to_owned() };
        return Ok(found(vec![study], Vec::new()));
    }
    let masks = sorted_names(labels)?;
    let mut studies = Vec::new();
    let mut without_mask = Vec::new();
    let mut used = BTreeSet::new();
    for name in sorted_names(images)? {
        let stem = volume_stem(&name);
        // A pair is one study: its header stands for both files.
        if name.ends_with(".img") || name.ends_with(".img.gz") {
            continue;
        }
        let case = without_modality(stem);
        let Some(mask) = masks.iter().find(|m| volume_stem(m) == stem || volume_stem(m) == case) else {
            without_mask.push(name);
            continue;
        };
        used.insert(mask.clone());
        studies.push(Study {
            stem: stem.to_owned(),
            patient: case.to_owned(),
            image: study_image(&images.join(&name)),
            mask: labels.join(mask),
            record_name: name,
        });
    }
    if let Some(mask) =
        masks.iter().find(|m| !used.contains(*m) && (m.ends_with(".nii.gz") || m.ends_with(".nii")))
    {
        let image = images.join(volume_stem(mask));
        return Err(DatasetError::MissingImage { mask: labels.join(mask), image });
    }
    Ok(found(studies, without_mask))
}

fn study_image(path: &Path) -> StudyImage {
    if path.is_dir() { StudyImage::Folder(path.to_owned()) } else { StudyImage::File(path.to_owned()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dataset::builtin_datasets;

    fn dataset(name: &str) -> Dataset {
        builtin_datasets().into_iter().find(|d| d.name == name).unwrap()
    }

    fn touch(root: &Path, names: &[&str]) {
        for name in names {
            let path = root.join(name);
            fs_err::create_dir_all(path.parent().unwrap()).unwrap();
            fs_err::write(path, b"").unwrap();
        }
    }

    #[test]
    fn msd_is_sorted_and_leaves_twins_out() {
        let root = tempfile::tempdir().unwrap();
        touch(
            root.path(),
            &[
                "imagesTr/pancreas_010.nii.gz",
                "imagesTr/pancreas_001.nii.gz",
                "imagesTr/._pancreas_001.nii.gz",
                "imagesTr/pancreas_999.nii.gz",
                "labelsTr/pancreas_010.nii.gz",
                "labelsTr/pancreas_001.nii.gz",
                "labelsTr/._pancreas_001.nii.gz",
            ],
        );
        let found = discover(&dataset("msd-pancreas"), root.path()).unwrap();
        let names: Vec<&str> = found.studies.iter().map(|s| s.record_name.as_str()).collect();
        assert_eq!(names, ["pancreas_001.nii.gz", "pancreas_010.nii.gz"]);
        assert_eq!(found.without_mask, ["pancreas_999.nii.gz"]);
    }

    #[test]
    fn nih_joins_labels_to_folders() {
        let root = tempfile::tempdir().unwrap();
        touch(
            root.path(),
            &[
                "volumes/PANCREAS_0002/a/b/1-001.dcm",
                "volumes/PANCREAS_0003/a/b/1-001.dcm",
                "TCIA_pancreas_labels-02-05-2017/label0002.nii.gz",
            ],
        );
        let found = discover(&dataset("nih-pancreas"), root.path()).unwrap();
        assert_eq!(found.studies[0].stem, "PANCREAS_0002");
        assert_eq!(found.without_mask, ["PANCREAS_0003"]);
        touch(root.path(), &["TCIA_pancreas_labels-02-05-2017/label0009.nii.gz"]);
        assert!(matches!(
            discover(&dataset("nih-pancreas"), root.path()),
            Err(DatasetError::MissingImage { .. })
        ));
    }

    #[test]
    fn abdomen_keeps_the_order_of_parts() {
        let root = tempfile::tempdir().unwrap();
        touch(
            root.path(),
            &[
                "AbdomenCT-1K-ImagePart1/Case_00900_0000.nii.gz",
                "AbdomenCT-1K-ImagePart2/Case_00001_0000.nii.gz",
                "AbdomenCT-1K-ImagePart3/Case_00002_0000.nii.gz",
                "Masks/Case_00900.nii.gz",
                "Masks/Case_00001.nii.gz",
            ],
        );
        let found = discover(&dataset("abdomenct-1k"), root.path()).unwrap();
        let names: Vec<&str> = found.studies.iter().map(|s| s.stem.as_str()).collect();
        assert_eq!(names, ["Case_00900_0000", "Case_00001_0000"]);
        assert_eq!(found.without_mask, ["Case_00002_0000.nii.gz"]);
    }

    #[test]
    fn images_masks_takes_files_folders_and_single_studies() {
        let root = tempfile::tempdir().unwrap();
        touch(
            root.path(),
            &[
                "images/a.nii.gz",
                "images/b/1.dcm",
                "images/c_0000.nii",
                "masks/a.nii.gz",
                "masks/b.nii.gz",
                "masks/c.nii.gz",
            ],
        );
        let found = discover(&dataset("images-masks"), root.path()).unwrap();
        assert_eq!(found.studies.len(), 3);
        assert!(matches!(found.studies[1].image, StudyImage::Folder(_)));
        let mut single = dataset("images-masks");
        single.images = vec!["images/b".into()];
        single.labels = "masks/b.nii.gz".into();
        assert_eq!(discover(&single, root.path()).unwrap().studies[0].stem, "b");
        touch(root.path(), &["masks/zzz.nii.gz"]);
        assert!(discover(&dataset("images-masks"), root.path()).is_err());
    }
}
