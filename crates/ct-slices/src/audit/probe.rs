//! Can the answer be guessed without looking at the anatomy?
//!
//! A random forest gets the size of an image and its gray levels, but not where they are, and is
//! tried on patients that it has not seen. If it separates the answers, then so may a model that has
//! learnt nothing of a pancreas.

use std::collections::{BTreeMap, BTreeSet};

use super::cohort::{Case, Cohort};
use super::features::{Features, N_SIZE};
use super::finding::{Finding, FindingCode};
use super::forest::{Table, assign_folds, scores};
use super::options::AuditOptions;
use super::probe_report::{ProbeFeatures, ProbeReport, ProbeResult, ProbeSource, ProbeView};
use super::roc::{auroc, bootstrap_interval, permutation_p};
use super::slices::Slices;

/// Above this chance of a coincidence, a high area is only a remark.
const MAX_P: f64 = 0.01;
/// A class with a smaller share is a remark.
const MIN_CLASS_SHARE: f64 = 0.1;
/// Least share of slices with a pancreas box for the box to be looked at by itself.
const MIN_CROP_SHARE: f64 = 0.8;

/// Runs the probe and says what is to be said about it.
pub(super) fn run_probe(
    slices: &Slices<'_>,
    cohort: &Cohort<'_>,
    options: &AuditOptions,
) -> (ProbeReport, Vec<Finding>) {
    let cases = &cohort.cases;
    let by_patient = count_by(cases, |case| case.patient);
    let by_source = count_by(cases, |case| case.dataset);
    let n_yes = cases.iter().filter(|case| case.is_yes).count();
    let mut report = ProbeReport {
        label: cohort.label,
        n_slices: cases.len() as u64,
        n_patients: by_patient.len() as u64,
        n_yes: n_yes as u64,
        n_no: (cases.len() - n_yes) as u64,
        n_left_out: cohort.n_left_out as u64,
        n_folds: 0,
        seed: options.seed,
        threshold: options.probe_threshold,
        auroc_of_source: (by_source.len() > 1).then(|| source_auroc(cases, &by_source)).flatten(),
        max_auroc: None,
        results: Vec::new(),
        sources: by_source
            .iter()
            .map(|(dataset, [n_no, n_yes])| ProbeSource {
                dataset: (*dataset).to_owned(),
                n_yes: *n_yes as u64,
                n_no: *n_no as u64,
                auroc_within: None,
                auroc_left_out: None,
            })
            .collect(),
    };
    let about = Findings { slices, options };
    let mut findings = Vec::from_iter(about.source_findings(&report, &by_source));
    findings.extend(about.imbalance(&report));

    let n_patients = |kind: usize| by_patient.values().filter(|n_no_yes| n_no_yes[kind] > 0).count();
    let n_folds = options.probe_folds.min(n_patients(0)).min(n_patients(1));
    let reason = if n_yes == 0 || n_yes == cases.len() {
        Some(format!("all {} labelled slices have one answer", cases.len()))
    } else if n_folds < 2 {
        Some(format!(
            "{} patients have a no and {} a yes: two of each, and two folds, are needed",
            n_patients(0),
            n_patients(1)
        ))
    } else if cases.iter().any(|case| case.facts.is_none()) {
        Some("images were not opened, or none could be read".to_owned())
    } else {
        None
    };
    if let Some(reason) = reason {
        findings.push(about.finding(
            FindingCode::ProbeSkipped,
            report.n_slices,
            format!("no probe: {reason}"),
        ));
        return (report, findings);
    }

    report.n_folds = n_folds as u64;
    let name_of: BTreeMap<usize, String> = slices
        .all
        .iter()
        .map(|slice| (slice.patient, format!("{}/{}", slice.record.dataset, slice.record.patient)))
        .collect();
    let folds = assign_folds(&by_patient, |patient| name_of[&patient].clone(), n_folds, options.seed);
    let mut best: Option<(f64, Trial<'_>)> = None;
    for view in [ProbeView::Image, ProbeView::PancreasBox] {
        let seen: Vec<_> = cases.iter().filter_map(|case| Some((case, features_of(case, view)?))).collect();
        if (seen.len() as f64) < MIN_CROP_SHARE * cases.len() as f64 {
            continue;
        }
        for features in [ProbeFeatures::Size, ProbeFeatures::Gray, ProbeFeatures::SizeAndGray] {
            let trial = Trial::new(&seen, features, &folds, options);
            let Some(result) = trial.result(view, features, options.seed) else { continue };
            let is_best = best.as_ref().is_none_or(|(auroc, _)| result.auroc > *auroc);
            if features == ProbeFeatures::SizeAndGray && is_best {
                best = Some((result.auroc, trial));
            }
            report.results.push(result);
        }
    }
    if let Some((auroc, trial)) = best {
        report.max_auroc = Some(auroc);
        for source in &mut report.sources {
            source.auroc_within = trial.auroc_within(&source.dataset);
            source.auroc_left_out = trial.auroc_left_out(&source.dataset, options);
        }
    }
    findings.extend(about.shortcut(&report));
    (report, findings)
}

/// Cases without and with tumour, by some key.
fn count_by<'a, K: Ord>(cases: &[Case<'a>], key: impl Fn(&Case<'a>) -> K) -> BTreeMap<K, [usize; 2]> {
    let mut counts = BTreeMap::new();
    for case in cases {
        counts.entry(key(case)).or_insert([0; 2])[usize::from(case.is_yes)] += 1;
    }
    counts
}

