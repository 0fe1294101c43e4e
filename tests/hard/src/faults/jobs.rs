//! What is broken: small jobs of the real programs, seconds long together.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Result, bail};
use ct_phantom::{Layout, PhantomSpec, Tumors, generate_patient};
use ct_volume::{Volume, nifti};
use ndarray::s;

/// Two blocks and four steps: everything that a training writes, in a fraction of a second.
const TINY: &str = r#"
name = "tiny"
seed = 7
[model]
base = "scratch"
seed = 3
sizes = { vision = { image_size = 32, patch_size = 8, width = 16, depth = 1, n_heads = 2, mlp_hidden = 32, norm_eps = 1e-6, ln_vision_eps = 1e-5 }, merge = 4, llama = { vocab_size = 1024, hidden_size = 16, intermediate_size = 32, n_layers = 1, n_heads = 2, n_kv_heads = 2, head_dim = 8, rms_norm_eps = 1e-5, rope_theta = 10000.0, max_positions = 256, tied_head = true, bos_token = 1, eos_token = 2 }, lora = { rank = 2, alpha = 4.0, dropout = 0.05, targets = ["q_proj", "v_proj"] } }
[[data.phantoms]]
layout = "msd"
patients = 10
matrix = 48
slices = [24, 24]
seed = 5
[training]
batch_size = 4
steps = 4
learning_rate = 1e-3
validate_every = 2
checkpoint_every = 1
keep_last = 2
[stages.pancreas_box]
[evaluation]
bootstrap_draws = 20
control_samples = 4
validation_samples = 4
probe_trees = 5
examples = 2
"#;
/// Slices of the study that is asked about.
const N_STUDY_SLICES: usize = 4;

/// A program with arguments, and what may differ between two runs of it.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) name: &'static str,
    pub(super) program: PathBuf,
    /// `{out}` stands for the output folder.
    pub(super) arguments: Vec<String>,
    /// What a second run takes beside them.
    pub(super) resume: &'static [&'static str],
    /// Calls below this path in the trial's folder are broken; empty: all of it.
    pub(super) watched: &'static str,
    /// Files of the output that hold times of day or seconds.
    pub(super) timed: &'static [&'static str],
    /// Files that a run adds lines or records to: what a killed one leaves is a beginning of the whole one.
    pub(super) growing: &'static [&'static str],
    /// Whether a second process is kept out by a lock in the output folder.
    pub(super) locks: bool,
    /// Whether it refuses an output folder that is there: then it is done.
    pub(super) refuses_done: bool,
    /// Whether it can print its result as JSON.
    pub(super) json: bool,
}

/// Seconds of steps, and everything that shows them.
const TIMED: &[&str] =
    &["timings.json", "timings.jsonl", "events.out.tfevents.0.run", "report.html", "report.json"];

impl Job {
    pub(super) const PROGRAMS: [&str; 4] =
        ["prepare-slices", "detect-pancreas", "model-tool", "predict-study"];

    pub(super) fn command(&self, out: &Path, again: bool) -> Command {
        let mut command = Command::new(&self.program);
        let out = out.to_string_lossy();
        command.args(self.arguments.iter().map(|argument| argument.replace("{out}", &out)));
        if again {
            command.args(self.resume);
        }
        // What a user's shell says must not matter here.
        command.env_remove("RUST_BACKTRACE");
        command
    }
}

/// Makes the inputs and the jobs on them.
pub(super) fn jobs(programs: &Path, inputs: &Path) -> Result<Vec<Job>> {
    fs_err::create_dir_all(inputs)?;
    let at = |name: &str| inputs.join(name).to_string_lossy().into_owned();
    let (prepare, train) = (programs.join("prepare-slices"), programs.join("detect-pancreas"));
    let words = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
    for (name, patients, size) in [("studies", "3", "32"), ("many", "10", "48")] {
        let arguments =
            format!("phantom --layout msd --patients {patients} --size {size} --slices 24-24 --out");
        must_run(Command::new(&prepare).args(words(&arguments)).arg(at(name)))?;
    }
    let common = "run --dataset msd-pancreas --threads 1 --root";
    must_run(Command::new(&prepare).args(words(common)).args([at("many"), "--out".into(), at("prepared")]))?;
    fs_err::write(at("tiny.toml"), TINY)?;
    let mut training = words("train --device cpu --threads 1 --config");
    training.extend([at("tiny.toml"), "--data".into(), at("prepared"), "--out".into()]);
    must_run(Command::new(&train).args(&training).arg(at("trained")))?;
    fs_err::write(at("tokenizer.json"), "{}")?;
    let study = study(inputs)?.to_string_lossy().into_owned();

    training.push("{out}".into());
    let mut preparing = words(common);
    preparing.extend([at("studies"), "--reference-json".into(), "--out".into(), "{out}".into()]);
    let checkpoint = at("trained/pancreas_box/checkpoint");
    let converting =
        ["convert", "--from", &checkpoint, "--tokenizer", &at("tokenizer.json"), "--out", "{out}"]
            .map(str::to_owned);
    let mut asking = vec![study];
    asking.extend(words("--device cpu --min-presence 0 --min-tumor 0 --out {out}"));
    let job = |name, program: &str, arguments| Job {
        name,
        program: programs.join(program),
        arguments,
        resume: &[],
        watched: "",
        timed: &[],
        growing: &[],
        locks: true,
        refuses_done: false,
        json: false,
    };
    let trained = |name, watched| Job {
        resume: &["--resume"],
        watched,
        timed: TIMED,
        growing: &["metrics.jsonl", "timings.jsonl", "events.out.tfevents.0.run"],
        ..job(name, "detect-pancreas", training.clone())
    };
    let mut shards = Vec::new();
    for shard in ["1/2", "2/2"] {
        let out = at(&format!("shard-{}", &shard[..1]));
        let more = ["--out", &out, "--reference-json", "--shard", shard].map(str::to_owned);
        must_run(Command::new(&prepare).args(words(common)).arg(at("studies")).args(more))?;
        shards.push(out);
    }
    let merging = [&["merge".to_owned()], &shards[..], &["--out".to_owned(), "{out}".to_owned()]].concat();
    Ok(vec![
        Job { resume: &["--resume"], json: true, ..job("prepare", "prepare-slices", preparing) },
        // It is made under another name, where its lock is too.
        Job { locks: false, json: true, ..job("merge", "prepare-slices", merging) },
        trained("train", ""),
        trained("checkpoint", "out/pancreas_box/training/checkpoints"),
        Job { locks: false, refuses_done: true, ..job("convert", "model-tool", converting.to_vec()) },
        Job { json: true, ..job("predict", "predict-study", asking) },
    ])
}

/// A study of a few slices: a phantom's middle.
fn study(inputs: &Path) -> Result<PathBuf> {
    let spec =
        PhantomSpec::new(Layout::Msd, 99, 1).with_matrix(64).with_slices(24..=24).with_tumors(Tumors::All);
    let phantom = generate_patient(&spec, 0)?;
    let affine = *phantom.volume.geometry().affine();
    let middle = phantom.volume.hu().slice(s![.., .., 12..12 + N_STUDY_SLICES]).to_owned();
    let path = inputs.join("study.nii.gz");
    nifti::write_volume(&path, &Volume::new(middle, affine)?, nifti::VoxelType::Int16)?;
    Ok(path)
}

fn must_run(command: &mut Command) -> Result<()> {
    let output = command.output()?;
    if !output.status.success() {
        bail!("{command:?} ended with {}: {}", output.status, String::from_utf8_lossy(&output.stderr));
    }
    Ok(())
}
