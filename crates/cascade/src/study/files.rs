//! A study's findings as files.

use std::path::{Path, PathBuf};

use ct_slices::pixels::HuWindow;
use ct_volume::{LabelVolume, Limits, ReadOptions, StudyKind, detect_kind, nifti, write_atomic};
use dicom_findings::{
    DicomFindingsError, ExportOptions, MissingUids, SourceSeries, measurement_report, segmentation,
};
use findings::export::{coco, montage_png, slicer_markups, write_box_mask, write_overlays};
use run_folder::remove_partial;

use super::StudyPrediction;
use crate::CascadeError;

/// Where files go, and of what kind.
#[derive(Debug, Clone)]
pub struct StudyFiles<'a> {
    /// The study, for DICOM objects that refer to it.
    pub input: &'a Path,
    /// The folder.
    pub out: &'a Path,
    /// Limits of the HU window of the images.
    pub window_hu: [f64; 2],
    /// How DICOM objects are made, of a DICOM study; none: none are.
    pub dicom: Option<ExportOptions>,
    /// What a segmenter found in the boxes, on the grid of the study; none: no segmenter was asked.
    pub segmentation: Option<&'a LabelVolume>,
}

/// What was written.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StudyWritten {
    /// Files and folders, the document last.
    pub files: Vec<PathBuf>,
    /// UIDs that the source lacks and DICOM objects hold made-up ones for.
    pub derived_uids: Vec<&'static str>,
    /// Why a DICOM study has no report: its images are not the slices of the findings.
    pub no_report: Option<String>,
}

/// Writes every file of a study's findings.
///
/// ```text
/// findings.json  coco.json  coco-results.json  boxes.nii.gz  findings.mrk.json
/// overlays/slice-NNNN.png  montage.png
/// segmentation.nii.gz                    if there is one
/// findings-sr.dcm  findings-seg.dcm      of a DICOM study; no report of a series that is not axial
/// ```
///
/// # Errors
/// [`CascadeError::Findings`], [`CascadeError::DicomFindings`] with the reason of a refusal, and
/// [`CascadeError::Volume`] or [`CascadeError::Io`] for a file that cannot be written.
pub fn write_study(
    prediction: &StudyPrediction,
    files: &StudyFiles<'_>,
) -> Result<StudyWritten, CascadeError> {
    let StudyPrediction { findings, volume } = prediction;
    let out = files.out;
    let overlays = out.join("overlays");
    fs_err::create_dir_all(out).map_err(CascadeError::io(out))?;
    for folder in [out, &overlays] {
        // What was left under temporary names by a process that was killed.
        remove_partial(folder).map_err(CascadeError::io(folder))?;
    }
    let [low, high] = files.window_hu;
    let window = HuWindow::from_limits(low, high)
        .map_err(|error| CascadeError::setting("window_hu", format!("{low}..{high}"), error.to_string()))?;
    let mut written = Vec::new();
    let mut write = |name: &str, bytes: &[u8]| -> Result<(), CascadeError> {
        write_atomic(&out.join(name), bytes)?;
        written.push(out.join(name));
        Ok(())
    };
    // What may be refused comes first, so that nothing is half-written.
    let (mut objects, mut derived_uids, mut no_report) = (Vec::new(), Vec::new(), None);
    if let Some(options) = &files.dicom
        && detect_kind(files.input)? == StudyKind::Dicom
    {
        let read = ReadOptions::default();
        let paths = [files.input.to_owned()];
        let source = SourceSeries::read(&paths, &Limits::default(), &read.dicom, MissingUids::Derive)?;
        derived_uids.extend_from_slice(source.derived_uids());
        match measurement_report(findings, &source, options) {
            Ok(report) => objects.push(("findings-sr.dcm", report)),
            Err(reason @ DicomFindingsError::NotAxial { .. }) => no_report = Some(reason.to_string()),
            Err(error) => return Err(error.into()),
        }
        objects.extend(segmentation(findings, &source, options)?.map(|bytes| ("findings-seg.dcm", bytes)));
    }
    // An older document goes before its files do: where one is, the others are its own.
    let document = out.join("findings.json");
    if document.is_file() {
        fs_err::remove_file(&document).map_err(CascadeError::io(&document))?;
    }
    for (name, bytes) in &objects {
        write(name, bytes)?;
    }
    let coco = coco(findings);
    write("coco.json", &coco.dataset)?;
    write("coco-results.json", &coco.results)?;
    write("findings.mrk.json", &slicer_markups(findings)?)?;
    write("montage.png", &montage_png(volume, findings, window)?)?;
    let mask = out.join("boxes.nii.gz");
    write_box_mask(&mask, findings)?;
    write_overlays(&overlays, volume, findings, window)?;
    if let Some(labels) = files.segmentation {
        let path = out.join("segmentation.nii.gz");
        nifti::write_labels(&path, labels)?;
        written.push(path);
    }
    // The document is written last: where it is, the others are.
    findings.write(&document)?;
    written.extend([mask, overlays, document]);
    Ok(StudyWritten { files: written, derived_uids, no_report })
}
