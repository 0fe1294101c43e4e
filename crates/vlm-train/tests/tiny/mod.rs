//! A model and data small enough to train in a test.
#![allow(dead_code, reason = "each test file uses its own part")]
#![allow(unreachable_pub, reason = "shared by several test files")]

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use burn::tensor::{Tensor, TensorData};
use vlm_model::{
    DeviceChoice, FeatureFormat, LlamaConfig, LoraConfig, MiniGpt, MiniGptConfig, Precision, VisionConfig,
    initialized_model,
};
use vlm_prompt::Tokenizer;
use vlm_train::{
    Accumulation, AccumulationMode, BatchImages, CallerError, FeatureTable, FixedSource, ImageId,
    ImageProvider, MixMode, MixtureEntry, Provenance, Schedule, ScheduleMode, Single, TrainError,
    TrainingConfig, TrainingEvent, TrainingItem, TrainingOutcome, TrainingRun, TrainingTurn, train,
};

/// Images of the tiny data.
pub const N_IMAGES: u64 = 12;

/// burn's generator is one for the process: runs with dropout take turns.
pub fn one_at_a_time() -> MutexGuard<'static, ()> {
    static LOCK: Mutex<()> = Mutex::new(());
    LOCK.lock().unwrap_or_else(PoisonError::into_inner)
}

pub fn model_config(dropout: f64) -> MiniGptConfig {
    let vision = VisionConfig {
        image_size: 28,
        patch_size: 7,
        stem_channels: Vec::new(),
        width: 12,
        depth: 1,
        n_heads: 2,
        mlp_hidden: 24,
        ..VisionConfig::nano()
    };
    let llama = LlamaConfig {
        vocab_size: Tokenizer::nano().vocab_size(),
        hidden_size: 16,
        intermediate_size: 24,
        n_layers: 2,
        n_heads: 4,
        n_kv_heads: 2,
        head_dim: 4,
        max_positions: 160,
        tied_head: false,
        ..LlamaConfig::nano()
    };
    let lora = LoraConfig { rank: 2, alpha: 4.0, dropout, ..LoraConfig::default() };
    MiniGptConfig { vision, merge: 4, llama, lora: Some(lora) }
}

pub fn model(dropout: f64) -> MiniGpt {
    let device = DeviceChoice::Cpu.open().expect("a CPU");
    initialized_model(&model_config(dropout), 11, Precision::F32, &device).expect("the sizes fit")
}

pub fn config(n_steps: u64) -> TrainingConfig {
    let schedule = Schedule {
        warmup_lr: Some(1e-4),
        init_lr: 1e-2,
        min_lr: 1e-3,
        warmup_steps: 3,
        steps_per_epoch: n_steps,
        n_epochs: 1,
        mode: ScheduleMode::Corrected,
    };
    TrainingConfig { checkpoint_every: 1000, ..TrainingConfig::new(5, 4, schedule) }
}

/// A run that uses everything that a checkpoint must remember.
pub fn full_config(published: bool) -> TrainingConfig {
    let mut config = config(12);
    config.accumulation = Accumulation { n_batches: 2, mode: AccumulationMode::Corrected };
    config.max_norm = Some(0.5);
    config.weight_mean = Some(0.9);
    config.checkpoint_every = 4;
    config.validate_every = Some(3);
    if published {
        // 5 steps an epoch leave 2 gradients over after an update on the third
        config.accumulation = Accumulation { n_batches: 3, mode: AccumulationMode::Published };
        config.mix = MixMode::Batch;
        config.schedule.steps_per_epoch = 5;
        config.schedule.n_epochs = 3;
        config.schedule.mode = ScheduleMode::Published;
        config.recompute_blocks = true;
    }
    config
}

pub fn sources() -> Vec<MixtureEntry> {
    let boxes = (0..N_IMAGES).map(|image| {
        let answer = format!("{{<{}><{}><{}><{}>}}", image, 2 * image, 30 + image, 40 + 3 * image);
        TrainingItem::single(ImageId(image), "[refer] give me the location of the pancreas", answer)
    });
    let answers = (0..N_IMAGES / 2).map(|image| {
        let answer = if image % 2 == 0 { "yes" } else { "no" };
        let mut item = TrainingItem::single(ImageId(image), "[vqa] is there a tumor?", answer);
        if image == 3 {
            let turn = TrainingTurn { question: "[vqa] sure?".to_owned(), answer: "yes".to_owned() };
            item.turns.push(turn);
        }
        item
    });
    vec![
        MixtureEntry::with_ratio(FixedSource::new("boxes", boxes.collect()), 2.0),
        MixtureEntry::with_ratio(FixedSource::new("tumor", answers.collect()), 1.0),
    ]
}

