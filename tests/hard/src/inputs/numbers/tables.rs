//! Records of an index, settings, windows and answers.

use std::path::Path;

use cascade::CascadeConfig;
use ct_slices::audit::{AuditInput, AuditOptions, audit};
use ct_slices::index::{IndexLimits, read_index, read_index_as_is};
use ct_slices::pixels::HuWindow;
use serde_json::{Value, json};
use vlm_prompt::{Answer, AnswerKind, BoxFormat, parse_answer};

use crate::inputs::cases::Case;
use crate::inputs::formats::Http;

/// An index of one good record that was changed.
fn changed(folder: &Path, change: fn(&mut Value)) -> anyhow::Result<std::path::PathBuf> {
    let text = fs_err::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("seeds/index.jsonl"))?;
    let lines: Result<Vec<Value>, _> = text.lines().map(serde_json::from_str).collect();
    let mut record = lines?
        .into_iter()
        .find(|record| !record["organs"]["pancreas"]["bbox"].is_null())
        .ok_or_else(|| anyhow::anyhow!("no record with a box"))?;
    change(&mut record);
    let path = folder.join("index.jsonl");
    fs_err::write(&path, record.to_string())?;
    Ok(path)
}

fn record(name: &'static str, expected: &'static str, change: fn(&mut Value)) -> Case {
    Case::new(name, expected, move |folder| {
        let path = changed(folder, change)?;
        Ok(move || {
            read_index(&path, &IndexLimits::default())
                .map_or_else(|error| error.code().to_owned(), |_| "read".to_owned())
        })
    })
}

/// The audit reports what the strict reader refuses.
fn audited(name: &'static str, expected: &'static str, change: fn(&mut Value)) -> Case {
    Case::new(name, expected, move |folder| {
        let index = read_index_as_is(&changed(folder, change)?, &IndexLimits::default())?;
        Ok(move || {
            let report = audit(&[AuditInput::new(index)], &AuditOptions::default().with_probe(false));
            let codes: Vec<&str> = report.findings.iter().map(|finding| finding.code.name()).collect();
            codes.join(" ")
        })
    })
}

fn config(name: &'static str, expected: &'static str, text: &'static str) -> Case {
    Case::new(name, expected, move |_| {
        Ok(move || {
            let text = format!("name = 'a'\nseed = 1\n[stages.pancreas_box]\n{text}\n");
            CascadeConfig::from_toml(&text, "x.toml")
                .map_or_else(|error| error.code().to_owned(), |_| "read".to_owned())
        })
    })
}

fn window(name: &'static str, low: f64, high: f64) -> Case {
    Case::new(name, "window", move |_| {
        Ok(move || {
            HuWindow::from_limits(low, high)
                .map_or_else(|error| error.code().to_owned(), |_| "read".to_owned())
        })
    })
}

fn answer(name: &'static str, text: &'static str) -> Case {
    Case::new(name, "unparsed", move |_| {
        Ok(move || match parse_answer(text, AnswerKind::Box(BoxFormat::Percent100)) {
            Answer::Unparsed(_) => "unparsed".to_owned(),
            other => format!("{other:?}"),
        })
    })
}

pub(super) fn numbers() -> Vec<Case> {
    let outside = |record: &mut Value| record["organs"]["pancreas"]["bbox"] = json!([0, 0, 70_000, 70_000]);
    vec![
        record("index: a box outside of the image", "box-outside", outside),
        record("index: a box whose edges are out of order", "box-outside", |record| {
            record["organs"]["pancreas"]["bbox"] = json!([9, 9, 3, 3]);
        }),
        record("index: a box from -1", "line-json", |record| {
            record["organs"]["pancreas"]["bbox"] = json!([-1, 0, 3, 3]);
        }),
        record("index: spacing negative", "record-spacing", |record| {
            record["spacing_mm"] = json!([-0.8, 0.8, 2.5])
        }),
        record("index: spacing zero", "record-spacing", |record| {
            record["spacing_mm"] = json!([0.0, 0.8, 2.5])
        }),
        record("index: a ratio of 1.5", "record-ratio", |record| {
            record["organs"]["pancreas"]["pixels_ratio"] = json!(1.5);
        }),
        record("index: more pixels than the image", "record-too-many-pixels", |record| {
            record["organs"]["pancreas"]["pixels"] = json!(u64::MAX);
            record["organs"]["pancreas"]["max_pixels"] = json!(u64::MAX);
        }),
        record("index: a slice beyond its volume", "record-slice-index", |record| {
            record["slice_index"] = json!(u32::MAX);
        }),
        audited("audit: a box outside of the image", "box-outside", outside),
        config("config: a learning rate of NaN", "config-setting", "[training]\nlearning_rate = nan"),
        config("config: a share of infinity", "config-setting", "[data]\nvalidation_share = inf"),
        config("config: no steps", "config-setting", "[training]\nsteps_per_epoch = 0"),
        window("window: from NaN", f64::NAN, 250.0),
        window("window: infinitely wide", f64::NEG_INFINITY, 250.0),
        window("window: upside down", 250.0, -150.0),
        Case::new("chat: a window of NaN", "bad_window", |_| {
            let http = Http::new()?;
            Ok(move || {
                let reply = http.send(b"GET /v1/studies/{id}/slices/0.png?window=nan,inf\n\n");
                reply.ok().and_then(|reply| reply.code()).unwrap_or_default()
            })
        })
        .within_mib(192),
        Case::new("answer: a box outside of the grid", "outside-grid", |_| {
            // Read as it is, as the published programs do; whoever draws it asks this and clips.
            Ok(|| match parse_answer("{<10><20><130><40>}", AnswerKind::Box(BoxFormat::Percent100)) {
                Answer::Box(grid) if BoxFormat::Percent100.contains(grid) => "read".to_owned(),
                Answer::Box(_) => "outside-grid".to_owned(),
                other => format!("{other:?}"),
            })
        }),
        answer("answer: a number of 30 digits", "{<1><2><999999999999999999999999999999><4>}"),
    ]
}
