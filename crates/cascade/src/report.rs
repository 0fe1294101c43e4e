//! The report of a run: `report.html` and `report.json`.

use std::path::Path;

use cascade_report::{
    Cell, Column, Direction, KeyFigure, Report, Row, Section, Table, Target, threshold_table,
};
use serde::Serialize;

use crate::config::{CascadeConfig, Goal};
use crate::data::RunData;
use crate::evaluate::{Prediction, write_json};
use crate::figures::{evaluation_figures, pair, sweep_input, training_figures};
use crate::run::{Environment, EvaluatedStage};
use crate::train_stage::{StageRecord, TRAINING_FOLDER};
use crate::{CascadeError, Evaluation, RESEARCH_NOTE, Stage};

/// A stage in `report.json`.
#[derive(Debug, Serialize)]
struct StageJson<'a> {
    stage: Stage,
    goal: Goal,
    record: &'a StageRecord,
    evaluation: &'a Evaluation,
}

/// `report.json`: everything that the page shows, for programs.
#[derive(Debug, Serialize)]
struct RunJson<'a> {
    note: &'a str,
    name: &'a str,
    seed: u64,
    split_sha256: &'a str,
    base_sha256: &'a str,
    environment: &'a Environment,
    stages: Vec<StageJson<'a>>,
    timings_s: &'a [(String, f64)],
}

/// What a report is made of.
#[derive(Debug)]
pub(crate) struct ReportInput<'a> {
    pub(crate) config: &'a CascadeConfig,
    pub(crate) data: &'a RunData,
    pub(crate) environment: &'a Environment,
    pub(crate) base_sha256: &'a str,
    pub(crate) stages: &'a [(EvaluatedStage, Vec<Prediction>)],
    pub(crate) timings: &'a [(String, f64)],
    pub(crate) audit: Option<String>,
    pub(crate) out: &'a Path,
}

/// Writes `report.json` and `report.html`.
pub(crate) fn write_report(input: &ReportInput<'_>) -> Result<(), CascadeError> {
    let goal = |stage: Stage| input.config.stages.get(&stage).map(|stage| stage.goal).unwrap_or_default();
    let stages = input.stages.iter().map(|(stage, _)| StageJson {
        stage: stage.record.stage,
        goal: goal(stage.record.stage),
        record: &stage.record,
        evaluation: &stage.evaluation,
    });
    let json = RunJson {
        note: RESEARCH_NOTE,
        name: &input.config.name,
        seed: input.config.seed,
        split_sha256: &input.data.split_sha256,
        base_sha256: input.base_sha256,
        environment: input.environment,
        stages: stages.collect(),
        timings_s: input.timings,
    };
    write_json(&input.out.join("report.json"), &json)?;
    let key_figures = input.stages.iter().map(|(stage, _)| key_figure(stage, goal(stage.record.stage)));
    let mut sections = vec![summary(input)];
    for (stage, predictions) in input.stages {
        sections.push(stage_section(input, stage, predictions)?);
    }
    if let Some(audit) = &input.audit {
        let mut section = Section::new("Audit of the data");
        for line in audit.lines().filter(|line| !line.trim().is_empty()).take(60) {
            section = section.paragraph(line);
        }
        sections.push(section);
    }
    sections.push(timing_section(input.timings));
    let environment = input.environment;
    let report = Report {
        title: format!("Cascade `{}`", input.config.name),
        subtitle: "Pancreas box, tumor yes/no, tumor box and organ boxes on held-out patients".to_owned(),
        note: "Research use only, not for diagnosis.".to_owned(),
        key_figures: key_figures.collect(),
        provenance: vec![
            ("Program".to_owned(), environment.program.clone()),
            ("Target".to_owned(), environment.target.clone()),
            ("Processor".to_owned(), environment.cpu.clone().unwrap_or_else(|| "unknown".to_owned())),
            ("Threads".to_owned(), environment.threads.to_string()),
            ("Device".to_owned(), environment.device.clone()),
            ("Seed".to_owned(), input.config.seed.to_string()),
            ("Split (SHA-256)".to_owned(), input.data.split_sha256.clone()),
            ("Base weights (SHA-256)".to_owned(), input.base_sha256.to_owned()),
        ],
        sections,
    };
    Ok(report.write(&input.out.join("report.html"))?)
}

