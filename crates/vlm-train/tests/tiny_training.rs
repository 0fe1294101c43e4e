//! A tiny model learns, and the loop is the step of `train_step` and no other.
#![cfg(feature = "flex")]
#![expect(clippy::unwrap_used, reason = "helper functions of tests")]

mod tiny;

use burn::tensor::Tensor;
use tiny::{Options, config, model, one_at_a_time, run, sources};
use vlm_model::Trainable;
use vlm_prompt::{PromptMode, Tokenizer};
use vlm_train::{
    Accumulation, AccumulationMode, EarlyStopping, Ending, FixedSource, METRICS_FILE, MixMode, Mixture,
    MixtureEntry, RankOf, SampleEncoder, StepOptions, TrainError, TrainableParts, TrainingBatch,
    TrainingConfig, TrainingEvent, TrainingItem, optimizer, train_step,
};
use vlm_train::{ImageProvider, checkpoint_folder, load_trained_weights};

fn losses(folder: &std::path::Path) -> Vec<f64> {
    let text = fs_err::read_to_string(folder.join(METRICS_FILE)).unwrap();
    text.lines()
        .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap().get("loss")?.as_f64())
        .collect()
}

/// First losses of this seed, written down from a run; order, prompts, labels, model and update all
/// enter them.
const EXPECTED: [f64; 5] = [6.948_554_5, 6.945_126_5, 6.901_258_5, 6.771_071_9, 6.535_926_3];

#[test]
fn losses_are_those_written_down_and_fall() {
    let _turn = one_at_a_time();
    let folder = tempfile::tempdir().unwrap();
    let config = TrainingConfig { trainable: TrainableParts::Everything, ..config(60) };
    run(folder.path(), &config, Options { dropout: 0.0, ..Options::default() }).unwrap();
    let losses = losses(folder.path());
    assert_eq!(losses.len(), 60);
    for (step, (got, expected)) in losses.iter().zip(EXPECTED).enumerate() {
        // f32 sums in another order, on another CPU
        assert!((got - expected).abs() < 1e-3, "step {step}: {:?}", &losses[..5]);
    }
    let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
    let (first, last) = (mean(&losses[..5]), mean(&losses[55..]));
    assert!(last < 0.6 * first, "{first} to {last}");
}

#[test]
fn the_loop_makes_the_steps_of_train_step() {
    let _turn = one_at_a_time();
    let config = TrainingConfig { max_norm: Some(0.5), ..config(6) };
    let folder = tempfile::tempdir().unwrap();
    let outcome = run(folder.path(), &config, Options { dropout: 0.0, ..Options::default() }).unwrap();
    let mut by_hand = model(0.0).with_trainable(Trainable::AdaptersAndProjector);
    let mut images = tiny::features(&by_hand);
    let mut mixture = Mixture::new(sources(), MixMode::Sample, config.seed, 4, RankOf::default()).unwrap();
    let tokenizer = Tokenizer::nano();
    let encoder = SampleEncoder::new(tokenizer.clone(), PromptMode::Consistent, 1024);
    let mut adamw = optimizer(&by_hand, &config.optimizer).unwrap();
    let mut expected = Vec::new();
    let mut mean = by_hand.projector.weight.val().without_autodiff();
    for step in 0..6 {
        let items: Vec<TrainingItem> =
            mixture.next_batch().iter().map(|draw| mixture.item(draw).unwrap()).collect();
        let all: Vec<_> = items.iter().map(|item| item.images[0]).collect();
        let samples =
            items.iter().enumerate().map(|(place, item)| encoder.encode(item, &[place]).unwrap()).collect();
        // a row for every sample, where the loop takes an image once: the same numbers
        let features: Vec<Tensor<3>> = all
            .iter()
            .map(|image| match images.batch(&by_hand, &[*image]).unwrap() {
                vlm_train::BatchImages::Features(features) => features,
                other => panic!("{other:?}"),
            })
            .collect();
        let features = vlm_train::BatchImages::Features(Tensor::cat(features, 0));
        let (bos, pad) = (tokenizer.bos_id(), tokenizer.pad_id());
        let batch = TrainingBatch::from_encoded(samples, features, 4, bos, pad);
        let options = StepOptions { max_norm: Some(0.5), ..StepOptions::default() };
        let lr = config.schedule.lr(step);
        let (next, report) = train_step(by_hand, &mut adamw, &batch, lr, &options).unwrap();
        by_hand = next;
        // 2/11, 3/12, then 0.3
        let keep = f64::min(0.3, (step as f64 + 2.0) / (step as f64 + 11.0));
        let now = by_hand.projector.weight.val().without_autodiff();
        mean = mean.mul_scalar(keep) + now.mul_scalar(1.0 - keep);
        expected.push(f64::from(report.loss));
    }
    for (got, expected) in losses(folder.path()).iter().zip(&expected) {
        assert!((got - expected).abs() < 1e-5, "{got} {expected}");
    }
    let difference = (outcome.model.projector.weight.val() - by_hand.projector.weight.val()).abs().max();
    assert!(difference.into_scalar::<f32>() < 1e-5);

    // The same run with its mean kept: other weights come out of it, the steps are the same.
    let averaged = TrainingConfig { weight_mean: Some(0.3), ..config };
    let other = tempfile::tempdir().unwrap();
    let outcome = run(other.path(), &averaged, Options { dropout: 0.0, ..Options::default() }).unwrap();
    assert_eq!(losses(folder.path()), losses(other.path()));
    let got = outcome.model.projector.weight.val().without_autodiff();
    let off = |other: Tensor<2>| (got.clone() - other).abs().max().into_scalar::<f32>();
    assert!(off(mean.clone()) < 1e-5);
    assert!(off(by_hand.projector.weight.val().without_autodiff()) > 1e-4);
    let loaded = load_trained_weights(model(0.0), &outcome.last).unwrap();
    assert_eq!(off(loaded.projector.weight.val().without_autodiff()), 0.0);
}

