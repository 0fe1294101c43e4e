//! What can go wrong in a stage or a run.

use std::path::{Path, PathBuf};

/// An error of the cascade; it names the file, the setting or the values that disagree.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CascadeError {
    /// The configuration is not the TOML that is expected.
    #[error("`{name}` is not a configuration of the cascade")]
    Toml {
        /// The file, or what the text is.
        name: String,
        /// Where and what.
        source: Box<toml::de::Error>,
    },
    /// A setting is impossible, or does not fit another.
    #[error("`{field}` is `{value}`: {reason}")]
    Setting {
        /// The setting, with dots between its levels.
        field: String,
        /// What it is.
        value: String,
        /// What it must be.
        reason: String,
    },
    /// A file or folder cannot be read or written.
    #[error("cannot use `{}`", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A file is not the JSON that is expected.
    #[error("`{}` is not the JSON that is expected", path.display())]
    Json {
        /// The file.
        path: PathBuf,
        /// Why.
        source: serde_json::Error,
    },
    /// A folder holds no data of a kind that is known.
    #[error("no data in `{}`: expected `index.jsonl`, or `labels.csv` with `images`", path.display())]
    NoData {
        /// The folder.
        path: PathBuf,
    },
    /// A stage has nothing to learn from or to be judged by.
    #[error("stage `{stage}` has no {part} sample: {reason}")]
    NoSamples {
        /// The stage.
        stage: &'static str,
        /// Training, validation or test.
        part: &'static str,
        /// What was looked for.
        reason: String,
    },
    /// An image cannot be used.
    #[error("cannot use image `{}`", path.display())]
    Image {
        /// The file.
        path: PathBuf,
        /// Why.
        source: ct_slices::pixels::PixelError,
    },
    /// Another process works in the folder.
    #[error(transparent)]
    Lock(#[from] run_folder::LockError),
    /// A new run would write over an old one.
    #[error("`{}` holds a run already: go on with `--resume`, or choose another folder", folder.display())]
    RunExists {
        /// The run folder.
        folder: PathBuf,
    },
    /// A run cannot go on with another configuration.
    #[error("the configuration of `{}` differs from the one given: {what}", folder.display())]
    Changed {
        /// The run folder.
        folder: PathBuf,
        /// The first line that differs.
        what: String,
    },
    /// The program holds no base checkpoint.
    #[error(
        "this build has no embedded base checkpoint: make one with `run-cascade pretrain --out FOLDER` and set \
         `model.base` to `folder`"
    )]
    NoEmbeddedBase,
    /// The program holds no trained checkpoint of a stage.
    #[error("this build has no embedded checkpoint of the stage `{stage}`: name one with `--checkpoint`")]
    NoEmbeddedStage {
        /// The stage.
        stage: &'static str,
    },
    /// Stopped on request; what is complete is kept.
    #[error("stopped; finished parts are kept, go on with `--resume`")]
    Stopped,
    /// The model has not the sizes that a checkpoint or the data need.
    #[error("memory: {need_mib} MiB are needed, {limit_mib} MiB are allowed")]
    Memory {
        /// What the run needs.
        need_mib: u64,
        /// What there is.
        limit_mib: u64,
    },
    /// Synthetic studies could not be made.
    #[error(transparent)]
    Phantom(#[from] ct_phantom::PhantomError),
    /// Studies could not be prepared.
    #[error(transparent)]
    Prepare(#[from] ct_slices::prepare::PrepareError),
    /// A list of datasets.
    #[error(transparent)]
    Dataset(#[from] ct_slices::dataset::DatasetError),
    /// An index.
    #[error(transparent)]
    Index(#[from] ct_slices::index::IndexError),
    /// A split file.
    #[error(transparent)]
    Split(#[from] ct_slices::index::SplitFileError),
    /// A study.
    #[error(transparent)]
    Volume(#[from] ct_volume::VolumeError),
    /// The model.
    #[error(transparent)]
    Model(#[from] vlm_model::ModelError),
    /// A checkpoint in.
    #[error(transparent)]
    Weights(#[from] vlm_model::WeightsError),
    /// A checkpoint out.
    #[error(transparent)]
    Export(#[from] vlm_model::ExportError),
    /// Training.
    #[error(transparent)]
    Train(#[from] vlm_train::TrainError),
    /// Answering.
    #[error(transparent)]
    Infer(#[from] vlm_infer::InferError),
    /// Scoring.
    #[error(transparent)]
    Metrics(#[from] vlm_metrics::MetricsError),
    /// A box that cannot be written.
    #[error(transparent)]
    Box(#[from] vlm_prompt::BoxError),
    /// A tokenizer.
    #[error(transparent)]
    Tokenizer(#[from] vlm_prompt::TokenizerError),
    /// Answers that cannot become findings, or a file of them.
    #[error(transparent)]
    Findings(#[from] findings::FindingsError),
    /// A DICOM object of findings that is refused or cannot be made.
    #[error(transparent)]
    DicomFindings(#[from] dicom_findings::DicomFindingsError),
    /// A figure or the report.
    #[error(transparent)]
    Report(#[from] cascade_report::ReportError),
}

impl CascadeError {
    pub(crate) fn io(path: &Path) -> impl FnOnce(std::io::Error) -> Self + '_ {
        move |source| Self::Io { path: path.to_owned(), source }
    }

    pub(crate) fn json(path: &Path) -> impl FnOnce(serde_json::Error) -> Self + '_ {
        move |source| Self::Json { path: path.to_owned(), source }
    }

    pub(crate) fn setting(field: impl Into<String>, value: impl ToString, reason: impl Into<String>) -> Self {
        Self::Setting { field: field.into(), value: value.to_string(), reason: reason.into() }
    }
}

impl CascadeError {
    /// The stable code of this error, for programs: that of the reader where a file was to blame, `run` for
    /// everything that only a run can meet. `docs/DATA.md` lists the codes.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Toml { .. } => "config-toml",
            Self::Setting { .. } | Self::Train(vlm_train::TrainError::Setting { .. }) => "config-setting",
            Self::Io { .. } => "read",
            Self::Index(source) => source.code(),
            Self::Volume(source) => source.code(),
            Self::Weights(source) => source.code(),
            Self::Tokenizer(source) => source.code(),
            _ => "run",
        }
    }
}
