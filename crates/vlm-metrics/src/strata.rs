//! Scores of parts of the cases.

use std::borrow::Borrow;
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::binary::{BinaryCase, BinaryScores, binary_scores};
use crate::bootstrap::Bootstrap;
use crate::detection::{DetectionCase, DetectionScores, detection_scores};
use crate::error::MetricsError;
use crate::summary_statistics::count;

/// A part of the cases and its scores.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Stratum<S> {
    /// Its name, as in `10-20 mm`.
    pub name: String,
    /// Its cases.
    pub n: usize,
    /// Its scores; `None` where the part has nothing to score.
    pub scores: Option<S>,
}

/// Where lesions change from one size class to the next, in mm, rising. A lesion of exactly an edge belongs to the
/// larger class.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Vec<f64>", into = "Vec<f64>")]
pub struct SizeEdges(Vec<f64>);

impl Default for SizeEdges {
    /// Under 10, 10 to 20, 20 to 40, from 40 mm on.
    fn default() -> Self {
        Self(vec![10.0, 20.0, 40.0])
    }
}

impl TryFrom<Vec<f64>> for SizeEdges {
    type Error = MetricsError;

    fn try_from(edges: Vec<f64>) -> Result<Self, MetricsError> {
        let is_rising = edges.windows(2).all(|pair| pair[0] < pair[1]);
        if is_rising && edges.iter().all(|edge| edge.is_finite() && *edge > 0.0) {
            Ok(Self(edges))
        } else {
            let value = format!("{edges:?}");
            Err(MetricsError::Setting { what: "size edges", value, expected: "rising positive numbers" })
        }
    }
}

impl From<SizeEdges> for Vec<f64> {
    fn from(edges: SizeEdges) -> Self {
        edges.0
    }
}

impl SizeEdges {
    /// Names of all classes, smallest first.
    pub fn names(&self) -> Vec<String> {
        let edges = &self.0;
        let (Some(first), Some(last)) = (edges.first(), edges.last()) else {
            return vec!["all sizes".to_owned()];
        };
        let mut names = vec![format!("<{first} mm")];
        names.extend(edges.windows(2).map(|pair| format!("{}-{} mm", pair[0], pair[1])));
        names.push(format!(">={last} mm"));
        names
    }

    /// Class of a lesion; `None` for a size that is not a number.
    pub fn class_of(&self, lesion_mm: f64) -> Option<usize> {
        (!lesion_mm.is_nan()).then(|| self.0.partition_point(|edge| *edge <= lesion_mm))
    }
}

/// Cuts `items` into parts by a key and scores each, in the order of the keys.
///
/// # Errors
/// What `score` returns; [`NoCases`](MetricsError::NoCases) and [`NoTruth`](MetricsError::NoTruth) only leave the
/// part's scores out.
pub fn stratify<T, K: Ord, S>(
    items: &[T],
    key: impl Fn(&T) -> Option<K>,
    name: impl Fn(&K) -> String,
    score: impl Fn(&[&T]) -> Result<S, MetricsError>,
) -> Result<Vec<Stratum<S>>, MetricsError> {
    let mut parts: BTreeMap<K, Vec<&T>> = BTreeMap::new();
    for item in items {
        if let Some(key) = key(item) {
            parts.entry(key).or_default().push(item);
        }
    }
    parts.iter().map(|(key, part)| stratum(name(key), part.len(), score(part))).collect()
}

fn stratum<S>(name: String, n: usize, scores: Result<S, MetricsError>) -> Result<Stratum<S>, MetricsError> {
    let scores = match scores {
        Ok(scores) => Some(scores),
        Err(MetricsError::NoCases | MetricsError::NoTruth { .. }) => None,
        Err(error) => return Err(error),
    };
    Ok(Stratum { name, n, scores })
}

/// Box scores per dataset, by name.
///
/// # Errors
/// As [`detection_scores`].
pub fn dataset_strata<C: Borrow<DetectionCase>>(
    cases: &[C],
    bootstrap: &Bootstrap,
) -> Result<Vec<Stratum<DetectionScores>>, MetricsError> {
    let cases: Vec<&DetectionCase> = cases.iter().map(Borrow::borrow).collect();
    stratify(
        &cases,
        |case| Some(case.dataset.as_str()),
        |name| (*name).to_owned(),
        |part| detection_scores(&unnested(part), bootstrap),
    )
}

/// Box scores per size of the lesion, every class of `edges` in order, also those without cases; cases with a true box
/// but no size come last as `unknown size`. Cases without a true box are in no class.
///
/// # Errors
/// As [`detection_scores`].
pub fn detection_size_strata<C: Borrow<DetectionCase>>(
    cases: &[C],
    edges: &SizeEdges,
    bootstrap: &Bootstrap,
) -> Result<Vec<Stratum<DetectionScores>>, MetricsError> {
    let with_truth = cases.iter().map(Borrow::borrow).filter(|case: &&DetectionCase| case.truth.is_some());
    by_size(with_truth, |case| case.lesion_mm, edges)
        .into_iter()
        .map(|(name, part)| stratum(name, part.len(), detection_scores(&part, bootstrap)))
        .collect()
}

