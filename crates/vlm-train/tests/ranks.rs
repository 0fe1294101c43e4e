//! Two ranks together are one process with the whole batch.
#![cfg(feature = "flex")]
#![expect(clippy::unwrap_used, reason = "helper functions of tests")]

mod tiny;

use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Barrier, Mutex};

use burn::optim::GradientsParams;
use tiny::{Options, config, features, model, one_at_a_time, run, sources};
use vlm_model::MiniGpt;
use vlm_prompt::Tokenizer;
use vlm_train::{
    GradientSync, METRICS_FILE, Provenance, RankOf, TrainError, TrainingConfig, TrainingOutcome, TrainingRun,
    flat_gradients, train,
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

    fn sum_gradients(
        &mut self,
        model: &MiniGpt,
        gradients: GradientsParams,
    ) -> Result<GradientsParams, TrainError> {
        let mut flat = flat_gradients(model, &gradients)?;
        let mut values: Vec<f64> = flat.values.iter().map(|value| f64::from(*value)).collect();
        self.sum(&mut values)?;
        #[expect(clippy::cast_possible_truncation, reason = "gradients are f32")]
        flat.values.iter_mut().zip(&values).for_each(|(value, sum)| *value = *sum as f32);
        flat.restore(model)
    }
}

fn rank(folder: &Path, config: &TrainingConfig, rank: usize, shared: Arc<Shared>) -> TrainingOutcome {
    let model = model(0.0);
    let mut images = features(&model);
    train(TrainingRun {
        model,
        tokenizer: &Tokenizer::nano(),
        config,
        sources: sources(),
        images: &mut images,
        folder,
        resume: false,
        provenance: Provenance::default(),
        stop: &AtomicBool::new(false),
        validate: None,
        observe: &mut |_| {},
        sync: &mut Threads { rank, shared },
    })
    .unwrap()
}

#[test]
fn two_ranks_are_one_process_with_the_whole_batch() {
    let _turn = one_at_a_time();
    let config = TrainingConfig { batch_size: 6, ..config(8) };
    let alone = tempfile::tempdir().unwrap();
    let expected = run(alone.path(), &config, Options { dropout: 0.0, ..Options::default() }).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let shared =
        Arc::new(Shared { world_size: 2, barrier: Barrier::new(2), slots: Mutex::new(vec![Vec::new(); 2]) });
    let outcomes: Vec<TrainingOutcome> = std::thread::scope(|scope| {
        let started: Vec<_> = (0..2)
            .map(|place| {
                let (shared, config, folder) = (shared.clone(), &config, folder.path());
                scope.spawn(move || rank(folder, config, place, shared))
            })
            .collect();
        started.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    let weight = |outcome: &TrainingOutcome| {
        outcome.model.projector.weight.val().without_autodiff().into_data().try_into_vec::<f32>().unwrap()
    };
    assert_eq!(weight(&outcomes[0]), weight(&outcomes[1]), "the ranks' weights stay the same bits");
    for (one, two) in weight(&expected).iter().zip(weight(&outcomes[0])) {
        assert!((one - two).abs() < 1e-3, "{one} {two}");
    }
    let metrics = |folder: &Path| -> Vec<serde_json::Value> {
        let text = fs_err::read_to_string(folder.join(METRICS_FILE)).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    };
    let (expected, got) = (metrics(alone.path()), metrics(folder.path()));
    assert_eq!(expected.len(), got.len());
    for (expected, got) in expected.iter().zip(&got) {
        assert_eq!((&expected["n_targets"], &expected["sources"]), (&got["n_targets"], &got["sources"]));
        let difference = expected["loss"].as_f64().unwrap() - got["loss"].as_f64().unwrap();
        assert!(difference.abs() < 1e-3, "{expected} {got}");
    }
}
