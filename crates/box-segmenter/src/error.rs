//! The error of the crate.

use std::path::PathBuf;

use ct_slices::BoxPx;
use ct_slices::pixels::PixelError;
use ct_volume::{LimitExceeded, VolumeError};
use findings::FindingsError;

/// Which of the two files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ModelPart {
    /// The image encoder, run once a slice.
    Encoder,
    /// The mask decoder, run once a box.
    Decoder,
}

impl std::fmt::Display for ModelPart {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Encoder => "encoder",
            Self::Decoder => "decoder",
        })
    }
}

/// Why a box did not become a mask.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SegmentError {
    /// The operating system would not read a file.
    #[error("cannot read `{}`", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A model that asks for more than is allowed.
    #[error("`{}` asks for too much", path.display())]
    Limit {
        /// The file.
        path: PathBuf,
        /// What, how much, and what is allowed.
        source: LimitExceeded,
    },
    /// A file that is no ONNX model, or one that cannot be run here.
    #[error("cannot {doing} the ONNX model `{}`", path.display())]
    Onnx {
        /// The file.
        path: PathBuf,
        /// What was being done.
        doing: &'static str,
        /// What the run-time said.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The run-time gave up on a model.
    #[error("the ONNX run-time stopped while it tried to {doing} `{}`: {message}", path.display())]
    RunTime {
        /// The file.
        path: PathBuf,
        /// What was being done.
        doing: &'static str,
        /// Its message.
        message: String,
    },
    /// A model whose inputs and outputs are of no form that is understood.
    #[error(
        "`{}` cannot be the {part}: its inputs are {}, its outputs {}; understood: {understood}{}",
        path.display(), .inputs.join(", "), .outputs.join(", "),
        if *is_swapped { " (are encoder and decoder swapped?)" } else { "" }
    )]
    Names {
        /// The file.
        path: PathBuf,
        /// What it was given as.
        part: ModelPart,
        /// Names of its inputs, made printable.
        inputs: Vec<String>,
        /// Names of its outputs, made printable.
        outputs: Vec<String>,
        /// What would do.
        understood: &'static str,
        /// Whether it looks like the other file.
        is_swapped: bool,
    },
    /// A tensor of another shape or type than is needed.
    #[error("`{name}` of `{}` is {got}, expected {expected}", path.display())]
    Tensor {
        /// The file.
        path: PathBuf,
        /// The tensor, made printable.
        name: String,
        /// Its type or shape.
        got: String,
        /// What would do.
        expected: String,
    },
    /// A box that does not lie in its slice.
    #[error("box {:?} does not lie in a slice of {columns} x {rows} px", [box_px.x_min, box_px.y_min, box_px.x_max, box_px.y_max])]
    Box {
        /// The box.
        box_px: BoxPx,
        /// Columns of the slice.
        columns: usize,
        /// Rows of the slice.
        rows: usize,
    },
    /// A slice that cannot be brought to the encoder's size.
    #[error("cannot resize a slice for the encoder")]
    Slice(#[from] PixelError),
    /// A threshold that is no number.
    #[error("the threshold of a mask is {value}, expected a finite number")]
    Threshold {
        /// The value.
        value: f32,
    },
    /// Findings that do not fit their study.
    #[error("cannot segment the findings of the study")]
    Findings(#[from] FindingsError),
    /// A file could not be written.
    #[error(transparent)]
    Volume(#[from] VolumeError),
    /// The caller asked to stop.
    #[error("stopped")]
    Stopped,
}
