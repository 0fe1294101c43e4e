//! Finds the files of a study and sorts them into series.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::attributes::{self as at, Attributes};
use super::error::{DicomError, SeriesInfo};
use super::file::OpenFile;
use super::frames::check_length;
use super::header::ImageHeader;
use super::source::Source;
use crate::error::VolumeError;
use crate::limits::{LimitExceeded, Limits};

/// A file with an image.
pub(super) struct ImageFile<'a> {
    pub(super) source: Source<'a>,
    pub(super) header: ImageHeader,
}

/// A file with an image, whose header may be of no use: that matters only if its series is read.
struct Candidate<'a> {
    source: Source<'a>,
    header: Result<Box<ImageHeader>, DicomError>,
    is_localizer: bool,
}

/// The slices of one SeriesInstanceUID; there is at least one file.
pub(super) struct Series<'a> {
    pub(super) files: Vec<ImageFile<'a>>,
    pub(super) modality: &'static str,
}

/// Files of one SeriesInstanceUID.
struct Candidates<'a> {
    files: Vec<Candidate<'a>>,
    modality: &'static str,
}

impl Candidates<'_> {
    fn info(&self, index: usize) -> SeriesInfo {
        let mut headers = self.files.iter().filter_map(|file| file.header.as_ref().ok()).peekable();
        let format = headers.peek().map(|header| header.format);
        let n_frames = headers.map(|header| header.planes.len()).sum();
        let shape = format.map_or([0; 3], |f| [usize::from(f.columns), usize::from(f.rows), n_frames]);
        SeriesInfo { index, modality: self.modality, n_files: self.files.len(), shape }
    }
}

/// What a study holds: series by UID, whose order is the same wherever the files lie, and the number
/// of other files by kind.
#[derive(Default)]
pub(super) struct Collection<'a> {
    series: BTreeMap<String, Candidates<'a>>,
    strays: BTreeMap<&'static str, usize>,
}

/// The series to read, and what a user should know of the rest.
pub(super) struct Choice<'a> {
    pub(super) series: Series<'a>,
    pub(super) strays: String,
    pub(super) n_strays: usize,
    pub(super) n_other_series: usize,
}

/// An error, with the file if it is about one.
pub(super) type Located<'a> = (Option<Source<'a>>, DicomError);

/// The modality that is read without a warning.
pub(super) const CT: &str = "CT";

/// What one file is.
enum Kind {
    Image {
        uid: String,
        modality: &'static str,
        header: Result<Box<ImageHeader>, DicomError>,
        is_localizer: bool,
    },
    Stray(&'static str),
}

impl<'a> Collection<'a> {
    /// Reads the header of one file.
    pub(super) fn add(&mut self, source: Source<'a>, limits: &Limits) -> Result<(), DicomError> {
        match classify(source, limits)? {
            Kind::Stray(kind) => *self.strays.entry(kind).or_default() += 1,
            Kind::Image { uid, modality, header, is_localizer } => {
                let series =
                    self.series.entry(uid).or_insert_with(|| Candidates { files: Vec::new(), modality });
                // One CT image makes a CT series, whatever the file that came first says.
                if modality == CT {
                    series.modality = modality;
                }
                series.files.push(Candidate { source, header, is_localizer });
            }
        }
        Ok(())
    }

