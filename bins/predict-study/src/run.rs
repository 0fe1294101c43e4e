//! The one call, and what is said of it.

use std::io::Read;
use std::path::Path;
use std::time::SystemTime;

use anyhow::{Context, Result};
use bin_support::{EXIT_OK, data, note};
use box_segmenter::{BoxSegmenter, SegmenterOptions, segment_findings};
use cascade::{
    CascadeEvent, RESEARCH_NOTE, StudyFiles, StudyModels, StudyOptions, predict_study, write_study,
};
use chrono::{DateTime, Utc};
use dicom_findings::{ExportOptions, Identity, Software, Timestamp};
use findings::{Finding, Findings};
use run_folder::RunLock;
use stage_cli::Progress;

use crate::args::Args;

/// More of a key file is not read.
const MAX_KEY_BYTES: u64 = 4096;

pub(crate) fn run(args: &Args) -> Result<u8> {
    let _lock = RunLock::take(&args.out)?;
    let unpacked = tempfile::tempdir().context("no place for the embedded checkpoints")?;
    let models = match &args.run {
        Some(run) => StudyModels::of_run(run)?,
        None => StudyModels::embedded(unpacked.path())?,
    };
    let [low, high] = args.window_hu.as_slice() else { anyhow::bail!("`--window-hu` takes two numbers") };
    let window_hu = [*low, *high];
    let options = StudyOptions {
        window_hu,
        precision: args.precision,
        organs: args.organs,
        min_presence: args.min_presence,
        min_tumor: args.min_tumor,
        ..StudyOptions::default()
    };
    let dicom = export_options(args.anonymize.as_deref())?;
    // Before the study: files that cannot be used are named at once.
    let segmenter = match (&args.segmenter_encoder, &args.segmenter_decoder) {
        (Some(encoder), Some(decoder)) => {
            Some(BoxSegmenter::open(encoder, decoder, &SegmenterOptions::default())?)
        }
        _ => None,
    };
    let device = args.device.open()?;
    let stop = bin_support::stop_flag(Some("stopping after the questions at hand; nothing is written …"));
    let mut progress = Progress::new();
    let predicted =
        predict_study(&args.study, &models, &options, &device, &mut |event| progress.show(event), stop);
    progress.finish();
    let mut predicted = predicted.with_context(|| format!("no findings of `{}`", args.study.display()))?;
    let segmentation = segmenter.map(|segmenter| {
        for (part, sha256) in ["segmenter-encoder", "segmenter-decoder"].into_iter().zip(segmenter.sha256()) {
            predicted.findings.provenance.weights_sha256.insert(part.to_owned(), sha256.to_owned());
        }
        progress.show(CascadeEvent::Part("segmenting"));
        let what = "slices with boxes";
        let mut observe = |done, total| progress.show(CascadeEvent::Progress { what, done, total });
        let (volume, found) = (&predicted.volume, &predicted.findings);
        segment_findings(&segmenter, volume, found, window_hu, &mut observe, stop)
    });
    progress.finish();
    let segmentation = segmentation.transpose()?;
    let files = StudyFiles {
        input: &args.study,
        out: &args.out,
        window_hu,
        dicom: Some(dicom),
        segmentation: segmentation.as_ref(),
    };
    let written = write_study(&predicted, &files)
        .with_context(|| format!("cannot write to `{}`", args.out.display()))?;
    if !written.derived_uids.is_empty() {
        let missing = written.derived_uids.join(", ");
        note(&format!("the series lacks {missing}: DICOM files hold UIDs made from its instances"));
    }
    if let Some(reason) = &written.no_report {
        note(&format!("no findings-sr.dcm: {reason}"));
    }
    if args.json {
        bin_support::json(&serde_json::to_value(&predicted.findings)?)?;
    } else {
        summary(&predicted.findings).iter().try_for_each(|line| data(line))?;
    }
    for warning in &predicted.findings.warnings {
        note(&format!("warning: {}: {}", warning.code, warning.message));
    }
    note(&format!("files: {}", args.out.display()));
    note(RESEARCH_NOTE);
    Ok(EXIT_OK)
}

fn export_options(key_file: Option<&Path>) -> Result<ExportOptions> {
    // chrono's own clock panics before 1970, where clocks without a battery may stand.
    let now = DateTime::<Utc>::from(SystemTime::now());
    let created = Timestamp::new(&now.format("%Y%m%d").to_string(), &now.format("%H%M%S").to_string())?;
    let software = Software::new("minigpt-pancreas", "predict-study", env!("CARGO_PKG_VERSION"))?;
    let mut options = ExportOptions::new(created, software);
    if let Some(path) = key_file {
        let mut key = Vec::new();
        fs_err::File::open(path)?.take(MAX_KEY_BYTES).read_to_end(&mut key)?;
        options.identity = Identity::Anonymize { key };
    }
    Ok(options)
}

/// The tumor score, then a line a finding, between tabs.
fn summary(found: &Findings) -> Vec<String> {
    let mut lines = Vec::with_capacity(found.findings.len() + 1);
    if let Some(score) = &found.case_tumor_score {
        lines.push(format!("tumor score\t{:.3}\t{} slices", score.value, score.n_slices));
    }
    lines.extend(found.findings.iter().map(line));
    lines
}

fn line(finding: &Finding) -> String {
    let Finding { entity, first_slice_idx, last_slice_idx, key_slice_idx, size_mm, .. } = finding;
    let confidence = finding.confidence.map_or_else(|| "-".to_owned(), |p| format!("{p:.3}"));
    format!(
        "{entity}\tslices {first_slice_idx}-{last_slice_idx}, best {key_slice_idx}\t{:.1} x {:.1} x {:.1} mm\t{confidence}",
        size_mm.longest, size_mm.perpendicular, size_mm.across_slices
    )
}
