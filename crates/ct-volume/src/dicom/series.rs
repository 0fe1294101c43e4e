//! Reads one series into a volume.

use std::hash::{DefaultHasher, Hasher};
use std::path::{Path, PathBuf};

use ndarray::{Array3, ShapeBuilder};

use super::collect::{Choice, Collection, ImageFile, Located, Series, list_files};
use super::decode::Decoder;
use super::error::{DicomError, Irregularity};
use super::grid::{Grid, Slice};
use super::instances::{SeriesInstances, SliceInstance};
use super::options::DicomOptions;
use super::pixel_text::PixelText;
use super::source::{Source, has_prefix, is_dicom};
use crate::error::VolumeError;
use crate::geometry::Geometry;
use crate::limits::Limits;
use crate::volume::Volume;
use crate::warning::{Warning, WarningCode};

/// Reads a series from a folder, a list of files, or a multi-frame file.
///
/// Folders are searched through. Files are grouped by SeriesInstanceUID; if several series hold CT
/// images, `options.series` must choose one. Slices are sorted along the normal (row crossed with
/// column), so that an axial series of a supine patient is "LPS", from feet to head.
///
/// # Units
/// HU: rescale slope and intercept or the modality LUT are applied, padding and the fill outside of
/// the reconstruction circle are set to -1024 (a warning tells how many pixels). Stored values as
/// they are with `options.stored_values`.
///
/// # Errors
/// [`VolumeError::Read`]; [`VolumeError::Limit`]; [`VolumeError::Dicom`] with a [`DicomError`], for
/// the file it is about, or for the first path if it is about the series.
pub fn read_series(
    paths: &[PathBuf],
    limits: &Limits,
    options: &DicomOptions,
) -> Result<Volume, VolumeError> {
    with_series(paths, limits, options, |choice| read_chosen(choice, limits, options))
}

/// Tells in which file and frame each slice of [`read_series`]'s volume is stored, from headers alone.
///
/// What a caller needs that writes objects which refer to the slices; UIDs are read with
/// [`read_raw_elements`](super::read_raw_elements).
///
/// # Errors
/// As [`read_series`].
pub fn list_instances(
    paths: &[PathBuf],
    limits: &Limits,
    options: &DicomOptions,
) -> Result<SeriesInstances, VolumeError> {
    with_series(paths, limits, options, |choice| {
        let reader = SeriesReader { series: choice.series, limits, options };
        let grid = reader.arrange(&mut Vec::new())?;
        reader.instances(&grid)
    })
}

/// Finds the series that the options choose and acts on it.
fn with_series<T>(
    paths: &[PathBuf],
    limits: &Limits,
    options: &DicomOptions,
    act: impl for<'a> FnOnce(Choice<'a>) -> Result<T, Located<'a>>,
) -> Result<T, VolumeError> {
    let root = paths.first().cloned().unwrap_or_default();
    let files = list_files(paths, limits)?;
    let mut collection = Collection::default();
    if let ([file], [path]) = (&files[..], paths)
        && file == path
        && !is_dicom(path)?
    {
        return Err(at(path, DicomError::NotDicom));
    }
    for path in &files {
        collection.add(Source::File(path), limits).map_err(|error| at(path, error))?;
    }
    let result = collection.choose(options.series).and_then(act);
    result.map_err(|(source, error)| match source {
        Some(Source::File(path)) => at(path, error),
        _ => at(&root, error),
    })
}

/// Reads a volume from one DICOM file in memory; the same as [`read_series`] of that file.
///
/// # Errors
/// A [`DicomError`].
pub fn decode_file_bytes(
    bytes: &[u8],
    limits: &Limits,
    options: &DicomOptions,
) -> Result<Volume, DicomError> {
    if !has_prefix(bytes) {
        return Err(DicomError::NotDicom);
    }
    decode_series_bytes(&[bytes], limits, options)
}

/// Reads a series from files in memory, in any order; the same as [`read_series`] of a folder with
/// them. Files that are not DICOM are left out, with a warning.
///
/// # Errors
/// A [`DicomError`]; [`DicomError::Limit`] for more files than the limits allow.
pub fn decode_series_bytes(
    files: &[&[u8]],
    limits: &Limits,
    options: &DicomOptions,
) -> Result<Volume, DicomError> {
    let collection = collect_bytes(files, limits)?;
    let volume = collection.choose(options.series).and_then(|choice| read_chosen(choice, limits, options));
    volume.map_err(|(_, error)| error)
}