fn source_auroc(cases: &[Case<'_>], by_source: &BTreeMap<&str, [usize; 2]>) -> Option<f64> {
    auroc(cases.iter().map(|case| {
        let [n_no, n_yes] = by_source[case.dataset];
        (n_yes as f64 / (n_no + n_yes) as f64, case.is_yes)
    }))
}

fn features_of<'a>(case: &Case<'a>, view: ProbeView) -> Option<&'a Features> {
    match view {
        ProbeView::Image => case.facts.map(|facts| &facts.image_features),
        ProbeView::PancreasBox => case.facts.and_then(|facts| facts.crop_features.as_ref()),
    }
}

/// One cross-validation.
struct Trial<'a> {
    cases: Vec<&'a Case<'a>>,
    table: Table,
    folds: Vec<usize>,
    /// Score of each case by the forest that has not seen its patient; none where there was none.
    scores: Vec<Option<f64>>,
}

impl<'a> Trial<'a> {
    fn new(
        seen: &[(&'a Case<'a>, &Features)],
        features: ProbeFeatures,
        fold_of: &BTreeMap<usize, usize>,
        options: &AuditOptions,
    ) -> Self {
        let row = |all: &Features| match features {
            ProbeFeatures::Size => all[..N_SIZE].to_vec(),
            ProbeFeatures::Gray => all[N_SIZE..].to_vec(),
            ProbeFeatures::SizeAndGray => all.to_vec(),
        };
        let cases: Vec<_> = seen.iter().map(|(case, _)| *case).collect();
        let table = Table {
            rows: seen.iter().map(|(_, features)| row(features)).collect(),
            is_yes: cases.iter().map(|case| case.is_yes).collect(),
        };
        let folds: Vec<_> = cases.iter().map(|case| fold_of[&case.patient]).collect();
        let mut out_of_fold = vec![None; cases.len()];
        for fold in folds.iter().copied().collect::<BTreeSet<_>>() {
            let (held_out, learn): (Vec<_>, Vec<_>) = (0..cases.len()).partition(|&n| folds[n] == fold);
            let seed = options.seed.wrapping_add(fold as u64 * 1_000);
            if let Some(found) = scores(&table, &learn, &held_out, options.probe_trees, seed) {
                held_out.into_iter().zip(found).for_each(|(n, score)| out_of_fold[n] = Some(score));
            }
        }
        Self { cases, table, folds, scores: out_of_fold }
    }

    /// Scored cases with their number.
    fn scored(&self) -> impl Iterator<Item = (usize, f64, bool)> {
        let all = self.scores.iter().enumerate();
        all.filter_map(|(n, score)| score.map(|score| (n, score, self.cases[n].is_yes)))
    }

    fn result(&self, view: ProbeView, features: ProbeFeatures, seed: u64) -> Option<ProbeResult> {
        let auroc_all = auroc(self.scored().map(|(_, score, is_yes)| (score, is_yes)))?;
        let mut numbers = BTreeMap::new();
        let mut units = BTreeMap::<(usize, bool), (f64, f64)>::new();
        let mut numbered = Vec::with_capacity(self.cases.len());
        for (n, score, is_yes) in self.scored() {
            let patient = self.cases[n].patient;
            let next = numbers.len();
            numbered.push((score, is_yes, *numbers.entry(patient).or_insert(next)));
            let (sum, count) = units.entry((patient, is_yes)).or_default();
            *sum += score;
            *count += 1.0;
        }
        let units: Vec<_> = units.into_iter().map(|((_, is_yes), (sum, n))| (sum / n, is_yes)).collect();
        let n_right = self.scored().filter(|(_, score, is_yes)| (*score > 0.5) == *is_yes).count();
        let of_folds: Vec<f64> = self
            .folds
            .iter()
            .copied()
            .collect::<BTreeSet<_>>()
            .into_iter()
            .filter_map(|fold| auroc(self.scored().filter(|s| self.folds[s.0] == fold).map(|s| (s.1, s.2))))
            .collect();
        let extreme = |pick: fn(f64, f64) -> f64| of_folds.iter().copied().reduce(pick);
        Some(ProbeResult {
            view,
            features,
            auroc: auroc_all,
            auroc_interval: bootstrap_interval(&numbered, numbers.len(), seed),
            auroc_of_folds: extreme(f64::min).zip(extreme(f64::max)).map(|(low, high)| [low, high]),
            accuracy: n_right as f64 / numbered.len() as f64,
            p_value: permutation_p(&units, seed),
        })
    }

