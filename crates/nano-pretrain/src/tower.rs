//! Phase 1: the tower learns to see.

use std::f64::consts::PI;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use burn::grad_clipping::GradientClippingConfig;
use burn::module::{Module, ModuleMapper, Param};
use burn::optim::{AdamWConfig, GradientsParams};
use burn::tensor::{Device, Tensor, TensorData};
use ct_slices::pixels::Normalization;
use rayon::prelude::*;
use vlm_model::MiniGpt;

use crate::augment::{augmented, below, sample_rng};
use crate::dense::{DenseModel, DenseTargets, MASK_GRID, N_STRUCTURES, TISSUE_GRID, intersection_over_union};
use crate::targets::LabelBoxes;
use crate::{PhantomSlices, PretrainError, PretrainEvent, Structure, TowerRecipe};

/// How well the box head places structures in slices of other patients.
#[derive(Debug, Clone, PartialEq)]
pub struct TowerScores {
    /// Mean IoU by structure, in the order of [`Structure::ALL`]; NaN where none is shown.
    pub box_iou: Vec<f32>,
}

/// Held while heads are drawn.
static HEADS: Mutex<()> = Mutex::new(());

/// Trains the tower and the norm after it, and returns the model with them.
///
/// # Errors
/// [`PretrainError::Stopped`], [`PretrainError::Model`].
pub fn train_tower(
    mut model: MiniGpt,
    slices: &PhantomSlices,
    held_out: &PhantomSlices,
    recipe: &TowerRecipe,
    device: &Device,
    stop: &AtomicBool,
    on_event: &mut dyn FnMut(PretrainEvent),
) -> Result<(MiniGpt, TowerScores), PretrainError> {
    recipe.check()?;
    let mut dense = {
        // A device's random numbers are one stream for the whole process.
        let _alone = HEADS.lock().unwrap_or_else(PoisonError::into_inner);
        device.seed(recipe.seed);
        DenseModel::new(&model, device).map(&mut Learn)
    };
    let mut optimizer = AdamWConfig::new()
        .with_beta_2(0.98)
        .with_weight_decay(0.05)
        .with_grad_clipping(Some(GradientClippingConfig::Norm(1.0)))
        .init();
    for step in 0..recipe.steps {
        if stop.load(Ordering::Relaxed) {
            return Err(PretrainError::Stopped);
        }
        let (pixels, targets) = batch(slices, recipe, step, device);
        let loss = dense.forward(pixels).loss(&targets, device);
        let total = loss.total();
        if step % recipe.report_every == 0 {
            on_event(PretrainEvent::TowerStep {
                step,
                n_steps: recipe.steps,
                loss: read(&total)?,
                tissue: read(&loss.tissue)?,
                boxes: read(&loss.boxes)?,
            });
        }
        let gradients = GradientsParams::from_grads(total.backward(), &dense);
        dense = optimizer.step(recipe.rate(step), dense, gradients);
        if (step + 1) % recipe.score_every == 0 {
            on_event(PretrainEvent::TowerScores { step, scores: scores(&dense.valid(), held_out, device)? });
        }
    }
    let dense = dense.valid();
    let scores = scores(&dense, held_out, device)?;
    model.vision_tower = dense.vision_tower;
    model.ln_vision = dense.ln_vision;
    Ok((model, scores))
}

/// Puts every parameter on the autodiff graph.
struct Learn;

impl ModuleMapper for Learn {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        param.map(|tensor| tensor.without_autodiff().autodiff().require_grad()).set_require_grad(true)
    }
}

impl TowerRecipe {
    /// A linear warm-up, then half a cosine down to nothing.
    fn rate(&self, step: u64) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "steps are few")]
        let (at, end, warmup) = (step as f64, self.steps as f64, self.warmup_steps as f64);
        let ramp = ((at + 1.0) / warmup.max(1.0)).min(1.0);
        self.rate * ramp * 0.5 * (1.0 + (PI * at / end).cos())
    }
}

fn read(value: &Tensor<1>) -> Result<f32, PretrainError> {
    let read = value.clone().try_into_scalar::<f32>();
    read.map_err(|error| vlm_model::ModelError::ReadBack(error.to_string()).into())
}

/// A step's samples: pixels `[batch, 3, size, size]` and what they show.
fn batch(
    slices: &PhantomSlices,
    recipe: &TowerRecipe,
    step: u64,
    device: &Device,
) -> (Tensor<4>, DenseTargets) {
    let size = slices.size;
    let samples: Vec<(Vec<f32>, DenseTargets)> = (0..recipe.batch_size as u64)
        .into_par_iter()
        .map(|place| {
            let mut rng = sample_rng(recipe.seed, step, place);
            let slice = below(&mut rng, slices.len());
            let (gray, labels) = augmented(slices.image(slice), slices.label(slice), size, &mut rng);
            (normalized(&gray), targets(&labels, size))
        })
        .collect();
    let mut pixels = Vec::with_capacity(samples.len() * 3 * size * size);
    let mut joined =
        DenseTargets { tissue: Vec::new(), masks: Vec::new(), boxes: Vec::new(), shown: Vec::new() };
    let n = samples.len();
    for (image, target) in samples {
        pixels.extend(image);
        joined.tissue.extend(target.tissue);
        joined.masks.extend(target.masks);
        joined.boxes.extend(target.boxes);
        joined.shown.extend(target.shown);
    }
    (Tensor::from_data(TensorData::new(pixels, [n, 3, size, size]), device), joined)
}

