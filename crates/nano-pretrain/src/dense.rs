//! The tower with heads that say what every point shows: dense supervision.

use burn::module::Module;
use burn::nn::{Linear, LinearConfig};
use burn::tensor::activation::{log_softmax, sigmoid};
use burn::tensor::{Device, Int, Tensor, TensorData};
use vlm_model::{LayerNorm, MiniGpt, VisionTower};

use crate::Structure;

/// Label values of phantoms.
const N_TISSUES: usize = ct_phantom::PhantomLabel::ALL.len();
/// Points of the tissue map along the edge of a patch: one in four pixels of a 16 px patch.
pub(crate) const TISSUE_GRID: usize = 4;
/// Points of the masks along the edge of a patch: one in two pixels of a 16 px patch.
pub(crate) const MASK_GRID: usize = 8;
/// Structures with masks and boxes.
pub(crate) const N_STRUCTURES: usize = Structure::ALL.len();

/// The tower, the norm after it, and linear heads on its tokens.
#[derive(Module, Debug)]
pub(crate) struct DenseModel {
    pub(crate) vision_tower: VisionTower,
    pub(crate) ln_vision: LayerNorm,
    tissue: Linear,
    masks: Linear,
    boxes: Linear,
}

/// What the heads say of a batch.
pub(crate) struct DenseOutput {
    /// `[batch · n_patches · points, N_TISSUES]`, log probabilities
    tissue: Tensor<2>,
    /// `[batch, n_patches, N_STRUCTURES, points]`, logits
    masks: Tensor<4>,
    /// `[batch, N_STRUCTURES, 4]`, shares of the image
    pub(crate) boxes: Tensor<3>,
}

/// What a batch shows, laid out as the heads answer.
pub(crate) struct DenseTargets {
    /// `[batch · n_patches · points]`
    pub(crate) tissue: Vec<i64>,
    /// `[batch, n_patches, N_STRUCTURES, points]`, shares of covered pixels
    pub(crate) masks: Vec<f32>,
    /// `[batch, N_STRUCTURES, 4]`
    pub(crate) boxes: Vec<f32>,
    /// `[batch, N_STRUCTURES]`, 1 where the structure is shown
    pub(crate) shown: Vec<f32>,
}

impl DenseModel {
    /// Heads, drawn by burn's generator, on the tower of a model.
    pub(crate) fn new(model: &MiniGpt, device: &Device) -> Self {
        let width = model.config().vision.width;
        let head = |n: usize| LinearConfig::new(width, n).init(device);
        Self {
            vision_tower: model.vision_tower.clone(),
            ln_vision: model.ln_vision.clone(),
            tissue: head(N_TISSUES * TISSUE_GRID * TISSUE_GRID),
            masks: head(N_STRUCTURES * MASK_GRID * MASK_GRID),
            boxes: head(N_STRUCTURES * 4),
        }
    }

    /// # Shapes
    /// - `pixels`: `[batch, 3, size, size]`
    pub(crate) fn forward(&self, pixels: Tensor<4>) -> DenseOutput {
        let tokens = self.ln_vision.forward(self.vision_tower.forward(pixels));
        let [batch, n_tokens, width] = tokens.dims();
        let n_patches = n_tokens - 1;
        let patches = tokens.narrow(1, 1, n_patches); // [batch, n_patches, width]
        let tissue = self.tissue.forward(patches.clone());
        let tissue = tissue.reshape([batch * n_patches * TISSUE_GRID * TISSUE_GRID, N_TISSUES]);
        let masks = self.masks.forward(patches.clone());
        let boxes = self.boxes.forward(patches.mean_dim(1).reshape([batch, width]));
        DenseOutput {
            tissue: log_softmax(tissue, 1),
            masks: masks.reshape([batch, n_patches, N_STRUCTURES, MASK_GRID * MASK_GRID]),
            boxes: sigmoid(boxes).reshape([batch, N_STRUCTURES, 4]),
        }
    }
}

