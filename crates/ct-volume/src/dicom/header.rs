//! What the attributes of one file say about its image.

use super::attributes::{self as at, Attribute, Attributes};
use super::error::DicomError;
use super::pixel_text::PixelText;
use super::syntax::Syntax;
use crate::affine::{cross, dot, norm};
use crate::limits::Limits;

/// Layout of the stored pixels, the same for all frames of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct PixelFormat {
    pub(super) columns: u16,
    pub(super) rows: u16,
    pub(super) n_frames: usize,
    /// 8, 16 or 32.
    pub(super) bits_allocated: u16,
    pub(super) bits_stored: u16,
    pub(super) high_bit: u16,
    pub(super) signed: bool,
}

impl PixelFormat {
    pub(super) fn n_pixels(&self) -> usize {
        usize::from(self.columns) * usize::from(self.rows)
    }

    pub(super) fn bytes_per_sample(&self) -> usize {
        usize::from(self.bits_allocated / 8)
    }

    /// Bytes of one native frame.
    pub(super) fn frame_bytes(&self) -> usize {
        self.n_pixels() * self.bytes_per_sample()
    }

    /// The stored value in the `bits_allocated` bits of `raw`: the bits up to HighBit, extended by
    /// their sign (PS3.5, 8.1.1).
    pub(super) fn stored_value(&self, raw: u32) -> i64 {
        let mask = (1_u64 << self.bits_stored) - 1;
        let bits = (u64::from(raw) >> (self.high_bit + 1 - self.bits_stored)) & mask;
        let value = i64::try_from(bits).expect("at most 32 bits");
        let negative = self.signed && bits >> (self.bits_stored - 1) == 1;
        if negative { value - (1_i64 << self.bits_stored) } else { value }
    }

    /// # Errors
    /// A [`DicomError`] for anything but one sample per pixel of 8, 16 or 32 bits within the limits.
    fn read(attributes: Attributes<'_>, limits: &Limits) -> Result<Self, DicomError> {
        let samples = attributes.word(&at::SAMPLES_PER_PIXEL).unwrap_or(1);
        if samples != 1 {
            return Err(bad(&at::SAMPLES_PER_PIXEL, samples, "1, as a CT image has"));
        }
        if let Some(photometric) = attributes.text(&at::PHOTOMETRIC_INTERPRETATION)
            && !matches!(photometric, "MONOCHROME1" | "MONOCHROME2")
        {
            return Err(bad(&at::PHOTOMETRIC_INTERPRETATION, "another value", "`MONOCHROME2`"));
        }
        let [columns, rows] = [attributes.need_word(&at::COLUMNS)?, attributes.need_word(&at::ROWS)?];
        for (value, attribute) in [(columns, &at::COLUMNS), (rows, &at::ROWS)] {
            if value == 0 {
                return Err(bad(attribute, value, "at least 1"));
            }
        }
        let n_frames = attributes.integer(&at::NUMBER_OF_FRAMES)?.unwrap_or(1);
        let n_frames = usize::try_from(n_frames).ok().filter(|&n| n > 0);
        let Some(n_frames) = n_frames else {
            return Err(bad(&at::NUMBER_OF_FRAMES, "not positive", "at least 1"));
        };
        let bits_allocated = attributes.need_word(&at::BITS_ALLOCATED)?;
        if !matches!(bits_allocated, 8 | 16 | 32) {
            return Err(bad(&at::BITS_ALLOCATED, bits_allocated, "8, 16 or 32"));
        }
        let bits_stored = attributes.need_word(&at::BITS_STORED)?;
        if bits_stored == 0 || bits_stored > bits_allocated {
            return Err(bad(&at::BITS_STORED, bits_stored, "1 to BitsAllocated"));
        }
        let high_bit = attributes.word(&at::HIGH_BIT).unwrap_or(bits_stored - 1);
        if high_bit < bits_stored - 1 || high_bit >= bits_allocated {
            return Err(bad(&at::HIGH_BIT, high_bit, "BitsStored - 1, or higher within BitsAllocated"));
        }
        let signed = match attributes.need_word(&at::PIXEL_REPRESENTATION)? {
            0 => false,
            1 => true,
            other => return Err(bad(&at::PIXEL_REPRESENTATION, other, "0 or 1")),
        };
        let axes = [u64::from(columns), u64::from(rows), n_frames as u64];
        // Voxels become f32, whatever the stored width.
        limits.check_array(&axes, 4)?;
        Ok(Self { columns, rows, n_frames, bits_allocated, bits_stored, high_bit, signed })
    }
}

