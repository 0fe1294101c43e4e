//! How well whole studies are read, on synthetic patients that nothing was trained on:
//! `study_scores [PATIENTS] [RUN_FOLDER]`.
//!
//! Prints 3-D IoU of findings beside the mean IoU of single slices (all that show the structure or have a
//! box of it, and those alone that show it), the AUROC of the tumor score with
//! its 95 % interval over patients, and seconds a study.

#![expect(clippy::print_stdout, reason = "a program for people")]

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use cascade::{StudyModels, StudyOptions, predict_volume};
use ct_phantom::{Layout, PhantomLabel, PhantomSpec, generate_patient};
use findings::{BoxStack, Entity, mask_boxes, stack_iou};
use vlm_metrics::{Bootstrap, SliceScore, VolumeRule, volume_level_scores};
use vlm_model::DeviceChoice;

/// Of no cascade and no base.
const SEED: u64 = 0x57d1;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let n_patients: u32 = arguments.next().map_or(Ok(20), |text| text.parse())?;
    let unpacked = tempfile::tempdir()?;
    let models = match arguments.next() {
        Some(run) => StudyModels::of_run(Path::new(&run))?,
        None => StudyModels::embedded(unpacked.path())?,
    };
    let spec = PhantomSpec::new(Layout::Msd, SEED, n_patients).with_matrix(256).with_slices(28..=44);
    let (device, stop) = (DeviceChoice::Auto.open()?, AtomicBool::new(false));
    let pancreas = [PhantomLabel::Pancreas.value(), PhantomLabel::Tumor.value()];
    let tumor = [PhantomLabel::Tumor.value()];
    let structures = [(Entity::PANCREAS, pancreas.as_slice()), (Entity::PANCREATIC_TUMOR, &tumor)];
    let mut sums = [Scores::default(), Scores::default()];
    let (mut slices, mut seconds, mut n_slices) = (Vec::new(), 0.0, 0);
    for patient in 0..n_patients {
        let phantom = generate_patient(&spec, patient)?;
        let started = Instant::now();
        let found =
            predict_volume(&phantom.volume, &models, &StudyOptions::default(), &device, &mut |_| {}, &stop)?;
        seconds += started.elapsed().as_secs_f64();
        n_slices += found.study.n_slices;
        for ((entity, labels), scores) in structures.iter().zip(&mut sums) {
            let truth = mask_boxes(&phantom.organs, labels);
            let of_entity = || found.findings.iter().filter(|finding| finding.entity == *entity);
            let tubes: BoxStack = of_entity().flat_map(findings::Finding::stack).collect();
            let observed: BoxStack = of_entity()
                .flat_map(|finding| &finding.boxes)
                .filter_map(|b| Some((b.slice_idx, b.observed_px?)))
                .collect();
            scores.add(&truth, &tubes, &observed);
        }
        let name = patient.to_string();
        slices.extend(found.slice_scores.iter().map(|slice| SliceScore {
            volume: name.clone(),
            patient: name.clone(),
            truth: phantom.facts.tumor.is_some(),
            score: slice.tumor_probability,
        }));
    }
    for ((entity, _), scores) in structures.iter().zip(&sums) {
        println!("{entity}: {scores}");
    }
    let cases = volume_level_scores(&slices, VolumeRule::TopMean(3), &Bootstrap { n_draws: 2000, seed: 1 })?;
    println!("tumor score of a study: AUROC {:?}, 95 % interval {:?}", cases.auroc, cases.auroc_ci95);
    println!(
        "{:.2} s a study of {} slices on average",
        seconds / f64::from(n_patients),
        n_slices / n_patients as usize
    );
    Ok(())
}

#[derive(Default)]
struct Scores {
    volumes: Vec<f64>,
    /// Of slices that show the structure.
    slices: Vec<f64>,
    /// Means of each patient's slices that show it or have a box of it.
    patients: Vec<f64>,
    n_false: usize,
}

impl Scores {
    fn add(&mut self, truth: &BoxStack, tubes: &BoxStack, observed: &BoxStack) {
        if truth.is_empty() {
            self.n_false += usize::from(!tubes.is_empty());
            return;
        }
        self.volumes.extend(stack_iou(truth, tubes));
        let of_slice = |slice: &usize| {
            let alone = |stack: &BoxStack| stack.get(slice).map(|place| BoxStack::from([(*slice, *place)]));
            alone(truth).zip(alone(observed)).and_then(|(a, b)| stack_iou(&a, &b)).unwrap_or(0.0)
        };
        self.slices.extend(truth.keys().map(of_slice));
        let either: BTreeSet<usize> = truth.keys().chain(observed.keys()).copied().collect();
        self.patients.push(mean(&either.iter().map(of_slice).collect::<Vec<_>>()));
    }
}

impl std::fmt::Display for Scores {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{} patients: 3-D IoU {:.3}, their slices one by one {:.3} (false boxes count 0), the {} slices that show \
             it {:.3}; {} patients without it have one",
            self.volumes.len(),
            mean(&self.volumes),
            mean(&self.patients),
            self.slices.len(),
            mean(&self.slices),
            self.n_false
        )
    }
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len().max(1) as f64
}
