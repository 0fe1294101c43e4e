//! Asking a model about samples, and scoring what it says.

use std::collections::{BTreeMap, BTreeSet};

use ct_slices::BoxPx;
use vlm_metrics::{
    BinaryCase, Bootstrap, DetectionCase, SizeEdges, SliceScore, VolumeRule, auroc, binary_scores,
    binary_size_strata, case_iou, covered_area, dataset_strata, detection_scores, detection_size_strata,
    format_ceiling, mean, stratify, threshold_sweep, volume_level_scores,
};
use vlm_prompt::PixelBox;

use super::cases::{Prediction, binary_cases, detection_cases, predictions};
use super::control::{controls, evenly_drawn};
use super::evaluation::{
    BoxEvaluation, Evaluation, PublishedScore, StageScores, TargetScore, YesNoEvaluation,
};
use super::probe::{gray_features, probe_scores};
use crate::answerer::{Answerer, Asked, Reply};
use crate::config::{EvaluationSettings, PromptConfig};
use crate::data::StageSample;
use crate::images::{ImageTable, View};
use crate::{CascadeError, RESEARCH_NOTE, Stage};

/// What is judged, and against what.
#[derive(Debug, Clone, Copy)]
pub struct EvaluationInput<'a> {
    /// The stage.
    pub stage: Stage,
    /// Name of the part: `test`, or another that was asked for.
    pub part: &'a str,
    /// Its samples.
    pub samples: &'a [StageSample],
    /// Training samples, which the probes learn from; empty leaves the probes out.
    pub train: &'a [StageSample],
    /// The images of both.
    pub table: &'a ImageTable,
    /// How questions are put and boxes written.
    pub prompt: PromptConfig,
    /// How much is computed.
    pub settings: EvaluationSettings,
    /// Seed of draws.
    pub seed: u64,
}

impl EvaluationInput<'_> {
    fn bootstrap(&self) -> Bootstrap {
        Bootstrap { n_draws: self.settings.bootstrap_draws, seed: self.seed }
    }

    fn questions(&self, samples: &[StageSample]) -> Vec<String> {
        questions(self.stage, &self.prompt, samples)
    }
}

pub(crate) fn questions(stage: Stage, prompt: &PromptConfig, samples: &[StageSample]) -> Vec<String> {
    let question = |sample: &StageSample| {
        stage.evaluation_question(sample.target, prompt.instructions, prompt.yes_no_question)
    };
    samples.iter().map(question).collect()
}

fn ask(
    answerer: &mut dyn Answerer,
    stage: Stage,
    samples: &[StageSample],
    questions: &[String],
) -> Result<Vec<Reply>, CascadeError> {
    let asked: Vec<Asked<'_>> = samples
        .iter()
        .zip(questions)
        .map(|(sample, question)| Asked {
            image: View::plain(sample.image).id(),
            frame: sample.frame(),
            question,
        })
        .collect();
    answerer.answer(stage, &asked)
}

/// The score that chooses checkpoints: mean IoU, or accuracy; for the organs the mean over targets.
/// At most so many samples are answered, the same ones each time.
///
/// # Errors
/// What the answerer returns.
pub fn validation_score(
    answerer: &mut dyn Answerer,
    stage: Stage,
    prompt: &PromptConfig,
    samples: &[StageSample],
    most: usize,
    seed: u64,
) -> Result<f64, CascadeError> {
    let (chosen, replies) = ask_drawn(answerer, stage, prompt, samples, most, seed)?;
    if stage.is_box() {
        let cases = detection_cases(&chosen, &replies);
        return Ok(mean_over_targets(&cases).unwrap_or(0.0));
    }
    Ok(binary_scores(&binary_cases(&chosen, &replies), &Bootstrap::none())?.accuracy)
}

/// Truth and probability of yes of the samples that [`validation_score`] asks about; answers without
/// a probability are left out.
///
/// # Errors
/// What the answerer returns.
pub(crate) fn yes_probabilities(
    answerer: &mut dyn Answerer,
    stage: Stage,
    prompt: &PromptConfig,
    samples: &[StageSample],
    most: usize,
    seed: u64,
) -> Result<Vec<(bool, f64)>, CascadeError> {
    let (chosen, replies) = ask_drawn(answerer, stage, prompt, samples, most, seed)?;
    let scored = chosen.iter().zip(replies);
    Ok(scored.filter_map(|(sample, reply)| sample.is_yes().zip(reply.yes_probability)).collect())
}