/// Pixels made of an image's number.
pub struct Pixels;

impl ImageProvider for Pixels {
    fn batch(&mut self, model: &MiniGpt, images: &[ImageId]) -> Result<BatchImages, TrainError> {
        let size = model.config().vision.image_size;
        let n = 3 * size * size;
        let values: Vec<f32> = images.iter().flat_map(|image| noise(image.0 + 100, n)).collect();
        let data = TensorData::new(values, [images.len(), 3, size, size]);
        Ok(BatchImages::Pixels(Tensor::from_data(data, &model.device())))
    }
}

fn noise(seed: u64, n: usize) -> Vec<f32> {
    let mut state = seed;
    (0..n)
        .map(|_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            f32::from(u16::try_from(state >> 48).expect("16 bits")) / 32_768.0 - 1.0
        })
        .collect()
}

pub fn features(model: &MiniGpt) -> FeatureTable {
    let mut table = FeatureTable::of(model, FeatureFormat::F32);
    let n = model.config().n_image_tokens() * model.config().merged_width();
    for image in 0..N_IMAGES {
        table.insert(ImageId(image), &noise(image + 1, n)).expect("the sizes fit");
    }
    table
}

/// What a test wants to be different.
pub struct Options<'a> {
    pub dropout: f64,
    /// The small preset with its tower and pixels, instead of the tiny model with features.
    pub nano: bool,
    pub resume: bool,
    /// Asks for a stop when so many steps are done.
    pub stop_at: Option<u64>,
    pub provenance: Provenance,
    pub sources: Vec<MixtureEntry>,
    pub observe: Option<&'a mut dyn FnMut(&TrainingEvent)>,
}

impl Default for Options<'_> {
    fn default() -> Self {
        let provenance = Provenance {
            config: serde_json::json!({"name": "tiny", "rate": 0.1}),
            split_sha256: "split".to_owned(),
            base_weights_sha256: "base".to_owned(),
        };
        Self {
            dropout: 0.2,
            nano: false,
            resume: false,
            stop_at: None,
            provenance,
            sources: sources(),
            observe: None,
        }
    }
}

/// A score that goes up and down and depends on nothing but the weights.
pub fn score(model: &MiniGpt) -> Result<f64, CallerError> {
    let bias = model.projector.bias.as_ref().ok_or("no bias")?.val();
    Ok(f64::from(bias.mul_scalar(1e4).sin().mean().into_scalar::<f32>()))
}

pub fn run(
    folder: &Path,
    config: &TrainingConfig,
    options: Options<'_>,
) -> Result<TrainingOutcome, TrainError> {
    let (model, mut images): (MiniGpt, Box<dyn ImageProvider>) = if options.nano {
        let device = DeviceChoice::Cpu.open().expect("a CPU");
        let model = initialized_model(&MiniGptConfig::nano(), 11, Precision::F32, &device);
        (model.expect("the sizes fit"), Box::new(Pixels))
    } else {
        let model = model(options.dropout);
        let images = features(&model);
        (model, Box::new(images))
    };
    let stop = AtomicBool::new(false);
    let mut told = options.observe;
    let mut observe = |event: &TrainingEvent| {
        if let TrainingEvent::StepDone { step, .. } = event
            && Some(*step) == options.stop_at
        {
            stop.store(true, Ordering::Relaxed);
        }
        if let Some(told) = &mut told {
            told(event);
        }
    };
    let mut validate = score;
    train(TrainingRun {
        model,
        tokenizer: &Tokenizer::nano(),
        config,
        sources: options.sources,
        images: images.as_mut(),
        folder,
        resume: options.resume,
        provenance: options.provenance,
        stop: &stop,
        validate: config.validate_every.is_some().then_some(&mut validate as _),
        observe: &mut observe,
        sync: &mut Single,
    })
}
