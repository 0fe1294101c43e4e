//! Where the kernels are used.

use burn::tensor::Tensor;
#[cfg(feature = "flex")]
use burn::tensor::{DType, Device};

/// Whether a tensor is one that the kernels take.
#[cfg(feature = "flex")]
pub(crate) fn has_kernels<const D: usize>(x: &Tensor<D>) -> bool {
    x.dtype() == DType::F32 && x.device() == Device::flex()
}

#[cfg(not(feature = "flex"))]
pub(crate) fn has_kernels<const D: usize>(_: &Tensor<D>) -> bool {
    false
}
