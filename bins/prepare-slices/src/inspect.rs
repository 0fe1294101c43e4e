//! `inspect` and `datasets`.

use anyhow::Result;
use bin_support::EXIT_OK;
use ct_slices::dataset::{Dataset, builtin_datasets, parse_datasets};
use ct_volume::{Limits, ReadOptions, read_study, summarize};
use serde_json::json;

use crate::args::{DatasetsArgs, InspectArgs, ReadArgs};

pub(crate) fn read_options(args: &ReadArgs) -> ReadOptions {
    let mut options = ReadOptions::default();
    options.limits = limits(args.max_mib);
    options.frame = args.frame;
    options.dicom.series = args.series;
    options.dicom.allow_irregular = args.allow_irregular;
    options
}

pub(crate) fn limits(max_mib: u64) -> Limits {
    Limits::default().with_max_bytes(max_mib.saturating_mul(1 << 20))
}

pub(crate) fn run(args: &InspectArgs) -> Result<u8> {
    let summary = summarize(&read_study(&args.study, &read_options(&args.read))?);
    if args.json {
        bin_support::json(&summary)?;
        return Ok(EXIT_OK);
    }
    let [x, y, z] = summary.shape;
    let [sx, sy, sz] = summary.spacing_mm;
    bin_support::data(&format!("shape        {x} x {y} x {z}"))?;
    bin_support::data(&format!("spacing      {sx:.4} x {sy:.4} x {sz:.4} mm"))?;
    bin_support::data(&format!("orientation  {}", summary.orientation))?;
    let hu = summary.hu;
    bin_support::data(&format!("HU           {} to {}, mean {:.2}", hu.min, hu.max, hu.mean))?;
    for row in &summary.affine[..3] {
        bin_support::data(&format!(
            "affine       {:12.5} {:12.5} {:12.5} {:12.5}",
            row[0], row[1], row[2], row[3]
        ))?;
    }
    for warning in &summary.warnings {
        bin_support::data(&format!("warning      {warning}"))?;
    }
    Ok(EXIT_OK)
}

/// The dataset list of a file, or the built-in one.
pub(crate) fn dataset_list(path: Option<&std::path::Path>) -> Result<Vec<Dataset>> {
    let Some(path) = path else { return Ok(builtin_datasets()) };
    let text = fs_err::read_to_string(path)?;
    parse_datasets(&text).map_err(|e| anyhow::Error::new(e).context(format!("`{}`", path.display())))
}

pub(crate) fn datasets(args: &DatasetsArgs) -> Result<u8> {
    let datasets = dataset_list(args.datasets.as_deref())?;
    if args.json {
        let entries: Vec<serde_json::Value> = datasets
            .iter()
            .map(|d| {
                json!({
                    "name": d.name, "title": d.title, "tag": d.tag, "layout": d.layout, "root": d.root,
                    "images": d.images, "labels": d.labels, "label_map": d.label_map,
                    "expected_volumes": d.expected_volumes, "license": d.license, "doi": d.doi, "get": d.get,
                })
            })
            .collect();
        bin_support::json(&entries)?;
        return Ok(EXIT_OK);
    }
    for d in &datasets {
        bin_support::data(&format!("{:<18} {}", d.name, d.title))?;
        bin_support::data(&format!("{:<18} layout {}, below {}", "", d.layout, d.root.display()))?;
        let license = d.license.as_deref().unwrap_or("your own");
        bin_support::data(&format!("{:<18} licence {license}; {}", "", d.get))?;
    }
    Ok(EXIT_OK)
}
