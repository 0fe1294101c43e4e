//! Writes synthetic volumes as CT series.

use std::path::{Path, PathBuf};

use dicom_core::{DataElement, PrimitiveValue, Tag, VR};
use dicom_dictionary_std::tags;
use dicom_object::meta::FileMetaTableBuilder;
use dicom_object::{FileDicomObject, InMemDicomObject};
use ndarray::{ArrayView2, Axis};

use super::error::DicomError;
use super::options::SeriesTags;
use crate::affine::dot;
use crate::atomic::write_atomic;
use crate::error::VolumeError;
use crate::volume::Volume;

const CT_IMAGE_STORAGE: &str = "1.2.840.10008.5.1.4.1.1.2";
const EXPLICIT_VR_LITTLE_ENDIAN: &str = "1.2.840.10008.1.2.1";
/// Made from a random UUID (PS3.5, B.2); stands for this writer.
const IMPLEMENTATION_CLASS_UID: &str = "2.25.217397755020833753693344316459304874598";
const IMPLEMENTATION_VERSION: &str = "MINIGPTPANCREAS";

/// Writes a volume as a CT series, one file a slice named `1-001.dcm`, `1-002.dcm` …: explicit VR
/// little endian, signed 16-bit, slope 1, intercept 0, for synthetic data. Returns the files.
///
/// Slices are in the order of `k`, which is also InstanceNumber. The same volume and tags give the
/// same bytes. Values are rounded to whole HU.
///
/// # Errors
/// [`VolumeError::Write`]; [`VolumeError::Dicom`] with [`DicomError::NotWritable`] for values beyond
/// 16 bits or not finite, more than 65,535 rows or columns, rows and columns that are not at right
/// angles, or a root that is no UID.
pub fn write_series(folder: &Path, volume: &Volume, tags: &SeriesTags) -> Result<Vec<PathBuf>, VolumeError> {
    let unwritable = |error| VolumeError::Dicom { path: folder.to_owned(), source: Box::new(error) };
    let written = |source| VolumeError::Write { path: folder.to_owned(), source };
    let series = SeriesWriter::new(volume, tags).map_err(unwritable)?;
    fs_err::create_dir_all(folder).map_err(written)?;
    let mut files = Vec::with_capacity(volume.hu().len_of(Axis(2)));
    for (k, plane) in volume.hu().axis_iter(Axis(2)).enumerate() {
        let bytes = series.file(k, plane).map_err(unwritable)?;
        let path = folder.join(format!("1-{:03}.dcm", k + 1));
        write_atomic(&path, &bytes)?;
        files.push(path);
    }
    Ok(files)
}

/// What the files of a series have in common.
struct SeriesWriter<'a> {
    volume: &'a Volume,
    tags: &'a SeriesTags,
    columns: u16,
    rows: u16,
    orientation: String,
    /// Row distance, then column distance.
    pixel_spacing: String,
}

impl<'a> SeriesWriter<'a> {
    fn new(volume: &'a Volume, tags: &'a SeriesTags) -> Result<Self, DicomError> {
        let geometry = volume.geometry();
        let [columns, rows, _] = geometry.shape();
        let size = u16::try_from(columns).ok().zip(u16::try_from(rows).ok());
        let (columns, rows) = size.ok_or_else(|| unwritable(format!("{columns} columns, {rows} rows")))?;
        let [x_mm, y_mm, _] = geometry.spacing_mm();
        let unit = |axis, length: f64| ras_to_lps(geometry.affine().column(axis)).map(|c| c / length);
        let (along_row, along_column) = (unit(0, x_mm), unit(1, y_mm));
        let cosine = dot(along_row, along_column);
        if cosine.abs() > 1e-3 {
            return Err(unwritable(format!("the cosine between rows and columns is {cosine}")));
        }
        let root = &tags.uid_root;
        let is_uid = root.len() <= 48
            && root.split('.').all(|part| {
                let digits = !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
                digits && (part == "0" || !part.starts_with('0'))
            });
        if !is_uid {
            return Err(unwritable(format!("`{root}` is not a root for UIDs of at most 48 characters")));
        }
        Ok(Self {
            volume,
            tags,
            columns,
            rows,
            orientation: decimals(&[along_row, along_column].concat()),
            pixel_spacing: decimals(&[y_mm, x_mm]),
        })
    }

