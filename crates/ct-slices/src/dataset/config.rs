//! `datasets.toml`: layouts, label maps, licences.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::path::PathBuf;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::organ::{LabelMap, Organ};

/// How a dataset lies on disk (SPEC 1.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Layout {
    /// Medical Segmentation Decathlon: images and labels as NIfTI with equal names.
    Msd,
    /// NIH Pancreas-CT: DICOM folders `PANCREAS_XXXX`, labels `labelXXXX.nii.gz`.
    Nih,
    /// AbdomenCT-1K: `Case_XXXXX_0000.nii.gz` in parts, masks `Case_XXXXX.nii.gz`.
    Abd,
    /// Studies (NIfTI or DICOM folders) and masks with equal names.
    ImagesMasks,
    /// nnU-Net raw data: `imagesTr`, `labelsTr`, `dataset.json`.
    #[serde(rename = "nnunet")]
    NnUnet,
    /// Ready images with a CSV of labels.
    ImagesCsv,
}

impl Layout {
    /// All layouts.
    pub const ALL: [Self; 6] =
        [Self::Msd, Self::Nih, Self::Abd, Self::ImagesMasks, Self::NnUnet, Self::ImagesCsv];

    /// The name used on the command line and in files.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Msd => "msd",
            Self::Nih => "nih",
            Self::Abd => "abd",
            Self::ImagesMasks => "images-masks",
            Self::NnUnet => "nnunet",
            Self::ImagesCsv => "images-csv",
        }
    }

    /// The dataset tag of records where no dataset was named.
    #[must_use]
    pub fn default_tag(self) -> &'static str {
        match self {
            Self::Msd => "MSD",
            Self::Nih => "NIH",
            Self::Abd => "ABD",
            Self::ImagesMasks => "LOCAL",
            Self::NnUnet => "NNUNET",
            Self::ImagesCsv => "TC",
        }
    }

    /// The label map of the published dataset with this layout; `None` where the user must say.
    #[must_use]
    pub fn default_label_map(self) -> Option<LabelMap> {
        match self {
            Self::Msd => Some(LabelMap::msd()),
            Self::Nih => Some(LabelMap::nih()),
            Self::Abd => Some(LabelMap::abdomen()),
            Self::ImagesMasks | Self::NnUnet | Self::ImagesCsv => None,
        }
    }
}

impl fmt::Display for Layout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Text that names no [`Layout`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not one of msd, nih, abd, images-masks, nnunet, images-csv")]
pub struct ParseLayoutError(pub String);

impl FromStr for Layout {
    type Err = ParseLayoutError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let found = Self::ALL.into_iter().find(|l| l.name() == text);
        found.ok_or_else(|| ParseLayoutError(text.to_owned()))
    }
}

/// Synthetic studies that stand in for a download.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PhantomSource {
    /// How many patients.
    pub patients: u32,
    /// Rows and columns of a slice.
    pub size: u32,
    /// Fewest and most slices of a study.
    pub slices: [u32; 2],
    /// Seed.
    pub seed: u64,
}

/// A dataset, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dataset {
    /// The name a user gives, such as `msd-pancreas`.
    pub name: String,
    /// What it is called in print.
    pub title: String,
    /// Short name in records and index.
    pub tag: String,
    /// How it lies on disk.
    pub layout: Layout,
    /// Where it is looked for.
    pub root: PathBuf,
    /// Image folders, relative to the root, in the order of the records.
    pub images: Vec<PathBuf>,
    /// Mask folder (or CSV file), relative to the root.
    pub labels: PathBuf,
    /// Labels, unless the dataset's own files say.
    pub label_map: Option<LabelMap>,
    /// Volumes with masks in the published dataset.
    pub expected_volumes: Option<usize>,
    /// Studies to synthesise where the root holds none.
    pub phantom: Option<PhantomSource>,
    /// Licence, if it is published.
    pub license: Option<String>,
    /// DOI, if it is published.
    pub doi: Option<String>,
    /// Where a user gets it.
    pub get: String,
}

