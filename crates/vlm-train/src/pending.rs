//! Gradients of several batches on their way to one update.

use burn::module::{Module, ModuleVisitor, Param};
use burn::optim::GradientsParams;
use burn::tensor::Tensor;
use vlm_model::{LossAndGradients, MiniGpt};

use crate::{AccumulationMode, GradientSync, TrainError, clip_global_norm, global_norm};

/// Gradients that were computed and not applied.
#[derive(Debug, Default)]
pub(crate) struct PendingGradients {
    pub(crate) gradients: GradientsParams,
    /// Batches in the sum.
    pub(crate) n_batches: u64,
    /// Their target tokens, on this rank.
    pub(crate) n_targets: u64,
}

/// Gradients that are ready for the optimizer.
pub(crate) struct ReadyGradients {
    pub(crate) gradients: GradientsParams,
    /// Before clipping.
    pub(crate) grad_norm: f32,
}

impl PendingGradients {
    /// Adds a batch's gradients: those of its mean loss, times its targets where the update is
    /// averaged over the targets of several batches or ranks.
    pub(crate) fn add(&mut self, model: &MiniGpt, batch: LossAndGradients, weigh: bool) {
        #[expect(clippy::cast_precision_loss, reason = "a batch has far fewer than 2^24 targets")]
        let factor = weigh.then_some(batch.n_targets as f32);
        let mut add = Add { new: batch.gradients, total: std::mem::take(&mut self.gradients), factor };
        model.visit(&mut add);
        self.gradients = add.total;
        self.n_batches += 1;
        self.n_targets += batch.n_targets as u64;
    }

    /// Leaves what all ranks hold to rank 0, whose checkpoint has it then.
    pub(crate) fn join(&mut self, model: &MiniGpt, sync: &mut dyn GradientSync) -> Result<(), TrainError> {
        if self.n_batches == 0 {
            return Ok(());
        }
        let gradients = sync.sum_gradients(model, std::mem::take(&mut self.gradients))?;
        if sync.ranks().rank == 0 {
            self.gradients = gradients;
        }
        Ok(())
    }

    /// Joins the ranks' sums, averages as `mode` says, and clips.
    ///
    /// # Source
    /// SPEC 4.3: the published sum over batches is not divided; ranks are averaged.
    pub(crate) fn take(
        &mut self,
        model: &MiniGpt,
        mode: AccumulationMode,
        weighed: bool,
        max_norm: Option<f32>,
        sync: &mut dyn GradientSync,
    ) -> Result<ReadyGradients, TrainError> {
        let pending = std::mem::take(self);
        let world_size = sync.ranks().world_size;
        let mut gradients = sync.sum_gradients(model, pending.gradients)?;
        #[expect(clippy::cast_precision_loss, reason = "counts are far below 2^53")]
        let divisor = match mode {
            AccumulationMode::Corrected if weighed => {
                let mut n_targets = [pending.n_targets as f64];
                sync.sum(&mut n_targets)?;
                n_targets[0]
            }
            AccumulationMode::Published => world_size as f64,
            AccumulationMode::Corrected => 1.0,
        };
        if divisor > 1.0 {
            #[expect(clippy::cast_possible_truncation, reason = "gradients are f32")]
            let factor = (1.0 / divisor) as f32;
            let mut scaled = Add { new: gradients, total: GradientsParams::new(), factor: Some(factor) };
            model.visit(&mut scaled);
            gradients = scaled.total;
        }
        let (gradients, grad_norm) = match max_norm {
            Some(max_norm) => clip_global_norm(model, gradients, max_norm)?,
            None => {
                let norm = global_norm(model, &gradients)?;
                (gradients, norm)
            }
        };
        Ok(ReadyGradients { gradients, grad_norm })
    }
}

struct Add {
    new: GradientsParams,
    total: GradientsParams,
    factor: Option<f32>,
}

impl ModuleVisitor for Add {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let Some(new) = self.new.remove::<D>(param.id) else { return };
        let new = match self.factor {
            Some(factor) => new.mul_scalar(factor),
            None => new,
        };
        let sum = match self.total.remove::<D>(param.id) {
            Some(total) => total + new,
            None => new,
        };
        self.total.register(param.id, sum);
    }
}

#[cfg(all(test, feature = "flex"))]
mod tests {
    use burn::tensor::Device;
    use vlm_model::{MiniGptConfig, Precision};

    use super::*;
    use crate::Single;

    fn batch(model: &MiniGpt, value: f32, n_targets: usize) -> LossAndGradients {
        let bias = model.projector.bias.as_ref().expect("the projector has one");
        let mut gradients = GradientsParams::new();
        gradients.register(bias.id, bias.val().full_like(value));
        LossAndGradients { loss: 1.0, n_targets, gradients }
    }

    #[test]
    fn published_sums_and_corrected_averages_over_targets() {
        let model = MiniGpt::empty(&MiniGptConfig::nano(), Precision::F32, &Device::flex()).unwrap();
        let bias = model.projector.bias.as_ref().unwrap();
        for (mode, weigh, expected) in [
            (AccumulationMode::Published, false, 3.0),
            // (1 · 30 + 2 · 10) / 40
            (AccumulationMode::Corrected, true, 1.25),
        ] {
            let mut pending = PendingGradients::default();
            pending.add(&model, batch(&model, 1.0, 30), weigh);
            pending.add(&model, batch(&model, 2.0, 10), weigh);
            assert_eq!((pending.n_batches, pending.n_targets), (2, 40));
            let ready = pending.take(&model, mode, weigh, None, &mut Single).unwrap();
            let got: f32 = ready.gradients.get::<1>(bias.id).unwrap().max().into_scalar();
            assert!((got - expected).abs() < 1e-6, "SPEC 4.3, {mode:?}: {got}");
            let n_entries: f32 = bias.val().ones_like().sum().into_scalar();
            assert!((ready.grad_norm - n_entries.sqrt() * expected).abs() < 1e-4);
            assert_eq!((pending.n_batches, pending.n_targets, pending.gradients.len()), (0, 0, 0));
        }
    }
}
