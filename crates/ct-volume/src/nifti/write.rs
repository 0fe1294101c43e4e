//! Volumes and masks to NIfTI-1 files.

use std::path::Path;

use ::nifti::NiftiHeader;
use libdeflater::{CompressionLvl, Compressor};
use ndarray::Array3;

use super::datatype::Datatype;
use super::error::NiftiError;
use super::fields::SIZE_1;
use crate::affine::{Affine, norm};
use crate::atomic::write_atomic;
use crate::error::VolumeError;
use crate::geometry::Geometry;
use crate::volume::{LabelVolume, Volume};

/// Where the voxels of a written file begin: header and four bytes that say "no extensions".
const DATA_OFFSET: usize = SIZE_1 + 4;
/// Largest cosine between two axes with which a qform is written: it moves no voxel of a CT by more
/// than 0.01 mm.
const QFORM_SHEAR: f64 = 1e-5;

/// libdeflate's level for noisy voxels: level 6 takes three times as long for files 1 % smaller, and
/// level 1 gives files that take longer to read.
const GZIP_LEVEL: i32 = 2;
/// Adding and taking away 1.5 * 2^23 rounds a small f32 to a whole number, halves to even, and unlike
/// `round_ties_even` is vector code on every processor.
const ROUNDER: f32 = 12_582_912.0;

/// Voxel type of a file that is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum VoxelType {
    /// Signed 16-bit whole numbers, rounded (halves to even).
    Int16,
    /// 32-bit floats.
    Float32,
}

/// Writes a volume as NIfTI-1 in one file; gzip if the name ends in `.gz`. The same volume gives the
/// same bytes each time, and the file appears whole or not at all.
///
/// # Errors
/// [`VolumeError::Write`]; [`VolumeError::Nifti`] with [`NiftiError::VoxelRange`] if a voxel does
/// not fit into [`VoxelType::Int16`], with [`NiftiError::AxisTooLong`] if an axis is above 32,767.
pub fn write_volume(path: &Path, volume: &Volume, voxel_type: VoxelType) -> Result<(), VolumeError> {
    let bytes = encode_volume(volume, voxel_type).map_err(|error| error.at(path))?;
    write(path, bytes)
}

/// Writes a mask as NIfTI-1 with 8-bit labels (16-bit if a label needs it), as [`write_volume`] does.
///
/// # Errors
/// [`VolumeError::Write`]; [`VolumeError::Nifti`] with [`NiftiError::AxisTooLong`].
pub fn write_labels(path: &Path, labels: &LabelVolume) -> Result<(), VolumeError> {
    write(path, encode_labels(labels).map_err(|error| error.at(path))?)
}

/// The bytes of a mask's `.nii.gz` file, as [`write_labels`] writes it.
///
/// # Errors
/// [`NiftiError::AxisTooLong`].
pub fn labels_gz(labels: &LabelVolume) -> Result<Vec<u8>, NiftiError> {
    Ok(compress(&encode_labels(labels)?))
}

fn encode_labels(labels: &LabelVolume) -> Result<Vec<u8>, NiftiError> {
    let (array, geometry) = (labels.labels(), labels.geometry());
    let largest = array.iter().copied().max().unwrap_or(0);
    if largest <= u16::from(u8::MAX) {
        encode(array, geometry, Datatype::Uint8, |label| [label.to_le_bytes()[0]])
    } else {
        encode(array, geometry, Datatype::Uint16, u16::to_le_bytes)
    }
}

fn write(path: &Path, bytes: Vec<u8>) -> Result<(), VolumeError> {
    let is_gzip = path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("gz"));
    write_atomic(path, &if is_gzip { compress(&bytes) } else { bytes })
}

/// One gzip member without name or time, so that equal volumes are equal files.
fn compress(bytes: &[u8]) -> Vec<u8> {
    let level = CompressionLvl::new(GZIP_LEVEL).expect("2 is one of libdeflate's levels");
    let mut compressor = Compressor::new(level);
    let mut out = vec![0; compressor.gzip_compress_bound(bytes.len())];
    let len = compressor.gzip_compress(bytes, &mut out).expect("the bound is large enough for any input");
    out.truncate(len);
    out
}

fn encode_volume(volume: &Volume, voxel_type: VoxelType) -> Result<Vec<u8>, NiftiError> {
    let (hu, geometry) = (volume.hu(), volume.geometry());
    match voxel_type {
        VoxelType::Float32 => encode(hu, geometry, Datatype::Float32, f32::to_le_bytes),
        VoxelType::Int16 => {
            // What rounds to -32768..=32767 (halves to even); a NaN is in no range.
            let fits = |value: f32| (-32_768.5..32_767.5).contains(&value);
            if !hu.iter().fold(true, |all, &value| all & fits(value)) {
                let value = hu.iter().copied().find(|&value| !fits(value)).unwrap_or(f32::NAN);
                return Err(NiftiError::VoxelRange { value });
            }
            encode(hu, geometry, Datatype::Int16, |value| rounded_i16(value).to_le_bytes())
        }
    }
}

