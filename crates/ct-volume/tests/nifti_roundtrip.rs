//! What is written is read back, by this crate and by the `nifti` crate's header parser.

#![expect(clippy::unwrap_used, reason = "helpers of tests, which may unwrap")]

use std::path::Path;

use ct_volume::nifti::{self, NiftiError, VoxelType};
use ct_volume::{Affine, LabelVolume, Limits, Orientation, Volume, VolumeError};
use ndarray::{Array3, ShapeBuilder};
use proptest::prelude::*;

fn read(path: &Path) -> Volume {
    nifti::read_volume(path, &Limits::default(), None).unwrap()
}

/// A rotation about an axis through the origin, as rows.
fn rotation(axis: [f64; 3], angle: f64) -> [[f64; 3]; 3] {
    let length = axis.iter().map(|v| v * v).sum::<f64>().sqrt().max(1e-6);
    let [x, y, z] = axis.map(|v| v / length);
    let (s, c) = angle.sin_cos();
    let t = 1.0 - c;
    [
        [t * x * x + c, t * x * y - s * z, t * x * z + s * y],
        [t * x * y + s * z, t * y * y + c, t * y * z - s * x],
        [t * x * z - s * y, t * y * z + s * x, t * z * z + c],
    ]
}

prop_compose! {
    fn any_affine()(
        orientation in 0..48_usize,
        spacing in prop::array::uniform3(0.2..6.0_f64),
        origin in prop::array::uniform3(-900.0..900.0_f64),
        axis in prop::array::uniform3(0.1..1.0_f64),
        angle in prop_oneof![Just(0.0), -3.2..3.2_f64],
    ) -> Affine {
        let start = Orientation::all()[orientation].affine(spacing);
        let turn = rotation(axis, angle);
        let columns = std::array::from_fn(|n| {
            let step = start.column(n);
            turn.map(|row| row[0] * step[0] + row[1] * step[1] + row[2] * step[2])
        });
        Affine::from_columns(columns, origin)
    }
}

fn any_shape() -> impl Strategy<Value = [usize; 3]> {
    prop::array::uniform3(1..7_usize)
}

/// Headers keep 32-bit floats: 7 digits of the largest entry.
fn close(a: &Affine, b: &Affine) -> bool {
    a.max_abs_diff(b) < 1e-4
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn volumes_round_trip(
        affine in any_affine(),
        shape in any_shape(),
        seed in any::<u32>(),
        gzip in any::<bool>(),
        fortran in any::<bool>(),
    ) {
        let [i, j, k] = shape;
        let value = |(a, b, c): (usize, usize, usize)| {
            let n = u32::try_from(a + 7 * b + 49 * c).unwrap().wrapping_mul(2_654_435_761) ^ seed;
            f32::from(n.to_le_bytes()[3]) * 16.0 - 1024.0
        };
        let array = Array3::from_shape_fn((i, j, k).set_f(fortran), value);
        let volume = Volume::new(array, affine).unwrap();
        let folder = tempfile::tempdir().unwrap();
        for voxel_type in [VoxelType::Int16, VoxelType::Float32] {
            let path = folder.path().join(if gzip { "v.nii.gz" } else { "v.nii" });
            nifti::write_volume(&path, &volume, voxel_type).unwrap();
            let back = read(&path);
            prop_assert_eq!(back.hu(), volume.hu());
            prop_assert!(close(back.geometry().affine(), &affine));
            prop_assert!(back.warnings().is_empty(), "{:?}", back.warnings());
            let first = fs_err::read(&path).unwrap();
            nifti::write_volume(&path, &volume, voxel_type).unwrap();
            prop_assert_eq!(first, fs_err::read(&path).unwrap());
        }
    }

    #[test]
    fn floats_keep_every_bit(values in prop::collection::vec(prop::num::f32::NORMAL | prop::num::f32::ZERO, 24)) {
        let array = Array3::from_shape_vec((4, 3, 2).f(), values.clone()).unwrap();
        let volume = Volume::new(array, Orientation::LPS.affine([1.0; 3])).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("v.nii.gz");
        nifti::write_volume(&path, &volume, VoxelType::Float32).unwrap();
        let back = read(&path).into_array();
        let bits: Vec<u32> = back.t().iter().map(|v| v.to_bits()).collect();
        prop_assert_eq!(bits, values.iter().map(|v| v.to_bits()).collect::<Vec<_>>());
    }

    #[test]
    fn masks_round_trip(
        affine in any_affine(),
        values in prop::collection::vec(prop_oneof![0..10_u16, any::<u16>()], 24),
        small in any::<bool>(),
    ) {
        let values: Vec<u16> = values.iter().map(|v| if small { v & 255 } else { *v }).collect();
        let is_small = values.iter().all(|&v| v < 256);
        let array = Array3::from_shape_vec((2, 4, 3), values).unwrap();
        let labels = LabelVolume::new(array, affine).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("m.nii.gz");
        nifti::write_labels(&path, &labels).unwrap();
        let header = nifti::read_header(&path, &Limits::default()).unwrap();
        let expected = if is_small { nifti::Datatype::Uint8 } else { nifti::Datatype::Uint16 };
        prop_assert_eq!(header.datatype(), expected);
        let back = nifti::read_labels(&path, &Limits::default(), None).unwrap();
        prop_assert_eq!(back.labels(), labels.labels());
        prop_assert!(back.warnings().is_empty(), "{:?}", back.warnings());
    }
}

