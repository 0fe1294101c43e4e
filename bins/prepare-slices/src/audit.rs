//! `audit`.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use bin_support::{EXIT_FINDINGS, EXIT_OK};
use ct_slices::audit::{AuditInput, AuditOptions, audit};
use ct_slices::index::{IndexLimits, SliceIndex, read_image_csv, read_index_as_is};

use crate::args::AuditArgs;
use crate::run::threads;

pub(crate) fn run(args: &AuditArgs) -> Result<u8> {
    let mut inputs = Vec::with_capacity(args.index.len());
    for path in &args.index {
        inputs.push(AuditInput::new(read(path, args.images.as_deref())?));
    }
    let options = AuditOptions::default()
        .with_verify_images(!args.no_images)
        .with_probe(!args.no_probe)
        .with_redact(args.redact)
        .with_seed(args.seed);
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(threads(args.threads))
        .build()
        .context("cannot start threads")?;
    let report = pool.install(|| audit(&inputs, &options));
    bin_support::data(if args.json { report.to_json() } else { report.to_text() }.trim_end())?;
    Ok(if report.passed(args.strict) { EXIT_OK } else { EXIT_FINDINGS })
}

/// An index, or a CSV of labels with its images.
fn read(path: &Path, images: Option<&Path>) -> Result<SliceIndex> {
    let limits = IndexLimits::default();
    if path.extension().is_some_and(|e| e.eq_ignore_ascii_case("csv")) {
        let beside = || path.parent().map_or_else(|| PathBuf::from("images"), |p| p.join("images"));
        let images = images.map_or_else(beside, Path::to_path_buf);
        return Ok(read_image_csv(path, &images, &limits)?);
    }
    Ok(read_index_as_is(path, &limits)?)
}
