//! The formats, by name.

mod checkpoint;
mod dicom;
mod http;
mod picture;
mod tables;
mod text;
mod training;
mod volume;
mod weights;

use std::path::PathBuf;

use anyhow::bail;

use super::format::Format;

// What bombs and hostile numbers are made with.
pub(super) use checkpoint::tiny_config;
pub(super) use http::{Http, chat_input, form_input};
pub(super) use picture::{png, zip_of, zlib};
pub(super) use volume::gzip;
pub(super) use weights::with_header;

/// A path within the repository, where the good files of other crates' tests lie.
pub(super) fn in_repository(path: &str) -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../..")).join(path)
}

/// Names in the order of the table; DICOM is several, one a transfer syntax.
pub(super) fn names() -> anyhow::Result<Vec<String>> {
    let mut names: Vec<String> = ["nifti", "gzip", "nrrd"].map(str::to_owned).to_vec();
    names.extend(dicom::names()?);
    names.extend(
        [
            "png",
            "jpeg",
            "zip",
            "safetensors",
            "pth",
            "checkpoint",
            "training-checkpoint",
            "tokenizer-json",
            "config-toml",
            "datasets-toml",
            "index-jsonl",
            "split-json",
            "labels-csv",
            "conversations-json",
            "http",
        ]
        .map(str::to_owned),
    );
    Ok(names)
}

pub(super) fn open(name: &str) -> anyhow::Result<Box<dyn Format>> {
    Ok(match name {
        "nifti" => Box::new(volume::Nifti::new()?),
        "gzip" => Box::new(volume::Gzip::new()?),
        "nrrd" => Box::new(volume::Nrrd::new()?),
        "png" => Box::new(picture::Picture::png()?),
        "jpeg" => Box::new(picture::Picture::jpeg()?),
        "zip" => Box::new(picture::Picture::zip()?),
        "safetensors" => Box::new(weights::Weights::safetensors()?),
        "pth" => Box::new(weights::Weights::pth()?),
        "checkpoint" => Box::new(checkpoint::Checkpoint::new()?),
        "training-checkpoint" => Box::new(training::TrainingCheckpoint::new()?),
        "tokenizer-json" => Box::new(text::TokenizerJson::new()?),
        "config-toml" => Box::new(text::Toml::configs()?),
        "datasets-toml" => Box::new(text::Toml::datasets()?),
        "index-jsonl" => Box::new(text::Index::new()?),
        "split-json" => Box::new(tables::Table::split()?),
        "labels-csv" => Box::new(tables::Table::labels()?),
        "conversations-json" => Box::new(text::Conversations::new()?),
        "http" => Box::new(http::Http::new()?),
        name => match name.strip_prefix(dicom::PREFIX) {
            Some(syntax) => Box::new(dicom::Dicom::new(syntax)?),
            None => bail!("no format `{name}`"),
        },
    })
}
