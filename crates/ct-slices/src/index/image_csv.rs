//! Images with a table of labels instead of an index.

use std::collections::BTreeMap;
use std::io::{BufReader, Read};
use std::path::Path;

use super::error::{ImageSizeError, IndexError, LineProblem};
use super::file::{IndexLimits, SliceIndex};
use super::record::{IndexRecord, Neighbors, Task, YesNo};
use crate::pixels::PixelError;
use fs_err::File;

const COLUMNS: [&str; 5] = ["file", "source", "patient", "slice_index", "answer"];

/// Reads a table with the columns `file,source,patient,slice_index,answer` (in any order) as an
/// index of the images in `images_dir`, for tumour classification.
///
/// `source` becomes the dataset, `patient` also the volume; the size of each image comes from the
/// header of its PNG. The number of slices is not known: it is taken to be just large enough.
///
/// # Errors
/// [`IndexError::Read`] and [`IndexError::Limit`] for the table as a whole, [`IndexError::Columns`]
/// for a missing, unknown or repeated column, [`IndexError::Line`] for a row that does not fit, and
/// [`IndexError::Image`] for an image without a usable header.
pub fn read_image_csv(
    csv_path: &Path,
    images_dir: &Path,
    limits: &IndexLimits,
) -> Result<SliceIndex, IndexError> {
    let bytes = read_bounded(csv_path, limits)?;
    let mut reader =
        csv::ReaderBuilder::new().has_headers(false).flexible(false).from_reader(bytes.as_slice());
    let line_failed =
        |line, source| IndexError::Line { path: csv_path.to_owned(), line, source: Box::new(source) };
    let mut rows = reader.records();

    let header = match rows.next() {
        Some(row) => row.map_err(|error| line_failed(1, LineProblem::Csv(error)))?,
        None => csv::StringRecord::new(),
    };
    let header: Vec<&str> = header.iter().collect();
    let position = |column: &str| header.iter().position(|name| *name == column);
    let columns: Option<Vec<usize>> = COLUMNS.iter().map(|column| position(column)).collect();
    let columns = columns.filter(|_| header.len() == COLUMNS.len()).ok_or_else(|| IndexError::Columns {
        path: csv_path.to_owned(),
        got: shorten(&header.join(",")),
        expected: "file,source,patient,slice_index,answer",
    })?;

    let mut records = Vec::new();
    for (n, row) in (1_u64..).zip(rows) {
        limits.check_records(csv_path, n)?;
        let row =
            row.map_err(|error| line_failed(csv_line(&error).unwrap_or(n + 1), LineProblem::Csv(error)))?;
        let line = row.position().map_or(n + 1, csv::Position::line);
        let cell = |k: usize| row.get(columns[k]).unwrap_or_default();
        let row =
            Row { file: cell(0), source: cell(1), patient: cell(2), slice_index: cell(3), answer: cell(4) };
        let record = row.to_record().map_err(|source| line_failed(line, source))?;
        records.push((line, record));
    }
    // The sizes are read only after all rows are known to be sound.
    let mut slice_counts = BTreeMap::<(String, String), u32>::new();
    for (line, record) in &mut records {
        let image = record.image.clone().unwrap_or_default();
        let (width, height) = read_png_size(&images_dir.join(&image)).map_err(|source| {
            IndexError::Image { path: csv_path.to_owned(), line: *line, image, source: Box::new(source) }
        })?;
        (record.width, record.height) = (width, height);
        let count = slice_counts.entry((record.dataset.clone(), record.patient.clone())).or_default();
        *count = (*count).max(record.slice_index.saturating_add(1));
    }
    for (line, record) in &mut records {
        record.slice_count = slice_counts[&(record.dataset.clone(), record.patient.clone())];
        record.check().map_err(|problem| line_failed(*line, problem.into()))?;
    }
    let records = records.into_iter().map(|(_, record)| record).collect();
    Ok(SliceIndex { path: csv_path.to_owned(), root: images_dir.to_owned(), records })
}

/// One row, as text.
struct Row<'a> {
    file: &'a str,
    source: &'a str,
    patient: &'a str,
    slice_index: &'a str,
    answer: &'a str,
}

impl Row<'_> {
    /// The record, still without the sizes that other files tell.
    fn to_record(&self) -> Result<IndexRecord, LineProblem> {
        let cell = |column, got: &str, expected| LineProblem::Cell { column, got: shorten(got), expected };
        let slice_index = self
            .slice_index
            .parse::<u32>()
            .map_err(|_| cell("slice_index", self.slice_index, "a whole number from 0"))?;
        if slice_index == u32::MAX {
            return Err(cell("slice_index", self.slice_index, "a number below 4294967295"));
        }
        let answer = match self.answer {
            "yes" => YesNo::Yes,
            "no" => YesNo::No,
            other => return Err(cell("answer", other, "`yes` or `no`")),
        };
        let record = IndexRecord {
            schema_version: IndexRecord::SCHEMA_VERSION,
            dataset: self.source.to_owned(),
            patient: self.patient.to_owned(),
            volume: self.patient.to_owned(),
            slice_index,
            slice_count: slice_index + 1,
            width: 1,
            height: 1,
            spacing_mm: None,
            image: Some(self.file.to_owned()),
            pixels_sha256: None,
            source_sha256: None,
            mask_sha256: None,
            neighbors: Neighbors::default(),
            organs: BTreeMap::new(),
            split: None,
            tasks: vec![Task::TumorClassification],
            answer: Some(answer),
            crop: None,
        };
        record.check().map(|()| record).map_err(LineProblem::from)
    }
}

fn read_bounded(path: &Path, limits: &IndexLimits) -> Result<Vec<u8>, IndexError> {
    let failed = |source| IndexError::Read { path: path.to_owned(), source };
    let file = File::open(path).map_err(failed)?;
    let mut bytes = Vec::new();
    file.take(limits.max_file_bytes.saturating_add(1)).read_to_end(&mut bytes).map_err(failed)?;
    limits.check_file(path, bytes.len() as u64)?;
    Ok(bytes)
}

/// Columns and rows, from the first chunk of a PNG; the pixels are not decoded.
fn read_png_size(path: &Path) -> Result<(u32, u32), ImageSizeError> {
    /// Enough for the decoder's own buffers.
    const HEADER_BYTES: usize = 1 << 20;
    let file = File::open(path).map_err(ImageSizeError::Read)?;
    let limits = png::Limits { bytes: HEADER_BYTES };
    let mut decoder = png::Decoder::new_with_limits(BufReader::new(file), limits);
    let header = decoder.read_header_info().map_err(|e| ImageSizeError::Png(PixelError::Decode(e)))?;
    Ok((header.width, header.height))
}

fn csv_line(error: &csv::Error) -> Option<u64> {
    error.position().map(csv::Position::line)
}

/// Enough of a text to find it, and no more.
fn shorten(text: &str) -> String {
    const MAX_CHARS: usize = 80;
    let mut short: String = text.chars().take(MAX_CHARS).collect();
    if short.len() < text.len() {
        short.push_str("...");
    }
    short
}