/// Where one frame lies in the patient; LPS+ mm.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Plane {
    /// Centre of the first pixel.
    pub(super) position_lps_mm: [f64; 3],
    /// Unit vector along a row: the way in which the column index grows.
    pub(super) along_row: [f64; 3],
    /// Unit vector along a column: the way in which the row index grows.
    pub(super) along_column: [f64; 3],
    /// Distance of columns (x), then of rows (y): PixelSpacing holds them the other way round
    /// (PS3.3, 10.7.1.3).
    pub(super) spacing_mm: [f64; 2],
}

impl Plane {
    /// Unit vector in which slices are counted: row crossed with column, so that an axial series of
    /// a supine patient runs from feet to head.
    pub(super) fn normal(&self) -> [f64; 3] {
        cross(self.along_row, self.along_column)
    }

    /// Distance of the plane from the origin, in mm along `normal`.
    pub(super) fn distance_along(&self, normal: [f64; 3]) -> f64 {
        dot(self.position_lps_mm, normal)
    }

    fn new(position: [f64; 3], orientation: [f64; 6], pixel_spacing: [f64; 2]) -> Result<Self, DicomError> {
        let [r0, r1, r2, c0, c1, c2] = orientation;
        let (row, column) = ([r0, r1, r2], [c0, c1, c2]);
        let unit = |v: [f64; 3]| {
            let length = norm(v);
            // Written with few digits, direction cosines are off by a little.
            ((length - 1.0).abs() < 1e-2).then(|| v.map(|c| c / length))
        };
        let axes = unit(row).zip(unit(column)).filter(|&(a, b)| dot(a, b).abs() < 1e-2);
        let Some((along_row, along_column)) = axes else {
            let expected = "two unit vectors at right angles";
            return Err(bad(&at::IMAGE_ORIENTATION_PATIENT, format!("{orientation:?}"), expected));
        };
        let [row_distance, column_distance] = pixel_spacing;
        if row_distance <= 0.0 || column_distance <= 0.0 {
            return Err(bad(&at::PIXEL_SPACING, format!("{pixel_spacing:?}"), "two positive numbers"));
        }
        let spacing_mm = [column_distance, row_distance];
        Ok(Self { position_lps_mm: position, along_row, along_column, spacing_mm })
    }
}

/// What the first pass needs of a file.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct ImageHeader {
    pub(super) format: PixelFormat,
    /// One a frame.
    pub(super) planes: Vec<Plane>,
    pub(super) slice_thickness_mm: Option<f64>,
    pub(super) spacing_between_mm: Option<f64>,
    /// Breaks ties between slices at one position.
    pub(super) instance: i64,
    pub(super) lossy: bool,
    pub(super) pixel_text: PixelText,
}

impl ImageHeader {
    /// # Errors
    /// A [`DicomError`] naming the attribute.
    pub(super) fn read(
        attributes: Attributes<'_>,
        syntax: &Syntax,
        limits: &Limits,
    ) -> Result<Self, DicomError> {
        if syntax.compression == super::syntax::Compression::Unsupported {
            return Err(syntax.unsupported());
        }
        let format = PixelFormat::read(attributes, limits)?;
        let shared = attributes.item(&at::SHARED_FUNCTIONAL_GROUPS_SEQUENCE);
        let frames = attributes.items(&at::PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE);
        let is_enhanced = shared.is_some() || !frames.is_empty();
        if is_enhanced && !frames.is_empty() && frames.len() != format.n_frames {
            let found = format!("{} items for {} frames", frames.len(), format.n_frames);
            return Err(bad(&at::PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE, found, "an item a frame"));
        }
        if !is_enhanced && format.n_frames > 1 {
            let name = at::PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE.name;
            return Err(DicomError::MissingAttribute { name });
        }
        let planes = (0..format.n_frames)
            .map(|frame| {
                let groups =
                    Groups { attributes, shared, frame: frames.get(frame).map(Attributes), is_enhanced };
                let position = groups.of(&at::PLANE_POSITION_SEQUENCE);
                let orientation = groups.of(&at::PLANE_ORIENTATION_SEQUENCE);
                let measures = groups.of(&at::PIXEL_MEASURES_SEQUENCE);
                Plane::new(
                    position.need_decimals(&at::IMAGE_POSITION_PATIENT)?,
                    orientation.need_decimals(&at::IMAGE_ORIENTATION_PATIENT)?,
                    measures.need_decimals(&at::PIXEL_SPACING)?,
                )
            })
            .collect::<Result<Vec<_>, _>>()?;
        let first = Groups { attributes, shared, frame: frames.first().map(Attributes), is_enhanced };
        let measures = first.of(&at::PIXEL_MEASURES_SEQUENCE);
        Ok(Self {
            format,
            planes,
            slice_thickness_mm: positive(measures.decimal(&at::SLICE_THICKNESS)?),
            spacing_between_mm: positive(measures.decimal(&at::SPACING_BETWEEN_SLICES)?),
            instance: attributes.integer(&at::INSTANCE_NUMBER)?.unwrap_or(0),
            lossy: syntax.lossy || attributes.text(&at::LOSSY_IMAGE_COMPRESSION) == Some("01"),
            pixel_text: PixelText::read(attributes),
        })
    }
}

