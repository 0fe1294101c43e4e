//! Boxes as prompts for a promptable segmenter in ONNX: masks of CT slices.
//!
//! A model of this project gives boxes; SAM, MedSAM and their kin turn a box into a mask. The user brings
//! two files, an image encoder and a mask decoder; they are run as they are, in Rust (tract), on the CPU.
//! [`BoxSegmenter::open`] tells the decoder's form by the names of its inputs ([`DecoderForm`]),
//! [`encode`](BoxSegmenter::encode) looks at a slice once, [`segment`](BoxSegmenter::segment) gives the
//! mask of a box, and [`segment_findings`] those of a whole study.
//!
//! # What is refused, and what is not
//! Files are data of strangers: their sizes and the shapes of their tensors are checked before the
//! run-time takes memory for them ([`ModelLimits`]), and a run-time that gives up is an error
//! ([`SegmentError::RunTime`]). A graph made to do harm can still compute constants that are large while
//! it is being prepared: open files of people you trust. Forms that are not understood (SAM 2's, several
//! images at once) are refused with the names found. The crate trains nothing, brings no weights, and asks
//! no network.
//!
//! **Research use only, not for diagnosis.** SAM and MedSAM were not trained on what this project finds.
//!
//! ```no_run
//! use std::path::Path;
//!
//! use box_segmenter::{BoxSegmenter, SegmenterOptions};
//! use ct_slices::BoxPx;
//! use ndarray::Array2;
//!
//! let options = SegmenterOptions::default();
//! let segmenter = BoxSegmenter::open(Path::new("encoder.onnx"), Path::new("decoder.onnx"), &options)?;
//! let gray = Array2::<u8>::zeros((512, 512)); // a windowed slice, [row, column]
//! let slice = segmenter.encode(gray.view())?;
//! let found = segmenter.segment(&slice, BoxPx::from([200, 180, 300, 240]))?;
//! assert_eq!(found.mask.dim(), gray.dim());
//! # Ok::<(), box_segmenter::SegmentError>(())
//! ```

mod error;
mod form;
mod image;
mod network;
mod options;
mod resample;
mod segmenter;
mod study;

pub use error::{ModelPart, SegmentError};
pub use form::DecoderForm;
pub use options::{ImageInput, ModelLimits, PixelScale, SegmenterOptions, SquareFit};
pub use segmenter::{BoxMask, BoxSegmenter, SliceEmbedding};
pub use study::segment_findings;
