//! A run that was stopped and resumed is the run that was not.
#![cfg(feature = "flex")]
#![expect(clippy::unwrap_used, reason = "helper functions of tests")]

mod tiny;

use std::collections::BTreeMap;
use std::path::Path;

use tiny::{Options, full_config, one_at_a_time, run};
use vlm_train::{
    Ending, METRICS_FILE, Provenance, TrainError, TrainableParts, TrainingConfig, TrainingEvent,
    checkpoint_folder, checkpoint_steps, latest_checkpoint, load_trained_weights, read_events,
    verify_checkpoint,
};

fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    fs_err::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap())
        .map(|entry| (entry.file_name().into_string().unwrap(), fs_err::read(entry.path()).unwrap()))
        .collect()
}

fn metrics(folder: &Path) -> String {
    fs_err::read_to_string(folder.join(METRICS_FILE)).unwrap()
}

#[test]
fn stopped_and_resumed_runs_have_the_same_bits() {
    let _turn = one_at_a_time();
    for published in [false, true] {
        let config = full_config(published);
        let whole = tempfile::tempdir().unwrap();
        let outcome = run(whole.path(), &config, Options::default()).unwrap();
        assert_eq!(outcome.ending, Ending::Completed);
        let n_steps = config.schedule.n_steps();
        assert_eq!(outcome.step, n_steps);
        for stop_at in [1, 4, 5, 8, n_steps - 1] {
            let parts = tempfile::tempdir().unwrap();
            let options = Options { stop_at: Some(stop_at), ..Options::default() };
            let first = run(parts.path(), &config, options).unwrap();
            assert_eq!((first.ending, first.step), (Ending::Stopped, stop_at));
            assert_eq!(first.last, checkpoint_folder(parts.path(), stop_at));
            let second = run(parts.path(), &config, Options { resume: true, ..Options::default() }).unwrap();
            assert_eq!((second.ending, second.step), (Ending::Completed, n_steps));
            let (expected, got) = (files(&outcome.last), files(&second.last));
            assert!(expected.len() >= 4);
            for (name, bytes) in &expected {
                assert!(got[name] == *bytes, "`{name}` after a stop at {stop_at}, published {published}");
            }
            assert_eq!(expected.len(), got.len());
            assert_eq!(metrics(whole.path()), metrics(parts.path()), "stop at {stop_at}");
            assert_eq!(outcome.best.as_ref().map(|best| best.best), second.best.map(|best| best.best));
        }
    }
}

/// Large enough for the matrix products that use several threads, and everything learns.
#[test]
fn the_small_preset_resumes_with_the_same_bits() {
    let _turn = one_at_a_time();
    let mut config = tiny::config(4);
    config.trainable = TrainableParts::Everything;
    let whole = tempfile::tempdir().unwrap();
    let options = || Options { nano: true, ..Options::default() };
    let outcome = run(whole.path(), &config, options()).unwrap();
    let parts = tempfile::tempdir().unwrap();
    run(parts.path(), &config, Options { stop_at: Some(2), ..options() }).unwrap();
    let resumed = run(parts.path(), &config, Options { resume: true, ..options() }).unwrap();
    assert_eq!(metrics(whole.path()), metrics(parts.path()));
    let (expected, got) = (files(&outcome.last), files(&resumed.last));
    assert!(expected.iter().all(|(name, bytes)| got[name] == *bytes));
}

#[test]
fn an_epochs_rest_is_kept() {
    let _turn = one_at_a_time();
    let config = full_config(true);
    let folder = tempfile::tempdir().unwrap();
    let outcome = run(folder.path(), &config, Options { stop_at: Some(5), ..Options::default() }).unwrap();
    assert!(outcome.last.join("gradients.safetensors").is_file(), "SPEC 4.3: the remainder is carried over");
    let updates: Vec<bool> = metrics(folder.path())
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap())
        .filter(|line| line.get("loss").is_some())
        .map(|line| !line["grad_norm"].is_null())
        .collect();
    assert_eq!(updates, [false, false, true, false, false]);
    let again = tempfile::tempdir().unwrap();
    let outcome = run(again.path(), &config, Options { stop_at: Some(3), ..Options::default() }).unwrap();
    assert!(!outcome.last.join("gradients.safetensors").exists(), "nothing waits after an update");
}

#[test]
fn log_and_events_are_cut_back_to_the_checkpoint() {
    let _turn = one_at_a_time();
    let config = full_config(false);
    let whole = tempfile::tempdir().unwrap();
    run(whole.path(), &config, Options::default()).unwrap();
    let parts = tempfile::tempdir().unwrap();
    run(parts.path(), &config, Options { stop_at: Some(7), ..Options::default() }).unwrap();
    // as after a kill: steps were logged and the later checkpoints are not there
    fs_err::remove_dir_all(checkpoint_folder(parts.path(), 7)).unwrap();
    fs_err::create_dir_all(parts.path().join("checkpoints/.partial-x")).unwrap();
    run(parts.path(), &config, Options { resume: true, ..Options::default() }).unwrap();
    assert_eq!(metrics(whole.path()), metrics(parts.path()));
    let scalars = |folder: &Path| {
        let events = read_events(&folder.join(vlm_train::EVENTS_FILE)).unwrap();
        events.into_iter().map(|one| (one.step, one.tag, one.value.to_bits())).collect::<Vec<_>>()
    };
    assert_eq!(scalars(whole.path()), scalars(parts.path()));
    let tags: Vec<_> = scalars(whole.path()).into_iter().take(3).map(|one| one.1).collect();
    assert_eq!(tags, ["train/loss", "train/lr", "train/grad_norm"]);
    assert!(!parts.path().join("checkpoints/.partial-x").exists());
}

