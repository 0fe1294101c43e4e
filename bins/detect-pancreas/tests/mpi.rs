//! The real binary as ranks of an MPI job on this machine: equal to one process, lost ranks noticed, runs resumed.
//! Needs `mpirun` (Open MPI or MPICH) and the feature `mpi`; `tests/mpi/run.sh` runs it.
//!
//! `MPI_TEST_RANKS` names the numbers of ranks that are compared with one process, `2` if it is not set.
#![cfg(feature = "mpi")]
#![expect(clippy::unwrap_used, reason = "test helpers outside of test functions")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use safetensors::SafeTensors;
use serde_json::Value;

/// Dropout is off: its masks are drawn per rank.
const MODEL: &str = r#"
seed = 7
[model]
base = "scratch"
seed = 3
sizes = { vision = { image_size = 32, patch_size = 8, width = 16, depth = 1, n_heads = 2, mlp_hidden = 32, norm_eps = 1e-6, ln_vision_eps = 1e-5 }, merge = 4, llama = { vocab_size = 1024, hidden_size = 16, intermediate_size = 32, n_layers = 1, n_heads = 2, n_kv_heads = 2, head_dim = 8, rms_norm_eps = 1e-5, rope_theta = 10000.0, max_positions = 256, tied_head = true, bos_token = 1, eos_token = 2 }, lora = { rank = 2, alpha = 4.0, dropout = 0.0, targets = ["q_proj", "v_proj"] } }
[[data.phantoms]]
layout = "msd"
patients = 10
matrix = 48
slices = [24, 24]
seed = 5
[stages.pancreas_box]
[evaluation]
bootstrap_draws = 20
control_samples = 8
validation_samples = 4
probe_trees = 5
examples = 2
[training]
batch_size = 8
keep_last = 3
"#;
/// Twenty steps that are compared.
const TWENTY: &str = "steps = 20\nlearning_rate = 1e-3\nvalidate_every = 10\ncheckpoint_every = 5";
/// Long enough to be killed in its middle.
const LONG: &str = "steps = 900\nlearning_rate = 1e-3\nvalidate_every = 900\ncheckpoint_every = 200";
/// Longer than any test waits.
const ENDLESS: &str =
    "steps = 10000000\nlearning_rate = 1e-3\nvalidate_every = 10000000\ncheckpoint_every = 200";
const DATA: &str = "alone/data/1-msd";
/// Nothing here may take longer; it is no measure of anything.
const PATIENCE: Duration = Duration::from_secs(120);

/// A folder with configurations, and the run of one process in `alone`.
fn place() -> &'static Path {
    static FOLDER: OnceLock<tempfile::TempDir> = OnceLock::new();
    FOLDER
        .get_or_init(|| {
            let folder = tempfile::tempdir().unwrap();
            let other = TWENTY.replace("1e-3", "2e-3");
            for (name, training) in
                [("twenty", TWENTY), ("other", other.as_str()), ("long", LONG), ("endless", ENDLESS)]
            {
                let text = format!("name = \"{name}\"\n{MODEL}{training}\n");
                fs_err::write(folder.path().join(format!("{name}.toml")), text).unwrap();
            }
            let alone = arguments("twenty", "alone");
            let output = command(env!("CARGO_BIN_EXE_detect-pancreas"), folder.path())
                .args(alone.iter().take(alone.len() - 2))
                .output()
                .unwrap();
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            folder
        })
        .path()
}

fn command(program: &str, at: &Path) -> Command {
    let mut command = Command::new(program);
    command.current_dir(at);
    // Open MPI: in a container, and with more ranks than cores.
    for name in
        ["OMPI_ALLOW_RUN_AS_ROOT", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "OMPI_MCA_rmaps_base_oversubscribe"]
    {
        command.env(name, "1");
    }
    command
}

fn arguments(config: &str, out: &str) -> Vec<String> {
    let line = format!("train --config {config}.toml --out {out} --device cpu --threads 1 --data {DATA}");
    line.split(' ').map(str::to_owned).collect()
}

/// A job of ranks whose output is kept.
struct Job {
    mpirun: Child,
    log: PathBuf,
}

impl Job {
    fn start(ranks: &[Vec<String>]) -> Self {
        let mut mpirun = command("mpirun", place());
        for (place, arguments) in ranks.iter().enumerate() {
            if place > 0 {
                mpirun.arg(":");
            }
            mpirun.args(["-n", "1", env!("CARGO_BIN_EXE_detect-pancreas")]).args(arguments);
        }
        let log = tempfile::NamedTempFile::new_in(place()).unwrap();
        let (file, log) = log.keep().unwrap();
        mpirun.stdout(Stdio::null()).stderr(file);
        Self { mpirun: mpirun.spawn().unwrap(), log }
    }

    /// Ranks that do the same.
    fn of(n_ranks: usize, config: &str, out: &str, more: &[&str]) -> Self {
        let mut arguments = arguments(config, out);
        arguments.extend(more.iter().map(|more| (*more).to_owned()));
        Self::start(&vec![arguments; n_ranks])
    }