/// The functional groups of a frame (PS3.3, C.7.6.16), or the plain attributes of an ordinary file.
#[derive(Clone, Copy, Debug)]
pub(super) struct Groups<'a> {
    pub(super) attributes: Attributes<'a>,
    pub(super) shared: Option<Attributes<'a>>,
    pub(super) frame: Option<Attributes<'a>>,
    pub(super) is_enhanced: bool,
}

impl<'a> Groups<'a> {
    /// Where the attributes of a functional group are: the frame's own group, else the shared one,
    /// else the top level.
    pub(super) fn of(&self, group: &Attribute) -> Attributes<'a> {
        if !self.is_enhanced {
            return self.attributes;
        }
        let own = self.frame.and_then(|frame| frame.item(group));
        own.or_else(|| self.shared.and_then(|shared| shared.item(group))).unwrap_or(self.attributes)
    }
}

fn positive(value: Option<f64>) -> Option<f64> {
    value.map(f64::abs).filter(|&value| value > 0.0)
}

fn bad(attribute: &Attribute, value: impl ToString, expected: &'static str) -> DicomError {
    DicomError::BadAttribute { name: attribute.name, value: value.to_string(), expected }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stored_values_take_their_sign_from_the_stored_bits() {
        let format = |bits_stored, high_bit, signed| PixelFormat {
            columns: 1,
            rows: 1,
            n_frames: 1,
            bits_allocated: 16,
            bits_stored,
            high_bit,
            signed,
        };
        // Bits stored, high bit, signed, raw, value.
        for (bits_stored, high_bit, signed, raw, value) in [
            (16, 15, true, 0xFC00, -1024),
            (16, 15, false, 0xFC00, 64_512),
            (12, 11, true, 0x0FFF, -1),
            (12, 11, true, 0xF7FF, 2047),
            (12, 11, false, 0xF7FF, 2047),
            (12, 15, true, 0xFFF3, -1),
            (12, 13, false, 0x3FFC, 4095),
            (1, 0, false, 0xFFFF, 1),
        ] {
            let got = format(bits_stored, high_bit, signed).stored_value(raw);
            assert_eq!(got, value, "{bits_stored} {high_bit} {signed} {raw:#06x}");
        }
        let wide = PixelFormat { bits_allocated: 32, ..format(32, 31, true) };
        assert_eq!(wide.stored_value(u32::MAX), -1);
    }

    #[test]
    fn pixel_spacing_is_rows_then_columns() {
        let plane = Plane::new([0.0; 3], [1.0, 0.0, 0.0, 0.0, 1.0, 0.0], [3.5, 2.5]).unwrap();
        assert_eq!(plane.spacing_mm, [2.5, 3.5]);
        assert_eq!(plane.normal(), [0.0, 0.0, 1.0]);
    }

    #[test]
    fn orientation_must_be_right_angled_unit_vectors() {
        for orientation in [
            [0.0; 6],
            [1.0, 0.0, 0.0, 1.0, 0.0, 0.0],
            [1.0, 0.0, 0.0, 0.1, 0.9, 0.0],
            [2.0, 0.0, 0.0, 0.0, 1.0, 0.0],
        ] {
            let error = Plane::new([0.0; 3], orientation, [1.0, 1.0]).unwrap_err();
            assert!(matches!(error, DicomError::BadAttribute { name: "ImageOrientationPatient", .. }));
        }
    }
}
