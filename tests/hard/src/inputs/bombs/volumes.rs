//! Volumes that promise more than they hold.

use ct_volume::dicom::{DicomOptions, decode_file_bytes};
use ct_volume::nifti::{NiftiError, decode_volume};
use ct_volume::nrrd::decode_labels;
use ct_volume::{Limits, Volume};

use super::make::{deflated, gzip_bomb};
use crate::inputs::cases::Case;
use crate::inputs::formats::{gzip, in_repository};

/// A NIfTI-1 header of these sizes, 352 bytes.
pub(in crate::inputs) fn header(
    dim: [i16; 8],
    datatype: i16,
    bits: i16,
    vox_offset: f32,
) -> anyhow::Result<Vec<u8>> {
    let mut bytes = fs_err::read(in_repository("crates/ct-volume/tests/fixtures/nifti/files/i2_le.nii"))?;
    bytes.truncate(352);
    for (n, length) in dim.into_iter().enumerate() {
        bytes[40 + 2 * n..42 + 2 * n].copy_from_slice(&length.to_le_bytes());
    }
    bytes[70..72].copy_from_slice(&datatype.to_le_bytes());
    bytes[72..74].copy_from_slice(&bits.to_le_bytes());
    bytes[108..112].copy_from_slice(&vox_offset.to_le_bytes());
    Ok(bytes)
}

fn warnings(volume: &Volume) -> String {
    let codes: Vec<String> = volume.warnings().iter().map(|warning| warning.code.to_string()).collect();
    format!("read {}", codes.join(" "))
}

fn nifti(bytes: &[u8]) -> String {
    told(decode_volume(bytes, &Limits::default(), None))
}

pub(in crate::inputs) fn told(result: Result<Volume, NiftiError>) -> String {
    result.map_or_else(|error| error.code().to_owned(), |volume| warnings(&volume))
}

pub(in crate::inputs) fn dicom(bytes: &[u8]) -> String {
    let read = decode_file_bytes(bytes, &Limits::default(), &DicomOptions::default());
    read.map_or_else(|error| error.code().to_owned(), |volume| warnings(&volume))
}

fn case(
    name: &'static str,
    expected: &'static str,
    read: fn(&[u8]) -> String,
    make: impl Fn() -> anyhow::Result<Vec<u8>> + Send + Sync + 'static,
) -> Case {
    Case::new(name, expected, move |_| {
        let bytes = make()?;
        Ok(move || read(&bytes))
    })
}

const SMALL: [i16; 8] = [3, 4, 3, 2, 1, 1, 1, 1];
const CUBE: [i16; 8] = [3, 32_767, 32_767, 32_767, 1, 1, 1, 1];

pub(super) fn bombs() -> Vec<Case> {
    let labels = |bytes: &[u8]| {
        decode_labels(bytes, &Limits::default())
            .map_or_else(|error| error.code().to_owned(), |_| "read".to_owned())
    };
    let dicom_file =
        |name: &str| fs_err::read(in_repository("crates/ct-volume/tests/fixtures/dicom").join(name));
    vec![
        case("gzip: 1 GiB of zeros in 1 MiB behind 24 voxels", "trailing-bytes", nifti, || {
            gzip_bomb(&header(SMALL, 4, 16, 352.0)?, 1024)
        }),
        case("gzip: 1 GiB of zeros, no header", "nifti-magic", nifti, || gzip_bomb(&[], 1024)),
        case("nifti: 32767 x 32767 x 32767 doubles", "limit", nifti, || header(CUBE, 64, 64, 352.0)),
        case("gzip: 32767 x 32767 x 32767 doubles", "limit", nifti, || {
            Ok(gzip(&header(CUBE, 64, 64, 352.0)?))
        }),
        case("nifti: seven axes of 32767", "nifti-voxel-count", nifti, || {
            header([7, 32_767, 32_767, 32_767, 32_767, 32_767, 32_767, 32_767], 64, 64, 352.0)
        }),
        case("nifti: a gigabyte promised, none there", "nifti-truncated", nifti, || {
            header([3, 1024, 1024, 512, 1, 1, 1, 1], 4, 16, 352.0)
        }),
        case("gzip: a gigabyte promised in 200 bytes", "gzip-too-small", nifti, || {
            Ok(gzip(&header([3, 1024, 1024, 512, 1, 1, 1, 1], 4, 16, 352.0)?))
        }),
        case("nifti: voxels from byte 1e15", "limit", nifti, || header(SMALL, 4, 16, 1e15)),
        case("nrrd: 2^62 voxels", "limit", labels, || {
            Ok(b"NRRD0004\ntype: short\ndimension: 3\nspace: left-posterior-superior\nsizes: 4611686018427387904 1 1\n\
                 space directions: (1,0,0) (0,1,0) (0,0,1)\nendian: little\nencoding: raw\nspace origin: (0,0,0)\n\n"
                .to_vec())
        }),
        case("nrrd: gzip of 1 GiB behind 24 voxels", "read", labels, || {
            let head = b"NRRD0004\ntype: short\ndimension: 3\nspace: left-posterior-superior\nsizes: 4 3 2\n\
                 space directions: (1,0,0) (0,1,0) (0,0,1)\nendian: little\nencoding: gzip\nspace origin: (0,0,0)\n\n";
            Ok([&head[..], &gzip_bomb(&[], 1024)?].concat())
        }),
        case("dicom: 100,000 sequences within each other", "dicom-structure", dicom, move || {
            let mut bytes = dicom_file("explicit_le.dcm")?;
            let pixels = bytes.windows(4).rposition(|w| w == [0xe0, 0x7f, 0x10, 0]).unwrap_or(bytes.len());
            // (0040,0275) of undefined length, and an item of undefined length, again and again.
            let level = [
                0x40, 0, 0x75, 2, b'S', b'Q', 0, 0, 255, 255, 255, 255, 0xfe, 0xff, 0, 0xe0, 255, 255, 255,
                255,
            ];
            drop(bytes.splice(pixels..pixels, level.repeat(100_000)));
            Ok(bytes)
        }),
        case("dicom: 65535 x 65535 pixels in 3 KiB", "limit", dicom, move || {
            let mut bytes = dicom_file("explicit_le.dcm")?;
            for tag in [[0x28, 0, 0x10, 0], [0x28, 0, 0x11, 0]] {
                if let Some(at) = bytes.windows(4).position(|window| window == tag) {
                    bytes[at + 8..at + 10].fill(0xff);
                }
            }
            Ok(bytes)
        }),
        case("dicom: a deflated element of 2 GiB in 1 MiB", "limit", dicom, move || {
            let bytes = dicom_file("deflated.dcm")?;
            let length: [u8; 4] = bytes[140..144].try_into()?;
            let end = 144 + usize::try_from(u32::from_le_bytes(length))?;
            // A private element of 2 GiB less one block.
            let element = [9, 0, 0x10, 0x10, b'U', b'N', 0, 0, 0, 0, 0, 0x7f];
            Ok([&bytes[..end], &deflated(&element, 1024)?].concat())
        }),
        case("dicom: a value of 4 GiB", "dicom-truncated", dicom, move || {
            let mut bytes = dicom_file("implicit_le.dcm")?;
            // SeriesDescription of implicit VR, without its bytes.
            let pixels = bytes.windows(4).rposition(|w| w == [0xe0, 0x7f, 0x10, 0]).unwrap_or(bytes.len());
            drop(bytes.splice(pixels..pixels, [0x50, 0x54, 0, 0x10, 0xfe, 0xff, 0xff, 0xff]));
            Ok(bytes)
        }),
    ]
}
