//! Every figure: well-formed, escaped, bounded in size, the same each time, and right.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking too")]

mod support;

use cascade_report::*;
use support::{Element, noise_png, parse_xml};

const HOSTILE: &str = "<script>alert(\"1\")</script> & 'x' \u{0} ]]>";

fn named(title: &str, points: Vec<(u64, f64)>, role: CurveRole) -> CurveSeries {
    CurveSeries { name: title.to_owned(), role, points }
}

/// Every figure with `n` values from `value`, and `title` in each text.
fn all_figures(title: &str, n: u32, value: impl Fn(u32) -> f64) -> Vec<(&'static str, Svg)> {
    let text = || title.to_owned();
    let values: Vec<f64> = (0..n).map(&value).collect();
    let pairs: Vec<(f64, f64)> = values.iter().map(|value| (*value, *value)).collect();
    let steps: Vec<(u64, f64)> = (0..n).map(|step| (u64::from(step), value(step))).collect();
    let few = usize::try_from(n.min(9)).unwrap();
    let curves = TrainingCurves {
        title: text(),
        y_label: text(),
        series: vec![
            named(title, steps.clone(), CurveRole::Training),
            named(title, steps.clone(), CurveRole::Validation),
        ],
        best: steps.first().map(|(step, value)| BestPoint { step: *step, value: *value }),
        smoothing: 0.9,
    };
    let histogram =
        IouHistogram { title: text(), values: values.clone(), n_bins: 20, floor: Some(0.5), goal: Some(0.7) };
    let edge = values.len().isqrt();
    let grid = values[..edge * edge].to_vec();
    let maps = HeatMaps {
        title: text(),
        n: edge,
        extent_px: 512.0,
        truth: grid.clone(),
        prediction: grid,
        n_truth: few,
        n_prediction: few,
    };
    let example = |seed: u32| Example {
        label: text(),
        png_bytes: noise_png(16, 12, seed),
        truth: Some([1.0, 2.0, 9.0, 10.0]),
        prediction: seed.is_multiple_of(2).then_some([0.0, 2.0, 20.0, 9.0]),
        iou: Some(value(seed)),
    };
    let examples =
        ExampleGrid { title: text(), n_columns: 4, examples: (0..n.min(9)).map(example).collect() };
    let sweep = ThresholdSweep {
        title: text(),
        rows: (0..n.min(10))
            .map(|row| ThresholdRow {
                threshold_percent: f64::from(row) * 10.0,
                n_slices: 1000 / (u64::from(row) + 1),
                iou_mean: Some(value(row)),
                iou_ci95: Some((value(row), value(row))),
                iou_published: Some(value(row)),
            })
            .collect(),
    };
    let bins = (0..n.min(10))
        .map(|bin| ReliabilityBin {
            low: f64::from(bin) / 10.0,
            high: f64::from(bin + 1) / 10.0,
            n: u64::from(bin) * 10,
            probability_mean: value(bin),
            positive_share: value(bin),
        })
        .collect();
    let reliability = ReliabilityCurve { title: text(), bins, ece: Some(0.03) };
    let curve = OperatingCurve { name: text(), points: pairs.clone(), area: Some(0.9) };
    let operating = OperatingCurves { title: text(), curves: vec![curve], n_positive: 40, n_negative: 60 };
    let kinds = [
        ScoreKind::Model,
        ScoreKind::ImageControl,
        ScoreKind::ShortcutProbe,
        ScoreKind::FormatCeiling,
        ScoreKind::Published,
    ];
    let bars = ScoreBars {
        title: text(),
        metric: text(),
        bars: kinds
            .into_iter()
            .take(few)
            .map(|kind| ScoreBar {
                label: text(),
                kind,
                value: value(1),
                ci95: Some((value(2), value(3))),
                n: Some(12),
            })
            .collect(),
        floor: Some(value(0)),
        goal: Some(0.75),
    };
    let forest = ForestPlot {
        title: text(),
        metric: text(),
        method: text(),
        rows: (0..n.min(9))
            .map(|row| ForestRow {
                label: text(),
                n: 10,
                estimate: value(row),
                ci95: Some((value(row), value(row + 1))),
                is_overall: row == 0,
            })
            .collect(),
    };
    let confidence = ConfidenceScatter { title: text(), points: pairs.clone() };
    let size = |is_log| SizeScatter { title: text(), size_label: text(), is_log, points: pairs.clone() };
    let rate = LearningRateCurve { title: text(), points: steps, warmup_steps: Some(3) };
    vec![
        ("training curves", training_curves(&curves).unwrap()),
        ("learning rate", learning_rate_curve(&rate).unwrap()),
        ("histogram", iou_histogram(&histogram).unwrap()),
        ("heat maps", heat_maps(&maps).unwrap()),
        ("examples", example_grid(&examples).unwrap()),
        ("threshold sweep", threshold_sweep(&sweep).unwrap()),
        ("reliability", reliability_curve(&reliability).unwrap()),
        ("ROC", roc_curve(&operating).unwrap()),
        ("precision and recall", precision_recall_curve(&operating).unwrap()),
        ("score bars", score_bars(&bars).unwrap()),
        ("forest plot", forest_plot(&forest).unwrap()),
        ("confidence", confidence_scatter(&confidence).unwrap()),
        ("size", size_scatter(&size(false)).unwrap()),
        ("size, logarithmic", size_scatter(&size(true)).unwrap()),
    ]
}

