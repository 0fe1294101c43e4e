//! Which number type the frozen weights have.

use std::fmt;
use std::str::FromStr;

use burn::tensor::DType;

use crate::ModelError;

/// The number type of the frozen weights and of the activations between them.
///
/// LoRA factors, the projector, norms, softmax of the loss and the loss itself are f32 always. On
/// the CPU f32 is the only sensible choice: its backend computes bf16 through f32 copies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Precision {
    /// 32-bit floats, the CPU's choice.
    #[default]
    F32,
    /// bfloat16, the choice for CUDA: f32's range, so no loss scaling.
    Bf16,
    /// IEEE half, as the reference ran (SPEC 3.7); training with it would need loss scaling.
    F16,
}

impl Precision {
    /// The tensor type of frozen weights.
    #[must_use]
    pub fn frozen_dtype(self) -> DType {
        match self {
            Self::F32 => DType::F32,
            Self::Bf16 => DType::BF16,
            Self::F16 => DType::F16,
        }
    }
}

impl FromStr for Precision {
    type Err = ModelError;

    fn from_str(name: &str) -> Result<Self, ModelError> {
        match name {
            "f32" => Ok(Self::F32),
            "bf16" => Ok(Self::Bf16),
            "f16" => Ok(Self::F16),
            _ => Err(ModelError::Config {
                field: "precision",
                value: name.to_owned(),
                reason: "expected `f32`, `bf16` or `f16`".to_owned(),
            }),
        }
    }
}

impl fmt::Display for Precision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::F32 => "f32",
            Self::Bf16 => "bf16",
            Self::F16 => "f16",
        })
    }
}