/// Gray levels as the model's image processor hands them on, three equal channels.
pub(crate) fn normalized(gray: &[f32]) -> Vec<f32> {
    let Normalization { mean, std } = Normalization::CLIP;
    let mut values = Vec::with_capacity(3 * gray.len());
    for (mean, std) in mean.into_iter().zip(std) {
        values.extend(gray.iter().map(|level| (level / 255.0 - mean) / std));
    }
    values
}

/// What an image shows, in the layout of the heads: patch after patch.
pub(crate) fn targets(labels: &[u8], size: usize) -> DenseTargets {
    // The heads' grids are made for patches of 16 px; other sizes keep the number of points.
    let grid = size / 16;
    let patch = 16;
    let mut tissue = Vec::with_capacity(grid * grid * TISSUE_GRID * TISSUE_GRID);
    let mut masks = Vec::with_capacity(grid * grid * N_STRUCTURES * MASK_GRID * MASK_GRID);
    let (tissue_step, mask_step) = (patch / TISSUE_GRID, patch / MASK_GRID);
    for row in (0..size).step_by(patch) {
        for col in (0..size).step_by(patch) {
            for r in 0..TISSUE_GRID {
                for c in 0..TISSUE_GRID {
                    let at = (row + r * tissue_step + tissue_step / 2) * size
                        + col
                        + c * tissue_step
                        + tissue_step / 2;
                    tissue.push(i64::from(labels[at]));
                }
            }
            for structure in &Structure::ALL {
                for r in 0..MASK_GRID {
                    for c in 0..MASK_GRID {
                        let mut covered = 0_u8;
                        for y in 0..mask_step {
                            for x in 0..mask_step {
                                let at = (row + r * mask_step + y) * size + col + c * mask_step + x;
                                covered += u8::from(structure.holds(labels[at]));
                            }
                        }
                        #[expect(clippy::cast_precision_loss, reason = "a few pixels")]
                        masks.push(f32::from(covered) / (mask_step * mask_step) as f32);
                    }
                }
            }
        }
    }
    let mut boxes = Vec::with_capacity(N_STRUCTURES * 4);
    let mut shown = Vec::with_capacity(N_STRUCTURES);
    let found = LabelBoxes::of(labels, size);
    for structure in &Structure::ALL {
        let place = structure.place(&found);
        shown.push(if place.is_some() { 1.0 } else { 0.0 });
        #[expect(clippy::cast_precision_loss, reason = "images are small")]
        boxes.extend(place.unwrap_or_default().map(|edge| edge as f32 / size as f32));
    }
    DenseTargets { tissue, masks, boxes, shown }
}

/// Slices between two that are scored: neighbours show the same.
const SCORE_STRIDE: usize = 3;

fn scores(dense: &DenseModel, slices: &PhantomSlices, device: &Device) -> Result<TowerScores, PretrainError> {
    let size = slices.size;
    let mut sums = [(0.0_f32, 0.0_f32); N_STRUCTURES];
    let chosen: Vec<usize> = (0..slices.len()).step_by(SCORE_STRIDE).collect();
    for part in chosen.chunks(32) {
        let mut pixels = Vec::new();
        let (mut boxes, mut shown) = (Vec::new(), Vec::new());
        for slice in part {
            let gray: Vec<f32> = slices.image(*slice).iter().map(|gray| f32::from(*gray)).collect();
            pixels.extend(normalized(&gray));
            let target = targets(slices.label(*slice), size);
            boxes.extend(target.boxes);
            shown.extend(target.shown);
        }
        let pixels = Tensor::from_data(TensorData::new(pixels, [part.len(), 3, size, size]), device);
        let truth = Tensor::from_data(TensorData::new(boxes, [part.len(), N_STRUCTURES, 4]), device);
        let overlap = intersection_over_union(&dense.forward(pixels).boxes, &truth);
        let overlap = overlap.into_data().try_into_vec::<f32>();
        let overlap = overlap.map_err(|error| vlm_model::ModelError::ReadBack(format!("{error:?}")))?;
        for (place, (overlap, shown)) in overlap.iter().zip(&shown).enumerate() {
            let sum = &mut sums[place % N_STRUCTURES];
            *sum = (sum.0 + overlap * shown, sum.1 + shown);
        }
    }
    Ok(TowerScores { box_iou: sums.iter().map(|(sum, n)| sum / n).collect() })
}
