//! From files to images: the worked volume of SPEC 1.5, and the real abdominal study.

#![expect(clippy::unwrap_used, reason = "a test helper may fail the test")]

use std::path::{Path, PathBuf};

use ct_slices::dataset::Layout;
use ct_slices::pixels::{DecodedImage, PngLimits, decode_png};
use ct_slices::prepare::{ImageOrientation, PrepareConfig, SliceOptions, render_slice};
use ct_slices::{LabelMap, Preset};
use ct_volume::dicom::{SeriesTags, write_series};
use ct_volume::nifti::{VoxelType, write_volume};
use ct_volume::{Affine, Limits, Orientation, ReadOptions, Volume, read_labels, read_study};
use ndarray::{Array2, Array3, ShapeBuilder, array};
use tempfile::TempDir;

/// `I[i, j, k] = -200 + 100 i + 10 j + k`, 6 x 5 x 4, in RAS+ axes.
fn worked_volume() -> Volume {
    let hu = Array3::from_shape_fn((6, 5, 4).f(), |(i, j, k)| (100 * i + 10 * j + k) as f32 - 200.0);
    Volume::new(hu, Affine::from_spacing_origin([1.0; 3], [0.0; 3])).unwrap()
}

fn gray(study: &Path, preset: Preset, layout: Layout, orientation: ImageOrientation) -> (Array2<u8>, bool) {
    let mut config = PrepareConfig::new(preset, layout, layout.default_tag(), LabelMap::msd());
    config.image_orientation = orientation;
    let options = SliceOptions { index: 2, frame: None, series: None, limits: Limits::default() };
    let (png, (width, height)) = render_slice(study, &config, &options).unwrap();
    let decoded = decode_png(&png, &PngLimits::default()).unwrap();
    assert_eq!((decoded.width_px(), decoded.height_px()), (width, height));
    let is_rgba = matches!(decoded, DecodedImage::Rgba(_));
    (decoded.into_gray().unwrap(), is_rgba)
}

const CONSISTENT: ImageOrientation = ImageOrientation::Consistent;

/// The rows of SPEC 1.5 for slice k = 2 of the MSD layout.
fn worked_rows() -> Array2<u8> {
    array![
        [255, 250, 186, 121, 58, 0],
        [255, 243, 179, 116, 52, 0],
        [255, 238, 174, 110, 46, 0],
        [255, 231, 167, 103, 39, 0],
        [255, 225, 161, 97, 32, 0]
    ]
}

#[test]
fn published_images_of_the_worked_volume() {
    let folder = TempDir::new().unwrap();
    let study = folder.path().join("pancreas_001.nii.gz");
    write_volume(&study, &worked_volume(), VoxelType::Int16).unwrap();
    for layout in [Layout::Msd, Layout::Abd] {
        let (image, is_rgba) = gray(&study, Preset::Code2025, layout, CONSISTENT);
        assert_eq!(image, worked_rows());
        assert!(is_rgba);
    }
}

#[test]
fn published_nih_images_take_numbered_files_and_stored_values() {
    // D[y = j, x = i] = I[i, j, k], each file a slice, as the archive numbers them.
    let folder = TempDir::new().unwrap();
    let series = folder.path().join("1.2.3/1.2.3.4");
    fs_err::create_dir_all(&series).unwrap();
    let hu = worked_volume().into_array();
    let volume = Volume::new(hu, Orientation::LPS.affine([1.0; 3])).unwrap();
    let tags =
        SeriesTags { patient: "PHANTOM".into(), uid_root: "1.2.826.0.1".into(), slice_thickness_mm: 1.0 };
    write_series(&series, &volume, &tags).unwrap();
    let (image, is_rgba) = gray(folder.path(), Preset::Code2025, Layout::Nih, CONSISTENT);
    let mut reversed = worked_rows();
    reversed.invert_axis(ndarray::Axis(1));
    assert_eq!(image, reversed);
    assert!(is_rgba);
}

#[test]
fn paper_images_are_as_stored_or_consistent_with_boxes() {
    let folder = TempDir::new().unwrap();
    let study = folder.path().join("pancreas_001.nii");
    write_volume(&study, &worked_volume(), VoxelType::Int16).unwrap();
    let (stored, _) = gray(&study, Preset::Paper2024, Layout::Msd, ImageOrientation::Published);
    assert_eq!(stored.dim(), (6, 5));
    let (consistent, _) = gray(&study, Preset::Paper2024, Layout::Msd, CONSISTENT);
    for ((row, column), &value) in consistent.indexed_iter() {
        assert_eq!(value, stored[[5 - column, 4 - row]]);
    }
}

#[test]
fn fixed_images_do_not_depend_on_the_storage_order() {
    let folder = TempDir::new().unwrap();
    let mut images = Vec::new();
    for orientation in Orientation::all() {
        let study = folder.path().join(format!("{orientation}.nii"));
        write_volume(&study, &worked_volume().reoriented(orientation), VoxelType::Int16).unwrap();
        let (image, is_rgba) = gray(&study, Preset::Fixed, Layout::ImagesMasks, CONSISTENT);
        assert!(!is_rgba);
        images.push(image);
    }
    assert!(images.iter().all(|image| *image == images[0]));
    // Window -150..250: -198 + 100 i + 10 j; column 0 is the patient's right (largest i).
    let byte = |hu: f64| ((hu + 150.0) / 400.0 * 255.0).round().clamp(0.0, 255.0);
    assert!((f64::from(images[0][[4, 3]]) - byte(-198.0 + 200.0)).abs() < 0.5);
    assert!((f64::from(images[0][[0, 5]]) - byte(-198.0 + 40.0)).abs() < 0.5);
}

fn shared() -> Option<PathBuf> {
    let default = || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared"));
    let folder = std::env::var_os("MINIGPT_PANCREAS_SHARED").map_or_else(default, PathBuf::from);
    folder.is_dir().then_some(folder)
}

#[test]
fn real_dicom_study_and_its_mask_lie_on_one_grid() {
    let Some(shared) = shared() else {
        println!("skipped: no external test data");
        return;
    };
    let folder = shared.join("data/totalsegmentator-abdomen");
    let study = read_study(&folder.join("dicom"), &ReadOptions::default()).unwrap();
    let mask = read_labels(&folder.join("dicom_seg.nii.gz"), &ReadOptions::default()).unwrap();
    assert_eq!(study.geometry().shape(), [512, 512, 20]);
    assert!((study.geometry().spacing_mm()[2] - 2.0).abs() < 1e-9);
    let (a, b) =
        (study.geometry().reoriented(Orientation::RAS), mask.geometry().reoriented(Orientation::RAS));
    a.check_same_grid(&b, 0.01).unwrap();
    let (hu, labels) = (study.view_as(Orientation::RAS), mask.view_as(Orientation::RAS));
    for (label, n_voxels, mean_hu) in [(7, Some(1327), 61.0), (5, None, 89.0)] {
        let inside: Vec<f64> =
            hu.iter().zip(labels.iter()).filter(|&(_, &l)| l == label).map(|(&v, _)| f64::from(v)).collect();
        let mean = inside.iter().sum::<f64>() / inside.len() as f64;
        assert!((mean - mean_hu).abs() < 1.0, "label {label}: mean {mean}");
        assert!(n_voxels.is_none_or(|n| n == inside.len()), "label {label}: {} voxels", inside.len());
    }
}