    /// The bytes of the file of slice `k`.
    fn file(&self, k: usize, plane: ArrayView2<'_, f32>) -> Result<Vec<u8>, DicomError> {
        let root = &self.tags.uid_root;
        let instance_uid = format!("{root}.4.{}", k + 1);
        let position = ras_to_lps(self.volume.geometry().affine().apply([0.0, 0.0, k as f64]));
        let mut object = InMemDicomObject::new_empty();
        let mut text = |tag: Tag, vr: VR, value: &str| {
            object.put(DataElement::new(tag, vr, PrimitiveValue::from(value)));
        };
        // The attributes that the CT image IOD asks for (PS3.3, A.3), with empty values where it allows them
        // and a synthetic patient has none.
        text(tags::IMAGE_TYPE, VR::CS, "DERIVED\\SECONDARY\\AXIAL");
        text(tags::SOP_CLASS_UID, VR::UI, CT_IMAGE_STORAGE);
        text(tags::SOP_INSTANCE_UID, VR::UI, &instance_uid);
        text(tags::STUDY_INSTANCE_UID, VR::UI, &format!("{root}.1"));
        text(tags::SERIES_INSTANCE_UID, VR::UI, &format!("{root}.2"));
        text(tags::FRAME_OF_REFERENCE_UID, VR::UI, &format!("{root}.3"));
        text(tags::MODALITY, VR::CS, "CT");
        text(tags::BURNED_IN_ANNOTATION, VR::CS, "NO");
        text(tags::PATIENT_NAME, VR::PN, &self.tags.patient);
        text(tags::PATIENT_ID, VR::LO, &self.tags.patient);
        text(tags::STUDY_ID, VR::SH, "1");
        text(tags::SERIES_NUMBER, VR::IS, "1");
        text(tags::INSTANCE_NUMBER, VR::IS, &(k + 1).to_string());
        text(tags::SLICE_THICKNESS, VR::DS, &decimal_string(self.tags.slice_thickness_mm));
        text(tags::IMAGE_POSITION_PATIENT, VR::DS, &decimals(&position));
        text(tags::IMAGE_ORIENTATION_PATIENT, VR::DS, &self.orientation);
        text(tags::PIXEL_SPACING, VR::DS, &self.pixel_spacing);
        text(tags::PHOTOMETRIC_INTERPRETATION, VR::CS, "MONOCHROME2");
        text(tags::RESCALE_INTERCEPT, VR::DS, "0");
        text(tags::RESCALE_SLOPE, VR::DS, "1");
        text(tags::RESCALE_TYPE, VR::LO, "HU");
        for (tag, vr) in [
            (tags::STUDY_DATE, VR::DA),
            (tags::STUDY_TIME, VR::TM),
            (tags::ACCESSION_NUMBER, VR::SH),
            (tags::MANUFACTURER, VR::LO),
            (tags::REFERRING_PHYSICIAN_NAME, VR::PN),
            (tags::PATIENT_BIRTH_DATE, VR::DA),
            (tags::PATIENT_SEX, VR::CS),
            (tags::PATIENT_POSITION, VR::CS),
            (tags::POSITION_REFERENCE_INDICATOR, VR::LO),
            (tags::KVP, VR::DS),
            (tags::ACQUISITION_NUMBER, VR::IS),
        ] {
            object.put(DataElement::new(tag, vr, PrimitiveValue::Empty));
        }
        for (tag, value) in [
            (tags::SAMPLES_PER_PIXEL, 1),
            (tags::ROWS, self.rows),
            (tags::COLUMNS, self.columns),
            (tags::BITS_ALLOCATED, 16),
            (tags::BITS_STORED, 16),
            (tags::HIGH_BIT, 15),
            (tags::PIXEL_REPRESENTATION, 1),
        ] {
            object.put(DataElement::new(tag, VR::US, PrimitiveValue::from(value)));
        }
        let pixels = stored_values(plane)?;
        object.put(DataElement::new(tags::PIXEL_DATA, VR::OW, PrimitiveValue::U16(pixels.into())));
        self.encode(object, &instance_uid)
    }

