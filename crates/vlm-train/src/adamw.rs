//! `AdamW` as burn's optimizer takes it.

use burn::optim::{
    AdamW, AdamWConfig, AdamWState, AdaptiveMomentumState, DynOptimizer, DynState, Optimizer, StateSink,
    StateSource,
};
use burn::tensor::kind::BridgeTensor;
use burn::tensor::{Device, Tensor};
use fused_ops::{AdamWMoments, AdamWNumbers};

use crate::OptimizerConfig;

/// burn's `AdamW`, as one kernel on the CPU.
#[derive(Clone)]
struct Fused {
    composed: AdamW,
    /// Numbers of the first update, without its learning rate.
    numbers: AdamWNumbers,
}

impl Optimizer for Fused {
    type State<const D: usize> = AdamWState<D>;

    fn step<const D: usize>(
        &self,
        lr: f64,
        tensor: Tensor<D>,
        grad: Tensor<D>,
        state: Option<Self::State<D>>,
    ) -> (Tensor<D>, Option<Self::State<D>>) {
        if !fused_ops::has_adamw(&tensor, &grad) {
            return Optimizer::step(&self.composed, lr, tensor, grad, state);
        }
        let n_before = state.as_ref().map_or(0, |state| state.momentum.time);
        let numbers = AdamWNumbers { lr, n_before, ..self.numbers };
        let moments = state.map(|AdamWState { momentum }| AdamWMoments {
            first: momentum.moment_1,
            second: momentum.moment_2,
        });
        let (tensor, AdamWMoments { first, second }) = fused_ops::adamw(tensor, grad, moments, numbers);
        (tensor, Some(AdamWState::new(AdaptiveMomentumState::new(n_before + 1, first, second))))
    }

    fn to_device<const D: usize>(state: Self::State<D>, device: &Device) -> Self::State<D> {
        AdamW::to_device(state, device)
    }
}

/// `AdamW` whose state is loaded onto the model's device. burn loads onto its default device first,
/// which is a GPU that may not be there.
pub(crate) struct OnDevice {
    adamw: Fused,
    device: Device,
}

impl OnDevice {
    #[expect(clippy::cast_possible_truncation, reason = "burn's optimizers hold f32 numbers")]
    pub(crate) fn new(config: &OptimizerConfig, weight_decay: f64, device: Device) -> Self {
        let numbers = AdamWNumbers {
            lr: 0.0,
            beta_1: config.beta_1 as f32,
            beta_2: config.beta_2 as f32,
            epsilon: config.epsilon as f32,
            weight_decay: weight_decay as f32,
            n_before: 0,
        };
        let composed = AdamWConfig::new()
            .with_beta_1(numbers.beta_1)
            .with_beta_2(numbers.beta_2)
            .with_epsilon(numbers.epsilon)
            .with_weight_decay(numbers.weight_decay)
            .build();
        Self { adamw: Fused { composed, numbers }, device }
    }
}

impl DynOptimizer for OnDevice {
    fn step_dyn(
        &self,
        rank: usize,
        lr: f64,
        tensor: BridgeTensor,
        grad: BridgeTensor,
        state: Option<DynState>,
    ) -> (BridgeTensor, Option<DynState>) {
        self.adamw.step_dyn(rank, lr, tensor, grad, state)
    }

    fn to_device_dyn(&self, state: DynState, device: &Device) -> DynState {
        self.adamw.to_device_dyn(state, device)
    }

    fn state_flatten(&self, prefix: &str, state: &DynState, out: &mut StateSink) {
        DynOptimizer::state_flatten(&self.adamw, prefix, state, out);
    }

    fn state_unflatten(
        &self,
        rank: usize,
        prefix: &str,
        src: &mut StateSource,
        _default_device: &Device,
    ) -> Option<DynState> {
        DynOptimizer::state_unflatten(&self.adamw, rank, prefix, src, &self.device)
    }
}