fn share(step: u32) -> f64 {
    f64::from(step.wrapping_mul(2_654_435_761) >> 8) / f64::from(1_u32 << 24)
}

fn elements(figure: &str, svg: &Svg) -> Vec<Element> {
    let elements =
        parse_xml(svg.as_str()).unwrap_or_else(|error| panic!("{figure}: {error}\n{}", svg.as_str()));
    let root = &elements[0];
    assert_eq!(root.name, "svg", "{figure}");
    let (width, height) = (root.number("width"), root.number("height"));
    assert!(width > 100.0 && height > 100.0, "{figure}: {width} x {height}");
    for element in &elements {
        for (name, value) in &element.attributes {
            let is_number = name != "href" && name != "aria-label";
            assert!(!is_number || !value.contains("NaN") && !value.contains("inf"), "{figure}: {element:?}");
            let limit = match name.as_str() {
                "x" | "x1" | "x2" | "cx" => width,
                "y" | "y1" | "y2" | "cy" => height,
                _ => continue,
            };
            let value: f64 = value.parse().unwrap();
            assert!((0.0..=limit).contains(&value), "{figure}: {element:?} lies outside");
        }
    }
    elements
}

#[test]
fn figures_are_well_formed_for_every_kind_of_input() {
    type Values = fn(u32) -> f64;
    let inputs: [(&str, u32, Values); 7] = [
        ("ordinary", 100, share),
        ("empty", 0, share),
        ("one value", 1, share),
        ("constant", 20, |_| 1.0),
        ("zero", 20, |_| 0.0),
        ("not numbers", 20, |_| f64::NAN),
        ("some infinite", 20, |step| if step.is_multiple_of(3) { f64::INFINITY } else { share(step) }),
    ];
    for (name, n, value) in inputs {
        for (figure, svg) in all_figures("Pancreas", n, value) {
            elements(&format!("{figure} of {name}"), &svg);
            // Without a value to show, a figure says so instead of looking like a result.
            if n == 0 {
                assert!(svg.as_str().contains("to show"), "{figure}");
            }
        }
    }
}

#[test]
fn text_is_escaped_everywhere() {
    for (figure, svg) in all_figures(HOSTILE, 20, share) {
        let elements = elements(figure, &svg);
        assert!(elements.iter().all(|element| element.name != "script"), "{figure}");
        assert!(svg.as_str().contains("&lt;script&gt;"), "{figure}");
    }
}