/// Why a dataset cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DatasetError {
    /// Not the form of `datasets.toml`.
    #[error("dataset list is not valid")]
    Toml(#[from] toml::de::Error),
    /// A value of the list is not usable.
    #[error("dataset `{dataset}`: {reason}")]
    Entry {
        /// Name of the entry.
        dataset: String,
        /// What is wrong.
        reason: String,
    },
    /// No dataset of that name.
    #[error("no dataset `{name}`; known: {}", known.join(", "))]
    Unknown {
        /// What was asked for.
        name: String,
        /// What there is.
        known: Vec<String>,
    },
    /// A folder or file cannot be read.
    #[error("cannot read `{}`", path.display())]
    Read {
        /// The folder or file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// An expected folder holds no study.
    #[error("no {what} in `{}`", path.display())]
    Empty {
        /// What was looked for.
        what: &'static str,
        /// Where.
        path: PathBuf,
    },
    /// A mask without its study.
    #[error("mask `{}` has no study `{}`", mask.display(), image.display())]
    MissingImage {
        /// The mask.
        mask: PathBuf,
        /// Where its study was expected.
        image: PathBuf,
    },
    /// Two studies whose outputs would overwrite each other.
    #[error("two studies are named `{stem}`: rename one")]
    SameName {
        /// The name.
        stem: String,
    },
    /// nnU-Net's `dataset.json` cannot be used.
    #[error("cannot use `{}`: {reason}", path.display())]
    NnUnet {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
}

/// The file as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DatasetFile {
    schema_version: u32,
    dataset: Vec<DatasetEntry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DatasetEntry {
    name: String,
    title: String,
    tag: String,
    layout: Layout,
    root: PathBuf,
    images: Vec<PathBuf>,
    labels: PathBuf,
    #[serde(default)]
    label_map: BTreeMap<Organ, Vec<u16>>,
    expected_volumes: Option<usize>,
    phantom: Option<PhantomSource>,
    license: Option<String>,
    doi: Option<String>,
    get: String,
}

impl TryFrom<DatasetEntry> for Dataset {
    type Error = DatasetError;

    fn try_from(entry: DatasetEntry) -> Result<Self, Self::Error> {
        let fail = |reason: String| DatasetError::Entry { dataset: entry.name.clone(), reason };
        let tag_is_plain =
            |t: &str| !t.is_empty() && t.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
        if !tag_is_plain(&entry.tag) {
            return Err(fail(format!("tag `{}` must be letters, digits and `-`", entry.tag)));
        }
        if entry.images.is_empty() {
            return Err(fail("images must name at least one folder".to_owned()));
        }
        for (organ, labels) in &entry.label_map {
            if labels.is_empty() || labels.contains(&0) {
                return Err(fail(format!("label_map.{organ} must list labels other than 0")));
            }
        }
        let label_map = (!entry.label_map.is_empty()).then_some(LabelMap(entry.label_map));
        Ok(Self {
            name: entry.name,
            title: entry.title,
            tag: entry.tag,
            layout: entry.layout,
            root: entry.root,
            images: entry.images,
            labels: entry.labels,
            label_map,
            expected_volumes: entry.expected_volumes,
            phantom: entry.phantom,
            license: entry.license,
            doi: entry.doi,
            get: entry.get,
        })
    }
}

/// Reads the text of a `datasets.toml`.
///
/// # Errors
/// [`DatasetError::Toml`] for unknown or missing keys and wrong types; [`DatasetError::Entry`] for
/// values that cannot be used.
pub fn parse_datasets(text: &str) -> Result<Vec<Dataset>, DatasetError> {
    let file: DatasetFile = toml::from_str(text)?;
    if file.schema_version != 1 {
        let reason = format!("schema_version is {}, this program reads 1", file.schema_version);
        return Err(DatasetError::Entry { dataset: "(file)".to_owned(), reason });
    }
    let datasets: Vec<Dataset> = file.dataset.into_iter().map(Dataset::try_from).collect::<Result<_, _>>()?;
    for (n, dataset) in datasets.iter().enumerate() {
        if datasets[..n].iter().any(|other| other.name == dataset.name) {
            let reason = "the name occurs twice".to_owned();
            return Err(DatasetError::Entry { dataset: dataset.name.clone(), reason });
        }
    }
    Ok(datasets)
}

/// The `datasets.toml` of the source tree, compiled in.
///
/// # Panics
/// Never: a test reads the same text.
#[must_use]
pub fn builtin_datasets() -> Vec<Dataset> {
    parse_datasets(include_str!("../../../../datasets.toml")).expect("the compiled-in dataset list is valid")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn compiled_in_list_is_valid() {
        let names: Vec<String> = builtin_datasets().into_iter().map(|d| d.name).collect();
        for wanted in
            ["msd-pancreas", "nih-pancreas", "abdomenct-1k", "images-masks", "nnunet", "pancreas-crops"]
        {
            assert!(names.iter().any(|n| n == wanted), "{wanted}");
        }
    }

    #[test]
    fn unknown_keys_and_bad_values_are_errors() {
        let good = "schema_version = 1\n[[dataset]]\nname='a'\ntitle='a'\ntag='A'\nlayout='msd'\nroot='.'\nimages=['i']\nlabels='l'\nget='x'\n";
        assert_eq!(parse_datasets(good).unwrap().len(), 1);
        for (from, to) in [
            ("get='x'", "get='x'\ncolour='red'"),
            ("layout='msd'", "layout='other'"),
            ("tag='A'", "tag='../A'"),
            ("images=['i']", "images=[]"),
            ("schema_version = 1", "schema_version = 2"),
            ("get='x'", "get='x'\n[dataset.label_map]\npancreas=[0]"),
        ] {
            assert!(parse_datasets(&good.replace(from, to)).is_err(), "{to}");
        }
    }
}