/// Yes/no scores per size of the lesion: the positives of a class against all negatives. `n` counts the positives.
///
/// # Errors
/// As [`binary_scores`].
pub fn binary_size_strata<C: Borrow<BinaryCase>>(
    cases: &[C],
    edges: &SizeEdges,
    bootstrap: &Bootstrap,
) -> Result<Vec<Stratum<BinaryScores>>, MetricsError> {
    let (positives, negatives): (Vec<&BinaryCase>, Vec<&BinaryCase>) =
        cases.iter().map(Borrow::borrow).partition(|case| case.truth);
    by_size(positives, |case| case.lesion_mm, edges)
        .into_iter()
        .map(|(name, mut part)| {
            let n = part.len();
            if n == 0 {
                return Ok(Stratum { name, n, scores: None });
            }
            part.extend(&negatives);
            stratum(name, n, binary_scores(&part, bootstrap))
        })
        .collect()
}

fn by_size<'a, T>(
    cases: impl IntoIterator<Item = &'a T>,
    size: impl Fn(&T) -> Option<f64>,
    edges: &SizeEdges,
) -> Vec<(String, Vec<&'a T>)> {
    let mut classes: Vec<(String, Vec<&T>)> =
        edges.names().into_iter().map(|name| (name, Vec::new())).collect();
    let mut unknown = Vec::new();
    for case in cases {
        match size(case).and_then(|size| edges.class_of(size)) {
            Some(class) => classes[class].1.push(case),
            None => unknown.push(case),
        }
    }
    if !unknown.is_empty() {
        classes.push(("unknown size".to_owned(), unknown));
    }
    classes
}

fn unnested<'a, T>(part: &[&&'a T]) -> Vec<&'a T> {
    part.iter().map(|item| **item).collect()
}

impl<S> Stratum<S> {
    /// Share of this part in `n_all` cases.
    pub fn share(&self, n_all: usize) -> f64 {
        if n_all == 0 { 0.0 } else { count(self.n) / count(n_all) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn case(dataset: &str, lesion_mm: Option<f64>, predicted: [u32; 4]) -> DetectionCase {
        DetectionCase {
            image: format!("{dataset}-{lesion_mm:?}-{predicted:?}"),
            patient: dataset.into(),
            dataset: dataset.into(),
            truth: Some([0, 0, 9, 9].into()),
            predicted: Some(predicted.into()),
            lesion_mm,
            ..DetectionCase::default()
        }
    }

    fn cases() -> Vec<DetectionCase> {
        vec![
            case("msd", Some(5.0), [0, 0, 10, 10]),
            case("msd", Some(10.0), [0, 0, 10, 5]),
            case("nih", Some(39.9), [20, 20, 30, 30]),
            case("nih", None, [0, 0, 10, 10]),
            DetectionCase { truth: None, ..case("empty", None, [0; 4]) },
        ]
    }

    fn means(strata: &[Stratum<DetectionScores>]) -> Vec<(&str, usize, Option<f64>)> {
        strata
            .iter()
            .map(|stratum| {
                (stratum.name.as_str(), stratum.n, stratum.scores.as_ref().map(|scores| scores.iou_mean))
            })
            .collect()
    }

    #[test]
    fn by_size_of_the_lesion() {
        let strata = detection_size_strata(&cases(), &SizeEdges::default(), &Bootstrap::none()).unwrap();
        assert_eq!(
            means(&strata),
            [
                ("<10 mm", 1, Some(1.0)),
                ("10-20 mm", 1, Some(0.5)),
                ("20-40 mm", 1, Some(0.0)),
                (">=40 mm", 0, None),
                ("unknown size", 1, Some(1.0)),
            ]
        );
        assert_eq!(strata[0].share(4), 0.25);
    }

    #[test]
    fn by_dataset() {
        let strata = dataset_strata(&cases(), &Bootstrap::none()).unwrap();
        assert_eq!(means(&strata), [("empty", 1, None), ("msd", 2, Some(0.75)), ("nih", 2, Some(0.5))]);
    }

    #[test]
    fn positives_of_a_size_stand_against_all_negatives() {
        let case = |truth, answer, lesion_mm| BinaryCase {
            truth,
            answer: Some(answer),
            lesion_mm,
            ..BinaryCase::default()
        };
        let cases = [
            case(true, true, Some(12.0)),
            case(true, false, Some(50.0)),
            case(false, false, None),
            case(false, true, None),
        ];
        let strata = binary_size_strata(&cases, &SizeEdges::default(), &Bootstrap::none()).unwrap();
        let got: Vec<_> = strata
            .iter()
            .map(|stratum| {
                (
                    stratum.n,
                    stratum.scores.as_ref().map(|scores| (scores.n, scores.recall, scores.specificity)),
                )
            })
            .collect();
        assert_eq!(got, [(0, None), (1, Some((3, 1.0, 0.5))), (0, None), (1, Some((3, 0.0, 0.5)))]);
    }

    #[test]
    fn edges_rise() {
        for edges in [vec![10.0, 10.0], vec![20.0, 10.0], vec![f64::NAN], vec![-1.0]] {
            assert!(SizeEdges::try_from(edges.clone()).is_err(), "{edges:?}");
        }
        let edges: SizeEdges = serde_json::from_str("[2.5]").unwrap();
        assert_eq!(edges.names(), ["<2.5 mm", ">=2.5 mm"]);
        assert_eq!(SizeEdges::try_from(vec![]).unwrap().names(), ["all sizes"]);
        assert_eq!(edges.class_of(f64::NAN), None);
    }
}