    /// Exit code of the whole job, and what it said.
    fn wait(mut self) -> (i32, String) {
        let started = Instant::now();
        let status = loop {
            if let Some(status) = self.mpirun.try_wait().unwrap() {
                break status;
            }
            if started.elapsed() > PATIENCE {
                self.mpirun.kill().unwrap();
                panic!("the job hangs: {}", fs_err::read_to_string(&self.log).unwrap());
            }
            std::thread::sleep(Duration::from_millis(50));
        };
        let text = fs_err::read(&self.log).unwrap();
        (status.code().unwrap_or(-1), String::from_utf8_lossy(&text).into_owned())
    }

    fn succeed(self) {
        let (code, log) = self.wait();
        assert_eq!(code, 0, "{log}");
    }

    /// Waits until a checkpoint of this step is there.
    fn wait_for(&mut self, run: &str, step: u64) {
        let folder = checkpoints(run).join(format!("step-{step:010}"));
        let started = Instant::now();
        while !folder.is_dir() {
            let ended = self.mpirun.try_wait().unwrap();
            assert!(
                ended.is_none() && started.elapsed() < PATIENCE,
                "no checkpoint of step {step}: {ended:?}"
            );
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Sends a signal to one rank.
    fn signal(&self, rank: usize, signal: &str) {
        let processes = processes_of_rank(self.mpirun.id(), rank);
        assert_eq!(processes.len(), 1, "one process is rank {rank}");
        let sent = Command::new("kill").args(["-s", signal, &processes[0].to_string()]).status().unwrap();
        assert!(sent.success());
    }
}

/// Processes below `mpirun` that are this rank, by the launcher's variable.
fn processes_of_rank(mpirun: u32, rank: usize) -> Vec<u32> {
    let names = ["OMPI_COMM_WORLD_RANK", "PMI_RANK"].map(|name| format!("{name}={rank}"));
    let mut parents = BTreeMap::new();
    let mut found = Vec::new();
    for entry in fs_err::read_dir("/proc").unwrap().flatten() {
        let Some(process) = entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else {
            continue;
        };
        let Ok(stat) = fs_err::read_to_string(entry.path().join("stat")) else { continue };
        let parent = stat.rsplit(") ").next().and_then(|rest| rest.split(' ').nth(1)?.parse::<u32>().ok());
        parents.insert(process, parent.unwrap_or_default());
        let environment = fs_err::read(entry.path().join("environ")).unwrap_or_default();
        if environment.split(|byte| *byte == 0).any(|line| names.iter().any(|name| name.as_bytes() == line)) {
            found.push(process);
        }
    }
    let is_below = |mut process: u32| {
        while let Some(parent) = parents.get(&process) {
            if process == mpirun {
                return true;
            }
            process = *parent;
        }
        false
    };
    found.into_iter().filter(|process| is_below(*process)).collect()
}

fn checkpoints(run: &str) -> PathBuf {
    place().join(run).join("pancreas_box/training/checkpoints")
}

fn last_checkpoint(run: &str) -> PathBuf {
    let mut steps: Vec<PathBuf> =
        fs_err::read_dir(checkpoints(run)).unwrap().map(|entry| entry.unwrap().path()).collect();
    steps.retain(|path| path.file_name().unwrap().to_str().unwrap().starts_with("step-"));
    steps.sort();
    steps.pop().unwrap()
}

/// Weights and moments after the last step.
fn values(run: &str) -> BTreeMap<String, Vec<f32>> {
    let mut values = BTreeMap::new();
    for file in ["weights.safetensors", "moments.safetensors"] {
        let bytes = fs_err::read(last_checkpoint(run).join(file)).unwrap();
        for (name, tensor) in SafeTensors::deserialize(&bytes).unwrap().tensors() {
            let of_four = tensor.data().as_chunks::<4>().0;
            values.insert(name.clone(), of_four.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect());
        }
    }
    values
}

fn metrics(run: &str) -> String {
    fs_err::read_to_string(place().join(run).join("pancreas_box/training/metrics.jsonl")).unwrap()
}

#[test]
fn ranks_are_one_process_with_the_whole_batch() {
    let counts = std::env::var("MPI_TEST_RANKS").unwrap_or_else(|_| "2".to_owned());
    place();
    let expected = values("alone");
    assert!(expected.values().map(Vec::len).sum::<usize>() > 1000);
    for n_ranks in counts.split(',').map(|count| count.trim().parse::<usize>().unwrap()) {
        let out = format!("ranks-{n_ranks}");
        Job::of(n_ranks, "twenty", &out, &[]).succeed();
        let got = values(&out);
        assert_eq!(got.keys().collect::<Vec<_>>(), expected.keys().collect::<Vec<_>>());
        let differences = expected.iter().flat_map(|(name, row)| {
            row.iter().zip(&got[name]).map(|(one, other)| (one - other).abs()).collect::<Vec<_>>()
        });
        let largest = differences.fold(0.0, f32::max);
        let lines = |run: &str| -> Vec<Value> {
            metrics(run).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
        };
        let (alone, together) = (lines("alone"), lines(&out));
        assert_eq!(alone.len(), 22, "twenty steps and two validations");
        let loss = |line: &Value| line["loss"].as_f64().unwrap_or_default();
        let losses = alone.iter().zip(&together).map(|(one, other)| (loss(one) - loss(other)).abs());
        let of_losses = losses.fold(0.0, f64::max);
        eprintln!("{n_ranks} ranks: weights and moments within {largest:e}, losses within {of_losses:e}");
        assert!(largest <= 1e-6 && of_losses <= 2e-6, "{n_ranks} ranks: {largest:e}, {of_losses:e}");
        for file in ["report.html", "pancreas_box/checkpoint/stage.json", "pancreas_box/test/evaluation.json"]
        {
            assert!(place().join(&out).join(file).is_file(), "the first rank writes {file}");
        }
    }
}

/// A rank killed, and one that stands still: the job ends, its folder is whole, and gone on with it is the run that
/// nothing happened to.
#[test]
fn a_lost_rank_ends_the_job_and_the_run_goes_on() {
    Job::of(2, "long", "undisturbed", &[]).succeed();
    for (signal, rank, codes, told) in [
        // The launcher notices it, or the other rank if it is the first to.
        ("KILL", 1, [137, 75], "rank 1"),
        ("STOP", 1, [75, 75], "rank 1 is lost: rank 0 heard nothing of it for 5 s"),
        ("STOP", 0, [75, 75], "rank 0 is lost: rank 1 heard nothing of it for 5 s"),
    ] {
        let out = format!("{signal}-{rank}");
        let mut job = Job::of(2, "long", &out, &["--rank-timeout", "5"]);
        job.wait_for(&out, 400);
        job.signal(rank, signal);
        let (code, log) = job.wait();
        assert!(codes.contains(&code) && log.contains(told), "{out}: {code}: {log}");
        assert!(!place().join(&out).join("pancreas_box/checkpoint").exists(), "{out} was not over");
        vlm_train::verify_checkpoint(&last_checkpoint(&out)).unwrap();

        let (code, log) = Job::of(2, "long", &out, &[]).wait();
        assert!(code == 1 && log.contains("--resume"), "{out}: {code}: {log}");
        Job::of(2, "long", &out, &["--resume"]).succeed();
        assert!(values(&out) == values("undisturbed"), "{out}: the same bits");
        assert_eq!(metrics(&out), metrics("undisturbed"), "{out}");
    }
}

#[test]
fn one_rank_that_is_asked_to_stop_stops_all_after_one_save() {
    let mut job = Job::of(2, "endless", "stopped", &[]);
    job.wait_for("stopped", 200);
    job.signal(1, "TERM");
    let (code, log) = job.wait();
    assert_eq!(code, 130, "{log}");
    assert_eq!(log.matches("stopped; finished parts are kept").count(), 1, "told once: {log}");
    vlm_train::verify_checkpoint(&last_checkpoint("stopped")).unwrap();
}

#[test]
fn ranks_that_do_not_fit_are_refused() {
    let out = |config: &str| arguments(config, "unlike");
    // Another learning rate, told once and by its name.
    let (code, log) = Job::start(&[out("twenty"), out("other")]).wait();
    assert_eq!(code, 1, "{log}");
    let told = "the configuration of rank `1` is not that of rank `0`";
    assert_eq!(log.matches(told).count(), 1, "{log}");
    // An error of one rank alone ends the others.
    let mut lacking = arguments("twenty", "lacking");
    *lacking.last_mut().unwrap() = "nowhere".to_owned();
    let (code, log) = Job::start(&[arguments("twenty", "lacking"), lacking]).wait();
    assert!(code == 1 && log.contains("rank 1 failed") && log.contains("nowhere"), "{code}: {log}");
    // Batches are cut evenly.
    let (code, log) = Job::of(3, "twenty", "uneven", &[]).wait();
    assert!(code == 1 && log.contains("batch_size"), "{code}: {log}");
    let (code, log) = Job::of(2, "twenty", "hasty", &["--rank-timeout", "1"]).wait();
    assert!(code == 1 && log.contains("rank timeout"), "{code}: {log}");
}

/// Another number of ranks adds in another order: the run is refused, for it would not be the same.
#[test]
fn a_run_goes_on_with_as_many_ranks_as_it_had() {
    let mut job = Job::of(2, "endless", "fewer", &[]);
    job.wait_for("fewer", 200);
    job.signal(0, "TERM");
    assert_eq!(job.wait().0, 130);
    let (code, log) = Job::of(1, "endless", "fewer", &["--resume"]).wait();
    assert!(code == 1 && log.contains("world_size") && log.contains('2'), "{code}: {log}");
}
