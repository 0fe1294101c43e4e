//! Stored pixel values to Hounsfield units.

use super::attributes::{self as at, Attributes};
use super::error::DicomError;
use super::header::{Groups, PixelFormat};

/// What padding and fill outside the reconstruction circle become.
pub(super) const AIR_HU: f32 = -1024.0;

/// Below this there is no tissue, gas or noise, only fill: vacuum is -1000 HU, and noise and streaks
/// around it stay within a few hundred. Writers fill with -2000 before or after the intercept of
/// -1024, and not all of them say so in PixelPaddingValue.
const FILL_BELOW_HU: f64 = -1500.0;

/// Padding that would be tissue is not believed: files exist that declare 0, which is water where
/// the intercept is 0.
const TISSUE_HU: std::ops::Range<f64> = -900.0..3000.0;

/// How the stored values of one frame become HU.
#[derive(Clone, Debug, PartialEq)]
enum Rescale {
    Linear {
        slope: f64,
        intercept: f64,
    },
    /// Modality LUT (PS3.3, C.11.1): values below `first` take the first entry, values above take the last.
    Table {
        first: i64,
        entries: Vec<f64>,
    },
}

/// How the stored values of a file become HU.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct HuMap {
    format: PixelFormat,
    /// One, or one a frame.
    rescales: Vec<Rescale>,
    /// Stored values from first to last that are padding.
    padding: Option<(i64, i64)>,
    /// Fill is looked for; only where values are HU.
    repair_fill: bool,
    /// Neither slope, intercept nor LUT is there.
    pub(super) is_unscaled: bool,
    /// RescaleType says something else than HU.
    pub(super) is_not_hu: bool,
    /// Padding that would be tissue: its value in HU.
    pub(super) doubtful_padding_hu: Option<f64>,
}

impl HuMap {
    /// Stored values as they are.
    pub(super) fn stored(format: PixelFormat) -> Self {
        Self {
            format,
            rescales: vec![Rescale::Linear { slope: 1.0, intercept: 0.0 }],
            padding: None,
            repair_fill: false,
            is_unscaled: false,
            is_not_hu: false,
            doubtful_padding_hu: None,
        }
    }

    /// # Errors
    /// A [`DicomError`] naming the attribute.
    pub(super) fn read(
        attributes: Attributes<'_>,
        format: PixelFormat,
        is_ct: bool,
    ) -> Result<Self, DicomError> {
        let mut map = Self { repair_fill: is_ct, ..Self::stored(format) };
        let shared = attributes.item(&at::SHARED_FUNCTIONAL_GROUPS_SEQUENCE);
        let frames = attributes.items(&at::PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE);
        let is_enhanced = shared.is_some() || !frames.is_empty();
        if let Some(lut) = attributes.item(&at::MODALITY_LUT_SEQUENCE) {
            map.rescales = vec![read_lut(lut, format)?];
        } else {
            let n = if is_enhanced { format.n_frames } else { 1 };
            map.rescales.clear();
            for frame in 0..n {
                let frame = frames.get(frame).map(Attributes);
                let groups = Groups { attributes, shared, frame, is_enhanced };
                let group = groups.of(&at::PIXEL_VALUE_TRANSFORMATION_SEQUENCE);
                let slope = group.decimal(&at::RESCALE_SLOPE)?;
                let intercept = group.decimal(&at::RESCALE_INTERCEPT)?;
                map.is_unscaled |= slope.is_none() && intercept.is_none();
                map.is_not_hu |= group.text(&at::RESCALE_TYPE).is_some_and(|kind| kind != "HU");
                let (slope, intercept) = (slope.unwrap_or(1.0), intercept.unwrap_or(0.0));
                if slope == 0.0 {
                    return Err(DicomError::BadAttribute {
                        name: at::RESCALE_SLOPE.name,
                        value: "0".to_owned(),
                        expected: "another number than 0",
                    });
                }
                let rescale = Rescale::Linear { slope, intercept };
                if rescale.largest(format) > f64::from(f32::MAX) {
                    return Err(DicomError::BadAttribute {
                        name: at::RESCALE_SLOPE.name,
                        value: format!("{slope:e} (RescaleIntercept {intercept:e})"),
                        expected: "values that 32-bit floats hold",
                    });
                }
                map.rescales.push(rescale);
            }
        }
        map.read_padding(attributes);
        Ok(map)
    }

    fn read_padding(&mut self, attributes: Attributes<'_>) {
        let stored = |word: u16| self.format.stored_value(u32::from(word));
        // Values of 16 bits whatever BitsStored is (PS3.3, C.7.5.1.1.2), so sign from bit 15.
        let value = |word: u16| {
            if self.format.bits_allocated == 16 && self.format.bits_stored < 16 {
                if self.format.signed { i64::from(word.cast_signed()) } else { i64::from(word) }
            } else {
                stored(word)
            }
        };
        let Some(first) = attributes.word(&at::PIXEL_PADDING_VALUE).map(value) else { return };
        let last = attributes.word(&at::PIXEL_PADDING_RANGE_LIMIT).map_or(first, value);
        let (low, high) = (first.min(last), first.max(last));
        let hu = [low, high].map(|stored| self.rescales[0].apply(stored));
        match hu.into_iter().find(|hu| self.repair_fill && TISSUE_HU.contains(hu)) {
            Some(hu) => self.doubtful_padding_hu = Some(hu),
            None => self.padding = Some((low, high)),
        }
    }

