//! Names of volumes, patients and slice images.

use std::fmt;
use std::str::FromStr;

use crate::plane::PlaneMap;

/// One of the three published ways of storing a dataset (SPEC 1.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PublishedDataset {
    /// MSD Task07 Pancreas: images and labels as NIfTI files of the same name.
    Msd,
    /// NIH Pancreas-CT: DICOM series and NIfTI labels.
    Nih,
    /// AbdomenCT-1K: images `Case_XXXXX_0000.nii.gz`, labels `Case_XXXXX.nii.gz`.
    Abd,
}

impl PublishedDataset {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Msd, Self::Nih, Self::Abd];

    /// The `dataset` of records and the start of file names.
    #[must_use]
    pub fn dataset(self) -> &'static str {
        match self {
            Self::Msd => "MSD",
            Self::Nih => "NIH",
            Self::Abd => "ABD",
        }
    }

    /// The published map of this dataset's labels, and of its images in eras M and H (SPEC 1.2).
    #[must_use]
    pub fn plane_map(self) -> PlaneMap {
        match self {
            Self::Msd | Self::Abd => PlaneMap::FlipBoth,
            Self::Nih => PlaneMap::FlipRows,
        }
    }

    /// Whose study a volume of this dataset is: here every volume is a patient of its own.
    ///
    /// `volume_name` is the name in the records: the label file of MSD and NIH, the image file of
    /// AbdomenCT-1K.
    #[must_use]
    pub fn patient(self, volume_name: &str) -> String {
        match self {
            Self::Msd => volume_stem(volume_name).to_owned(),
            Self::Nih => nih_volume_name(volume_name).unwrap_or_else(|| volume_stem(volume_name).to_owned()),
            Self::Abd => without_modality(volume_stem(volume_name)).to_owned(),
        }
    }

    /// The file name that the published scripts give the image of slice `k` (SPEC 1.7).
    #[must_use]
    pub fn slice_png_name(self, volume_name: &str, k: usize) -> String {
        match self {
            Self::Msd | Self::Abd => png_name(volume_stem(volume_name), k),
            Self::Nih => png_name(&self.patient(volume_name), k),
        }
    }

    /// The file name that the published readers look for: that of [`slice_png_name`](
    /// Self::slice_png_name) for the real volumes, a wrong one for some other names (D5).
    #[must_use]
    pub fn reader_png_name(self, volume_name: &str, k: usize) -> String {
        match self {
            Self::Msd | Self::Abd => png_name(published_stem(volume_name), k),
            Self::Nih => png_name(&nih_loader_name(volume_name), k),
        }
    }
}

impl fmt::Display for PublishedDataset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.dataset())
    }
}

/// Text that names no [`PublishedDataset`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not one of msd, nih, abd")]
pub struct ParsePublishedDatasetError(pub String);

impl FromStr for PublishedDataset {
    type Err = ParsePublishedDatasetError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let found = Self::ALL.into_iter().find(|layout| layout.dataset().eq_ignore_ascii_case(text));
        found.ok_or_else(|| ParsePublishedDatasetError(text.to_owned()))
    }
}

/// True for what the published scripts count as a volume: `*.nii.gz`, and not one of the hidden
/// `._*` twins of the MSD archive.
#[must_use]
pub fn is_volume_name(file_name: &str) -> bool {
    file_name.ends_with(".nii.gz") && !file_name.starts_with('.')
}

/// The volumes among file names, in the order of their code points.
#[must_use]
pub fn sorted_volume_names<S: Into<String>>(file_names: impl IntoIterator<Item = S>) -> Vec<String> {
    let names = file_names.into_iter().map(Into::into);
    let mut names: Vec<String> = names.filter(|name| is_volume_name(name)).collect();
    names.sort_unstable(); // bytes of UTF-8 sort as code points do
    names
}

/// The name without the ending of its format; other names stay whole.
#[must_use]
pub fn volume_stem(file_name: &str) -> &str {
    const ENDINGS: [&str; 8] = [".nii.gz", ".img.gz", ".hdr.gz", ".nii", ".img", ".hdr", ".nrrd", ".dcm"];
    ENDINGS.iter().find_map(|ending| file_name.strip_suffix(ending)).unwrap_or(file_name)
}

/// The stem as the published MSD and AbdomenCT-1K readers form it: every `.`, `n`, `i`, `g`, `z`
/// is taken from both ends, which also eats the ends of some names (D5).
///
/// ```
/// use ct_slices::records::published_stem;
///
/// assert_eq!(published_stem("pancreas_228.nii.gz"), "pancreas_228");
/// assert_eq!(published_stem("img_zinc.nii.gz"), "mg_zinc");
/// ```
#[must_use]
pub fn published_stem(file_name: &str) -> &str {
    file_name.trim_matches(['.', 'n', 'i', 'g', 'z'])
}

/// `{stem}_slice_{k}.png`; the number is not padded.
#[must_use]
pub fn png_name(stem: &str, k: usize) -> String {
    format!("{stem}_slice_{k}.png")
}