    /// The series of index `wanted`, or the only one that can be meant: the only one with CT images
    /// other than localizers, else the only one at all.
    ///
    /// An error comes with the file if it is about one.
    pub(super) fn choose(mut self, wanted: Option<usize>) -> Result<Choice<'a>, Located<'a>> {
        let n_files: usize =
            self.strays.values().sum::<usize>() + self.series.values().map(|s| s.files.len()).sum::<usize>();
        let infos: Vec<SeriesInfo> = self.series.values().enumerate().map(|(n, s)| s.info(n)).collect();
        let usable: Vec<usize> = self
            .series
            .values()
            .enumerate()
            .filter(|(_, series)| series.modality == CT && series.files.iter().any(|file| !file.is_localizer))
            .map(|(index, _)| index)
            .collect();
        let index = match (wanted, &usable[..], infos.len()) {
            (_, _, 0) => {
                return Err((None, DicomError::NoImages { n_files, kinds: describe(&self.strays) }));
            }
            (Some(index), _, n) if index < n => index,
            (Some(index), ..) => return Err((None, DicomError::NoSuchSeries { index, series: infos })),
            (None, &[only], _) => only,
            (None, [], 1) => 0,
            (None, ..) => return Err((None, DicomError::SeveralSeries { series: infos })),
        };
        let n_other_series = infos.len() - 1;
        let Some(Candidates { mut files, modality }) = self.series.into_values().nth(index) else {
            return Err((None, DicomError::NoSuchSeries { index, series: infos }));
        };
        // A localizer in the series of the slices it planned is no slice.
        let n_localizers = files.iter().filter(|file| file.is_localizer).count();
        if n_localizers > 0 && n_localizers < files.len() {
            files.retain(|file| !file.is_localizer);
            *self.strays.entry("localizer").or_default() += n_localizers;
        }
        let files = files
            .into_iter()
            .map(|Candidate { source, header, .. }| match header {
                Ok(header) => Ok(ImageFile { source, header: *header }),
                Err(error) => Err((Some(source), error)),
            })
            .collect::<Result<Vec<_>, _>>()?;
        let n_strays = self.strays.values().sum();
        let series = Series { files, modality };
        Ok(Choice { series, strays: describe(&self.strays), n_strays, n_other_series })
    }
}

fn describe(strays: &BTreeMap<&'static str, usize>) -> String {
    strays.iter().map(|(kind, n)| format!("{n} {kind}")).collect::<Vec<_>>().join(", ")
}

fn classify(source: Source<'_>, limits: &Limits) -> Result<Kind, DicomError> {
    let file = match OpenFile::open(source, limits) {
        Ok(file) => file,
        Err(DicomError::NotDicom) => return Ok(Kind::Stray("not DICOM")),
        Err(error) => return Err(error),
    };
    let attributes = Attributes(&file.object);
    let class = attributes.text(&at::SOP_CLASS_UID).unwrap_or(&file.media_class);
    let modality = known_modality(attributes.text(&at::MODALITY).unwrap_or_default(), class);
    if let Some(kind) = stray_kind(class, modality) {
        return Ok(Kind::Stray(kind));
    }
    let Some(pixels) = file.pixels else {
        // Attributes of an image without its pixels: the file is cut short.
        if modality == CT || attributes.word(&at::ROWS).is_some() {
            return Err(DicomError::Truncated { what: "the attributes before PixelData" });
        }
        return Ok(Kind::Stray("without an image"));
    };
    // A screen shot or report page has no place in the patient.
    const SECONDARY_CAPTURE: &str = "1.2.840.10008.5.1.4.1.1.7";
    if class.starts_with(SECONDARY_CAPTURE) && attributes.text(&at::IMAGE_POSITION_PATIENT).is_none() {
        return Ok(Kind::Stray("secondary capture"));
    }
    let header = ImageHeader::read(attributes, &file.syntax, limits);
    let header = header.and_then(|header| {
        check_length(pixels, file.left, &header.format)?;
        Ok(Box::new(header))
    });
    Ok(Kind::Image {
        uid: attributes.text(&at::SERIES_INSTANCE_UID).unwrap_or_default().to_owned(),
        modality,
        header,
        is_localizer: attributes.texts(&at::IMAGE_TYPE).iter().any(|value| value == "LOCALIZER"),
    })
}

/// Kinds of objects that are no CT slice, by SOP class (PS3.4, B.5) or modality.
fn stray_kind(class: &str, modality: &'static str) -> Option<&'static str> {
    const STORAGE: &str = "1.2.840.10008.5.1.4.1.1.";
    if class == "1.2.840.10008.1.3.10" {
        return Some("DICOMDIR");
    }
    let storage = class.strip_prefix(STORAGE).unwrap_or_default();
    let kind = match storage {
        "66.4" | "66.7" => "segmentation",
        "481.3" => "RT structure set",
        "481.2" => "RT dose",
        "481.5" => "RT plan",
        "66.1" | "66.3" => "registration",
        _ if storage.starts_with("88.") => "structured report",
        _ if storage.starts_with("11.") => "presentation state",
        _ if storage.starts_with("104.") => "encapsulated document",
        _ => match modality {
            "SEG" => "segmentation",
            "RTSTRUCT" => "RT structure set",
            "RTDOSE" => "RT dose",
            "RTPLAN" => "RT plan",
            "SR" | "KO" => "structured report",
            "PR" => "presentation state",
            "REG" => "registration",
            _ => return None,
        },
    };
    Some(kind)
}

/// The modality if it is a usual one; a file's own text is not repeated.
fn known_modality(text: &str, class: &str) -> &'static str {
    const KNOWN: &[&str] = &[
        "CT", "MR", "PT", "NM", "US", "XA", "RF", "CR", "DX", "MG", "OT", "SC", "SEG", "RTSTRUCT", "RTDOSE",
        "RTPLAN", "RTIMAGE", "SR", "KO", "PR", "REG",
    ];
    // CT, Enhanced CT, Legacy Converted Enhanced CT.
    let is_ct_class =
        ["1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.2.1", "1.2.840.10008.5.1.4.1.1.2.2"]
            .contains(&class);
    match KNOWN.iter().find(|known| **known == text) {
        Some(known) => known,
        None if is_ct_class => CT,
        None => "other",
    }
}

/// All files under `paths`, in the order of their paths, each once. Folders are searched through;
/// links to folders are not followed, which could lead in circles.
pub(super) fn list_files(paths: &[PathBuf], limits: &Limits) -> Result<Vec<PathBuf>, VolumeError> {
    let mut files = Vec::new();
    for path in paths {
        let read = |source| VolumeError::Read { path: path.clone(), source };
        if fs_err::metadata(path).map_err(read)?.is_dir() {
            list_folder(path, limits, &mut files)?;
        } else {
            files.push(path.clone());
        }
        check_count(path, limits, files.len())?;
    }
    files.sort();
    files.dedup();
    Ok(files)
}

fn list_folder(root: &Path, limits: &Limits, files: &mut Vec<PathBuf>) -> Result<(), VolumeError> {
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        let read = |source| VolumeError::Read { path: folder.clone(), source };
        for entry in fs_err::read_dir(&folder).map_err(read)? {
            let entry = entry.map_err(read)?;
            let kind = entry.file_type().map_err(read)?;
            if kind.is_dir() {
                folders.push(entry.path());
            } else if kind.is_file() || fs_err::metadata(entry.path()).is_ok_and(|data| data.is_file()) {
                files.push(entry.path());
            }
            check_count(root, limits, files.len() + folders.len())?;
        }
    }
    Ok(())
}

fn check_count(path: &Path, limits: &Limits, got: usize) -> Result<(), VolumeError> {
    let checked = Limits::check("number of files", got as u64, limits.max_files);
    checked.map_err(|source: LimitExceeded| VolumeError::Limit { path: path.to_owned(), source })
}