#[test]
fn figures_stay_small_and_do_not_vary() {
    let long = "pancreas ".repeat(10_000);
    for title in ["Pancreas", &long] {
        let first = all_figures(title, 300_000, share);
        let second = all_figures(title, 300_000, share);
        for ((figure, first), (_, second)) in first.iter().zip(&second) {
            assert!(first.as_str().len() < 300_000, "{figure}: {} bytes", first.as_str().len());
            assert_eq!(first, second, "{figure}");
        }
    }
    let example = |seed| Example { png_bytes: noise_png(512, 512, seed), ..Example::default() };
    let grid =
        ExampleGrid { n_columns: 6, examples: (0..24).map(example).collect(), ..ExampleGrid::default() };
    let svg = example_grid(&grid).unwrap();
    assert!(svg.as_str().len() < 300_000, "{} bytes", svg.as_str().len());
    assert_eq!(elements("large images", &svg).iter().filter(|element| element.name == "image").count(), 24);
}

#[test]
fn points_stand_where_their_values_say() {
    let points = vec![(0.0, 0.0), (0.25, 0.5), (1.0, 1.0)];
    let curve = OperatingCurve { name: "model".to_owned(), points, area: None };
    let input = OperatingCurves { curves: vec![curve], ..OperatingCurves::default() };
    let svg = roc_curve(&input).unwrap();
    let drawn = elements("ROC", &svg);
    let path = drawn.iter().find(|element| element.name == "polyline" && element.has_class("s0")).unwrap();
    let at: Vec<Vec<f64>> = path
        .get("points")
        .unwrap()
        .split(' ')
        .map(|pair| pair.split(',').map(|number| number.parse().unwrap()).collect())
        .collect();
    let (width, height) = (at[2][0] - at[0][0], at[0][1] - at[2][1]);
    assert!((width - height).abs() < 0.02, "a square: {width} x {height}");
    assert!((at[1][0] - (at[0][0] + 0.25 * width)).abs() < 0.02, "{at:?}");
    assert!((at[1][1] - (at[0][1] - 0.5 * height)).abs() < 0.02, "{at:?}");
}

#[test]
fn bars_are_as_long_as_their_values() {
    let bar = |value| ScoreBar { label: "x".to_owned(), value, ..ScoreBar::default() };
    let bars = vec![bar(0.8), bar(0.2), bar(f64::NAN)];
    let svg = score_bars(&ScoreBars { bars, ..ScoreBars::default() }).unwrap();
    let drawn = elements("score bars", &svg);
    // The first is the legend's.
    let bars: Vec<_> = drawn.iter().filter(|e| e.name == "rect" && e.has_class("f0")).skip(1).collect();
    assert_eq!(bars.len(), 2);
    assert!((bars[0].number("width") / bars[1].number("width") - 4.0).abs() < 1e-3);
    assert!(svg.as_str().contains("not measured"));
}

#[test]
fn the_histogram_counts_and_averages() {
    let values = vec![0.05, 0.15, 0.15, 0.65, f64::NAN];
    let input = IouHistogram { values, n_bins: 10, floor: None, goal: None, title: String::new() };
    let svg = iou_histogram(&input).unwrap();
    for text in
        ["n = 4 boxes", "mean 0.250", "median 0.150", "25.0 % at 0.5 or more", "1 not finite, left out"]
    {
        assert!(svg.as_str().contains(text), "{text}");
    }
    let drawn = elements("histogram", &svg);
    let heights: Vec<f64> =
        drawn.iter().filter(|e| e.name == "rect" && e.has_class("f0")).map(|e| e.number("height")).collect();
    assert_eq!(heights.len(), 3);
    assert!((heights[1] / heights[0] - 2.0).abs() < 1e-3 && (heights[2] - heights[0]).abs() < 1e-6);
}