/// As [`list_instances`], of files in memory, in any order; beside each slice stands the place of its file
/// among `files`, and its path is empty. Files that are not DICOM are left out.
///
/// # Errors
/// As [`decode_series_bytes`].
pub fn decode_instances(
    files: &[&[u8]],
    limits: &Limits,
    options: &DicomOptions,
) -> Result<(SeriesInstances, Vec<usize>), DicomError> {
    let collection = collect_bytes(files, limits)?;
    let listed = collection.choose(options.series).and_then(|choice| {
        let reader = SeriesReader { series: choice.series, limits, options };
        let grid = reader.arrange(&mut Vec::new())?;
        let instances = reader.instances(&grid)?;
        Ok((instances, reader.sources(&grid)))
    });
    let (instances, sources) = listed.map_err(|(_, error)| error)?;
    let place = |source: Source<'_>| match source {
        Source::Bytes(bytes) => files.iter().position(|file| std::ptr::eq(*file, bytes)),
        Source::File(_) => None,
    };
    let places = sources.into_iter().filter_map(place).collect();
    Ok((instances, places))
}

fn collect_bytes<'a>(files: &[&'a [u8]], limits: &Limits) -> Result<Collection<'a>, DicomError> {
    Limits::check("number of files", files.len() as u64, limits.max_files)?;
    let mut collection = Collection::default();
    for bytes in files {
        collection.add(Source::Bytes(bytes), limits)?;
    }
    Ok(collection)
}

/// Puts what the operating system and the limits say where callers look for it.
pub(super) fn at(path: &Path, error: DicomError) -> VolumeError {
    let path = path.to_owned();
    match error {
        DicomError::Read(source) => VolumeError::Read { path, source },
        DicomError::Limit(source) => VolumeError::Limit { path, source },
        DicomError::Geometry(source) => VolumeError::Geometry { path, source },
        error => VolumeError::Dicom { path, source: Box::new(error) },
    }
}

fn read_chosen<'a>(
    choice: Choice<'a>,
    limits: &Limits,
    options: &DicomOptions,
) -> Result<Volume, Located<'a>> {
    let mut warnings = Vec::new();
    if choice.n_strays > 0 {
        let message = format!("{} files left out: {}", choice.n_strays, choice.strays);
        warnings.push(Warning::new(WarningCode::StrayFiles, message));
    }
    if choice.n_other_series > 0 {
        let message = format!("{} other series with images were not read", choice.n_other_series);
        warnings.push(Warning::new(WarningCode::OtherSeries, message));
    }
    let reader = SeriesReader { series: choice.series, limits, options };
    let grid = reader.arrange(&mut warnings)?;
    let hu = reader.decode(&grid, &mut warnings)?;
    let volume = Volume::new(hu, grid.affine).map_err(|error| (None, error.into()))?;
    Ok(volume.with_warnings(warnings))
}

struct SeriesReader<'a, 'l> {
    series: Series<'a>,
    limits: &'l Limits,
    options: &'l DicomOptions,
}

/// Where a slice is stored.
#[derive(Clone, Copy)]
struct Place {
    file: usize,
    frame: usize,
}

