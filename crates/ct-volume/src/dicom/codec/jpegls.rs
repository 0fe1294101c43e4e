//! JPEG-LS, lossless and near-lossless, through `pure_jpegls`.
//!
//! Its header is checked here first: a preset outside of what ITU-T T.87 allows makes the decoder's
//! context arithmetic overflow.

use super::{broken, check_size, guarded};
use crate::dicom::error::DicomError;
use crate::dicom::header::PixelFormat;

const CODEC: &str = "JPEG-LS";

pub(super) fn decode(encoded: &[u8], format: &PixelFormat, raw: &mut Vec<u32>) -> Result<(), DicomError> {
    check_header(encoded, format)?;
    let [columns, rows] = [format.columns, format.rows].map(u32::from);
    let (samples, _, _) = guarded(CODEC, || {
        jpegls::decode(encoded, columns, rows).map_err(|error| broken(CODEC, error.to_string()))
    })?;
    raw.extend(samples.into_iter().map(u32::from));
    Ok(())
}

/// Walks the marker segments up to the scan.
fn check_header(encoded: &[u8], format: &PixelFormat) -> Result<(), DicomError> {
    let short = || broken(CODEC, "the stream ends within its header");
    let mut rest = encoded.strip_prefix(&[0xFF, 0xD8]).ok_or_else(|| broken(CODEC, "no start of image"))?;
    let mut max_value = None;
    let mut has_preset = false;
    loop {
        let &[0xFF, marker, high, low, ..] = rest else { return Err(short()) };
        let length = usize::from(u16::from_be_bytes([high, low]));
        let segment = rest.get(4..2 + length).ok_or_else(short)?;
        rest = rest.get(2 + length..).ok_or_else(short)?;
        match marker {
            // SOF55: precision, rows, columns, components.
            0xF7 => {
                let &[precision, y1, y0, x1, x0, n_components, ..] = segment else { return Err(short()) };
                if max_value.is_some() || n_components != 1 || segment.len() != 9 {
                    return Err(broken(CODEC, "not one frame of one component"));
                }
                let size = [[x1, x0], [y1, y0]].map(|v| u32::from(u16::from_be_bytes(v)));
                if !(2..=16).contains(&precision) {
                    return Err(broken(CODEC, format!("a precision of {precision} bits")));
                }
                check_size(CODEC, size, u32::from(precision), format)?;
                max_value = Some((1_u32 << precision) - 1);
            }
            // LSE: presets for the one component.
            0xF8 => {
                let &[1, ref fields @ ..] = segment else {
                    return Err(broken(CODEC, "mapping tables or extended sizes"));
                };
                let limit = max_value.ok_or_else(|| broken(CODEC, "presets before the frame header"))?;
                if has_preset || fields.len() != 10 {
                    return Err(broken(CODEC, "not one set of five presets"));
                }
                has_preset = true;
                let field = |n: usize| u32::from(u16::from_be_bytes([fields[2 * n], fields[2 * n + 1]]));
                let [preset_max, t1, t2, t3, reset] = [0, 1, 2, 3, 4].map(field);
                let top = if preset_max == 0 { limit } else { preset_max };
                // Zero stands for the default; a decoder checks the order of what is left.
                let thresholds = [t1, t2, t3].iter().all(|&t| t <= top);
                if top > limit || !thresholds || !(3..=top.max(255)).contains(&reset) {
                    return Err(broken(CODEC, "presets outside of what T.87 allows"));
                }
                max_value = Some(top);
            }
            // SOS: one component, NEAR, no interleaving, no point transform.
            0xDA => {
                let top = max_value.ok_or_else(|| broken(CODEC, "a scan before the frame header"))?;
                let &[1, _, _, near, 0, 0] = segment else {
                    return Err(broken(CODEC, "not one plain scan of one component"));
                };
                if u32::from(near) > (top / 2).min(255) {
                    return Err(broken(CODEC, format!("NEAR is {near}, the largest sample {top}")));
                }
                return Ok(());
            }
            // APPn and COM.
            0xE0..=0xEF | 0xFE => {}
            other => return Err(broken(CODEC, format!("marker FF{other:02X} before the scan"))),
        }
    }
}