#[test]
fn checkpoints_that_are_kept_are_the_last_and_the_best() {
    let _turn = one_at_a_time();
    let config = TrainingConfig { checkpoint_every: 1, keep_last: 2, ..full_config(false) };
    let folder = tempfile::tempdir().unwrap();
    let outcome = run(folder.path(), &config, Options::default()).unwrap();
    let best = outcome.best.unwrap();
    verify_checkpoint(&best.folder).unwrap();
    let mut expected = vec![best.best.step, 11, 12];
    expected.sort_unstable();
    expected.dedup();
    assert_eq!(checkpoint_steps(folder.path()).unwrap(), expected);
    assert_eq!(latest_checkpoint(folder.path()).unwrap().unwrap(), outcome.last);
    // the best checkpoint's weights give the best score again
    let model = load_trained_weights(tiny::model(0.2), &best.folder).unwrap();
    assert_eq!(tiny::score(&model).unwrap().to_bits(), best.best.score.to_bits());
}

#[test]
fn a_damaged_checkpoint_is_passed_over() {
    let _turn = one_at_a_time();
    let config = full_config(false);
    let whole = tempfile::tempdir().unwrap();
    let expected = run(whole.path(), &config, Options::default()).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let stopped = run(folder.path(), &config, Options { stop_at: Some(10), ..Options::default() }).unwrap();
    for (name, bytes) in files(&stopped.last) {
        for at in [0, bytes.len() / 2, bytes.len() - 2] {
            let mut bad = bytes.clone();
            bad[at] ^= 1;
            let path = stopped.last.join(&name);
            fs_err::write(&path, bad).unwrap();
            assert!(verify_checkpoint(&stopped.last).is_err(), "{name}, byte {at}");
            fs_err::write(&path, &bytes[..at]).unwrap();
            assert!(verify_checkpoint(&stopped.last).is_err(), "{name}, cut at {at}");
            fs_err::write(&path, &bytes).unwrap();
        }
    }
    verify_checkpoint(&stopped.last).unwrap();
    fs_err::remove_file(stopped.last.join("moments.safetensors")).unwrap();
    let mut damaged = Vec::new();
    let mut observe = |event: &TrainingEvent| match event {
        TrainingEvent::Damaged { folder, .. } => damaged.push(folder.clone()),
        TrainingEvent::Resumed { step, .. } => {
            assert!((8..10).contains(step), "the checkpoint before, {step}")
        }
        _ => {}
    };
    let options = Options { resume: true, observe: Some(&mut observe), ..Options::default() };
    let outcome = run(folder.path(), &config, options).unwrap();
    assert_eq!(damaged, [stopped.last]);
    assert_eq!(files(&outcome.last), files(&expected.last));
}

#[test]
fn a_run_does_not_go_on_with_something_else() {
    let _turn = one_at_a_time();
    let config = full_config(false);
    let folder = tempfile::tempdir().unwrap();
    run(folder.path(), &config, Options { stop_at: Some(2), ..Options::default() }).unwrap();
    let again = run(folder.path(), &config, Options::default()).unwrap_err();
    assert!(matches!(again, TrainError::RunExists { step: 2, .. }), "{again}");
    let resume = |config: &TrainingConfig, change: &dyn Fn(&mut Options<'_>)| {
        let mut options = Options { resume: true, ..Options::default() };
        change(&mut options);
        match run(folder.path(), config, options) {
            Err(TrainError::Changed { what, saved, now }) => (what, saved, now),
            other => panic!("{other:?}"),
        }
    };
    let named = |what: &str, saved: &str, now: &str| (what.to_owned(), saved.to_owned(), now.to_owned());
    let seed = TrainingConfig { seed: 6, ..config.clone() };
    assert_eq!(resume(&seed, &|_| {}), named("training.seed", "5", "6"));
    let norm = TrainingConfig { max_norm: None, ..config.clone() };
    assert_eq!(resume(&norm, &|_| {}), named("training.max_norm", "0.5", "null"));
    assert_eq!(
        resume(&config, &|options| options.provenance.split_sha256 = "other".to_owned()),
        named("split_sha256", "split", "other")
    );
    assert_eq!(
        resume(&config, &|options| options.provenance.base_weights_sha256 = "other".to_owned()),
        named("base_weights_sha256", "base", "other")
    );
    assert_eq!(
        resume(&config, &|options| options.provenance = Provenance {
            config: serde_json::json!({"name": "tiny", "rate": 0.2}),
            ..options.provenance.clone()
        }),
        named("config.rate", "0.1", "0.2")
    );
    assert_eq!(resume(&config, &|options| options.dropout = 0.1).0, "model.lora.dropout");
    assert!(resume(&config, &|options| drop(options.sources.pop())).0.starts_with("sources.tumor"));
}
