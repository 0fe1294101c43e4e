//! Recomputed blocks give the gradients that kept activations give.
#![cfg(feature = "flex")]
#![expect(clippy::unwrap_used, reason = "tests")]

mod random;

use std::collections::BTreeMap;

use burn::module::{Module, ModuleVisitor, Param};
use burn::optim::GradientsParams;
use burn::tensor::{Device, Tensor, TensorData};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use vlm_model::{
    BlockCheckpointing, IGNORED_LABEL, Labels, LossAndGradients, MiniGpt, MiniGptConfig, Padding,
    SequencePart, Trainable,
};

/// burn's generator is one for the process, and dropout draws from it.
static GENERATOR: std::sync::Mutex<()> = std::sync::Mutex::new(());

struct Named<'a> {
    gradients: &'a GradientsParams,
    path: Vec<String>,
    found: BTreeMap<String, Vec<f32>>,
}

impl ModuleVisitor for Named<'_> {
    fn enter_module(&mut self, name: &str, _container_type: &str) {
        self.path.push(name.to_owned());
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.path.pop();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if let Some(gradient) = self.gradients.get::<D>(param.id) {
            self.found.insert(self.path.join("."), gradient.into_data().try_into_vec::<f32>().unwrap());
        }
    }
}

fn named(model: &MiniGpt, gradients: &GradientsParams) -> BTreeMap<String, Vec<f32>> {
    let mut visitor = Named { gradients, path: Vec::new(), found: BTreeMap::new() };
    model.visit(&mut visitor);
    visitor.found
}

fn run(model: &MiniGpt, checkpointing: BlockCheckpointing, with_images: bool) -> LossAndGradients {
    let size = model.config().vision.image_size;
    let pixels = random::random_values(&mut ChaCha8Rng::seed_from_u64(2), 2 * 3 * size * size, 1.0);
    let pixels = Tensor::<4>::from_data(TensorData::new(pixels, [2, 3, size, size]), &Device::flex());
    let images = model.project(model.vision_features(pixels).unwrap());
    let image =
        |index| if with_images { SequencePart::Image(index) } else { SequencePart::Tokens(vec![9; 4]) };
    let rows = vec![
        vec![SequencePart::Tokens(vec![1, 5]), image(0), SequencePart::Tokens(vec![6, 7, 8, 2])],
        vec![SequencePart::Tokens(vec![1]), image(1), SequencePart::Tokens(vec![3, 2])],
    ];
    let (embeddings, mask) = model.assemble(&rows, Some(&images), Padding::Right(3)).unwrap();
    let ignored = IGNORED_LABEL;
    let labels = Labels::new(vec![
        vec![ignored, ignored, ignored, ignored, ignored, ignored, ignored, 7, 8, 2],
        vec![ignored, ignored, ignored, ignored, ignored, 3, 2, ignored, ignored, ignored],
    ]);
    model.loss_and_gradients(embeddings, &mask, &labels, checkpointing, 77).unwrap()
}

/// Largest difference of any entry, as a share of its tensor's largest.
fn check(config: &MiniGptConfig, trainable: Trainable, with_images: bool, n_tensors: usize) {
    let _one_at_a_time = GENERATOR.lock().unwrap();
    let model = random::random_model(config, 4, 0.3).with_trainable(trainable);
    let kept = run(&model, BlockCheckpointing::Off, with_images);
    let recomputed = run(&model, BlockCheckpointing::On, with_images);
    assert_eq!(kept.loss, recomputed.loss, "the same forward");
    assert_eq!(kept.n_targets, 5);
    let (kept, recomputed) = (named(&model, &kept.gradients), named(&model, &recomputed.gradients));
    assert_eq!(kept.len(), n_tensors, "{:?}", kept.keys());
    assert_eq!(kept.keys().collect::<Vec<_>>(), recomputed.keys().collect::<Vec<_>>());
    for (name, gradient) in &kept {
        let largest = gradient.iter().fold(0.0_f32, |most, value| most.max(value.abs()));
        assert!(largest > 0.0, "{name} has a gradient");
        for (a, b) in gradient.iter().zip(&recomputed[name]) {
            assert!((a - b).abs() <= 1e-6 * largest, "{name}: {a} against {b}, largest {largest}");
        }
    }
}

#[test]
fn adapters_and_projector() {
    check(&random::small_config(), Trainable::AdaptersAndProjector, true, 3 * 4 + 2);
}

#[test]
fn everything() {
    // 2 + 2 of the tower's ends, 13 of each of its blocks, 2 of ln_vision, 2 of the projector,
    // embedding, norm and head, 9 of each LLaMA block and 4 of its adapters
    check(&random::small_config(), Trainable::Everything, true, 4 + 2 * 13 + 2 + 2 + 3 + 3 * 13);
}

#[test]
fn a_tied_head_sums_its_two_parts() {
    let mut config = random::small_config();
    config.llama.tied_head = true;
    check(&config, Trainable::Everything, true, 4 + 2 * 13 + 2 + 2 + 2 + 3 * 13);
}

#[test]
fn dropout_draws_the_same_twice() {
    let mut config = random::small_config();
    config.lora.as_mut().unwrap().dropout = 0.3;
    check(&config, Trainable::AdaptersAndProjector, true, 3 * 4 + 2);
}

#[test]
fn text_alone_trains_the_adapters() {
    check(&random::small_config(), Trainable::AdaptersAndProjector, false, 3 * 4);
}

#[test]
fn frozen_parts_keep_no_graph() {
    let model =
        random::random_model(&random::small_config(), 4, 0.3).with_trainable(Trainable::AdaptersAndProjector);
    let pixels = Tensor::<4>::zeros([1, 3, 28, 28], &Device::flex());
    let features = model.vision_features(pixels).unwrap();
    assert!(!features.is_autodiff() && !features.is_tracked(), "the tower runs as in inference");
    assert!(model.project(features).is_tracked(), "the projector learns");
    let frozen = model.with_trainable(Trainable::Nothing);
    let features = frozen.vision_features(Tensor::zeros([1, 3, 28, 28], &Device::flex())).unwrap();
    assert!(!frozen.project(features).is_autodiff());
}
