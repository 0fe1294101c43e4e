//! Sizes of the image encoder.

use serde::{Deserialize, Serialize};

use super::{check_positive, check_size, config_error};
use crate::ModelError;

/// Sizes of the EVA vision transformer (SPEC 3.2).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VisionConfig {
    /// Edge of the square input, px.
    pub image_size: usize,
    /// Edge of a square patch, px.
    pub patch_size: usize,
    /// Channels of 3x3 convolutions of stride 2, each followed by ReLU, between the image and the
    /// patch embedding, which then cuts patches of `patch_size / 2^n` out of their map. None in
    /// the published encoder; small ones learn edges from them that a patch embedding must spell
    /// out for every place in the patch.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub stem_channels: Vec<usize>,
    /// Width of a token.
    pub width: usize,
    /// Blocks that are run. The published file has 40, the model runs 39.
    pub depth: usize,
    /// Attention heads.
    pub n_heads: usize,
    /// Hidden width of the MLP.
    pub mlp_hidden: usize,
    /// Epsilon of the norms inside the blocks.
    pub norm_eps: f64,
    /// Epsilon of `ln_vision`, torch's default and not the blocks' (SPEC 3.4).
    pub ln_vision_eps: f64,
}

impl VisionConfig {
    /// EVA ViT-g/14 at 448 px without its last block (SPEC 3.2).
    #[must_use]
    pub fn eva_vit_g_448() -> Self {
        Self {
            image_size: 448,
            patch_size: 14,
            stem_channels: Vec::new(),
            width: 1408,
            depth: 39,
            n_heads: 16,
            mlp_hidden: 6144,
            norm_eps: 1e-6,
            ln_vision_eps: 1e-5,
        }
    }

    /// A small encoder for the CPU: 128 px, 64 patches after a stem of three convolutions.
    #[must_use]
    pub fn nano() -> Self {
        Self {
            image_size: 128,
            patch_size: 16,
            stem_channels: vec![24, 48, 96],
            width: 192,
            depth: 4,
            n_heads: 6,
            mlp_hidden: 576,
            norm_eps: 1e-6,
            ln_vision_eps: 1e-5,
        }
    }

    /// Patches along one edge.
    #[must_use]
    pub fn grid(&self) -> usize {
        self.image_size / self.patch_size
    }

    /// Patches of one image, without CLS.
    #[must_use]
    pub fn n_patches(&self) -> usize {
        self.grid() * self.grid()
    }

    /// Channels, rows and columns of one patch as the patch embedding sees it.
    #[must_use]
    pub fn patch_shape(&self) -> [usize; 3] {
        let edge = self.patch_size >> self.stem_channels.len();
        [self.stem_channels.last().copied().unwrap_or(3), edge, edge]
    }

    /// Width of one head.
    #[must_use]
    pub fn head_dim(&self) -> usize {
        self.width / self.n_heads
    }

    /// Checks that an encoder can be built.
    ///
    /// # Errors
    /// [`ModelError::Config`] naming the first impossible field.
    pub fn validate(&self) -> Result<(), ModelError> {
        check_size("vision.image_size", self.image_size, 8192)?;
        check_size("vision.patch_size", self.patch_size, 1024)?;
        for channels in &self.stem_channels {
            check_size("vision.stem_channels", *channels, 1 << 12)?;
        }
        // Eight halvings are a patch of 256 px.
        check_size("vision.stem_channels", 1 + self.stem_channels.len(), 9)?;
        if !self.patch_size.is_multiple_of(1 << self.stem_channels.len()) {
            return Err(config_error(
                "vision.patch_size",
                self.patch_size,
                format!("{} convolutions of stride 2 do not divide it", self.stem_channels.len()),
            ));
        }
        check_size("vision.width", self.width, 1 << 16)?;
        check_size("vision.depth", self.depth, 1024)?;
        check_size("vision.n_heads", self.n_heads, 1024)?;
        check_size("vision.mlp_hidden", self.mlp_hidden, 1 << 18)?;
        check_positive("vision.norm_eps", self.norm_eps)?;
        check_positive("vision.ln_vision_eps", self.ln_vision_eps)?;
        if !self.image_size.is_multiple_of(self.patch_size) {
            return Err(config_error(
                "vision.image_size",
                self.image_size,
                format!("not a multiple of the patch size {}", self.patch_size),
            ));
        }
        if !self.width.is_multiple_of(self.n_heads) {
            return Err(config_error(
                "vision.width",
                self.width,
                format!("not a multiple of {} heads", self.n_heads),
            ));
        }
        Ok(())
    }
}