/// Asks about so many samples at most, the same ones each time.
fn ask_drawn(
    answerer: &mut dyn Answerer,
    stage: Stage,
    prompt: &PromptConfig,
    samples: &[StageSample],
    most: usize,
    seed: u64,
) -> Result<(Vec<StageSample>, Vec<Reply>), CascadeError> {
    let chosen: Vec<StageSample> =
        evenly_drawn(samples.len(), most, seed).into_iter().map(|place| samples[place].clone()).collect();
    let replies = ask(answerer, stage, &chosen, &questions(stage, prompt, &chosen))?;
    Ok((chosen, replies))
}

fn mean_over_targets(cases: &[DetectionCase]) -> Option<f64> {
    let mut by_target: BTreeMap<&str, Vec<f64>> = BTreeMap::new();
    for case in cases {
        by_target.entry(&case.target).or_default().extend(case_iou(case));
    }
    mean(&by_target.values().filter_map(|ious| mean(ious)).collect::<Vec<_>>())
}

/// Asks about all samples, and scores every answer: one that cannot be read counts as wrong.
///
/// # Errors
/// [`CascadeError::NoSamples`] for none, what the answerer returns, and images that the probe
/// cannot open.
pub fn evaluate_samples(
    answerer: &mut dyn Answerer,
    input: &EvaluationInput<'_>,
) -> Result<(Evaluation, Vec<Prediction>), CascadeError> {
    let EvaluationInput { stage, samples, .. } = *input;
    if samples.is_empty() {
        let reason = "nothing to be judged by".to_owned();
        return Err(CascadeError::NoSamples { stage: stage.name(), part: "test", reason });
    }
    let questions = input.questions(samples);
    let replies = ask(answerer, stage, samples, &questions)?;
    let mut remarks = Vec::new();
    let scores = if stage.is_box() {
        StageScores::Box(Box::new(box_scores(input, &detection_cases(samples, &replies))?))
    } else {
        StageScores::YesNo(Box::new(yes_no_scores(input, &binary_cases(samples, &replies), &mut remarks)?))
    };
    let controls = controls(
        answerer,
        stage,
        samples,
        &questions,
        &replies,
        input.settings.control_samples,
        &input.bootstrap(),
        input.seed,
    )?;
    if let Some(controls) = controls.as_ref().filter(|controls| controls.is_subset) {
        let n = controls.n;
        remarks.push(format!("image controls: {n} of {} samples, drawn by hash", samples.len()));
    }
    let paper = stage.published().into_iter().map(|number| PublishedScore {
        what: number.what.to_owned(),
        value: number.value.to_string(),
        at_least: number.value.floor(),
        section: number.section.to_owned(),
        source: number.source.to_owned(),
    });
    let evaluation = Evaluation {
        note: RESEARCH_NOTE.to_owned(),
        stage,
        part: input.part.to_owned(),
        n_patients: samples.iter().map(StageSample::patient_key).collect::<BTreeSet<_>>().len(),
        scores,
        controls,
        paper: paper.collect(),
        remarks,
    };
    Ok((evaluation, predictions(samples, &questions, &replies)))
}

