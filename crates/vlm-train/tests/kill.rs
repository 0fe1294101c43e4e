//! Training that is killed at any moment leaves a folder that it goes on from.
#![cfg(all(feature = "flex", unix))]
#![expect(clippy::unwrap_used, reason = "helper functions of tests")]

mod tiny;

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use tiny::{Options, config, run};
use vlm_train::{
    Ending, METRICS_FILE, TrainingConfig, checkpoint_folder, checkpoint_steps, latest_checkpoint,
    verify_checkpoint,
};

const FOLDER: &str = "VLM_TRAIN_KILL_FOLDER";
const N_STEPS: u64 = 600;
const N_KILLS: u64 = 50;

/// Many small checkpoints, so that most kills meet one that is being written or removed.
fn kill_config() -> TrainingConfig {
    TrainingConfig { checkpoint_every: 2, keep_last: 2, validate_every: Some(5), ..config(N_STEPS) }
}

/// Not a test by itself: what the other test starts in a process of its own.
#[test]
fn child() {
    let Ok(folder) = std::env::var(FOLDER) else { return };
    let options = Options { resume: true, ..Options::default() };
    let outcome = run(Path::new(&folder), &kill_config(), options).unwrap();
    assert_eq!(outcome.ending, Ending::Completed);
}

fn start(folder: &Path) -> std::process::Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "child", "--test-threads", "1"])
        .env(FOLDER, folder)
        .stdout(Stdio::null())
        .spawn()
        .unwrap()
}

#[test]
fn fifty_kills_leave_a_readable_folder_and_the_same_run() {
    if std::env::var(FOLDER).is_ok() {
        return;
    }
    let timed = |folder: &Path| {
        let begin = Instant::now();
        assert!(start(folder).wait().unwrap().success());
        begin.elapsed()
    };
    let whole = tempfile::tempdir().unwrap();
    let whole_time = timed(whole.path());
    // The run is complete: what is left is the time to come up. Moments follow what this machine takes.
    let start_time = timed(whole.path());
    let longest = start_time + whole_time.saturating_sub(start_time) / 12;

    let mut moments = ChaCha8Rng::seed_from_u64(4);
    let mut n_kills = 0;
    let mut n_progress = 0;
    while n_kills < N_KILLS {
        let killed = tempfile::tempdir().unwrap();
        let mut furthest = 0;
        while n_kills < N_KILLS {
            let mut child = start(killed.path());
            std::thread::sleep(longest.mul_f64((moments.next_u64() % 1000) as f64 / 1000.0));
            // The process may have come to its end before.
            let _ = child.kill();
            if child.wait().unwrap().success() {
                break;
            }
            n_kills += 1;
            let steps = checkpoint_steps(killed.path()).unwrap();
            for step in &steps {
                verify_checkpoint(&checkpoint_folder(killed.path(), *step)).unwrap();
            }
            let latest = latest_checkpoint(killed.path()).unwrap();
            assert_eq!(latest.is_some(), !steps.is_empty());
            let step = steps.last().copied().unwrap_or(0);
            assert!(step >= furthest, "{step} after {furthest}");
            n_progress += u64::from(step > furthest);
            furthest = step;
        }
        assert!(start(killed.path()).wait().unwrap().success());
        assert_same_run(whole.path(), killed.path());
    }
    assert!(n_progress > 5, "{n_progress} of {n_kills} restarts came further");
}

fn assert_same_run(whole: &Path, killed: &Path) {
    let last = |run: &Path, name: &str| fs_err::read(checkpoint_folder(run, N_STEPS).join(name)).unwrap();
    for name in ["weights.safetensors", "moments.safetensors", "state.json"] {
        assert!(last(whole, name) == last(killed, name), "{name}");
    }
    let metrics = |run: &Path| fs_err::read_to_string(run.join(METRICS_FILE)).unwrap();
    assert_eq!(metrics(whole), metrics(killed));
}
