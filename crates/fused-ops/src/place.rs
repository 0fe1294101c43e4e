//! Where the kernels are used.

use burn::tensor::Tensor;
#[cfg(feature = "flex")]
use burn::tensor::{DType, Device};

/// Whether a tensor is one that the kernels take.
#[cfg(feature = "flex")]
pub(crate) fn has_kernels<const D: usize>(x: &Tensor<D>) -> bool {
    x.dtype() == DType::F32 && is_cpu(&x.device())
}

#[cfg(not(feature = "flex"))]
pub(crate) fn has_kernels<const D: usize>(_: &Tensor<D>) -> bool {
    false
}

/// Whether a device is the CPU with this crate's kernels.
#[must_use]
pub fn is_cpu(device: &burn::tensor::Device) -> bool {
    #[cfg(feature = "flex")]
    return *device == Device::flex();
    #[cfg(not(feature = "flex"))]
    {
        let _ = device;
        false
    }
}
