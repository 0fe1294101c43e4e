//! Configurations: what is read, what is refused, and that the published recipe can be written.

use cascade::{
    BaseModel, BoxFrom, CascadeConfig, CascadeError, Decoding, Preset, QUICKSTART, Stage, StageStart,
    YesNoQuestion,
};
use vlm_metrics::TargetEdges;
use vlm_model::MiniGptConfig;
use vlm_prompt::{BoxFormat, InstructionPool, PromptMode};
use vlm_train::{MixMode, Schedule, ScheduleMode, TrainingConfig};

/// The published recipe at full size.
const PUBLISHED: &str = r#"
name = "published"
seed = 42
[model]
base = "folder"
folder = "weights/stage3"
preset = "minigpt-v2"
precision = "bf16"
lora = { rank = 64, alpha = 16.0, dropout = 0.05, targets = ["q_proj", "v_proj"] }
[prompt]
mode = "reference"
instructions = "code"
box_format = "percent"
box_decode = "grid_line"
decoding = "free"
yes_no_question = "published"
[data]
raw = [{ name = "msd-pancreas" }, { name = "nih-pancreas" }, { name = "abdomenct-1k" }]
preset = "code-2025"
threshold = 0.6
validation_share = 0.0
tumor_mix = { preset = "code-2025", crop = "ground-truth" }
[training]
epochs = 50
steps_per_epoch = 1000
batch_size = 16
learning_rate = 1e-5
min_learning_rate = 1e-6
warmup_learning_rate = 1e-6
warmup_steps = 1000
schedule = "published"
mix = "batch"
accumulation = { n_batches = 1, mode = "published" }
keep_last = 50
[stages.pancreas_box]
datasets = ["MSD", "NIH"]
[stages.tumor_yes_no]
[stages.tumor_box]
[stages.organs]
"#;

#[test]
fn the_quickstart_is_read_and_says_everything() {
    let config = CascadeConfig::quickstart();
    assert_eq!(config.stages.keys().copied().collect::<Vec<_>>(), Stage::ALL);
    assert_eq!(config.model.base, BaseModel::Embedded);
    assert_eq!(config.prompt.box_from, BoxFrom::Mean);
    assert_eq!(config.prompt.style.edges, TargetEdges::Covered);
    let again = CascadeConfig::from_toml(config.to_toml(), "again").unwrap();
    assert_eq!(again, config);
    // A line of words before every key at the top of a table.
    let keys = QUICKSTART.lines().filter(|line| line.contains(" = ") && !line.starts_with('#')).count();
    assert!(keys > 50 && QUICKSTART.lines().filter(|line| line.starts_with('#')).count() > 35);
}

#[test]
fn the_published_recipe_can_be_written() {
    let config = CascadeConfig::from_toml(PUBLISHED, "published").unwrap();
    for (stage, settings) in &config.stages {
        let published = TrainingConfig::published();
        let expected = TrainingConfig { seed: settings.training.seed, ..published };
        assert_eq!(settings.training, expected, "{stage}: SPEC 4.2 to 4.5");
        assert_eq!(settings.training.schedule, Schedule::published());
        assert_eq!(settings.training.schedule.mode, ScheduleMode::Published);
        assert_eq!(settings.training.mix, MixMode::Batch);
    }
    assert_eq!(config.model.plan.as_deref(), Some(&MiniGptConfig::minigpt_v2()));
    assert_eq!(config.stages[&Stage::TumorBox].start, StageStart::Previous);
    assert_eq!(config.stages[&Stage::Organs].start, StageStart::Base);
    let prompt = config.prompt;
    assert_eq!((prompt.settings.mode, prompt.decoding), (PromptMode::Reference, Decoding::Free));
    assert_eq!((prompt.style.format, prompt.style.edges), (BoxFormat::Percent100, TargetEdges::Stored));
    assert_eq!((prompt.box_from, prompt.instructions), (BoxFrom::Grid, InstructionPool::Code));
    assert_eq!(prompt.yes_no_question, YesNoQuestion::Published);
    assert_eq!(config.data.preset, Preset::Code2025);
}

