//! Findings as the chat shows and saves them.

use bytes::Bytes;
use chat_api::{AnswerBox, Export, RunOptions, SliceScore, StudyInput, StudyReport};
use ct_slices::pixels::HuWindow;
use ct_volume::dicom::DicomOptions;
use ct_volume::{Limits, Volume};
use dicom_findings::{
    ExportOptions, Identity, MissingUids, Software, SourceSeries, Timestamp, measurement_report, segmentation,
};
use findings::export::{box_mask_gz, coco, montage_png, slicer_markups};
use findings::{Entity, Finding, Findings};

/// Series of an upload that are looked through for the one that was opened.
const MAX_SERIES: usize = 8;
/// Where `DICM` stands in a DICOM file (PS3.10, 7.1).
const PREFIX_AT: usize = 128;
const KEY_BYTES: usize = 32;

/// What a run found. Exports that cannot be made of the study are left out, which the log tells.
pub(super) fn report(
    found: &Findings,
    study: &StudyInput,
    volume: &Volume,
    options: &RunOptions,
) -> StudyReport {
    let pixel_mm = found.geometry().map(|geometry| geometry.pixel_mm()).ok();
    let mut findings: Vec<&Finding> = found.findings.iter().collect();
    let importance = |finding: &Finding| match &finding.entity {
        entity if entity.is_tumor() => 0,
        entity if *entity == Entity::PANCREAS => 1,
        _ => 2,
    };
    findings.sort_by(|a, b| {
        let confidence = b.confidence.unwrap_or(0.0).total_cmp(&a.confidence.unwrap_or(0.0));
        importance(a).cmp(&importance(b)).then(confidence)
    });
    let scores = found.slice_scores.iter().map(|score| (score.slice_idx, score.tumor_probability));
    let mut slices: Vec<SliceScore> = (0..found.study.n_slices)
        .map(|slice_idx| SliceScore { slice_idx, tumor_score: None, boxes: Vec::new() })
        .collect();
    for (slice_idx, score) in scores {
        slices[slice_idx].tumor_score = Some(score);
    }
    for finding in &found.findings {
        for found in &finding.boxes {
            slices[found.slice_idx].boxes.push(AnswerBox {
                label: finding.entity.name().to_owned(),
                box_px: found.box_px.to_array(),
                // That of one box among all boxes tells little; it is in the document.
                confidence: None,
                image: 0,
            });
        }
    }
    let findings = findings.into_iter().filter_map(|finding| shown(finding, &slices, pixel_mm)).collect();
    StudyReport {
        tumor_score: found.case_tumor_score.as_ref().map(|score| score.value),
        findings,
        slices,
        exports: exports(found, study, volume, options),
    }
}

fn shown(finding: &Finding, slices: &[SliceScore], pixel_mm: Option<[f64; 2]>) -> Option<chat_api::Finding> {
    let key = finding.boxes.iter().find(|found| found.slice_idx == finding.key_slice_idx)?;
    let extent = |side: fn(&findings::PlaneBox) -> f64| {
        finding.boxes.iter().map(|found| side(&found.box_px)).fold(0.0, f64::max)
    };
    let [columns, rows] = [extent(findings::PlaneBox::width_px), extent(findings::PlaneBox::height_px)];
    Some(chat_api::Finding {
        label: finding.entity.name().to_owned(),
        first_slice: finding.first_slice_idx,
        last_slice: finding.last_slice_idx,
        key_slice: finding.key_slice_idx,
        box_px: key.box_px.to_array(),
        // Of a tumor, the highest of its slices.
        confidence: slices[finding.first_slice_idx..=finding.last_slice_idx]
            .iter()
            .filter_map(|slice| slice.tumor_score.filter(|_| finding.entity.is_tumor()))
            .reduce(f64::max),
        size_mm: pixel_mm.map(|[x_mm, y_mm]| [columns * x_mm, rows * y_mm, finding.size_mm.across_slices]),
    })
}

fn exports(found: &Findings, study: &StudyInput, volume: &Volume, options: &RunOptions) -> Vec<Export> {
    let export = |name: &str, media_type: &str, bytes: Vec<u8>| Export {
        name: name.to_owned(),
        media_type: media_type.to_owned(),
        bytes: Bytes::from(bytes),
    };
    let coco = coco(found);
    let mut exports = vec![
        export("study-findings.json", "application/json", found.to_json()),
        export("coco.json", "application/json", coco.dataset),
        export("coco-results.json", "application/json", coco.results),
    ];
    // Reasons may name values of the study; none is logged.
    let mut add = |name: &str, media_type: &str, bytes: Option<Vec<u8>>| match bytes {
        Some(bytes) => exports.push(export(name, media_type, bytes)),
        None => tracing::warn!(name, "an export cannot be made of this study"),
    };
    add("findings.mrk.json", "application/json", slicer_markups(found).ok());
    add("boxes.nii.gz", "application/gzip", box_mask_gz(found).ok());
    add("montage.png", "image/png", montage_png(volume, found, HuWindow::PANCREAS).ok());
    let is_dicom = study.files.0.iter().any(|file| file.get(PREFIX_AT..PREFIX_AT + 4) == Some(b"DICM"));
    if is_dicom {
        match dicom_objects(found, study, volume, options) {
            Some((report, segmentation)) => {
                add("findings-sr.dcm", "application/dicom", Some(report));
                // None where nothing was found.
                if let Some(bytes) = segmentation {
                    add("findings-seg.dcm", "application/dicom", Some(bytes));
                }
            }
            None => add("findings-sr.dcm", "application/dicom", None),
        }
    }
    exports
}

/// Report and segmentation.
fn dicom_objects(
    found: &Findings,
    study: &StudyInput,
    volume: &Volume,
    options: &RunOptions,
) -> Option<(Vec<u8>, Option<Vec<u8>>)> {
    let files: Vec<&[u8]> = study.files.0.iter().map(AsRef::as_ref).collect();
    // The one that was opened: of several series, maybe, or with gaps.
    let series = [None].into_iter().chain((0..MAX_SERIES).map(Some));
    let mut choices = series.flat_map(|series| [(series, false), (series, true)]);
    let series = choices.find_map(|(series, allow_irregular)| {
        let mut dicom = DicomOptions::default();
        dicom.series = series;
        dicom.allow_irregular = allow_irregular;
        let read = SourceSeries::read_bytes(&files, &Limits::default(), &dicom, MissingUids::Derive);
        read.ok().filter(|series| series.geometry() == volume.geometry())
    })?;
    let options = export_options(options.anonymize)?;
    let report = measurement_report(found, &series, &options).ok()?;
    Some((report, segmentation(found, &series, &options).ok()?))
}

fn export_options(anonymize: bool) -> Option<ExportOptions> {
    let now = chrono::Utc::now();
    let created =
        Timestamp::new(&now.format("%Y%m%d").to_string(), &now.format("%H%M%S").to_string()).ok()?;
    let software = Software::new("minigpt-pancreas", "chat-server", env!("CARGO_PKG_VERSION")).ok()?;
    let mut options = ExportOptions::new(created, software);
    if anonymize {
        let mut key = vec![0; KEY_BYTES];
        getrandom::fill(&mut key).ok()?;
        options.identity = Identity::Anonymize { key };
    }
    Some(options)
}
