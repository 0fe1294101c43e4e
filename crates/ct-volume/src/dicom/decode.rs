//! Frames of the files of a series to HU.

use super::attributes::Attributes;
use super::codec::decode_frame;
use super::collect::{CT, ImageFile, Series};
use super::error::DicomError;
use super::file::OpenFile;
use super::frames::{FrameReader, check_length};
use super::header::ImageHeader;
use super::hu::{AIR_HU, HuMap};
use super::options::DicomOptions;
use crate::limits::Limits;
use crate::plausible::{LARGEST_HU, implausible};
use crate::warning::{Warning, WarningCode};

/// Fat is about -100 HU; a volume that shows none of it, and no air, lacks an intercept or is no CT.
const LOWEST_TISSUE_HU: f32 = -50.0;

/// Decodes file after file; the buffers, of a frame each, are kept.
pub(super) struct Decoder<'l> {
    limits: &'l Limits,
    options: &'l DicomOptions,
    modality: &'static str,
    encoded: Vec<u8>,
    raw: Vec<u32>,
    notes: Notes,
}

/// What the files had to say of their values.
#[derive(Default)]
struct Notes {
    n_repaired: usize,
    n_unscaled: usize,
    n_not_hu: usize,
    doubtful_padding_hu: Option<f64>,
    largest_hu: f64,
}

/// A frame whose samples are decoded.
pub(super) struct Frame<'d> {
    /// From 0 in its file.
    pub(super) index: usize,
    raw: &'d [u32],
    map: &'d HuMap,
    n_repaired: &'d mut usize,
}

impl Frame<'_> {
    pub(super) fn n_pixels(&self) -> usize {
        self.raw.len()
    }

    /// Writes the frame's HU, row by row.
    pub(super) fn write(self, out: &mut [f32]) {
        *self.n_repaired += self.map.convert(self.index, self.raw, out);
    }
}

impl<'l> Decoder<'l> {
    pub(super) fn new(series: &Series<'_>, limits: &'l Limits, options: &'l DicomOptions) -> Self {
        let modality = series.modality;
        Self { limits, options, modality, encoded: Vec::new(), raw: Vec::new(), notes: Notes::default() }
    }

    /// Calls `visit` with each frame of the file up to the last that is wanted, of those that are.
    pub(super) fn visit(
        &mut self,
        file: &ImageFile<'_>,
        wanted: impl Fn(usize) -> bool,
        mut visit: impl FnMut(Frame<'_>),
    ) -> Result<(), DicomError> {
        let Some(last) = (0..file.header.planes.len()).rev().find(|&frame| wanted(frame)) else {
            return Ok(());
        };
        let opened = OpenFile::open(file.source, self.limits)?;
        let attributes = Attributes(&opened.object);
        let header = ImageHeader::read(attributes, &opened.syntax, self.limits)?;
        let Some(pixels) = opened.pixels.filter(|_| header == file.header) else {
            return Err(DicomError::Changed);
        };
        let format = header.format;
        check_length(pixels, opened.left, &format)?;
        let map = if self.options.stored_values {
            HuMap::stored(format)
        } else {
            HuMap::read(attributes, format, self.modality == CT)?
        };
        self.notes.add(&map);
        let mut frames = FrameReader::new(opened.reader, pixels, &opened.syntax, format, self.limits)?;
        for index in 0..=last {
            frames.next_frame(&mut self.encoded)?;
            if wanted(index) {
                decode_frame(opened.syntax.compression, &self.encoded, &format, &mut self.raw)?;
                let n_repaired = &mut self.notes.n_repaired;
                visit(Frame { index, raw: &self.raw, map: &map, n_repaired });
            }
        }
        Ok(())
    }

    /// What a user should know of the values of `hu`, all that was written.
    pub(super) fn warn(&self, hu: &[f32], warnings: &mut Vec<Warning>) {
        if self.options.stored_values {
            return;
        }
        let notes = &self.notes;
        if notes.n_repaired > 0 {
            let message = format!("{} padding or fill pixels were set to {AIR_HU} HU", notes.n_repaired);
            warnings.push(Warning::new(WarningCode::PaddingToAir, message));
        }
        if notes.n_unscaled > 0 {
            let message = format!(
                "{} files have neither rescale slope and intercept nor a modality LUT; stored values were \
                 taken as HU",
                notes.n_unscaled
            );
            warnings.push(Warning::new(WarningCode::NoRescale, message));
        }
        let mut suspicious = |message| warnings.push(Warning::new(WarningCode::SuspiciousHu, message));
        if self.modality != CT {
            suspicious(format!("the modality is {}, not CT; values are not HU", self.modality));
            return;
        }
        if notes.n_not_hu > 0 {
            suspicious(format!("{} files have a RescaleType other than HU", notes.n_not_hu));
        }
        if let Some(value) = notes.doubtful_padding_hu {
            suspicious(format!("PixelPaddingValue stands for {value} HU, as tissue does; it was kept"));
        }
        if notes.largest_hu > LARGEST_HU
            && let Some(Warning { message, .. }) = implausible(hu)
        {
            suspicious(message);
        }
        if hu.iter().all(|&hu| hu > LOWEST_TISSUE_HU) {
            let lowest = hu.iter().copied().fold(f32::INFINITY, f32::min);
            suspicious(format!("the lowest value is {lowest} HU; no air and no fat"));
        }
    }
}

impl Notes {
    fn add(&mut self, map: &HuMap) {
        self.n_unscaled += usize::from(map.is_unscaled);
        self.n_not_hu += usize::from(map.is_not_hu);
        self.doubtful_padding_hu = self.doubtful_padding_hu.or(map.doubtful_padding_hu);
        self.largest_hu = self.largest_hu.max(map.largest_hu());
    }
}