#[test]
fn accumulated_batches_are_one_large_batch() {
    let _turn = one_at_a_time();
    let one = TrainingConfig { batch_size: 8, ..config(5) };
    let two = TrainingConfig {
        batch_size: 4,
        accumulation: Accumulation { n_batches: 2, mode: AccumulationMode::Corrected },
        ..config(5)
    };
    let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let losses = [&one, &two].map(|config| {
        let folder = &folders[usize::from(config.batch_size == 4)];
        run(folder.path(), config, Options { dropout: 0.0, ..Options::default() }).unwrap();
        losses(folder.path())
    });
    for (one, two) in losses[0].iter().zip(&losses[1]) {
        assert!((one - two).abs() < 2e-4, "{losses:?}");
    }
}

#[test]
fn a_run_without_gain_stops_early_and_stays_stopped() {
    let _turn = one_at_a_time();
    let stopping = EarlyStopping { patience: 2, min_delta: 10.0 };
    let config = TrainingConfig { validate_every: Some(3), early_stopping: Some(stopping), ..config(40) };
    let folder = tempfile::tempdir().unwrap();
    let outcome = run(folder.path(), &config, Options::default()).unwrap();
    // the first validation is a gain, the next two are not
    assert_eq!((outcome.ending, outcome.step), (Ending::EarlyStopped, 9));
    let again = run(folder.path(), &config, Options { resume: true, ..Options::default() }).unwrap();
    assert_eq!((again.ending, again.step), (Ending::EarlyStopped, 9));
    assert_eq!(outcome.last, checkpoint_folder(folder.path(), 9));
    let loaded = load_trained_weights(model(0.2), &again.last).unwrap();
    let difference =
        (loaded.projector.weight.val() - outcome.model.projector.weight.val().without_autodiff()).abs().max();
    assert_eq!(difference.into_scalar::<f32>(), 0.0);
}

#[test]
fn progress_is_told() {
    let _turn = one_at_a_time();
    let config = TrainingConfig { validate_every: Some(4), checkpoint_every: 4, ..config(8) };
    let mut told = Vec::new();
    let mut observe = |event: &TrainingEvent| {
        told.push(match event {
            TrainingEvent::StepDone { step, n_steps, loss, samples_per_s, eta_s, .. } => {
                assert!(*n_steps == 8 && *loss > 0.0 && *samples_per_s > 0.0 && *eta_s >= 0.0);
                format!("step {step}")
            }
            TrainingEvent::Validated { step, .. } => format!("validated {step}"),
            TrainingEvent::Saved { step, .. } => format!("saved {step}"),
            other => format!("{other:?}"),
        });
    };
    let folder = tempfile::tempdir().unwrap();
    run(folder.path(), &config, Options { observe: Some(&mut observe), ..Options::default() }).unwrap();
    let expected = [
        "step 1",
        "step 2",
        "step 3",
        "step 4",
        "validated 4",
        "saved 4",
        "step 5",
        "step 6",
        "step 7",
        "step 8",
        "validated 8",
        "saved 8",
    ];
    assert_eq!(told, expected);
}

#[test]
fn what_cannot_be_trained_is_an_error() {
    let _turn = one_at_a_time();
    let folder = tempfile::tempdir().unwrap();
    let ok = config(3);
    let check = |config: &TrainingConfig, items: Vec<TrainingItem>, what: &str| {
        let sources = vec![MixtureEntry::new(FixedSource::new("data", items))];
        let error = run(folder.path(), config, Options { sources, ..Options::default() }).unwrap_err();
        let mut text = error.to_string();
        let mut cause = std::error::Error::source(&error);
        while let Some(error) = cause {
            text = format!("{text}: {error}");
            cause = error.source();
        }
        assert!(text.contains(what), "{text}");
        error
    };
    let item = |image, question: &str| vec![TrainingItem::single(vlm_train::ImageId(image), question, "yes")];
    check(&ok, item(99, "q"), "image `99`");
    check(&ok, item(1, "q <ImageHere>"), "sample `0` of source `data`");
    check(&ok, vec![TrainingItem { images: vec![], turns: vec![] }], "at least one turn");
    check(&TrainingConfig { max_txt_len: 0, ..ok.clone() }, item(1, "q"), "max_txt_len");
    let wild = TrainingConfig {
        schedule: vlm_train::Schedule { init_lr: 1e30, warmup_steps: 0, ..ok.schedule.clone() },
        ..ok
    };
    assert!(matches!(check(&wild, item(1, "q"), "cannot go on"), TrainError::NotFinite { .. }));
    assert!(
        fs_err::read_dir(folder.path().join("checkpoints")).unwrap().next().is_none(),
        "nothing was saved"
    );
}
