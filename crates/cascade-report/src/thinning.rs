//! Long series made short enough for a figure, and smooth enough for an eye.

/// Columns that a line is cut into: finer than the pixels of a figure shows nothing more.
const N_COLUMNS: usize = 360;

/// Points of a line that is too long to draw: per column of `x` the first, least, greatest and last,
/// so that no spike is lost. Short lines stay as they are. `points` are finite and sorted by x.
pub(crate) fn thin_line(points: &[(f64, f64)]) -> Vec<(f64, f64)> {
    if points.len() <= 4 * N_COLUMNS {
        return points.to_vec();
    }
    let mut thinned = Vec::with_capacity(4 * N_COLUMNS);
    let per_column = points.len().div_ceil(N_COLUMNS);
    for column in points.chunks(per_column) {
        let by_value = |a: &usize, b: &usize| column[*a].1.total_cmp(&column[*b].1);
        let places = 0..column.len();
        let mut kept =
            [Some(0), places.clone().min_by(by_value), places.max_by(by_value), Some(column.len() - 1)];
        kept.sort_unstable();
        let mut last = None;
        for place in kept.into_iter().flatten().filter(|place| last.replace(*place) != Some(*place)) {
            thinned.push(column[place]);
        }
    }
    thinned
}

/// At most `limit` of `points`, evenly spread over the list.
pub(crate) fn thin_cloud<T: Copy>(points: &[T], limit: usize) -> Vec<T> {
    if points.len() <= limit {
        return points.to_vec();
    }
    (0..limit).map(|place| points[place * points.len() / limit]).collect()
}

/// Exponential moving average with weight `weight` of the past, freed of the pull to its start as in
/// TensorBoard: the mean of `k` equal values is that value for every `k`.
pub(crate) fn smooth(points: &[(f64, f64)], weight: f64) -> Vec<(f64, f64)> {
    let (mut average, mut norm) = (0.0, 0.0);
    points
        .iter()
        .map(|&(x, y)| {
            average = weight * average + (1.0 - weight) * y;
            norm = weight * norm + (1.0 - weight);
            (x, average / norm)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_line_keeps_its_spikes_and_ends() {
        let mut points: Vec<(f64, f64)> = (0..100_000).map(|step| (f64::from(step), 1.0)).collect();
        points[54_321].1 = 9.0;
        points[54_322].1 = -9.0;
        let thinned = thin_line(&points);
        assert!(thinned.len() <= 4 * N_COLUMNS);
        for kept in [points[0], points[54_321], points[54_322], points[99_999]] {
            assert!(thinned.contains(&kept), "{kept:?}");
        }
        assert!(thinned.is_sorted_by(|a, b| a.0 < b.0));
        assert_eq!(thin_line(&points[..100]), points[..100]);
    }

    #[test]
    fn a_cloud_is_thinned_evenly() {
        let points: Vec<usize> = (0..10).collect();
        assert_eq!(thin_cloud(&points, 5), [0, 2, 4, 6, 8]);
        assert_eq!(thin_cloud(&points, 10), points);
    }

    #[test]
    fn smoothing_has_no_bias_to_zero() {
        let flat: Vec<(f64, f64)> = (0..5).map(|step| (f64::from(step), 3.0)).collect();
        for (_, y) in smooth(&flat, 0.9) {
            assert!((y - 3.0).abs() < 1e-12);
        }
        // weights 0.5, 1 over 1.5
        let smoothed = smooth(&[(0.0, 0.0), (1.0, 3.0)], 0.5);
        assert!((smoothed[1].1 - 2.0).abs() < 1e-12);
        assert_eq!(smooth(&[(0.0, 1.0), (1.0, 5.0)], 0.0), [(0.0, 1.0), (1.0, 5.0)]);
    }
}
