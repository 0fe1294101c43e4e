//! How slices are shown to an encoder, and how masks are cut.

/// How a slice is brought to the encoder's square.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SquareFit {
    /// The longer side fills the square, zeros stand right of the image or below it; bilinear, as SAM's
    /// `ResizeLongestSide`.
    Pad,
    /// Both sides fill the square; bicubic, as MedSAM.
    Stretch,
}

/// How gray values become numbers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum PixelScale {
    /// Smallest of the slice to 0, largest to 1: MedSAM.
    MinMax,
    /// Minus a mean, by a deviation, for each of three equal channels; in gray values of 0..255.
    MeanStd {
        /// Mean of red, green, blue.
        mean: [f32; 3],
        /// Deviation of red, green, blue.
        std: [f32; 3],
    },
}

impl PixelScale {
    /// SAM's: the means and deviations of ImageNet.
    ///
    /// # Source
    /// segment-anything, `segment_anything/build_sam.py`.
    pub const SAM: Self = Self::MeanStd { mean: [123.675, 116.28, 103.53], std: [58.395, 57.12, 57.375] };
}

/// How slices are shown to an encoder.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ImageInput {
    /// How a slice becomes square.
    pub fit: SquareFit,
    /// How gray values become numbers.
    pub scale: PixelScale,
}

impl ImageInput {
    /// As SAM's predictor does it.
    pub const SAM: Self = Self { fit: SquareFit::Pad, scale: PixelScale::SAM };
    /// As MedSAM's inference does it.
    pub const MEDSAM: Self = Self { fit: SquareFit::Stretch, scale: PixelScale::MinMax };
}

/// What a model may ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ModelLimits {
    /// Largest file, with the files of weights that it names. Default 4 GiB.
    pub max_file_bytes: u64,
    /// Largest tensor that the model has or makes. Default 4 GiB: the global attention of SAM's largest
    /// encoder makes one of 1 GiB.
    pub max_tensor_bytes: u64,
    /// Longest side of the encoder's square, in px. Default 4096.
    pub max_side_px: u64,
}

impl Default for ModelLimits {
    fn default() -> Self {
        Self { max_file_bytes: 4 << 30, max_tensor_bytes: 4 << 30, max_side_px: 4096 }
    }
}

/// How a pair of files is used.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct SegmenterOptions {
    /// How slices are shown to the encoder; none: [`ImageInput::SAM`] for a decoder of points,
    /// [`ImageInput::MEDSAM`] for one of boxes.
    pub image: Option<ImageInput>,
    /// A pixel is in the mask above this output of the decoder. 0 by default, the middle for logits; 0.5
    /// is that of a decoder which gives probabilities.
    pub threshold: f32,
    /// What the models may ask for.
    pub limits: ModelLimits,
}