    fn auroc_within(&self, dataset: &str) -> Option<f64> {
        auroc(self.scored().filter(|s| self.cases[s.0].dataset == dataset).map(|s| (s.1, s.2)))
    }

    fn auroc_left_out(&self, dataset: &str, options: &AuditOptions) -> Option<f64> {
        let (held_out, learn): (Vec<_>, Vec<_>) =
            (0..self.cases.len()).partition(|&n| self.cases[n].dataset == dataset);
        let found = scores(&self.table, &learn, &held_out, options.probe_trees, options.seed)?;
        auroc(held_out.iter().zip(found).map(|(&n, score)| (score, self.cases[n].is_yes)))
    }
}

/// Makes findings about the labels as a whole.
struct Findings<'a> {
    slices: &'a Slices<'a>,
    options: &'a AuditOptions,
}

impl Findings<'_> {
    fn finding(&self, code: FindingCode, count: u64, message: String) -> Finding {
        Finding {
            code,
            severity: code.severity(),
            inputs: self.slices.input_names.clone(),
            count,
            message,
            examples: Vec::new(),
        }
    }

    fn source_findings(
        &self,
        report: &ProbeReport,
        by_source: &BTreeMap<&str, [usize; 2]>,
    ) -> Option<Finding> {
        let auroc = report.auroc_of_source?;
        let is_pure = by_source.values().all(|n_no_yes| n_no_yes.contains(&0));
        let (code, what) = if is_pure {
            (
                FindingCode::LabelEqualsSource,
                "each dataset has only one answer: to name the dataset is to answer",
            )
        } else if auroc > self.options.probe_threshold {
            (FindingCode::LabelFollowsSource, "the share of yes differs between datasets")
        } else {
            return None;
        };
        let message = format!("{what} (area under the ROC curve of the dataset alone {auroc:.3})");
        let mut finding = self.finding(code, by_source.len() as u64, message);
        finding.examples = by_source
            .iter()
            .take(self.options.max_examples)
            .map(|(dataset, [n_no, n_yes])| format!("{dataset}: {n_yes} yes, {n_no} no"))
            .collect();
        Some(finding)
    }

    fn imbalance(&self, report: &ProbeReport) -> Option<Finding> {
        let (n_yes, n_no) = (report.n_yes, report.n_no);
        let rare = n_yes.min(n_no);
        let is_rare = rare > 0 && (rare as f64) < MIN_CLASS_SHARE * (n_yes + n_no) as f64;
        let message = format!("{n_yes} slices have a yes, {n_no} a no");
        is_rare.then(|| self.finding(FindingCode::ClassImbalance, report.n_slices, message))
    }

    fn shortcut(&self, report: &ProbeReport) -> Option<Finding> {
        let decisive = report.results.iter().filter(|result| result.features == ProbeFeatures::SizeAndGray);
        let above = || decisive.clone().filter(|result| result.auroc > report.threshold);
        let is_sure = |result: &&ProbeResult| result.p_value.is_some_and(|p| p < MAX_P);
        let by_auroc = |a: &&ProbeResult, b: &&ProbeResult| a.auroc.total_cmp(&b.auroc);
        let (code, worst) = match above().filter(is_sure).max_by(by_auroc) {
            Some(worst) => (FindingCode::ShortcutProbe, worst),
            None => (FindingCode::ShortcutProbeUnsure, above().max_by(by_auroc)?),
        };
        let message = format!(
            "size and gray levels of the {} predict {} with an area under the ROC curve of {:.3}, above {} (p = {:.4}, {} patients)",
            worst.view,
            report.label.name(),
            worst.auroc,
            report.threshold,
            worst.p_value.unwrap_or(1.0),
            report.n_patients,
        );
        Some(self.finding(code, report.n_slices, message))
    }
}
