//! How well a score puts positives before negatives.

use crate::summary_statistics::count;

/// Area under the ROC curve: the chance that a positive scores above a negative, ties as half (by mid-ranks).
/// `None` without positives, without negatives, or with a score that is not a number.
pub fn auroc(scored: &[(bool, f64)]) -> Option<f64> {
    let groups = falling_groups(scored)?;
    let (n_positive, n_negative) = totals(&groups)?;
    // A positive beats the negatives of later groups, and half of those of its own.
    let mut n_negative_above = 0;
    let mut wins = 0.0;
    for (_, positive, negative) in groups {
        let below = n_negative - n_negative_above - negative;
        wins += count(positive) * (count(below) + count(negative) / 2.0);
        n_negative_above += negative;
    }
    Some(wins / (count(n_positive) * count(n_negative)))
}

/// Average precision (area under the precision-recall curve, without interpolation), as scikit-learn's
/// `average_precision_score`: the sum of precision times step in recall over distinct scores. `None` without positives
/// or with a score that is not a number.
pub fn average_precision(scored: &[(bool, f64)]) -> Option<f64> {
    let groups = falling_groups(scored)?;
    let n_positive: usize = groups.iter().map(|group| group.1).sum();
    if n_positive == 0 {
        return None;
    }
    let (mut n_hits, mut n_found) = (0, 0);
    let mut sum = 0.0;
    for (_, positive, negative) in groups {
        n_hits += positive;
        n_found += positive + negative;
        sum += count(positive) / count(n_positive) * count(n_hits) / count(n_found);
    }
    Some(sum)
}

/// Points of the ROC curve, (false positive rate, true positive rate), from (0, 0) to (1, 1), one per distinct score.
/// Empty where [`auroc`] is `None`.
pub fn roc_curve(scored: &[(bool, f64)]) -> Vec<[f64; 2]> {
    let Some((groups, (n_positive, n_negative))) =
        falling_groups(scored).and_then(|groups| totals(&groups).map(|totals| (groups, totals)))
    else {
        return Vec::new();
    };
    let (mut tp, mut fp) = (0, 0);
    let mut points = vec![[0.0, 0.0]];
    for (_, positive, negative) in groups {
        tp += positive;
        fp += negative;
        points.push([count(fp) / count(n_negative), count(tp) / count(n_positive)]);
    }
    points
}

/// Points of the precision-recall curve, (recall, precision), by rising recall from (0, 1), one per distinct score.
/// Empty where [`average_precision`] is `None`.
pub fn precision_recall_curve(scored: &[(bool, f64)]) -> Vec<[f64; 2]> {
    let groups = falling_groups(scored).unwrap_or_default();
    let n_positive: usize = groups.iter().map(|group| group.1).sum();
    if n_positive == 0 {
        return Vec::new();
    }
    let (mut tp, mut n_found) = (0, 0);
    let mut points = vec![[0.0, 1.0]];
    for (_, positive, negative) in groups {
        tp += positive;
        n_found += positive + negative;
        points.push([count(tp) / count(n_positive), count(tp) / count(n_found)]);
    }
    points
}

/// Distinct scores, falling, with their numbers of positives and negatives.
fn falling_groups(scored: &[(bool, f64)]) -> Option<Vec<(f64, usize, usize)>> {
    if scored.iter().any(|(_, score)| score.is_nan()) {
        return None;
    }
    let mut sorted = scored.to_vec();
    sorted.sort_by(|a, b| b.1.total_cmp(&a.1));
    let mut groups: Vec<(f64, usize, usize)> = Vec::new();
    for (truth, score) in sorted {
        let (positive, negative) = (usize::from(truth), usize::from(!truth));
        match groups.last_mut() {
            // Zeros of either sign are neighbors and equal.
            Some(group) if group.0 == score => {
                group.1 += positive;
                group.2 += negative;
            }
            _ => groups.push((score, positive, negative)),
        }
    }
    Some(groups)
}

fn totals(groups: &[(f64, usize, usize)]) -> Option<(usize, usize)> {
    let (n_positive, n_negative) =
        groups.iter().fold((0, 0), |(positive, negative), group| (positive + group.1, negative + group.2));
    (n_positive > 0 && n_negative > 0).then_some((n_positive, n_negative))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_rankings() {
        type Row<'a> = (&'a [(bool, f64)], Option<f64>, Option<f64>);
        let rows: [Row<'_>; 6] = [
            (&[(true, 0.9), (false, 0.1)], Some(1.0), Some(1.0)),
            (&[(true, 0.1), (false, 0.9)], Some(0.0), Some(0.5)),
            (&[(true, 0.5), (false, 0.5), (false, 0.5)], Some(0.5), Some(1.0 / 3.0)),
            (&[(true, 0.8), (false, 0.7), (true, 0.7), (false, 0.1)], Some(0.875), Some(5.0 / 6.0)),
            (&[(true, 0.3)], None, Some(1.0)),
            (&[(true, f64::NAN), (false, 0.0)], None, None),
        ];
        for (scored, area, precision) in rows {
            assert_eq!(auroc(scored), area, "{scored:?}");
            match (average_precision(scored), precision) {
                (Some(got), Some(expected)) => assert!((got - expected).abs() < 1e-15, "{scored:?}: {got}"),
                (got, expected) => assert_eq!(got, expected, "{scored:?}"),
            }
        }
        assert_eq!((auroc(&[]), average_precision(&[(false, 0.0)])), (None, None));
        assert_eq!(auroc(&[(true, 0.0), (false, -0.0)]), Some(0.5));
    }

    #[test]
    fn the_area_under_the_points_is_the_area() {
        let scored: Vec<(bool, f64)> =
            (0..97_u32).map(|i| ((i * 37) % 5 < 2, f64::from((i * i * 13 + i) % 23))).collect();
        let points = roc_curve(&scored);
        let area: f64 = points
            .windows(2)
            .map(|pair| (pair[1][0] - pair[0][0]) * f64::midpoint(pair[1][1], pair[0][1]))
            .sum();
        assert!((area - auroc(&scored).unwrap()).abs() < 1e-12);
        assert_eq!((points.first(), points.last()), (Some(&[0.0, 0.0]), Some(&[1.0, 1.0])));
        let steps: f64 = precision_recall_curve(&scored)
            .windows(2)
            .map(|pair| (pair[1][0] - pair[0][0]) * pair[1][1])
            .sum();
        assert!((steps - average_precision(&scored).unwrap()).abs() < 1e-12);
    }
}