#[test]
fn boxes_lie_on_their_image() {
    let example = Example {
        png_bytes: noise_png(100, 50, 1),
        truth: Some([10.0, 20.0, 60.0, 40.0]),
        prediction: Some([50.0, 10.0, 900.0, 50.0]),
        iou: Some(0.123),
        label: "slice 7".to_owned(),
    };
    let svg = example_grid(&ExampleGrid { n_columns: 1, examples: vec![example], ..ExampleGrid::default() })
        .unwrap();
    let drawn = elements("examples", &svg);
    let image = drawn.iter().find(|e| e.name == "image").unwrap();
    let last = |class| drawn.iter().rfind(|e| e.name == "rect" && e.has_class(class)).unwrap();
    let scale = image.number("width") / 100.0;
    let truth = last("truth");
    for (got, expected) in [
        (truth.number("x"), image.number("x") + 10.0 * scale),
        (truth.number("y"), image.number("y") + 20.0 * scale),
        (truth.number("width"), 50.0 * scale),
        (truth.number("height"), 20.0 * scale),
        // what reaches past the image is cut at its edge
        (last("pred").number("width"), 50.0 * scale),
    ] {
        assert!((got - expected).abs() < 0.02, "{got} {expected}");
    }
    assert!(svg.as_str().contains("IoU 0.123") && svg.as_str().contains("slice 7"));
}

#[test]
fn contradictions_are_errors_with_their_values() {
    let iou = |value| IouHistogram { values: vec![value], n_bins: 10, ..IouHistogram::default() };
    let grid = HeatMaps { n: 2, truth: vec![0.0; 4], prediction: vec![0.0; 3], ..HeatMaps::default() };
    let bad_cell = HeatMaps { n: 1, truth: vec![0.0], prediction: vec![1.5], ..HeatMaps::default() };
    let no_png = Example { png_bytes: b"GIF89a".to_vec(), ..Example::default() };
    let bad_box = Example {
        png_bytes: noise_png(4, 4, 1),
        truth: Some([f64::NAN, 0.0, 1.0, 1.0]),
        ..Example::default()
    };
    let examples = |example: Example, n_columns| ExampleGrid {
        n_columns,
        examples: vec![example],
        ..ExampleGrid::default()
    };
    let series = TrainingCurves { series: vec![CurveSeries::default(); 9], ..TrainingCurves::default() };
    let smoothing = TrainingCurves { smoothing: 1.0, ..TrainingCurves::default() };
    let rows: [(Result<Svg, ReportError>, &str); 9] = [
        (iou_histogram(&iou(3.0)), "an IoU is 3, expected 0 to 1"),
        (iou_histogram(&IouHistogram::default()), "the number of bins is 0, expected 1"),
        (heat_maps(&grid), "the predicted heat map has 3 values, expected 4"),
        (heat_maps(&bad_cell), "a cell of a heat map is 1.5"),
        (example_grid(&examples(no_png, 2)), "cannot use image 0"),
        (example_grid(&examples(bad_box, 2)), "a true box is NaN"),
        (example_grid(&examples(Example::default(), 7)), "7 columns of the example grid"),
        (training_curves(&series), "9 series of training curves, a figure shows at most 8"),
        (training_curves(&smoothing), "the smoothing weight is 1, expected 0 to 0.999"),
    ];
    for (result, expected) in rows {
        let error = result.unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
}

#[test]
fn the_threshold_table_has_the_numbers_of_the_figure() {
    let row = ThresholdRow {
        threshold_percent: 60.0,
        n_slices: 1234,
        iou_mean: Some(0.6),
        iou_ci95: Some((0.55, 0.65)),
        iou_published: Some(0.595),
    };
    let none = ThresholdRow { threshold_percent: 90.0, ..ThresholdRow::default() };
    let table =
        threshold_table(&ThresholdSweep { title: "Sweep".to_owned(), rows: vec![row, none] }).unwrap();
    let cells = |row: usize| table.rows[row].cells.iter().map(|cell| cell.text.as_str()).collect::<Vec<_>>();
    assert_eq!(cells(0), ["60", "1,234", "0.600 [0.550, 0.650]", "0.595", "+0.005"]);
    assert_eq!(cells(1), ["90", "0", "\u{2013}", "\u{2013}", "\u{2013}"]);
}

#[test]
fn a_figure_is_written_whole() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("deep/roc.svg");
    let svg = roc_curve(&OperatingCurves::default()).unwrap();
    svg.write(&path).unwrap();
    assert_eq!(fs_err::read_to_string(&path).unwrap(), svg.as_str());
}
