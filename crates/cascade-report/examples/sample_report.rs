//! Writes a report with made-up numbers, to see what one looks like: every figure, table and mark.
//!
//! `cargo run -p cascade-report --example sample_report -- /tmp/report.html`

use std::path::PathBuf;

use cascade_report::*;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let path = PathBuf::from(std::env::args_os().nth(1).ok_or("expected the path of the report")?);
    sample()?.write(&path)?;
    Ok(())
}

/// Numbers between 0 and 1 that look random and are always the same.
struct Noise(u32);

impl Noise {
    fn next(&mut self) -> f64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 17;
        self.0 ^= self.0 << 5;
        f64::from(self.0) / f64::from(u32::MAX)
    }

    /// Roughly normal around 0 with deviation 1.
    fn normal(&mut self) -> f64 {
        ((0..12).map(|_| self.next()).sum::<f64>()) - 6.0
    }
}

fn sample() -> Result<Report, ReportError> {
    let mut noise = Noise(20_240_601);
    let target = |floor, goal| Target { floor: Some(floor), goal: Some(goal), ..Target::default() };
    let figure = |label: &str, value, ci95, target, note: &str| KeyFigure {
        label: label.to_owned(),
        value,
        decimals: 3,
        ci95,
        target,
        note: note.to_owned(),
    };
    let probe = Target { goal: Some(0.65), direction: Direction::LowerIsBetter, ..Target::default() };
    Ok(Report {
        title: "Pancreas cascade: sample report".to_owned(),
        subtitle: "All numbers on this page are made up. Nano model, 12 held-out phantom patients."
            .to_owned(),
        note: RESEARCH_NOTE.to_owned(),
        key_figures: vec![
            figure("Pancreas box IoU", 0.763, Some((0.741, 0.784)), target(0.595, 0.75), "n = 412 slices"),
            figure("Tumor yes/no accuracy", 0.902, Some((0.871, 0.93)), target(0.876, 0.92), "n = 360 crops"),
            figure("Tumor box IoU", 0.284, Some((0.231, 0.338)), target(0.3, 0.45), "n = 118 slices"),
            figure("Mean organ IoU", 0.811, Some((0.8, 0.822)), target(0.691, 0.8), "n = 1,648 boxes"),
            figure("Shortcut probe accuracy", 0.583, None, probe, "lower is better"),
        ],
        provenance: [
            ("seed", "20240601"),
            ("configuration", "quickstart.toml"),
            ("split sha256", "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"),
            ("device", "CPU, 2 threads"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .to_vec(),
        sections: vec![
            summary(),
            training(&mut noise)?,
            boxes(&mut noise)?,
            classification(&mut noise)?,
            tumors(&mut noise)?,
        ],
    })
}

fn summary() -> Section {
    let mark = |text: &str, mark| Cell::marked(text, Some(mark));
    let table = Table {
        caption: "Each stage beside its floor (the published number), its goal and its controls.".to_owned(),
        columns: vec![
            Column::text("stage"),
            Column::number("n"),
            Column::number("score"),
            Column::number("floor"),
            Column::number("goal"),
            Column::number("blanked"),
            Column::number("unparsed"),
        ],
        rows: vec![
            Row::new([
                "pancreas box, IoU".into(),
                "412".into(),
                mark("0.763", Mark::Ok),
                "0.595".into(),
                "0.750".into(),
                "0.241".into(),
                Cell::from("0"),
            ])
            .highlighted(),
            Row::new([
                "tumor yes/no, accuracy".into(),
                "360".into(),
                mark("0.902", Mark::BelowGoal),
                "0.876".into(),
                "0.920".into(),
                "0.502".into(),
                Cell::from("3"),
            ]),
            Row::new([
                "tumor box, IoU".into(),
                "118".into(),
                mark("0.284", Mark::Missed),
                "0.300".into(),
                "0.450".into(),
                "0.055".into(),
                Cell::from("1"),
            ]),
        ],
    };
    Section::new("Summary")
        .paragraph(
            "Scores are means over all samples of held-out patients; an answer that cannot be parsed counts \
             as wrong. Intervals are patient bootstraps.",
        )
        .table(table)
        .warning("The tumor box stage misses its floor: small lesions limit it, see the last section.")
}

fn training(noise: &mut Noise) -> Result<Section, ReportError> {
    let loss = (0..6000_u32).map(|step| {
        let value = 0.35 + 2.6 * (-f64::from(step) / 700.0).exp();
        (u64::from(step), (value + 0.16 * noise.normal()).max(0.05))
    });
    let series = |name: &str, role, points| CurveSeries { name: name.to_owned(), role, points };
    let loss = series("training loss", CurveRole::Training, loss.collect());
    let validation = |low: f64, high: f64, noise: &mut Noise| -> Vec<(u64, f64)> {
        (1..=12_u32)
            .map(|epoch| {
                let share = 1.0 - (-f64::from(epoch) / 3.0).exp();
                (u64::from(epoch) * 500, low + (high - low) * share + 0.01 * noise.normal())
            })
            .collect()
    };
    let losses = TrainingCurves {
        title: "Loss, pancreas stage".to_owned(),
        y_label: "cross-entropy (nats per token)".to_owned(),
        series: vec![loss, series("validation loss", CurveRole::Validation, validation(2.6, 0.46, noise))],
        best: None,
        smoothing: 0.97,
    };
    let scores = TrainingCurves {
        title: "Validation scores, pancreas stage".to_owned(),
        y_label: "score".to_owned(),
        series: vec![
            series("box IoU", CurveRole::Validation, validation(0.2, 0.76, noise)),
            series("accuracy at IoU 0.5", CurveRole::Validation, validation(0.1, 0.91, noise)),
        ],
        best: Some(BestPoint { step: 5000, value: 0.761 }),
        smoothing: 0.0,
    };
    let rate = |step: u32| {
        let warmup = f64::from(step) / 400.0;
        let share = f64::from(step.saturating_sub(400)) / 5600.0;
        1e-3 * warmup.min(0.01 + 0.99 * f64::midpoint(1.0, (std::f64::consts::PI * share).cos()))
    };
    let rates = LearningRateCurve {
        title: "Learning rate".to_owned(),
        points: (0..6000_u32).map(|step| (u64::from(step), rate(step))).collect(),
        warmup_steps: Some(400),
    };
    Ok(Section::new("Training")
        .figure(Figure::new(
            training_curves(&losses)?,
            "Training loss of n = 6,000 steps and validation loss after each of 12 epochs.",
            "Loss falls from 3 to 0.35 within 3,000 steps and then stays; validation loss ends at 0.46.",
        ))
        .figure(Figure::new(
            training_curves(&scores)?,
            "Validation scores after each epoch; the checkpoint at step 5,000 was chosen.",
            "IoU rises to 0.76, accuracy at IoU 0.5 to 0.91.",
        ))
        .details(
            "Learning-rate schedule",
            vec![Block::Figure(Figure::new(
                learning_rate_curve(&rates)?,
                "Linear warm-up over 400 steps, then a cosine.",
                "The rate rises to 0.001 within 400 steps and falls along a cosine.",
            ))],
        ))
}

fn slice_png(noise: &mut Noise, center: (f64, f64)) -> Vec<u8> {
    let mut pixels = Vec::with_capacity(128 * 128);
    for y in 0..128_u32 {
        for x in 0..128_u32 {
            let at = |cx: f64, cy: f64, rx: f64, ry: f64| {
                ((f64::from(x) - cx) / rx).powi(2) + ((f64::from(y) - cy) / ry).powi(2)
            };
            let body = if at(64.0, 66.0, 56.0, 44.0) < 1.0 { 95.0 } else { 8.0 };
            let liver = if at(38.0, 56.0, 20.0, 18.0) < 1.0 { 45.0 } else { 0.0 };
            let pancreas = if at(center.0, center.1, 16.0, 8.0) < 1.0 { 70.0 } else { 0.0 };
            let gray: f64 = body + liver + pancreas + 9.0 * noise.normal();
            let level = (0..=255_u8).rev().find(|level| f64::from(*level) <= gray);
            pixels.push(level.unwrap_or(0));
        }
    }
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, 128, 128);
    encoder.set_color(png::ColorType::Grayscale);
    let write = encoder.write_header().and_then(|mut writer| {
        writer.write_image_data(&pixels)?;
        writer.finish()
    });
    // Writing to memory fails only for a wrong number of pixels.
    write.expect("128 x 128 pixels");
    bytes
}

fn boxes(noise: &mut Noise) -> Result<Section, ReportError> {
    let values = (0..412).map(|_| (0.78 + 0.13 * noise.normal()).clamp(0.0, 0.98)).collect();
    let histogram = IouHistogram {
        title: "Pancreas box IoU".to_owned(),
        values,
        n_bins: 20,
        floor: Some(0.595),
        goal: Some(0.75),
    };
    let example = |place: u32, noise: &mut Noise| {
        let center = (66.0 + 14.0 * noise.next(), 62.0 + 12.0 * noise.next());
        let truth = [center.0 - 16.0, center.1 - 8.0, center.0 + 16.0, center.1 + 8.0];
        let shift = 3.0 * noise.normal();
        let prediction = [truth[0] + shift, truth[1] + 1.0, truth[2] + shift, truth[3] + 2.0];
        let inner = (32.0 - shift.abs()).max(0.0) * 15.0;
        let iou = inner / (32.0 * 16.0 + 32.0 * 17.0 - inner);
        let is_parsed = place != 6;
        Example {
            label: format!("phantom {place}, slice {}", 40 + place),
            png_bytes: slice_png(noise, center),
            truth: Some(truth),
            prediction: is_parsed.then_some(prediction),
            iou: is_parsed.then_some(iou),
        }
    };
    let examples = ExampleGrid {
        title: "Pancreas, held-out patients".to_owned(),
        n_columns: 4,
        examples: (0..8).map(|place| example(place, noise)).collect(),
    };
    let published = [0.52, 0.53, 0.54, 0.55, 0.56, 0.575, 0.595, 0.61, 0.63, 0.65];
    let sweep = ThresholdSweep {
        title: "IoU against the slice threshold".to_owned(),
        rows: (0..10_u32)
            .zip(published)
            .map(|(row, published)| {
                let mean = 0.69 + 0.012 * f64::from(row) + 0.004 * noise.normal();
                let half = 0.012 + 0.004 * f64::from(row);
                ThresholdRow {
                    threshold_percent: 10.0 * f64::from(row),
                    n_slices: u64::from(900 - 85 * row),
                    iou_mean: Some(mean),
                    iou_ci95: Some((mean - half, mean + half)),
                    iou_published: Some(published),
                }
            })
            .collect(),
    };
    let bar = |label: &str, kind, value, ci95, n| ScoreBar { label: label.to_owned(), kind, value, ci95, n };
    let bars = ScoreBars {
        title: "Pancreas box IoU beside its controls".to_owned(),
        metric: "mean IoU".to_owned(),
        bars: vec![
            bar("model", ScoreKind::Model, 0.763, Some((0.741, 0.784)), Some(412)),
            bar("blanked image", ScoreKind::ImageControl, 0.241, Some((0.22, 0.262)), Some(412)),
            bar("shuffled images", ScoreKind::ImageControl, 0.262, Some((0.24, 0.285)), Some(412)),
            bar("mean-box probe", ScoreKind::ShortcutProbe, 0.298, Some((0.276, 0.32)), Some(412)),
            bar("grid of 100 steps", ScoreKind::FormatCeiling, 0.967, None, Some(412)),
            bar("paper", ScoreKind::Published, 0.595, None, None),
        ],
        floor: Some(0.595),
        goal: Some(0.75),
    };
    let sweep_figure = Figure::new(
        threshold_sweep(&sweep)?,
        "Mean IoU with patient-bootstrap intervals (n = 10 thresholds), and the slices that remain.",
        "IoU grows slowly with the threshold from 0.69 to 0.80, about 0.15 above the published one.",
    );
    Ok(Section::new("Pancreas boxes")
        .figure(Figure::new(
            score_bars(&bars)?,
            "The model beside what it has to beat: images without content, a probe that knows only the mean \
             box, the best that the answer format allows, and the published number.",
            "The model scores 0.763; both image controls and the probe stay below 0.3.",
        ))
        .figure(Figure::new(
            iou_histogram(&histogram)?,
            "IoU of n = 412 slices of 12 patients.",
            "A single peak near 0.8; few slices below 0.5.",
        ))
        .figure(sweep_figure)
        .details("Numbers of the threshold sweep", vec![Block::Table(threshold_table(&sweep)?)])
        .figure(Figure::new(
            example_grid(&examples)?,
            "Eight slices with true and predicted boxes; one answer could not be parsed.",
            "Predicted boxes cover most of the true ones in seven of eight slices.",
        )))
}

fn classification(noise: &mut Noise) -> Result<Section, ReportError> {
    let bins = (0..10_u32).map(|bin| {
        let low = f64::from(bin) / 10.0;
        let middle = low + 0.05;
        ReliabilityBin {
            low,
            high: low + 0.1,
            n: if bin == 0 || bin == 9 { 110 } else { 10 + u64::from(bin) * 3 },
            probability_mean: middle,
            positive_share: (middle + 0.1 * (middle - 0.5) + 0.03 * noise.normal()).clamp(0.0, 1.0),
        }
    });
    let reliability = ReliabilityCurve {
        title: "Reliability of tumor yes/no".to_owned(),
        bins: bins.collect(),
        ece: Some(0.041),
    };
    let roc = |power: f64| (0..=60_u32).map(|i| f64::from(i) / 60.0).map(|x| (x, x.powf(power))).collect();
    let curve = |name: &str, points, area| OperatingCurve { name: name.to_owned(), points, area: Some(area) };
    let curves = |title: &str, curves| OperatingCurves {
        title: title.to_owned(),
        curves,
        n_positive: 170,
        n_negative: 190,
    };
    let rocs = curves(
        "Tumor yes/no, ROC",
        vec![curve("model", roc(0.08), 0.926), curve("shortcut probe", roc(0.7), 0.588)],
    );
    let precision = |high: f64| {
        (0..=60_u32)
            .map(|i| f64::from(i) / 60.0)
            .map(|x| (x, 0.472 + (high - 0.472) * (1.0 - x.powi(6))))
            .collect()
    };
    let precisions = curves(
        "Tumor yes/no, precision and recall",
        vec![curve("model", precision(0.98), 0.917), curve("shortcut probe", precision(0.6), 0.571)],
    );
    let confidence = ConfidenceScatter {
        title: "Confidence of boxes".to_owned(),
        points: (0..412)
            .map(|_| {
                let confidence = noise.next().sqrt();
                (confidence, (0.15 + 0.75 * confidence + 0.12 * noise.normal()).clamp(0.0, 1.0))
            })
            .collect(),
    };
    Ok(Section::new("Tumor yes or no")
        .figure_row([
            Figure::new(roc_curve(&rocs)?, "n = 360 crops.", "The model's curve is far above chance."),
            Figure::new(
                precision_recall_curve(&precisions)?,
                "n = 360 crops.",
                "Precision stays above 0.9 up to a recall of 0.8.",
            ),
        ])
        .figure_row([
            Figure::new(
                reliability_curve(&reliability)?,
                "Stated against observed probability, n = 408 answers in ten bins.",
                "Observed shares follow the diagonal within 0.1.",
            ),
            Figure::new(
                confidence_scatter(&confidence)?,
                "Confidence of a box against its IoU, n = 412.",
                "IoU grows with confidence and stays a little below it at the top.",
            ),
        ]))
}

fn tumors(noise: &mut Noise) -> Result<Section, ReportError> {
    let n = 256_u32;
    let blob = |cx: f64, cy: f64, width: f64| -> Vec<f64> {
        (0..n * n)
            .map(|cell| {
                let (x, y) = (f64::from(cell % n), f64::from(cell / n));
                (-((x - cx).powi(2) + 1.8 * (y - cy).powi(2)) / (2.0 * width * width)).exp()
            })
            .collect()
    };
    let maps = HeatMaps {
        title: "Where tumor boxes lie".to_owned(),
        n: 256,
        extent_px: 512.0,
        truth: blob(128.0, 122.0, 24.0),
        prediction: blob(136.0, 118.0, 19.0),
        n_truth: 118,
        n_prediction: 117,
    };
    let row = |label: &str, n, estimate: f64, half: f64, is_overall| ForestRow {
        label: label.to_owned(),
        n,
        estimate,
        ci95: Some((estimate - half, estimate + half)),
        is_overall,
    };
    let forest = ForestPlot {
        title: "Tumor box IoU by lesion size".to_owned(),
        metric: "mean IoU".to_owned(),
        method: "patient bootstrap, 2,000 draws".to_owned(),
        rows: vec![
            row("below 10 mm", 21, 0.121, 0.07, false),
            row("10 to 20 mm", 44, 0.247, 0.06, false),
            row("20 to 40 mm", 38, 0.352, 0.065, false),
            row("40 mm and more", 15, 0.448, 0.11, false),
            row("all lesions", 118, 0.284, 0.053, true),
        ],
    };
    let points = (0..118).map(|_| {
        let size = 5.0 * (3.0 * noise.next()).exp();
        (size, (0.16 * size.ln() - 0.15 + 0.09 * noise.normal()).clamp(0.0, 1.0))
    });
    let sizes = SizeScatter {
        title: "IoU by lesion size".to_owned(),
        size_label: "lesion diameter (mm)".to_owned(),
        is_log: true,
        points: points.collect(),
    };
    Ok(Section::new("Tumor boxes")
        .figure(Figure::new(
            heat_maps(&maps)?,
            "How many of n = 118 true and n = 117 predicted boxes cover each pixel, as a share of the most \
             covered one.",
            "Both maps peak near the middle of the image; predictions are narrower and 16 px further right.",
        ))
        .figure(Figure::new(
            forest_plot(&forest)?,
            "Mean IoU per lesion size with 95 % intervals, n = 118 slices.",
            "IoU grows from 0.12 below 10 mm to 0.45 at 40 mm and more.",
        ))
        .figure_row([Figure::new(
            size_scatter(&sizes)?,
            "IoU of n = 118 boxes against lesion diameter, logarithmic.",
            "IoU rises with the logarithm of the diameter.",
        )]))
}
