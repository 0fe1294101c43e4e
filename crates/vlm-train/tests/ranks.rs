//! Two ranks together are one process with the whole batch.
#![cfg(feature = "flex")]
#![expect(clippy::unwrap_used, reason = "helper functions of tests")]

mod tiny;

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Barrier, Mutex};

use tiny::{Options, config, features, model, one_at_a_time, run, sources};
use vlm_prompt::Tokenizer;
use vlm_train::{
    Accumulation, AccumulationMode, Ending, FixedSource, GradientSync, ImageId, METRICS_FILE, MixtureEntry,
    Provenance, RankOf, TrainError, TrainingConfig, TrainingEvent, TrainingItem, TrainingOutcome,
    TrainingRun, train,
};

/// Ranks that are threads of this process.
struct Threads {
    rank: usize,
    shared: Arc<Shared>,
}

struct Shared {
    world_size: usize,
    barrier: Barrier,
    slots: Mutex<Vec<Vec<f64>>>,
}

impl GradientSync for Threads {
    fn ranks(&self) -> RankOf {
        RankOf { rank: self.rank, world_size: self.shared.world_size }
    }

    fn sum(&mut self, values: &mut [f64]) -> Result<(), TrainError> {
        self.shared.slots.lock().unwrap()[self.rank] = values.to_vec();
        self.shared.barrier.wait();
        // in the order of ranks, so that all get the same bits
        values.fill(0.0);
        for slot in self.shared.slots.lock().unwrap().iter() {
            values.iter_mut().zip(slot).for_each(|(sum, value)| *sum += value);
        }
        self.shared.barrier.wait();
        Ok(())
    }
}

/// What a test wants to be different on a rank.
#[derive(Clone)]
struct Rank<'a> {
    folder: &'a Path,
    config: &'a TrainingConfig,
    resume: bool,
    stop_at: Option<u64>,
    split: &'static str,
    sources: fn() -> Vec<MixtureEntry>,
}

impl<'a> Rank<'a> {
    fn of(folder: &'a Path, config: &'a TrainingConfig) -> Self {
        Self { folder, config, resume: false, stop_at: None, split: "split", sources }
    }

    fn run(self, rank: usize, shared: Arc<Shared>) -> Result<TrainingOutcome, TrainError> {
        let model = model(0.0);
        let mut images = features(&model);
        let stop = AtomicBool::new(false);
        let mut observe = |event: &TrainingEvent| {
            // The last rank alone is asked to stop.
            if let TrainingEvent::StepDone { step, .. } = event
                && Some(*step) == self.stop_at
                && rank + 1 == shared.world_size
            {
                stop.store(true, Ordering::Relaxed);
            }
        };
        train(TrainingRun {
            model,
            tokenizer: &Tokenizer::nano(),
            config: self.config,
            sources: (self.sources)(),
            images: &mut images,
            folder: self.folder,
            resume: self.resume,
            provenance: Provenance { split_sha256: self.split.to_owned(), ..Provenance::default() },
            stop: &stop,
            validate: None,
            observe: &mut observe,
            sync: &mut Threads { rank, shared: shared.clone() },
        })
    }
}

/// What each of these ranks led to.
fn together(ranks: Vec<Rank<'_>>) -> Vec<Result<TrainingOutcome, TrainError>> {
    let n = ranks.len();
    let shared =
        Arc::new(Shared { world_size: n, barrier: Barrier::new(n), slots: Mutex::new(vec![Vec::new(); n]) });
    std::thread::scope(|scope| {
        let started: Vec<_> = ranks
            .into_iter()
            .enumerate()
            .map(|(place, rank)| {
                let shared = shared.clone();
                scope.spawn(move || rank.run(place, shared))
            })
            .collect();
        started.into_iter().map(|thread| thread.join().unwrap()).collect()
    })
}

fn weight(outcome: &TrainingOutcome) -> Vec<f32> {
    outcome.model.projector.weight.val().without_autodiff().into_data().try_into_vec::<f32>().unwrap()
}