fn box_scores(input: &EvaluationInput<'_>, cases: &[DetectionCase]) -> Result<BoxEvaluation, CascadeError> {
    let bootstrap = input.bootstrap();
    let prior = position_prior(input.train);
    let prior_cases: Vec<DetectionCase> = input
        .samples
        .iter()
        .zip(cases)
        .filter_map(|(sample, case)| {
            let share = prior.get(sample.target)?;
            let [width, height] = sample.frame_size_px().map(f64::from);
            let BoxPx { x_min: left, y_min: top, .. } = sample.frame();
            let (x, y) =
                (|share: f64| f64::from(left) + share * width, |share: f64| f64::from(top) + share * height);
            let predicted = [x(share[0]), y(share[1]), x(share[2]), y(share[3])];
            Some(DetectionCase { predicted: Some(predicted.into()), is_parsed: true, ..case.clone() })
        })
        .collect();
    let prior_mean = |target: Option<&str>| {
        let of_target = prior_cases.iter().filter(|case| target.is_none_or(|target| case.target == target));
        mean(&of_target.filter_map(case_iou).collect::<Vec<_>>())
    };
    let by_target = stratify(
        cases,
        |case| Some(case.target.clone()),
        String::clone,
        |part| detection_scores(part, &bootstrap),
    )?;
    let by_target: Vec<TargetScore> = by_target
        .into_iter()
        .filter_map(|stratum| {
            let scores = stratum.scores?;
            Some(TargetScore {
                probe_iou_mean: prior_mean(Some(&stratum.name)),
                target: stratum.name,
                n: scores.n,
                iou_mean: scores.iou_mean,
                iou_ci95: scores.iou_ci95,
            })
        })
        .collect();
    let truths: Vec<(PixelBox, [u32; 2])> = input
        .samples
        .iter()
        .filter_map(|sample| Some((sample.framed_box()?, sample.frame_size_px())))
        .collect();
    let (settings, style) = (input.prompt.settings, input.prompt.style);
    let ceiling = format_ceiling(style.format, settings.box_decode, style.edges, &truths)?;
    let with_ratio: Vec<(DetectionCase, f64)> = cases
        .iter()
        .zip(input.samples)
        .filter_map(|(case, sample)| Some((case.clone(), sample.box_ratio?)))
        .collect();
    let has_sizes = cases.iter().any(|case| case.lesion_mm.is_some()) && input.stage == Stage::TumorBox;
    let by_size =
        if has_sizes { detection_size_strata(cases, &SizeEdges::default(), &bootstrap)? } else { Vec::new() };
    Ok(BoxEvaluation {
        scores: detection_scores(cases, &bootstrap)?,
        iou_target_mean: mean_over_targets(cases).unwrap_or(0.0),
        probe_iou_mean: prior_mean(None),
        format_ceiling: ceiling,
        by_target,
        by_dataset: dataset_strata(cases, &bootstrap)?,
        by_size,
        threshold_sweep: threshold_sweep(&with_ratio, &bootstrap)?,
    })
}

/// Per target the mean of the covered areas of the training boxes, as shares of what is shown.
fn position_prior(train: &[StageSample]) -> BTreeMap<&'static str, [f64; 4]> {
    let mut sums: BTreeMap<&'static str, ([f64; 4], f64)> = BTreeMap::new();
    for sample in train {
        let Some(truth) = sample.framed_box() else { continue };
        let [width, height] = sample.frame_size_px().map(f64::from);
        let PixelBox { x_min, y_min, x_max, y_max } = covered_area(truth);
        let shares = [x_min / width, y_min / height, x_max / width, y_max / height];
        let (sum, n) = sums.entry(sample.target).or_default();
        sum.iter_mut().zip(shares).for_each(|(sum, share)| *sum += share);
        *n += 1.0;
    }
    sums.into_iter().map(|(target, (sum, n))| (target, sum.map(|sum| sum / n))).collect()
}

fn yes_no_scores(
    input: &EvaluationInput<'_>,
    cases: &[BinaryCase],
    remarks: &mut Vec<String>,
) -> Result<YesNoEvaluation, CascadeError> {
    let bootstrap = input.bootstrap();
    let (probe_accuracy, probe_auroc) = shortcut_probe(input)?.unzip();
    if probe_accuracy.is_none() {
        remarks.push("no probe: the training part has not both answers".to_owned());
    }
    let by_dataset = stratify(
        cases,
        |case| Some(case.dataset.clone()),
        String::clone,
        |part| binary_scores(part, &bootstrap),
    )?;
    let has_sizes = cases.iter().any(|case| case.truth && case.lesion_mm.is_some());
    let by_size =
        if has_sizes { binary_size_strata(cases, &SizeEdges::default(), &bootstrap)? } else { Vec::new() };
    let slices: Vec<SliceScore> = cases
        .iter()
        .zip(input.samples)
        .map(|(case, sample)| SliceScore {
            volume: format!("{}/{}", sample.dataset, sample.volume),
            patient: case.patient.clone(),
            truth: case.truth,
            // Without probabilities the answer is all there is.
            score: case.probability.unwrap_or_else(|| f64::from(u8::from(case.scored_answer()))),
        })
        .collect();
    let rules = [VolumeRule::Max, VolumeRule::TopMean(3), VolumeRule::NoisyOr];
    let by_volume = rules
        .into_iter()
        .map(|rule| volume_level_scores(&slices, rule, &bootstrap))
        .collect::<Result<_, _>>()?;
    Ok(YesNoEvaluation {
        scores: binary_scores(cases, &bootstrap)?,
        probe_accuracy,
        probe_auroc: probe_auroc.flatten(),
        by_dataset,
        by_size,
        by_volume,
    })
}

