//! Names, label numbers and storage axes of the public data sets (SPEC 1.1 to 1.3).

use ct_volume::Orientation;

use crate::label::PhantomLabel;
use crate::spec::Layout;

/// Where one patient's study lies, relative to the data set's folder, with `/` between parts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct StudyPaths {
    /// Name of the case in the data set's own style.
    pub(crate) name: String,
    /// NIfTI file, or the folder of the DICOM series.
    pub(crate) image: String,
    pub(crate) labels: String,
}

impl Layout {
    pub(crate) fn paths(self, index: u32) -> StudyPaths {
        match self {
            Self::Msd => {
                let name = format!("pancreas_{:03}", index + 1);
                StudyPaths {
                    image: format!("imagesTr/{name}.nii.gz"),
                    labels: format!("labelsTr/{name}.nii.gz"),
                    name,
                }
            }
            Self::Nih => {
                let number = format!("{:04}", index + 1);
                let name = format!("PANCREAS_{number}");
                StudyPaths {
                    image: format!("volumes/{name}/01-01-2000-PANCREAS{number}-phantom/Pancreas-{number}"),
                    labels: format!("TCIA_pancreas_labels-02-05-2017/label{number}.nii.gz"),
                    name,
                }
            }
            Self::Abd => {
                // All three parts are used, with the case numbers that each part holds (SPEC 1.10).
                let part = index % 3;
                let case = format!("Case_{:05}", part * 400 + index / 3 + 1);
                StudyPaths {
                    image: format!("AbdomenCT-1K-ImagePart{}/{case}_0000.nii.gz", part + 1),
                    labels: format!("Masks/{case}.nii.gz"),
                    name: case,
                }
            }
        }
    }

    /// Storage axes for which the published index maps (SPEC 1.2) show the patient's front at the
    /// top and right side on the left, image and mask alike.
    ///
    /// MSD and AbdomenCT-1K, `P[r,c] = A[N0-1-c, N1-1-r, k]`: RAS. NIH, `P[r,c] = D[H-1-r, c]` with
    /// voxel (i, j, k) at row j, column i of file k + 1: LA, and I because a DICOM series in the
    /// order of its normal must be right-handed (PS3.3 C.7.6.2.1.1).
    pub(crate) fn orientation(self) -> Orientation {
        use ct_volume::AxisCode::{A, I, L};
        match self {
            Self::Msd | Self::Abd => Orientation::RAS,
            Self::Nih => Orientation::from_codes([L, A, I]).expect("three different patient axes"),
        }
    }

    /// The number in the layout's masks (SPEC 1.3); 0 for what it does not label.
    pub(crate) fn label_value(self, label: PhantomLabel) -> u16 {
        use PhantomLabel::{LeftKidney, Liver, Pancreas, RightKidney, Spleen, Tumor};
        match (self, label) {
            (Self::Msd | Self::Nih, Pancreas) | (Self::Nih, Tumor) | (Self::Abd, Liver) => 1,
            (Self::Msd, Tumor) | (Self::Abd, RightKidney | LeftKidney) => 2,
            (Self::Abd, Spleen) => 3,
            (Self::Abd, Pancreas | Tumor) => 4,
            _ => 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_the_data_sets() {
        let check = |layout: Layout, index, image: &str, labels: &str| {
            let paths = layout.paths(index);
            assert_eq!((paths.image.as_str(), paths.labels.as_str()), (image, labels));
        };
        check(Layout::Msd, 0, "imagesTr/pancreas_001.nii.gz", "labelsTr/pancreas_001.nii.gz");
        check(
            Layout::Nih,
            11,
            "volumes/PANCREAS_0012/01-01-2000-PANCREAS0012-phantom/Pancreas-0012",
            "TCIA_pancreas_labels-02-05-2017/label0012.nii.gz",
        );
        check(Layout::Abd, 0, "AbdomenCT-1K-ImagePart1/Case_00001_0000.nii.gz", "Masks/Case_00001.nii.gz");
        check(Layout::Abd, 4, "AbdomenCT-1K-ImagePart2/Case_00402_0000.nii.gz", "Masks/Case_00402.nii.gz");
        check(Layout::Abd, 1199, "AbdomenCT-1K-ImagePart3/Case_01200_0000.nii.gz", "Masks/Case_01200.nii.gz");
    }
}