    /// Writes the HU of a frame of raw samples; returns how many were padding or fill and are air now.
    pub(super) fn convert(&self, frame: usize, raw: &[u32], out: &mut [f32]) -> usize {
        let format = &self.format;
        match self.rescales.get(frame).unwrap_or(&self.rescales[0]) {
            Rescale::Linear { slope, intercept } => {
                let (slope, intercept) = (*slope, *intercept);
                let hu = move |stored: f64| stored * slope + intercept;
                // Shifts keep the stored bits and their sign, as `PixelFormat::stored_value` does; in this
                // form, and by 32 bits, the loop becomes vector instructions.
                let (left, right) = (31 - format.high_bit, 32 - format.bits_stored);
                if format.signed {
                    let stored = |raw: u32| f64::from((raw << left).cast_signed() >> right);
                    self.convert_with(raw, out, stored, hu)
                } else if format.bits_stored < 32 {
                    let stored = |raw: u32| f64::from(((raw << left) >> right).cast_signed());
                    self.convert_with(raw, out, stored, hu)
                } else {
                    self.convert_with(raw, out, f64::from, hu)
                }
            }
            table @ Rescale::Table { .. } => {
                let hu = |stored: f64| table.apply(to_i64(stored));
                self.convert_with(raw, out, |raw| format.stored_value(raw) as f64, hu)
            }
        }
    }

    fn convert_with(
        &self,
        raw: &[u32],
        out: &mut [f32],
        stored: impl Fn(u32) -> f64,
        hu: impl Fn(f64) -> f64,
    ) -> usize {
        let (low, high) = self.padding.map_or((1.0, 0.0), |(low, high)| (low as f64, high as f64));
        let fill_below = if self.repair_fill { FILL_BELOW_HU } else { f64::NEG_INFINITY };
        let mut n_repaired = 0;
        for (out, &raw) in out.iter_mut().zip(raw) {
            let stored = stored(raw);
            let hu = hu(stored);
            let repair = ((low <= stored) & (stored <= high)) | (hu < fill_below);
            *out = if repair { AIR_HU } else { to_f32(hu) };
            n_repaired += usize::from(repair & (to_f32(hu) != AIR_HU));
        }
        n_repaired
    }
}

impl HuMap {
    /// The largest size that a value can have.
    pub(super) fn largest_hu(&self) -> f64 {
        self.rescales.iter().map(|rescale| rescale.largest(self.format)).fold(0.0, f64::max)
    }
}

impl Rescale {
    /// The largest size that a value can have.
    fn largest(&self, format: PixelFormat) -> f64 {
        match self {
            Self::Linear { slope, intercept } => {
                2_f64.powi(i32::from(format.bits_stored)) * slope.abs() + intercept.abs()
            }
            Self::Table { entries, .. } => entries.iter().fold(0.0, |largest: f64, hu| largest.max(hu.abs())),
        }
    }

    fn apply(&self, stored: i64) -> f64 {
        match self {
            Self::Linear { slope, intercept } => stored as f64 * slope + intercept,
            Self::Table { first, entries } => {
                let last = entries.len() - 1;
                entries[usize::try_from(stored - first).unwrap_or(0).min(last)]
            }
        }
    }
}

fn read_lut(lut: Attributes<'_>, format: PixelFormat) -> Result<Rescale, DicomError> {
    let missing = |name| DicomError::MissingAttribute { name };
    let &[n_entries, first, bits] = lut.words(&at::LUT_DESCRIPTOR) else {
        return Err(missing(at::LUT_DESCRIPTOR.name));
    };
    // Zero stands for 65,536 (PS3.3, C.11.1.1).
    let n_entries = if n_entries == 0 { 1 << 16 } else { usize::from(n_entries) };
    let first = if format.signed { i64::from(first.cast_signed()) } else { i64::from(first) };
    let words = lut.words(&at::LUT_DATA);
    let entries: Vec<f64> = if words.len() >= n_entries {
        words[..n_entries].iter().map(|&word| f64::from(word)).collect()
    } else if bits <= 8 && words.len() * 2 >= n_entries {
        // Entries of 8 bits may be packed two to a word, the first in the low byte.
        let bytes = words.iter().flat_map(|word| word.to_le_bytes());
        bytes.take(n_entries).map(f64::from).collect()
    } else if words.is_empty() {
        return Err(missing(at::LUT_DATA.name));
    } else {
        return Err(DicomError::BadAttribute {
            name: at::LUT_DATA.name,
            value: format!("{} entries", words.len()),
            expected: "as many entries as LUTDescriptor says",
        });
    };
    Ok(Rescale::Table { first, entries })
}

#[expect(clippy::cast_possible_truncation, reason = "HU are kept as f32; rounding is to the nearest")]
fn to_f32(value: f64) -> f32 {
    value as f32
}

#[expect(clippy::cast_possible_truncation, reason = "a whole number of at most 33 bits")]
fn to_i64(value: f64) -> i64 {
    value as i64
}
