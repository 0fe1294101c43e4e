//! Convolutions before the patch embedding of small encoders.

use burn::module::{Module, Param};
use burn::tensor::ops::ConvOptions;
use burn::tensor::{DType, Device, Tensor};

use crate::layers::{cast, empty_param};

/// Edge of the kernels.
const KERNEL: usize = 3;

/// A 3x3 convolution of stride 2 and ReLU: half the rows and columns, rounded up.
#[derive(Module, Debug)]
pub struct StemConv {
    /// `[channels_out, channels_in, 3, 3]`
    pub weight: Param<Tensor<4>>,
    /// `[channels_out]`
    pub bias: Param<Tensor<1>>,
}

impl StemConv {
    /// A convolution of zeros that takes memory only when loaded or used.
    pub(crate) fn empty(channels_in: usize, channels_out: usize, dtype: DType, device: &Device) -> Self {
        Self {
            weight: empty_param([channels_out, channels_in, KERNEL, KERNEL], dtype, device),
            bias: empty_param([channels_out], dtype, device),
        }
    }

    /// # Shapes
    /// - `map`: `[batch, channels_in, rows, cols]`
    /// - returns `[batch, channels_out, rows / 2, cols / 2]`, f32
    ///
    /// # Panics
    /// If the map has other channels.
    ///
    /// # Source
    /// Xiao and others, "Early Convolutions Help Transformers See Better" (2021), section 3.
    pub fn forward(&self, map: Tensor<4>) -> Tensor<4> {
        let weight = self.weight.val();
        let options = ConvOptions::new([2, 2], [1, 1], [1, 1], 1);
        let map = cast(map, weight.dtype());
        let map = burn::tensor::module::conv2d(map, weight, Some(self.bias.val()), options);
        burn::tensor::activation::relu(cast(map, DType::F32))
    }
}
