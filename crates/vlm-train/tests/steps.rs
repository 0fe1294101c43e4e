//! Training steps of a small model with seeded weights.
#![cfg(feature = "flex")]
#![expect(clippy::unwrap_used, reason = "helper functions of tests")]

use burn::module::{Module, ModuleMapper, Param};
use burn::tensor::{Tensor, TensorData};
use vlm_model::{
    BlockCheckpointing, DeviceChoice, LlamaConfig, LoraConfig, MiniGpt, MiniGptConfig, Precision,
    SequencePart, Trainable, VisionConfig,
};
use vlm_train::{
    BatchImages, OptimizerConfig, StepOptions, StepReport, TrainingBatch, TrainingSample, optimizer,
    train_step,
};

fn config(dropout: f64) -> MiniGptConfig {
    let vision = VisionConfig {
        image_size: 28,
        patch_size: 7,
        stem_channels: Vec::new(),
        width: 12,
        depth: 1,
        n_heads: 2,
        ..VisionConfig::nano()
    };
    let llama = LlamaConfig {
        vocab_size: 40,
        hidden_size: 16,
        intermediate_size: 24,
        n_layers: 2,
        n_heads: 4,
        n_kv_heads: 2,
        head_dim: 4,
        max_positions: 32,
        tied_head: false,
        ..LlamaConfig::nano()
    };
    let lora = LoraConfig { rank: 2, alpha: 4.0, dropout, ..LoraConfig::default() };
    MiniGptConfig { vision, merge: 4, llama, lora: Some(lora) }
}

/// Fills parameters with small numbers that depend on where they are; the vision tower stays lazy.
struct Fill(Vec<String>, u64);

impl ModuleMapper for Fill {
    fn enter_module(&mut self, name: &str, _container_type: &str) {
        self.0.push(name.to_owned());
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.0.pop();
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        if self.0[0] == "vision_tower" || self.0.iter().any(|name| name.contains("norm")) {
            return param;
        }
        let mut state = self.1;
        self.1 += 1000;
        param.map(|tensor| {
            let shape = tensor.dims();
            let values: Vec<f32> = (0..shape.iter().product())
                .map(|_| {
                    state =
                        state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                    f32::from(u16::try_from(state >> 48).unwrap()) / 65_536.0 - 0.5
                })
                .collect();
            Tensor::from_data(TensorData::new(values, shape), &tensor.device())
        })
    }
}

fn model(dropout: f64) -> MiniGpt {
    let device = DeviceChoice::Cpu.open().unwrap();
    let model = MiniGpt::empty(&config(dropout), Precision::F32, &device).unwrap();
    model.map(&mut Fill(Vec::new(), 1)).with_trainable(Trainable::AdaptersAndProjector)
}

fn batch(model: &MiniGpt) -> TrainingBatch {
    let sample = |first: u32, n: u32| TrainingSample {
        condition: vec![
            SequencePart::Tokens(vec![first]),
            SequencePart::Image(0),
            SequencePart::Tokens(vec![9, 8]),
        ],
        answer: (0..n).map(|at| first + at).chain([2]).collect(),
    };
    let features = Tensor::<3>::ones([1, 4, 48], &model.device()).mul_scalar(0.3);
    TrainingBatch::new(&[sample(11, 4), sample(20, 2)], BatchImages::Features(features), 4, 1, 3)
}

fn run(dropout: f64, n_steps: u64, options: StepOptions) -> (MiniGpt, Vec<StepReport>) {
    let mut model = model(dropout);
    let batch = batch(&model);
    let mut optimizer = optimizer(&model, &OptimizerConfig::default()).unwrap();
    let mut reports = Vec::new();
    for step in 0..n_steps {
        let options = StepOptions { dropout_seed: options.dropout_seed + step, ..options };
        let (next, report) = train_step(model, &mut optimizer, &batch, 0.02, &options).unwrap();
        model = next;
        reports.push(report);
    }
    (model, reports)
}

#[test]
fn a_small_model_learns_its_answers_and_an_unloaded_tower_stays_unloaded() {
    let (model, reports) = run(0.0, 60, StepOptions::default());
    let (first, last) = (reports[0], reports[59]);
    assert_eq!(first.n_targets, 8);
    assert!(first.grad_norm > 0.0);
    assert!(last.loss < 0.5 * first.loss, "{} to {}", first.loss, last.loss);
    assert!(!model.vision_tower.pos_embed.is_initialized(), "takes no memory");
    assert!(!model.vision_tower.blocks[0].attn.qkv.weight.is_initialized(), "takes no memory");
}

#[test]
fn recomputed_blocks_and_their_dropout_change_nothing() {
    let on = StepOptions { checkpointing: BlockCheckpointing::On, dropout_seed: 5, ..StepOptions::default() };
    let off = StepOptions { checkpointing: BlockCheckpointing::Off, ..on };
    // burn's generator is one for the process: all runs with dropout are in this test
    let (_, kept) = run(0.3, 6, off);
    let (_, recomputed) = run(0.3, 6, on);
    let (_, other) = run(0.3, 6, StepOptions { dropout_seed: 77, ..off });
    for (a, b) in kept.iter().zip(&recomputed) {
        assert!((a.loss - b.loss).abs() < 1e-5 && (a.grad_norm - b.grad_norm).abs() < 1e-4, "{a:?} {b:?}");
    }
    assert!((kept[5].loss - other[5].loss).abs() > 1e-4, "another seed drops other entries");
}

#[test]
fn clipping_bounds_what_a_step_uses_and_reports_the_norm_before() {
    let clipped = StepOptions { max_norm: Some(1e-3), ..StepOptions::default() };
    let (_, reports) = run(0.0, 2, clipped);
    let (_, free) = run(0.0, 2, StepOptions::default());
    assert_eq!(reports[0], free[0]);
    assert!(reports[0].grad_norm > 1e-3);
}

#[test]
fn batches_that_do_not_fit_are_errors() {
    let model = model(0.0);
    let mut optimizer = optimizer(&model, &OptimizerConfig::default()).unwrap();
    let good = batch(&model);
    let no_images = TrainingBatch { images: BatchImages::Nothing, ..good.clone() };
    let far = TrainingSample { condition: vec![SequencePart::Tokens(vec![99])], answer: vec![2] };
    let outside = TrainingBatch::new(&[far], BatchImages::Nothing, 4, 1, 3);
    let long = TrainingSample { condition: vec![SequencePart::Tokens(vec![5; 40])], answer: vec![2] };
    let long = TrainingBatch::new(&[long], BatchImages::Nothing, 4, 1, 3);
    let empty = TrainingBatch::new(&[], BatchImages::Nothing, 4, 1, 3);
    for (what, wrong) in [("images", no_images), ("token", outside), ("length", long), ("rows", empty)] {
        let step = train_step(model.clone(), &mut optimizer, &wrong, 1e-3, &StepOptions::default());
        assert!(step.is_err(), "{what}");
    }
}