/// The nearest whole number, halves to even, of a value that was checked to fit.
fn rounded_i16(value: f32) -> i16 {
    #[expect(clippy::cast_possible_truncation, reason = "the range was checked")]
    let nearest = ((value + ROUNDER) - ROUNDER) as i16;
    nearest
}

/// Header, extension flag and voxels, first axis fastest.
fn encode<T: Copy, const N: usize>(
    array: &Array3<T>,
    geometry: &Geometry,
    datatype: Datatype,
    stored: impl Fn(T) -> [u8; N],
) -> Result<Vec<u8>, NiftiError> {
    let mut bytes = vec![0; DATA_OFFSET + array.len() * N];
    bytes[..SIZE_1].copy_from_slice(&header_bytes(&header(geometry, datatype)?));
    let (cells, _) = bytes[DATA_OFFSET..].as_chunks_mut();
    let file_order = array.t();
    if let Some(voxels) = file_order.as_slice() {
        cells.iter_mut().zip(voxels).for_each(|(cell, &voxel)| *cell = stored(voxel));
    } else {
        cells.iter_mut().zip(file_order).for_each(|(cell, &voxel)| *cell = stored(voxel));
    }
    Ok(bytes)
}

/// A header with the affine as sform, and as qform where that can hold it.
fn header(geometry: &Geometry, datatype: Datatype) -> Result<NiftiHeader, NiftiError> {
    let mut dim = [1; 8];
    dim[0] = 3;
    for (field, length) in dim[1..].iter_mut().zip(geometry.shape()) {
        let too_long = |_| NiftiError::AxisTooLong { length };
        *field = i16::try_from(length).map_err(too_long)?.cast_unsigned();
    }
    let affine = geometry.affine();
    let [x, y, z] = geometry.spacing_mm().map(narrow);
    let rows = affine.rows().map(|row| row.map(narrow));
    let mut header = NiftiHeader {
        dim,
        datatype: datatype.code(),
        bitpix: i16::try_from(datatype.size() * 8).expect("64 bits at most"),
        pixdim: [1.0, x, y, z, 1.0, 1.0, 1.0, 1.0],
        vox_offset: DATA_OFFSET as f32,
        scl_slope: 1.0,
        scl_inter: 0.0,
        xyzt_units: 2, // millimeters
        qform_code: 0,
        sform_code: 1, // scanner coordinates
        srow_x: rows[0],
        srow_y: rows[1],
        srow_z: rows[2],
        magic: *b"n+1\0",
        ..NiftiHeader::default()
    };
    if affine.shear() <= QFORM_SHEAR {
        let (qfac, [b, c, d]) = quaternion(affine);
        let [qx, qy, qz] = affine.origin_mm().map(narrow);
        header.qform_code = 1;
        header.pixdim[0] = narrow(qfac);
        (header.quatern_b, header.quatern_c, header.quatern_d) = (narrow(b), narrow(c), narrow(d));
        (header.quatern_x, header.quatern_y, header.quatern_z) = (qx, qy, qz);
    }
    Ok(header)
}

#[expect(clippy::cast_possible_truncation, reason = "NIfTI-1 keeps its geometry in 32-bit floats")]
fn narrow(value: f64) -> f32 {
    value as f32
}

/// Handedness, and b, c, d of the unit quaternion (with a ≥ 0) whose rotation turns the voxel axes,
/// the third mirrored if they are left-handed, to the affine's directions.
fn quaternion(affine: &Affine) -> (f64, [f64; 3]) {
    let qfac = if affine.determinant() < 0.0 { -1.0 } else { 1.0 };
    let columns: [[f64; 3]; 3] = std::array::from_fn(|axis| {
        let column = affine.column(axis);
        let length = norm(column) * if axis == 2 { qfac } else { 1.0 };
        column.map(|v| v / length)
    });
    let r = |row: usize, axis: usize| columns[axis][row];
    // Four times the square of each of a, b, c, d; the largest is far from 0 and safe to divide by.
    let squares = [
        1.0 + r(0, 0) + r(1, 1) + r(2, 2),
        1.0 + r(0, 0) - r(1, 1) - r(2, 2),
        1.0 - r(0, 0) + r(1, 1) - r(2, 2),
        1.0 - r(0, 0) - r(1, 1) + r(2, 2),
    ];
    let largest = (0..4).fold(0, |best, n| if squares[n] > squares[best] { n } else { best });
    let twice = squares[largest].sqrt();
    let (plus, minus) = (
        [r(1, 2) + r(2, 1), r(0, 2) + r(2, 0), r(0, 1) + r(1, 0)],
        [r(2, 1) - r(1, 2), r(0, 2) - r(2, 0), r(1, 0) - r(0, 1)],
    );
    let [a, b, c, d] = match largest {
        0 => [twice * twice, minus[0], minus[1], minus[2]],
        1 => [minus[0], twice * twice, plus[2], plus[1]],
        2 => [minus[1], plus[2], twice * twice, plus[0]],
        _ => [minus[2], plus[1], plus[0], twice * twice],
    }
    .map(|v| v / (2.0 * twice));
    let sign = if a < 0.0 { -1.0 } else { 1.0 };
    (qfac, [b, c, d].map(|v| v * sign))
}