/// Accuracy and area under the ROC curve of the forest that knows sizes and gray levels alone.
fn shortcut_probe(input: &EvaluationInput<'_>) -> Result<Option<(f64, Option<f64>)>, CascadeError> {
    if input.train.is_empty() {
        return Ok(None);
    }
    let images = |samples: &[StageSample]| samples.iter().map(|sample| sample.image).collect::<Vec<_>>();
    let learned = gray_features(input.table, &images(input.train))?;
    let judged = gray_features(input.table, &images(input.samples))?;
    let learn: Vec<_> =
        learned.iter().zip(input.train).map(|(row, sample)| (row, sample.is_yes() == Some(true))).collect();
    let scores =
        probe_scores(&learn, &judged.iter().collect::<Vec<_>>(), input.settings.probe_trees, input.seed);
    Ok(scores.map(|scores| {
        let scored: Vec<(bool, f64)> =
            input.samples.iter().map(|sample| sample.is_yes() == Some(true)).zip(scores).collect();
        let n_right = scored.iter().filter(|(is_yes, score)| (*score > 0.5) == *is_yes).count();
        (n_right as f64 / scored.len() as f64, auroc(&scored))
    }))
}

#[cfg(test)]
mod tests {
    use vlm_prompt::{BoxDecode, BoxFormat, InstructionPool};

    use super::*;
    use crate::data::Truth;
    use crate::images::{BLANK, ImageFit};
    use crate::test_support::{prompt, slice};

    /// Answers from a list by image; blank images get the answer of none.
    struct Fake<F>(F);

    impl<F: FnMut(u32, usize) -> Reply> Answerer for Fake<F> {
        fn answer(&mut self, _stage: Stage, asked: &[Asked<'_>]) -> Result<Vec<Reply>, CascadeError> {
            Ok(asked.iter().enumerate().map(|(at, asked)| (self.0)(asked.image_number(), at)).collect())
        }
    }

    fn boxed(edges: [f64; 4]) -> Reply {
        Reply { is_parsed: true, box_px: Some(edges.into()), box_probability: Some(0.5), ..Reply::default() }
    }