impl<'a> SeriesReader<'a, '_> {
    fn places(&self) -> Vec<Place> {
        let files = self.series.files.iter().enumerate();
        files
            .flat_map(|(file, f)| (0..f.header.planes.len()).map(move |frame| Place { file, frame }))
            .collect()
    }

    /// Orders the slices; irregularities are errors or warnings.
    fn arrange(&self, warnings: &mut Vec<Warning>) -> Result<Grid, Located<'a>> {
        let files = &self.series.files;
        let places = self.places();
        let slices: Vec<Slice> = places
            .iter()
            .map(|&Place { file, frame }| {
                let header = &files[file].header;
                let size = [header.format.columns, header.format.rows];
                Slice { plane: header.planes[frame], size, instance: header.instance }
            })
            .collect();
        let first = &files[0].header;
        let fallback = first.spacing_between_mm.or(first.slice_thickness_mm);
        let mut grid = Grid::new(&slices, fallback.unwrap_or(1.0));
        if !grid.troubles.is_empty() {
            self.compare_duplicates(&mut grid, &places)?;
            if !self.options.allow_irregular {
                return Err((None, DicomError::Irregular { troubles: grid.troubles }));
            }
            warnings.extend(grid.troubles.iter().map(Irregularity::warning));
        }
        self.note_spacing(&grid, fallback, warnings);
        let texts: Vec<PixelText> = files.iter().map(|file| file.header.pixel_text).collect();
        warnings.extend(PixelText::warnings(&texts));
        if files.iter().any(|file| file.header.lossy) {
            let message = "lossy compression: HU are approximate";
            warnings.push(Warning::new(WarningCode::LossyCompression, message));
        }
        Ok(grid)
    }

    fn note_spacing(&self, grid: &Grid, fallback: Option<f64>, warnings: &mut Vec<Warning>) {
        if grid.order.len() == 1 {
            let message = match fallback {
                Some(mm) => format!("one slice; its spacing of {mm} mm is what the header says"),
                None => "one slice; its spacing of 1 mm is a guess".to_owned(),
            };
            warnings.push(Warning::new(WarningCode::SingleSlice, message));
        } else if let Some(thickness) = self.series.files[0].header.slice_thickness_mm
            && (thickness - grid.gap_mm).abs() > 0.01 * grid.gap_mm
        {
            let gap = grid.gap_mm;
            let message = format!("SliceThickness is {thickness} mm, slices are {gap:.3} mm apart");
            warnings.push(Warning::new(WarningCode::ThicknessIsNotSpacing, message));
        }
    }

    /// Counts the duplicates whose pixels equal those of the slice that is kept.
    fn compare_duplicates(&self, grid: &mut Grid, places: &[Place]) -> Result<(), Located<'a>> {
        // One pass over the files, keeping a hash of each slice that is in question.
        let mut hashes: Vec<Vec<Option<u64>>> = self.per_frame(None);
        for &slice in grid.duplicates.as_flattened() {
            let Place { file, frame } = places[slice];
            hashes[file][frame] = Some(0);
        }
        let mut decoder = Decoder::new(&self.series, self.limits, self.options);
        let mut hu = Vec::new();
        for (file, hashes) in self.series.files.iter().zip(&mut hashes) {
            let wanted: Vec<bool> = hashes.iter().map(Option::is_some).collect();
            let visited = decoder.visit(
                file,
                |frame| wanted[frame],
                |frame| {
                    let index = frame.index;
                    hu.resize(frame.n_pixels(), 0.0);
                    frame.write(&mut hu);
                    let mut hasher = DefaultHasher::new();
                    hu.iter().for_each(|v| hasher.write_u32(v.to_bits()));
                    hashes[index] = Some(hasher.finish());
                },
            );
            visited.map_err(|error| (Some(file.source), error))?;
        }
        let hash = |slice: usize| hashes[places[slice].file][places[slice].frame];
        let n_identical = grid.duplicates.iter().filter(|&&[kept, extra]| hash(kept) == hash(extra)).count();
        for trouble in &mut grid.troubles {
            if let Irregularity::DuplicateSlices { identical, .. } = trouble {
                *identical = n_identical;
            }
        }
        Ok(())
    }

    /// Where each slice of the grid is stored.
    fn instances(&self, grid: &Grid) -> Result<SeriesInstances, Located<'a>> {
        let places = self.places();
        let format = &self.series.files[places[grid.order[0]].file].header.format;
        let shape = [usize::from(format.columns), usize::from(format.rows), grid.order.len()];
        let geometry = Geometry::new(shape, grid.affine).map_err(|error| (None, error.into()))?;
        let slice = |&slice: &usize| {
            let Place { file, frame } = places[slice];
            let ImageFile { source, header } = &self.series.files[file];
            let path = match source {
                Source::File(path) => path.to_path_buf(),
                Source::Bytes(_) => PathBuf::new(),
            };
            SliceInstance {
                path,
                frame_idx: frame,
                n_frames: header.planes.len(),
                position_lps_mm: header.planes[frame].position_lps_mm,
                is_lossy: header.lossy,
            }
        };
        Ok(SeriesInstances { geometry, slices: grid.order.iter().map(slice).collect() })
    }

    /// The file of each slice of the grid.
    fn sources(&self, grid: &Grid) -> Vec<Source<'a>> {
        let places = self.places();
        grid.order.iter().map(|&slice| self.series.files[places[slice].file].source).collect()
    }

    /// Decodes every slice into its place.
    fn decode(&self, grid: &Grid, warnings: &mut Vec<Warning>) -> Result<Array3<f32>, Located<'a>> {
        let places = self.places();
        let format = &self.series.files[places[grid.order[0]].file].header.format;
        let (columns, rows, n_slices) =
            (usize::from(format.columns), usize::from(format.rows), grid.order.len());
        let axes = [columns, rows, n_slices].map(|n| n as u64);
        self.limits.check_array(&axes, 4).map_err(|error| (None, error.into()))?;
        // Slice index of each frame of each file.
        let mut slots: Vec<Vec<Option<usize>>> = self.per_frame(None);
        for (k, &slice) in grid.order.iter().enumerate() {
            let Place { file, frame } = places[slice];
            slots[file][frame] = Some(k);
        }
        let mut decoder = Decoder::new(&self.series, self.limits, self.options);
        let mut hu = Vec::new();
        for (file, slots) in self.series.files.iter().zip(&slots) {
            let visited = decoder.visit(
                file,
                |frame| slots[frame].is_some(),
                |frame| {
                    let Some(k) = slots[frame.index] else { return };
                    // Taken when the first slice is decoded: a header that is wrong about its size has
                    // failed by then.
                    if hu.is_empty() {
                        hu = vec![0.0; columns * rows * n_slices];
                    }
                    let start = k * columns * rows;
                    frame.write(&mut hu[start..start + columns * rows]);
                },
            );
            visited.map_err(|error| (Some(file.source), error))?;
        }
        decoder.warn(&hu, warnings);
        let shape = (columns, rows, n_slices).f();
        Ok(Array3::from_shape_vec(shape, hu).expect("every slice is decoded, and all have one size"))
    }

    /// A value for each frame of each file.
    fn per_frame<T: Clone>(&self, value: T) -> Vec<Vec<T>> {
        self.series.files.iter().map(|file| vec![value.clone(); file.header.planes.len()]).collect()
    }
}
