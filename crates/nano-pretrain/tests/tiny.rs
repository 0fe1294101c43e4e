//! The whole recipe on a handful of phantoms: what it writes, that it learns, that it repeats.
#![expect(clippy::unwrap_used, reason = "test helpers outside of test functions")]

use std::path::Path;
use std::sync::atomic::AtomicBool;

use nano_pretrain::{
    LanguageRecipe, PhantomRecipe, PretrainError, PretrainEvent, PretrainRecipe, TowerRecipe, pretrain,
};
use vlm_model::{DeviceChoice, MiniGptConfig, Precision, load_checkpoint};

fn config() -> MiniGptConfig {
    let mut config = MiniGptConfig::nano();
    config.vision.image_size = 64;
    config.vision.stem_channels = vec![8, 8, 8];
    config.vision.width = 48;
    config.vision.depth = 1;
    config.vision.n_heads = 2;
    config.vision.mlp_hidden = 64;
    config.llama.hidden_size = 48;
    config.llama.intermediate_size = 64;
    config.llama.n_layers = 1;
    config.llama.n_heads = 2;
    config.llama.n_kv_heads = 2;
    config.llama.head_dim = 24;
    config
}

fn recipe() -> PretrainRecipe {
    let phantoms = |seed, patients| PhantomRecipe {
        seed,
        patients,
        matrix: 64,
        slices: [24, 24],
        all_tumors: seed == 102,
        regions: u32::from(seed != 101),
        region_sides: [1.2, 1.8],
        mass_pairs: 0,
    };
    PretrainRecipe {
        model_seed: 1,
        phantoms: vec![phantoms(100, 2), phantoms(102, 1)],
        held_out: phantoms(101, 1),
        tower: TowerRecipe {
            seed: 2,
            steps: 12,
            batch_size: 8,
            rate: 3e-3,
            warmup_steps: 2,
            report_every: 1,
            score_every: 6,
        },
        language: LanguageRecipe {
            seed: 3,
            steps: 12,
            batch_size: 8,
            rate: 3e-3,
            warmup_steps: 2,
            yes_no_share: 0.3,
            report_every: 1,
        },
    }
}

/// Losses of both phases.
fn run(recipe: &PretrainRecipe, out: &Path) -> Result<(Vec<f32>, Vec<f32>), PretrainError> {
    let (mut tower, mut language) = (Vec::new(), Vec::new());
    let device = DeviceChoice::Cpu.open().expect("the CPU is always there");
    let stop = AtomicBool::new(false);
    let scores = pretrain(&config(), recipe, None, out, &device, &stop, &mut |event| match event {
        PretrainEvent::TowerStep { loss, .. } => tower.push(loss),
        PretrainEvent::LanguageStep { loss, .. } => language.push(loss),
        _ => {}
    })?;
    let scores = scores.expect("a trained tower is scored");
    assert!(scores.box_iou.iter().all(|iou| iou.is_nan() || (0.0..=1.0).contains(iou)), "{scores:?}");
    Ok((tower, language))
}

#[test]
fn both_phases_learn_and_the_checkpoint_loads_and_repeats() {
    let folder = tempfile::tempdir().unwrap();
    let (first, second) = (folder.path().join("first"), folder.path().join("second"));
    let (tower, language) = run(&recipe(), &first).unwrap();
    assert_eq!((tower.len(), language.len()), (12, 12));
    assert!(tower[11] < 0.9 * tower[0], "{tower:?}");
    assert!(language[11] < 0.9 * language[0], "{language:?}");

    let device = DeviceChoice::Cpu.open().unwrap();
    let (model, report, _) = load_checkpoint(&first, Precision::F32, &device, &mut |_, _| {}).unwrap();
    assert!(report.missing.is_empty() && report.unknown.is_empty());
    assert!(model.config().lora.is_none(), "the base has no adapters");

    let again = run(&recipe(), &second).unwrap();
    assert_eq!(again, (tower, language));
    for name in ["vision_tower.safetensors", "llama/model.safetensors"] {
        let read = |folder: &Path| fs_err::read(folder.join(name)).unwrap();
        assert!(read(&first) == read(&second), "{name} repeats");
    }
}

#[test]
fn a_tower_from_a_file_is_kept_and_the_language_still_learns() {
    let folder = tempfile::tempdir().unwrap();
    let (first, second) = (folder.path().join("first"), folder.path().join("second"));
    run(&recipe(), &first).unwrap();
    let (device, stop) = (DeviceChoice::Cpu.open().unwrap(), AtomicBool::new(false));
    let file = folder.path().join("start.safetensors");
    rename(&first.join("vision_tower.safetensors"), &file);
    let mut losses = Vec::new();
    let scores = pretrain(&config(), &recipe(), Some(&file), &second, &device, &stop, &mut |event| {
        assert!(!matches!(event, PretrainEvent::TowerStep { .. }));
        if let PretrainEvent::LanguageStep { loss, .. } = event {
            losses.push(loss);
        }
    });
    assert_eq!(scores.unwrap(), None);
    assert!(losses[11] < 0.9 * losses[0], "{losses:?}");
    let read = |folder: &Path| fs_err::read(folder.join("vision_tower.safetensors")).unwrap();
    assert!(read(&first) == read(&second), "the tower is the file's");
}

/// Gives a tower's file the names that it has in a whole checkpoint.
fn rename(from: &Path, to: &Path) {
    let bytes = fs_err::read(from).unwrap();
    let tensors = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let renamed = tensors.tensors().into_iter().map(|(name, view)| {
        let is_norm = name.starts_with("ln_vision");
        (if is_norm { name } else { format!("visual_encoder.{name}") }, view)
    });
    fs_err::write(to, safetensors::serialize(renamed, None).unwrap()).unwrap();
}

#[test]
fn impossible_recipes_and_stops_write_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    let mut wrong = recipe();
    wrong.tower.batch_size = 0;
    assert!(matches!(run(&wrong, &out), Err(PretrainError::Recipe { field: "tower.batch_size", .. })));
    let device = DeviceChoice::Cpu.open().unwrap();
    let stopped = pretrain(&config(), &recipe(), None, &out, &device, &AtomicBool::new(true), &mut |_| {});
    assert!(matches!(stopped, Err(PretrainError::Stopped)));
    assert!(!out.exists());
}