fn metrics(folder: &Path) -> Vec<serde_json::Value> {
    let text = fs_err::read_to_string(folder.join(METRICS_FILE)).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn two_ranks_are_one_process_with_the_whole_batch() {
    let _turn = one_at_a_time();
    // with images, and questions without: then a rank may have no gradient that the other has
    for sources in [sources as fn() -> Vec<MixtureEntry>, mostly_text] {
        let config = TrainingConfig { batch_size: 6, ..config(8) };
        let alone = tempfile::tempdir().unwrap();
        let options = Options { dropout: 0.0, sources: sources(), ..Options::default() };
        let expected = run(alone.path(), &config, options).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let rank = Rank { sources, ..Rank::of(folder.path(), &config) };
        let outcomes: Vec<TrainingOutcome> =
            together(vec![rank; 2]).into_iter().map(|outcome| outcome.unwrap()).collect();
        assert_eq!(weight(&outcomes[0]), weight(&outcomes[1]), "the ranks' weights stay the same bits");
        for (one, two) in weight(&expected).iter().zip(weight(&outcomes[0])) {
            assert!((one - two).abs() < 1e-3, "{one} {two}");
        }
        let (expected, got) = (metrics(alone.path()), metrics(folder.path()));
        assert_eq!(expected.len(), got.len());
        for (expected, got) in expected.iter().zip(&got) {
            assert_eq!((&expected["n_targets"], &expected["sources"]), (&got["n_targets"], &got["sources"]));
            let difference = expected["loss"].as_f64().unwrap() - got["loss"].as_f64().unwrap();
            assert!(difference.abs() < 1e-3, "{expected} {got}");
        }
    }
}

/// One image among many questions without: of six in a batch, three a rank.
fn mostly_text() -> Vec<MixtureEntry> {
    let item = |index: u64| {
        let mut item = TrainingItem::single(ImageId(0), "[vqa] what is it?", format!("a {index}"));
        if index > 0 {
            item.images.clear();
        }
        item
    };
    vec![MixtureEntry::new(FixedSource::new("text", (0..6).map(item).collect()))]
}

#[test]
fn a_run_stopped_between_updates_goes_on_with_the_gradients_of_all_ranks() {
    let _turn = one_at_a_time();
    // batches 1 and 2 wait for 3; a checkpoint after each
    let accumulation = Accumulation { n_batches: 3, mode: AccumulationMode::Published };
    let config =
        TrainingConfig { batch_size: 6, accumulation, checkpoint_every: 1, keep_last: 9, ..config(6) };
    let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let [whole, cut] = [&folders[0], &folders[1]].map(|folder| Rank::of(folder.path(), &config));
    let last = |ranks: Vec<Rank<'_>>| -> Vec<TrainingOutcome> {
        together(ranks).into_iter().map(|outcome| outcome.unwrap()).collect()
    };
    let expected = last(vec![whole; 2]);
    let stopped = last(vec![Rank { stop_at: Some(2), ..cut.clone() }; 2]);
    assert!(stopped.iter().all(|outcome| outcome.ending == Ending::Stopped && outcome.step == 2));
    let resumed = last(vec![Rank { resume: true, ..cut }; 2]);
    assert_eq!(weight(&expected[0]), weight(&resumed[0]));
    assert_eq!(weight(&resumed[0]), weight(&resumed[1]));
    assert_eq!(metrics(folders[0].path()), metrics(folders[1].path()));
}

#[test]
fn ranks_that_were_started_differently_are_refused_on_all() {
    let _turn = one_at_a_time();
    let config = TrainingConfig { batch_size: 6, ..config(2) };
    let other = TrainingConfig { seed: 9, ..config.clone() };
    let shared = tempfile::tempdir().unwrap();
    let elsewhere = tempfile::tempdir().unwrap();
    let first = Rank::of(shared.path(), &config);
    let rows = [
        ("split", Rank { split: "another", ..first.clone() }),
        ("settings of the training", Rank { config: &other, ..first.clone() }),
    ];
    let check = |what: &str, ranks: Vec<Rank<'_>>| {
        for outcome in together(ranks) {
            let error = outcome.unwrap_err();
            let expected =
                matches!(&error, TrainError::RanksDiffer { what: named, rank: 1 } if *named == what);
            assert!(expected, "{what}: {error}");
        }
    };
    for (what, second) in rows {
        check(what, vec![first.clone(), second]);
    }
    together(vec![first.clone(); 2]).into_iter().for_each(|outcome| assert!(outcome.is_ok()));
    let resumed = |folder| Rank { folder, resume: true, ..first.clone() };
    check("latest checkpoint in the run folder", vec![resumed(shared.path()), resumed(elsewhere.path())]);
}