/// The parts of the loss, each `[1]`.
pub(crate) struct DenseLoss {
    pub(crate) tissue: Tensor<1>,
    pub(crate) masks: Tensor<1>,
    pub(crate) overlap: Tensor<1>,
    pub(crate) boxes: Tensor<1>,
}

impl DenseLoss {
    /// Their weighted sum, with weights that bring the parts to one size.
    pub(crate) fn total(&self) -> Tensor<1> {
        self.tissue.clone()
            + self.masks.clone().mul_scalar(2.0)
            + self.overlap.clone().mul_scalar(0.5)
            + self.boxes.clone().mul_scalar(2.0)
    }
}

impl DenseOutput {
    pub(crate) fn loss(&self, targets: &DenseTargets, device: &Device) -> DenseLoss {
        let n_points = targets.tissue.len();
        let tissue =
            Tensor::<2, Int>::from_data(TensorData::new(targets.tissue.clone(), [n_points, 1]), device);
        let [batch, n_patches, n_structures, points] = self.masks.dims();
        let share = Tensor::<4>::from_data(
            TensorData::new(targets.masks.clone(), [batch, n_patches, n_structures, points]),
            device,
        );
        let shown =
            Tensor::<2>::from_data(TensorData::new(targets.shown.clone(), [batch, n_structures]), device);
        let n_shown = shown.clone().sum().clamp_min(1.0);
        let truth =
            Tensor::<3>::from_data(TensorData::new(targets.boxes.clone(), [batch, n_structures, 4]), device);

        let tissue = self.tissue.clone().gather(1, tissue).mean().neg();
        let logits = self.masks.clone();
        // max(x, 0) - x z + ln(1 + e^-|x|)
        let masks = (logits.clone().clamp_min(0.0) - logits.clone() * share.clone()
            + logits.clone().abs().neg().exp().add_scalar(1.0).log())
        .mean();
        let covered = |x: Tensor<4>| x.sum_dim(3).sum_dim(1).reshape([batch, n_structures]);
        let drawn = sigmoid(logits);
        let both = covered(drawn.clone() * share.clone());
        let dice = both.mul_scalar(2.0).add_scalar(1.0) / (covered(drawn) + covered(share)).add_scalar(1.0);
        let overlap = (dice.neg().add_scalar(1.0) * shown.clone()).sum() / n_shown.clone();
        let distance = (self.boxes.clone() - truth.clone()).abs().sum_dim(2).reshape([batch, n_structures]);
        let misplaced = intersection_over_union(&self.boxes, &truth).neg().add_scalar(1.0);
        let boxes = ((distance.mul_scalar(2.0) + misplaced.mul_scalar(0.5)) * shown).sum() / n_shown;
        DenseLoss { tissue, masks, overlap, boxes }
    }
}

/// # Shapes
/// - `a`, `b`: `[batch, n, 4]`
/// - returns `[batch, n]`
pub(crate) fn intersection_over_union(a: &Tensor<3>, b: &Tensor<3>) -> Tensor<2> {
    let [batch, n, _] = a.dims();
    let edge = |boxes: &Tensor<3>, at: usize| boxes.clone().narrow(2, at, 1).reshape([batch, n]);
    let smaller = |x: Tensor<2>, y: Tensor<2>| x.clone() - (x - y).clamp_min(0.0);
    let larger = |x: Tensor<2>, y: Tensor<2>| x.clone() + (y - x).clamp_min(0.0);
    let side = |at: usize| {
        let low = larger(edge(a, at), edge(b, at));
        let high = smaller(edge(a, at + 2), edge(b, at + 2));
        (high - low).clamp_min(0.0)
    };
    let area = |boxes: &Tensor<3>| {
        (edge(boxes, 2) - edge(boxes, 0)).clamp_min(0.0) * (edge(boxes, 3) - edge(boxes, 1)).clamp_min(0.0)
    };
    let both = side(0) * side(1);
    both.clone() / (area(a) + area(b) - both).add_scalar(1e-6)
}