fn key_figure(stage: &EvaluatedStage, goal: Goal) -> KeyFigure {
    let evaluation = &stage.evaluation;
    KeyFigure {
        label: format!("{}, {}", evaluation.stage.title(), score_words(evaluation.stage)),
        value: evaluation.score(),
        decimals: 3,
        ci95: pair(evaluation.ci95().filter(|_| evaluation.stage != Stage::Organs)),
        target: Target { floor: goal.floor, goal: goal.goal, direction: Direction::HigherIsBetter },
        note: format!("n = {} slices of {} patients", evaluation.n(), evaluation.n_patients),
    }
}

fn score_words(stage: Stage) -> &'static str {
    match stage {
        Stage::TumorYesNo => "accuracy",
        Stage::Organs => "mean IoU over organs",
        Stage::PancreasBox | Stage::TumorBox => "mean IoU",
    }
}

/// The table beside the paper's.
fn summary(input: &ReportInput<'_>) -> Section {
    let number = |value: Option<f64>| value.map_or_else(|| "–".to_owned(), |value| format!("{value:.3}"));
    let mut rows = Vec::new();
    for (stage, _) in input.stages {
        let evaluation = &stage.evaluation;
        let control = |pick: fn(&crate::Controls) -> f64| evaluation.controls.as_ref().map(pick);
        let published = evaluation.paper.first().map_or_else(|| "–".to_owned(), |p| p.value.clone());
        let goal = input.config.stages.get(&evaluation.stage).map(|stage| stage.goal).unwrap_or_default();
        let target = Target { floor: goal.floor, goal: goal.goal, direction: Direction::HigherIsBetter };
        let interval = evaluation.ci95().filter(|_| evaluation.stage != Stage::Organs);
        rows.push(Row::new([
            Cell::from(format!("{}, {}", evaluation.stage.title(), score_words(evaluation.stage))),
            Cell::marked(number(Some(evaluation.score())), target.judge(evaluation.score())),
            Cell::from(
                interval.map_or_else(|| "–".to_owned(), |[low, high]| format!("{low:.3} to {high:.3}")),
            ),
            Cell::from(published),
            Cell::from(number(evaluation.probe())),
            Cell::from(number(control(|controls| controls.blanked.score()))),
            Cell::from(number(control(|controls| controls.shuffled.score()))),
            Cell::from(number(evaluation.boxes().map(|boxes| boxes.format_ceiling.iou_mean))),
            Cell::from(evaluation.n().to_string()),
            Cell::from(evaluation.n_unparsed().to_string()),
        ]));
    }
    let table = Table {
        caption: "Scores on held-out patients, all samples counted, beside the paper and the controls"
            .to_owned(),
        columns: vec![
            Column::text("Stage"),
            Column::number("Value"),
            Column::number("95 % interval"),
            Column::number("Paper"),
            Column::number("Probe"),
            Column::number("Blanked"),
            Column::number("Shuffled"),
            Column::number("Format ceiling"),
            Column::number("n"),
            Column::number("Unread"),
        ],
        rows,
    };
    let mut section = Section::new("Summary").table(table).paragraph(
        "The paper's numbers are of real CT and a model of 7.8 billion parameters: beside scores on synthetic patients \
         they are a scale and no comparison. docs/EVALUATION.md says what each number means.",
    );
    if !input.config.data.phantoms.is_empty() {
        section = section
            .warning("The data are synthetic patients: no clinical performance can be read from them.");
    }
    section
}

fn stage_section(
    input: &ReportInput<'_>,
    stage: &EvaluatedStage,
    predictions: &[Prediction],
) -> Result<Section, CascadeError> {
    let (evaluation, record) = (&stage.evaluation, &stage.record);
    let mut section = Section::new(evaluation.stage.title()).paragraph(format!(
        "Trained on {} samples, chosen at step {} by {} validation samples, judged on {} samples of {} patients.",
        record.n_train,
        record.step,
        record.n_validation,
        evaluation.n(),
        evaluation.n_patients
    ));
    for remark in &evaluation.remarks {
        section = section.paragraph(remark.clone());
    }
    if let Some(answers) = evaluation.yes_no() {
        section = section.table(yes_no_table(answers));
    }
    if let Some(boxes) = evaluation.boxes() {
        section = section.table(box_table(boxes));
    }
    let empty = crate::data::Samples::default();
    let samples = &input.data.of(evaluation.stage).unwrap_or(&empty).test;
    let table = &input.data.table;
    let figures =
        evaluation_figures(evaluation, predictions, samples, table, input.config.evaluation.examples)?;
    for (_, figure) in figures {
        section = section.figure(figure);
    }
    if let Some(boxes) = evaluation.boxes() {
        section = section.table(threshold_table(&sweep_input(evaluation.stage.title(), boxes))?);
    }
    let training = input.out.join(evaluation.stage.name()).join(TRAINING_FOLDER);
    let curves = training_figures(evaluation.stage, &training)?;
    Ok(section.figure_row(curves.into_iter().map(|(_, figure)| figure)))
}