/// The 348 bytes of a header, little endian. The `nifti` crate keeps its own writer private and ties
/// it to files that it creates itself.
fn header_bytes(header: &NiftiHeader) -> Vec<u8> {
    let mut out = Vec::with_capacity(DATA_OFFSET);
    out.extend(header.sizeof_hdr.to_le_bytes());
    out.extend(header.data_type);
    out.extend(header.db_name);
    out.extend(header.extents.to_le_bytes());
    out.extend(header.session_error.to_le_bytes());
    out.extend([b'r', header.dim_info]); // `regular` is `r` in every file
    out.extend(header.dim.map(u16::to_le_bytes).as_flattened());
    out.extend([header.intent_p1, header.intent_p2, header.intent_p3].map(f32::to_le_bytes).as_flattened());
    let shorts = [header.intent_code, header.datatype, header.bitpix, header.slice_start];
    out.extend(shorts.map(i16::to_le_bytes).as_flattened());
    out.extend(header.pixdim.map(f32::to_le_bytes).as_flattened());
    let scaling = [header.vox_offset, header.scl_slope, header.scl_inter];
    out.extend(scaling.map(f32::to_le_bytes).as_flattened());
    out.extend(header.slice_end.to_le_bytes());
    out.extend([header.slice_code, header.xyzt_units]);
    let display = [header.cal_max, header.cal_min, header.slice_duration, header.toffset];
    out.extend(display.map(f32::to_le_bytes).as_flattened());
    out.extend([header.glmax, header.glmin].map(i32::to_le_bytes).as_flattened());
    out.extend(&header.descrip);
    out.extend(header.aux_file);
    out.extend([header.qform_code, header.sform_code].map(i16::to_le_bytes).as_flattened());
    let qform = [header.quatern_b, header.quatern_c, header.quatern_d];
    let qoffset = [header.quatern_x, header.quatern_y, header.quatern_z];
    for row in [&qform[..], &qoffset, &header.srow_x, &header.srow_y, &header.srow_z] {
        out.extend(row.iter().flat_map(|v| v.to_le_bytes()));
    }
    out.extend(header.intent_name);
    out.extend(header.magic);
    debug_assert_eq!(out.len(), SIZE_1, "the fields of nifti1.h");
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nifti::{self, AffineSource};
    use crate::orientation::Orientation;
    use crate::{Limits, WarningCode};

    fn decoded(bytes: &[u8]) -> Volume {
        nifti::decode_volume(bytes, &Limits::default(), None).unwrap()
    }

    #[test]
    fn qform_alone_gives_the_same_affine() {
        for orientation in Orientation::all() {
            let mut rows = orientation.affine([0.7, 0.8, 2.5]).rows();
            rows[0][3] = -123.5;
            rows[2][3] = 77.25;
            let affine = Affine::from_rows([rows[0], rows[1], rows[2]]);
            let volume = Volume::new(Array3::zeros((2, 3, 4)), affine).unwrap();
            let mut bytes = encode_volume(&volume, VoxelType::Int16).unwrap();
            bytes[254..256].fill(0); // sform_code
            let header = nifti::header::Header::parse(&bytes, nifti::header::Layout::Single).unwrap();
            assert_eq!(header.affine_source(), AffineSource::Qform);
            let difference = header.geometry().affine().max_abs_diff(&affine);
            assert!(difference < 1e-6, "{orientation}: {difference}");
        }
    }

    #[test]
    fn sheared_affine_has_no_qform() {
        let affine = Affine::from_rows([[0.7, 0.0, 0.1, 0.0], [0.0, 0.7, 0.2, 0.0], [0.0, 0.0, 2.5, 0.0]]);
        let volume = Volume::new(Array3::zeros((2, 3, 4)), affine).unwrap();
        let bytes = encode_volume(&volume, VoxelType::Float32).unwrap();
        assert_eq!(bytes[252..256], [0, 0, 1, 0]);
        let codes: Vec<_> = decoded(&bytes).warnings().iter().map(|w| w.code).collect();
        assert_eq!(codes, [WarningCode::ShearedAffine]);
    }

    #[test]
    fn int16_rounds_half_to_even_and_refuses_what_does_not_fit() {
        let affine = Orientation::RAS.affine([1.0; 3]);
        let stored = |value: f32| {
            let volume = Volume::new(Array3::from_elem((1, 1, 1), value), affine).unwrap();
            encode_volume(&volume, VoxelType::Int16).map(|bytes| i16::from_le_bytes([bytes[352], bytes[353]]))
        };
        for (value, expected) in [
            (0.5, 0),
            (1.5, 2),
            (-1.5, -2),
            (-2.5, -2),
            (-0.4, 0),
            (1023.5001, 1024),
            (32_767.49, 32_767),
            (-32_768.5, -32_768),
        ] {
            assert_eq!(stored(value).unwrap(), expected, "{value}");
        }
        for value in [32_767.5, -32_769.0, f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            assert!(matches!(stored(value), Err(NiftiError::VoxelRange { .. })), "{value}");
        }
    }
}
