//! Operations and how fast they go.

use std::time::Instant;

use burn::tensor::{Device, Distribution, Tensor};
use vlm_model::MiniGptConfig;

use super::sizes::ParameterCounts;

/// Tokens of prompt and answer around the image, about (SPEC 4.1).
const TEXT_TOKENS: usize = 44;
/// Edge of the measured product.
const EDGE: usize = 384;
/// Products that are timed; the first is left out, it warms up.
const N_PRODUCTS: usize = 8;

/// Positions of a training sequence, about.
pub(super) fn positions(sizes: &MiniGptConfig) -> usize {
    sizes.n_image_tokens() + TEXT_TOKENS
}

/// Operations of a training: two a weight and position forward, two more back through frozen
/// weights, and two for gradients of weights that learn. A frozen tower sees each image once.
#[expect(clippy::cast_precision_loss, reason = "an estimate")]
pub(super) fn training_flops(
    sizes: &MiniGptConfig,
    parameters: &ParameterCounts,
    trains_tower: bool,
    samples_drawn: u64,
    n_images: Option<usize>,
    positions: usize,
) -> f64 {
    let per_weight = if trains_tower { 6.0 } else { 4.0 };
    let language = (parameters.language_model + parameters.lora) as f64 * per_weight * positions as f64;
    let patches = (1 + sizes.vision.n_patches()) as f64;
    let tower = parameters.vision_tower as f64 * patches * if trains_tower { 6.0 } else { 2.0 };
    let projector = parameters.projector as f64 * 6.0 * sizes.n_image_tokens() as f64;
    let n_drawn = samples_drawn as f64;
    let n_towers = if trains_tower { n_drawn } else { n_images.map_or(n_drawn, |n| n as f64) };
    n_drawn * (language + projector) + n_towers * tower
}

/// Operations a second of a small matrix product on the device.
#[expect(clippy::cast_precision_loss, reason = "an estimate")]
pub(super) fn measured_flops(device: &Device) -> f64 {
    let even = Distribution::Uniform(-1.0, 1.0);
    let matrix = || Tensor::<2>::random([EDGE, EDGE], even, device);
    let (a, mut b) = (matrix(), matrix());
    let mut started = Instant::now();
    for product in 0..=N_PRODUCTS {
        if product == 1 {
            let _ = device.sync();
            started = Instant::now();
        }
        b = a.clone().matmul(b).div_scalar(EDGE as f32);
    }
    // Reading a value back waits for all of them.
    let _ = b.sum().into_scalar::<f32>();
    let operations = 2.0 * (EDGE as f64).powi(3) * N_PRODUCTS as f64;
    operations / started.elapsed().as_secs_f64().max(1e-9)
}