    fn input<'a>(
        stage: Stage,
        samples: &'a [StageSample],
        train: &'a [StageSample],
        table: &'a ImageTable,
    ) -> EvaluationInput<'a> {
        let settings = EvaluationSettings { bootstrap_draws: 50, ..EvaluationSettings::default() };
        EvaluationInput { stage, part: "test", samples, train, table, prompt: prompt(), settings, seed: 1 }
    }

    #[test]
    fn boxes_of_a_fake_have_known_scores() {
        let table = ImageTable::new(28);
        let truth = Truth::Box([10, 10, 19, 19].into());
        let samples: Vec<StageSample> =
            (0..4).map(|n| slice(n, &format!("p{}", n / 2), "pancreas", truth)).collect();
        let train = samples.clone();
        // Perfect, shifted by half its width, nothing, unreadable; blank and foreign images: nothing.
        let mut fake = Fake(|image, _| match image {
            0 => boxed([10.0, 10.0, 20.0, 20.0]),
            1 => boxed([15.0, 10.0, 25.0, 20.0]),
            2 => Reply { is_parsed: true, ..Reply::default() },
            BLANK => boxed([0.0, 0.0, 1.0, 1.0]),
            _ => Reply { text: "hello".to_owned(), ..Reply::default() },
        });
        let (evaluation, predictions) =
            evaluate_samples(&mut fake, &input(Stage::PancreasBox, &samples, &train, &table)).unwrap();
        let boxes = evaluation.boxes().unwrap();
        assert_eq!((evaluation.n(), evaluation.n_unparsed(), evaluation.n_patients), (4, 1, 2));
        assert!((evaluation.score() - (1.0 + 1.0 / 3.0) / 4.0).abs() < 1e-12);
        assert_eq!(boxes.scores.accuracy_50, 0.25);
        assert!((boxes.probe_iou_mean.unwrap() - 1.0).abs() < 1e-9, "all boxes are the mean box");
        assert_eq!(boxes.by_target.len(), 1);
        assert_eq!(boxes.threshold_sweep.len(), 10);
        let controls = evaluation.controls.as_ref().unwrap();
        assert_eq!(controls.blanked.score(), 0.0);
        assert_eq!((controls.n, controls.is_subset), (4, false));
        assert_eq!(controls.own_images.iou_mean, Some(boxes.scores.iou_mean));
        assert_eq!(predictions.len(), 4);
        assert_eq!(predictions[1].iou.map(|iou| (iou * 3.0).round()), Some(1.0));
        assert!(!predictions[3].is_parsed);
        // Every number that is promised by name is there.
        let json = serde_json::to_value(&evaluation).unwrap();
        for key in
            ["n", "n_unparsed", "iou_mean", "iou_ci95", "dsc_mean", "ap_50", "controls", "format_ceiling"]
        {
            assert!(!json[key].is_null(), "{key}");
        }
        let back: Evaluation = serde_json::from_value(json).unwrap();
        assert_eq!(back, evaluation);
    }

    #[test]
    fn yes_and_no_of_a_fake_have_known_scores() {
        let folder = tempfile::tempdir().unwrap();
        let mut table = ImageTable::new(28);
        let samples: Vec<StageSample> = (0..8_u32)
            .map(|n| {
                let path = folder.path().join(format!("{n}.png"));
                let plane = ndarray::Array2::from_elem((8, 8), u8::try_from(n * 20).unwrap());
                fs_err::write(&path, ct_slices::pixels::encode_gray(plane.view()).unwrap()).unwrap();
                let image = table.add(&path, ImageFit::Stretch);
                slice(image, &format!("p{n}"), "", Truth::YesNo(n % 2 == 0))
            })
            .collect();
        // Right on images 0 to 5, unreadable on 6, wrong on 7; without sight always yes.
        let mut fake = Fake(|image, _| {
            let yes = match image {
                6 => return Reply { text: "maybe".to_owned(), ..Reply::default() },
                7 | BLANK => true,
                image => image % 2 == 0,
            };
            let probability = if yes { 0.8 } else { 0.3 };
            Reply { is_parsed: true, yes: Some(yes), yes_probability: Some(probability), ..Reply::default() }
        });
        let (evaluation, _) =
            evaluate_samples(&mut fake, &input(Stage::TumorYesNo, &samples, &samples, &table)).unwrap();
        let answers = evaluation.yes_no().unwrap();
        assert_eq!((evaluation.n(), evaluation.n_unparsed()), (8, 1));
        assert_eq!(evaluation.score(), 0.75);
        assert!(answers.probe_accuracy.is_some() && answers.probe_auroc.is_some());
        assert_eq!(answers.by_volume.len(), 3);
        let controls = evaluation.controls.as_ref().unwrap();
        assert_eq!(controls.blanked.accuracy, Some(0.5));
        assert_ne!(controls.shuffled.accuracy, None);
        let json = serde_json::to_value(&evaluation).unwrap();
        for key in [
            "n",
            "n_unparsed",
            "accuracy",
            "precision",
            "recall",
            "f1",
            "auroc",
            "auprc",
            "brier",
            "ece",
            "probe_accuracy",
            "probe_auroc",
        ] {
            assert!(json[key].is_number(), "{key}");
        }
        assert_eq!(serde_json::from_value::<Evaluation>(json).unwrap(), evaluation);
    }

    #[test]
    fn the_ceiling_is_of_the_format_that_is_written() {
        let table = ImageTable::new(28);
        let samples = [slice(0, "p", "pancreas", Truth::Box([196, 235, 237, 260].into()))];
        let of = |format, decode| {
            let mut input = input(Stage::PancreasBox, &samples, &[], &table);
            input.prompt.style.format = format;
            input.prompt.settings.box_format = format;
            input.prompt.settings.box_decode = decode;
            let mut fake = Fake(|_, _| Reply::default());
            let (evaluation, _) = evaluate_samples(&mut fake, &input).unwrap();
            evaluation.boxes().unwrap().format_ceiling.iou_mean
        };
        let coarse = of(BoxFormat::Percent100, BoxDecode::GridLine);
        let fine = of(BoxFormat::Permille1000, BoxDecode::GridLine);
        assert!(coarse < fine && fine > 0.95, "{coarse} {fine}");
        assert_eq!(InstructionPool::Code, prompt().instructions);
    }

    #[test]
    fn nothing_to_score_is_an_error() {
        let table = ImageTable::new(28);
        let error =
            evaluate_samples(&mut Fake(|_, _| Reply::default()), &input(Stage::TumorBox, &[], &[], &table));
        assert!(error.unwrap_err().to_string().contains("tumor_box"));
    }
}