    fn encode(&self, object: InMemDicomObject, instance_uid: &str) -> Result<Vec<u8>, DicomError> {
        let meta = FileMetaTableBuilder::new()
            .media_storage_sop_class_uid(CT_IMAGE_STORAGE)
            .media_storage_sop_instance_uid(instance_uid)
            .transfer_syntax(EXPLICIT_VR_LITTLE_ENDIAN)
            .implementation_class_uid(IMPLEMENTATION_CLASS_UID)
            .implementation_version_name(IMPLEMENTATION_VERSION)
            .build()
            .map_err(|error| unwritable(error.to_string()))?;
        let file: FileDicomObject<InMemDicomObject> = object.with_exact_meta(meta);
        let n_pixels = usize::from(self.columns) * usize::from(self.rows);
        let mut bytes = Vec::with_capacity(2 * n_pixels + 2048);
        file.write_all(&mut bytes).map_err(|error| unwritable(error.to_string()))?;
        Ok(bytes)
    }
}

/// Whole HU as signed 16-bit words, row by row.
fn stored_values(plane: ArrayView2<'_, f32>) -> Result<Vec<u16>, DicomError> {
    let mut words = Vec::with_capacity(plane.len());
    // Transposed, the plane is in the order of its rows.
    for &hu in plane.t() {
        let rounded = hu.round();
        if !(f32::from(i16::MIN)..=f32::from(i16::MAX)).contains(&rounded) {
            return Err(unwritable(format!("a value of {hu} HU is beyond 16 bits")));
        }
        words.push(to_i16(rounded).cast_unsigned());
    }
    Ok(words)
}

#[expect(clippy::cast_possible_truncation, reason = "a whole number within the range of i16")]
fn to_i16(value: f32) -> i16 {
    value as i16
}

fn unwritable(reason: String) -> DicomError {
    DicomError::NotWritable { reason }
}

fn ras_to_lps([x, y, z]: [f64; 3]) -> [f64; 3] {
    // Adding zero turns a negative zero into zero.
    [-x + 0.0, -y + 0.0, z]
}

fn decimals(values: &[f64]) -> String {
    values.iter().map(|&value| decimal_string(value)).collect::<Vec<_>>().join("\\")
}

/// A number as DICOM's decimal string: at most 16 characters (PS3.5, 6.2), with as many digits as fit.
#[must_use]
pub fn decimal_string(value: f64) -> String {
    const LONGEST: usize = 16;
    let shortest = value.to_string();
    if shortest.len() <= LONGEST {
        return shortest;
    }
    let digits = (0..LONGEST).rev();
    let fixed = digits.map(|n| format!("{value:.n$}")).find(|text| text.len() <= LONGEST);
    // A number of 17 digits before the point, or so small that nothing is left.
    fixed
        .filter(|text| text.bytes().any(|b| (b'1'..=b'9').contains(&b)))
        .unwrap_or_else(|| format!("{value:.8e}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimal_strings_are_short_and_near() {
        for value in [0.0, 1.0, -0.1, 1.0 / 3.0, -123.456_789_012_345, 1e-12, -1e-9 / 3.0, 1e20, 0.976_562_5]
        {
            let text = decimal_string(value);
            assert!(text.len() <= 16, "{text}");
            let back: f64 = text.parse().unwrap();
            assert!((back - value).abs() <= 1e-8 * value.abs().max(1e-4), "{value} {text}");
        }
    }
}