#[test]
fn all_48_orientations_round_trip() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("v.nii");
    for orientation in Orientation::all() {
        let array = Array3::from_shape_fn((2, 3, 4).f(), |(i, j, k)| {
            [0.0, 100.0][i] + [0.0, 10.0, 20.0][j] + k as f32
        });
        let volume = Volume::new(array, orientation.affine([0.5, 0.75, 2.0])).unwrap();
        nifti::write_volume(&path, &volume, VoxelType::Int16).unwrap();
        let back = read(&path);
        assert_eq!(back.geometry(), volume.geometry(), "{orientation}");
        assert_eq!(back.geometry().orientation(), orientation);
        assert_eq!(back.hu(), volume.hu(), "{orientation}");
        let canonical = back.reoriented(Orientation::RAS);
        assert_eq!(canonical.view_as(orientation), volume.hu(), "{orientation}");
    }
}

/// The files of `fixtures/nifti/written`, whose values and affines `nifti_fixtures` compares with what
/// nibabel reads from them. With `UPDATE_FIXTURES` set they are written anew; then `generate.py` is to
/// be run.
#[test]
fn written_bytes_are_those_that_nibabel_was_shown() {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/nifti/written");
    let folder = tempfile::tempdir().unwrap();
    let array = Array3::from_shape_fn((4, 3, 2).f(), |(i, j, k)| (i + 10 * j + 100 * k) as f32 - 60.5);
    let straight = Orientation::LPS.affine([0.75, 0.5, 2.5]);
    let turn = rotation([1.0, 2.0, 3.0], 2.5);
    let oblique = Affine::from_columns(turn, [-120.0, 33.0, 7.5]);
    let sheared = Affine::from_rows([[0.7, 0.0, 0.1, 0.0], [0.0, 0.7, 0.2, 0.0], [0.0, 0.0, 2.5, 0.0]]);
    let labels = |step: u16| {
        let cells = (0..24_u16).map(|n| n * step).collect();
        LabelVolume::new(Array3::from_shape_vec((4, 3, 2).f(), cells).unwrap(), straight).unwrap()
    };
    let volume = |affine| Volume::new(array.clone(), affine).unwrap();
    let path = |name: &str| folder.path().join(name);
    nifti::write_volume(&path("int16.nii"), &volume(straight), VoxelType::Int16).unwrap();
    nifti::write_volume(&path("oblique.nii"), &volume(oblique), VoxelType::Float32).unwrap();
    nifti::write_volume(&path("sheared.nii"), &volume(sheared), VoxelType::Float32).unwrap();
    nifti::write_labels(&path("labels8.nii"), &labels(1)).unwrap();
    nifti::write_labels(&path("labels16.nii"), &labels(2000)).unwrap();
    for name in ["int16.nii", "oblique.nii", "sheared.nii", "labels8.nii", "labels16.nii"] {
        let bytes = fs_err::read(path(name)).unwrap();
        if std::env::var_os("UPDATE_FIXTURES").is_some() {
            fs_err::create_dir_all(&fixtures).unwrap();
            fs_err::write(fixtures.join(name), &bytes).unwrap();
        }
        assert_eq!(bytes, fs_err::read(fixtures.join(name)).unwrap(), "{name}");
    }
}

#[test]
fn another_parser_reads_the_same_header() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("v.nii.gz");
    let affine = Affine::from_rows([[-0.75, 0.0, 0.0, 12.5], [0.0, 0.5, 0.0, -20.0], [0.0, 0.0, 2.5, 7.0]]);
    let volume = Volume::new(Array3::zeros((4, 3, 2)), affine).unwrap();
    nifti::write_volume(&path, &volume, VoxelType::Int16).unwrap();
    let header = ::nifti::NiftiHeader::from_file(&path).unwrap();
    assert_eq!(header.dim, [3, 4, 3, 2, 1, 1, 1, 1]);
    assert_eq!((header.datatype, header.bitpix), (4, 16));
    assert_eq!(header.pixdim[..4], [-1.0, 0.75, 0.5, 2.5]);
    assert_eq!((header.qform_code, header.sform_code, header.xyzt_units), (1, 1, 2));
    assert_eq!((header.vox_offset, header.scl_slope, header.scl_inter), (352.0, 1.0, 0.0));
    assert_eq!(header.srow_x, [-0.75, 0.0, 0.0, 12.5]);
    // Left-handed: x flipped, so the rotation is half a turn about y and z is mirrored by qfac.
    assert_eq!([header.quatern_b, header.quatern_c, header.quatern_d].map(f32::abs), [0.0, 1.0, 0.0]);
    assert_eq!([header.quatern_x, header.quatern_y, header.quatern_z], [12.5, -20.0, 7.0]);
}

#[test]
fn what_does_not_fit_is_refused_and_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let affine = Orientation::RAS.affine([1.0; 3]);
    let loud = Volume::new(Array3::from_elem((1, 1, 1), 40_000.0), affine).unwrap();
    let error = nifti::write_volume(&folder.path().join("a.nii"), &loud, VoxelType::Int16).unwrap_err();
    assert!(matches!(error, VolumeError::Nifti { source: NiftiError::VoxelRange { .. }, .. }), "{error:?}");
    let long = Volume::new(Array3::zeros((32_768, 1, 1)), affine).unwrap();
    let error = nifti::write_volume(&folder.path().join("a.nii"), &long, VoxelType::Int16).unwrap_err();
    assert!(matches!(error, VolumeError::Nifti { source: NiftiError::AxisTooLong { length: 32_768 }, .. }));
    let error =
        nifti::write_volume(&folder.path().join("none/a.nii"), &loud, VoxelType::Float32).unwrap_err();
    assert!(matches!(error, VolumeError::Write { .. }), "{error:?}");
    assert_eq!(fs_err::read_dir(folder.path()).unwrap().count(), 0);
}