#[test]
fn the_published_plan_has_the_published_counts() {
    let config = CascadeConfig::from_toml(PUBLISHED, "published").unwrap();
    #[cfg(feature = "flex")]
    {
        let device = burn::tensor::Device::flex();
        let plan = cascade::plan_run(&config, &device, Some(1e14)).unwrap();
        assert_eq!(plan.parameters.lora, 33_554_432);
        assert_eq!(plan.parameters.trainable, 56_627_200);
        assert_eq!(plan.parameters.total, 7_782_021_504);
        assert!(plan.stages.iter().all(|stage| (stage.steps, stage.samples_drawn) == (50_000, 800_000)));
        assert!(!plan.problems.is_empty(), "neither weights nor data are here");
        assert!(plan.estimated_s > 3600.0);
    }
    assert_eq!(config.stages.len(), 4);
}

#[test]
fn what_cannot_be_run_is_named() {
    let good = "name = 'a'\nseed = 1\n[stages.pancreas_box]\n";
    CascadeConfig::from_toml(good, "good").unwrap();
    let check = |text: String, expected: &str| {
        let error = CascadeConfig::from_toml(&text, "bad.toml").unwrap_err();
        let mut whole = error.to_string();
        if let CascadeError::Toml { source, .. } = &error {
            whole.push_str(&source.to_string());
        }
        assert!(whole.contains(expected), "{whole}");
    };
    let with = |more: &str| format!("{good}{more}");
    check("seed = 1".to_owned(), "bad.toml");
    check(with("colour = 1\n"), "colour");
    check(with("[stages.pancreas]\n"), "pancreas");
    check(with("[stages.tumor_box]\ntraining = { batch_size = 0, steps = 1 }\n"), "batch_size");
    check(with("[stages.tumor_box.training.augmentation]\nflip = true\n"), "flip");
    check(with("[stages.tumor_box.training.augmentation]\nnoise = 0.9\n"), "noise");
    check(with("[stages.tumor_box]\nimage_fit = 'letterbox'\n"), "image_fit");
    check(with("[stages.tumor_box]\nviews = 2\n"), "stages.tumor_box.views");
    check(with("[stages.tumor_yes_no]\nviews = 10\n"), "stages.tumor_yes_no.views");
    check(with("[stages.tumor_box]\ncalibrate = true\n"), "stages.tumor_box.calibrate");
    check(with("[data]\nthreshold = 1.5\n"), "data.threshold");
    check(with("[data]\nvalidation_share = 0.9\n"), "validation_share");
    check(with("[data]\nfolders = ['x']\nraw = [{ name = 'msd-pancreas' }]\n"), "one of");
    check(with("[model]\nbase = 'folder'\n"), "model.folder");
    check(with("[model]\nfolder = 'x'\n"), "model.folder");
    check(with("[model]\nbase = 'scratch'\npreset = 'huge'\n"), "huge");
    check(with("[model]\nprecision = 'f8'\n"), "f8");
    check(with("[prompt]\nprune = 1.0\n"), "prompt.prune");
    check(with("[evaluation]\nbatch_size = 0\n"), "evaluation.batch_size");
    check("name = 'a/b'\nseed = 1\n[stages.organs]\n".to_owned(), "a/b");
    check("name = 'a'\nseed = 1\n[stages]\n".to_owned(), "at least one stage");
}

#[test]
fn parts_of_a_configuration_are_configurations() {
    let config = CascadeConfig::quickstart();
    let one = config.with_stages(&[Stage::TumorYesNo]).unwrap();
    assert_eq!(one.stages.len(), 1);
    assert_eq!(one.stages[&Stage::TumorYesNo], config.stages[&Stage::TumorYesNo]);
    assert!(one.with_stages(&[Stage::Organs]).is_err());
    let elsewhere = config.with_folders(&["a".into(), "b".into()]).unwrap();
    assert_eq!(elsewhere.data.folders.len(), 2);
    assert!(elsewhere.data.phantoms.is_empty());
}