/// `PANCREAS_XXXX`, the folder of the images that belong to NIH's `labelXXXX.nii.gz`; `None` for
/// names of another form.
#[must_use]
pub fn nih_volume_name(label_name: &str) -> Option<String> {
    let number = label_name.strip_prefix("label")?.get(..4)?;
    number.bytes().all(|b| b.is_ascii_digit()).then(|| format!("PANCREAS_{number}"))
}

/// What the published NIH reader makes of a label's name: the first `label` becomes `PANCREAS_`,
/// the last seven characters go.
#[must_use]
pub fn nih_loader_name(label_name: &str) -> String {
    let replaced = label_name.replacen("label", "PANCREAS_", 1);
    let n_kept = replaced.chars().count().saturating_sub(7);
    replaced.chars().take(n_kept).collect()
}

/// Without the `_0000` that nnU-Net and AbdomenCT-1K put behind a CT image's name.
#[must_use]
pub fn without_modality(stem: &str) -> &str {
    stem.strip_suffix("_0000").unwrap_or(stem)
}

/// The mask of an AbdomenCT-1K image: `Case_XXXXX_0000.nii.gz` to `Case_XXXXX.nii.gz`.
#[must_use]
pub fn abdomen_mask_name(image_name: &str) -> Option<String> {
    image_name.strip_suffix("_0000.nii.gz").map(|case| format!("{case}.nii.gz"))
}

/// The part, 1 to 3, in which the published script looks for an AbdomenCT-1K image while writing
/// slices. Not checked against the archives: search all parts instead (D15).
#[must_use]
pub fn abdomen_part(case_number: u32) -> u32 {
    match case_number {
        ..=400 => 1,
        401..=800 => 2,
        _ => 3,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stems_by_character_set_and_by_suffix() {
        let rows = [
            ("pancreas_228.nii.gz", "pancreas_228", "pancreas_228"),
            ("Case_00001_0000.nii.gz", "Case_00001_0000", "Case_00001_0000"),
            ("img_zinc.nii.gz", "mg_zinc", "img_zinc"),
            ("nii_12.nii.gz", "_12", "nii_12"),
            ("scan.nii.gz", "sca", "scan"),
            ("pancreas_1n.nii.gz", "pancreas_1", "pancreas_1n"),
            ("gi.nii.gz", "", "gi"),
        ];
        for (name, published, fixed) in rows {
            assert_eq!(published_stem(name), published, "{name}");
            assert_eq!(volume_stem(name), fixed, "{name}");
        }
    }

    #[test]
    fn image_names_of_each_dataset() {
        let rows = [
            (PublishedDataset::Msd, "pancreas_228.nii.gz", 7, "pancreas_228_slice_7.png", "pancreas_228"),
            (
                PublishedDataset::Abd,
                "Case_00001_0000.nii.gz",
                12,
                "Case_00001_0000_slice_12.png",
                "Case_00001",
            ),
            (PublishedDataset::Nih, "label0051.nii.gz", 103, "PANCREAS_0051_slice_103.png", "PANCREAS_0051"),
        ];
        for (layout, volume, k, image, patient) in rows {
            assert_eq!(layout.slice_png_name(volume, k), image);
            assert_eq!(layout.reader_png_name(volume, k), image);
            assert_eq!(layout.patient(volume), patient);
        }
        assert_eq!(PublishedDataset::Msd.reader_png_name("img_zinc.nii.gz", 0), "mg_zinc_slice_0.png");
        assert_eq!(PublishedDataset::Msd.slice_png_name("img_zinc.nii.gz", 0), "img_zinc_slice_0.png");
    }

    #[test]
    fn volumes_are_filtered_and_sorted_by_code_point() {
        let names =
            ["b.nii.gz", "._a.nii.gz", "a.nii", "É.nii.gz", "a.nii.gz", "B.nii.gz", "z.nii.gz", "notes.txt"];
        assert_eq!(sorted_volume_names(names), ["B.nii.gz", "a.nii.gz", "b.nii.gz", "z.nii.gz", "É.nii.gz"]);
    }

    #[test]
    fn names_of_other_forms() {
        assert_eq!(nih_volume_name("label12.nii.gz"), None);
        assert_eq!(nih_volume_name("label\u{e9}\u{e9}\u{e9}.nii.gz"), None);
        assert_eq!(nih_loader_name("short"), "");
        assert_eq!(without_modality("patient_0001"), "patient_0001");
        assert_eq!(without_modality("liver_12_0000"), "liver_12");
        assert_eq!(abdomen_mask_name("Case_00400_0000.nii.gz").as_deref(), Some("Case_00400.nii.gz"));
        assert_eq!(abdomen_mask_name("Case_00400.nii.gz"), None);
        assert_eq!([1, 400, 401, 800, 801, 1062].map(abdomen_part), [1, 1, 2, 2, 3, 3]);
        assert_eq!("Nih".parse(), Ok(PublishedDataset::Nih));
        assert!("ct".parse::<PublishedDataset>().is_err());
    }
}