fn yes_no_table(answers: &crate::YesNoEvaluation) -> Table {
    let (scores, ci95) = (&answers.scores, &answers.scores.ci95);
    let row = |name: &str, value: Option<f64>, ci95: Option<[f64; 2]>| {
        Row::new([
            name.to_owned(),
            value.map_or_else(|| "–".to_owned(), |value| format!("{value:.3}")),
            ci95.map_or_else(|| "–".to_owned(), |[low, high]| format!("{low:.3} to {high:.3}")),
        ])
    };
    let mut rows = vec![
        row("accuracy", Some(scores.accuracy), ci95.accuracy),
        row("precision", Some(scores.precision), ci95.precision),
        row("recall", Some(scores.recall), ci95.recall),
        row("F1", Some(scores.f1), ci95.f1),
        row("AUROC", scores.auroc, ci95.auroc),
        row("AUPRC", scores.auprc, ci95.auprc),
        row("Brier score", scores.brier, ci95.brier),
        row("ECE", scores.ece, ci95.ece),
        row("accuracy by the published rule", Some(scores.published.accuracy), ci95.published_accuracy),
        row("probe accuracy", answers.probe_accuracy, None),
        row("probe AUROC", answers.probe_auroc, None),
    ];
    for volumes in &answers.by_volume {
        rows.push(row(
            &format!("AUROC of {} volumes, {:?}", volumes.n, volumes.rule),
            volumes.auroc,
            volumes.auroc_ci95,
        ));
    }
    Table {
        caption: format!("Yes/no scores of n = {} slices", scores.n),
        columns: vec![Column::text("Score"), Column::number("Value"), Column::number("95 % interval")],
        rows,
    }
}

fn box_table(boxes: &crate::BoxEvaluation) -> Table {
    let scores = &boxes.scores;
    let row = |name: &str, value: Option<f64>, ci95: Option<[f64; 2]>| {
        Row::new([
            name.to_owned(),
            value.map_or_else(|| "–".to_owned(), |value| format!("{value:.3}")),
            ci95.map_or_else(|| "–".to_owned(), |[low, high]| format!("{low:.3} to {high:.3}")),
        ])
    };
    let mut rows = vec![
        row("mean IoU", Some(scores.iou_mean), scores.iou_ci95),
        row("mean IoU over targets", Some(boxes.iou_target_mean), None),
        row("median IoU", Some(scores.iou_median), None),
        row("mean DSC", Some(scores.dsc_mean), scores.ci95.dsc_mean),
        row("share with IoU of at least 0.5", Some(scores.accuracy_50), scores.ci95.accuracy_50),
        row("share with IoU of at least 0.75", Some(scores.accuracy_75), scores.ci95.accuracy_75),
        row("AP at 0.5", Some(scores.ap_50), None),
        row("AP, 0.5 to 0.95", Some(scores.ap), None),
        row("mean IoU, era P", Some(scores.iou_era_p_mean), scores.ci95.iou_era_p_mean),
        row("mean IoU, era H", Some(scores.iou_era_h_mean), None),
        row("center distance, mean (mm)", scores.center_distance_mm.map(|spread| spread.mean), None),
        row("size error, mean (mm)", scores.size_error_mm.map(|spread| spread.mean), None),
        row("mean training box, IoU", boxes.probe_iou_mean, None),
    ];
    if boxes.by_target.len() > 1 {
        for target in &boxes.by_target {
            rows.push(row(
                &format!("{}, mean IoU (n = {})", target.target, target.n),
                Some(target.iou_mean),
                target.iou_ci95,
            ));
        }
    }
    Table {
        caption: format!("Box scores of n = {} samples", scores.n),
        columns: vec![Column::text("Score"), Column::number("Value"), Column::number("95 % interval")],
        rows,
    }
}

fn timing_section(timings: &[(String, f64)]) -> Section {
    let rows = timings.iter().map(|(part, seconds)| Row::new([part.clone(), format!("{seconds:.1}")]));
    let table = Table {
        caption: "Seconds of each part, over all times the run was resumed".to_owned(),
        columns: vec![Column::text("Part"), Column::number("Seconds")],
        rows: rows.collect(),
    };
    Section::new("Time").table(table)
}
