//! Which part of a slice's kidney mask is the right kidney.

use ndarray::ArrayView2;

use crate::bbox::BoxPx;

/// How the right kidney of a slice is found, on the image plane, where the patient's right is on
/// the left (SPEC 1.10, D15).
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum KidneyRule {
    /// As published: a single part counts if its mean column is left of `width / 2` (whole
    /// numbers), of two parts the one that begins further left, of more the same among the two
    /// largest. The pixel count is that of **both** kidneys. Right only for RAS-like files.
    Published,
    /// The largest part whose mean column is left of the body's midline, and its own pixels. On
    /// planes of [`PlaneMap::Display`](crate::PlaneMap::Display), whatever the file's axes were.
    Fixed {
        /// The midline's column, such as from [`body_midline_col`](crate::body_midline_col); the
        /// middle of the image if none.
        midline_col: Option<f64>,
    },
}

/// The right kidney in one slice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RightKidney {
    /// Pixels, counted as the rule says.
    pub pixels: u64,
    /// Box of the chosen part.
    pub bbox: BoxPx,
}

/// The right kidney in the kidney mask of one image plane, if the rule finds one.
///
/// # Shapes
/// - `mask`: `[row, column]`, true where either kidney is
///
/// # Source
/// SPEC 1.10. Parts are 4-connected; where two begin in the same column, the one whose first
/// pixel comes first in raster order is taken.
#[must_use]
pub fn right_kidney(mask: ArrayView2<'_, bool>, rule: KidneyRule) -> Option<RightKidney> {
    let parts = find_parts(mask.rows().into_iter().map(|row| row.into_iter().copied()), [0, 0]);
    choose(&parts, mask.ncols(), rule)
}

/// The same on a part of the plane that holds all of the mask: `window` is the kidneys' box,
/// `is_kidney` asks about a pixel's label.
pub(super) fn right_kidney_in(
    plane: ArrayView2<'_, u16>,
    window: BoxPx,
    is_kidney: impl Fn(u16) -> bool,
    rule: KidneyRule,
) -> Option<RightKidney> {
    let (x, y) = (window.x_min as usize, window.y_min as usize);
    let (width, height) = (window.width_px() as usize, window.height_px() as usize);
    let pixels = plane.slice(ndarray::s![y..y + height, x..x + width]);
    let rows = pixels.rows().into_iter().map(|row| row.into_iter().map(|&label| is_kidney(label)));
    let parts = find_parts(rows, [window.x_min, window.y_min]);
    choose(&parts, plane.ncols(), rule)
}

/// One 4-connected part of a mask.
#[derive(Clone, Copy, Debug)]
struct Part {
    pixels: u64,
    column_sum: u64,
    bbox: BoxPx,
}

fn choose(parts: &[Part], plane_width: usize, rule: KidneyRule) -> Option<RightKidney> {
    match rule {
        KidneyRule::Published => {
            let part = match parts {
                [] => return None,
                [only] => {
                    // mean < width // 2, in whole numbers
                    let is_left = only.column_sum < only.pixels * (plane_width as u64 / 2);
                    is_left.then_some(only)?
                }
                [_, _] => leftmost(parts.iter())?,
                _ => {
                    let mut by_size: Vec<&Part> = parts.iter().collect();
                    by_size.sort_by_key(|part| part.pixels); // stable, as the published sort
                    leftmost(by_size[by_size.len() - 2..].iter().copied())?
                }
            };
            Some(RightKidney { pixels: parts.iter().map(|p| p.pixels).sum(), bbox: part.bbox })
        }
        KidneyRule::Fixed { midline_col } => {
            let midline = midline_col.unwrap_or((plane_width as f64 - 1.0) / 2.0);
            let is_right = |part: &&Part| (part.column_sum as f64) < part.pixels as f64 * midline;
            // The first in raster order of equally large ones.
            let part = parts.iter().filter(is_right).rev().max_by_key(|part| part.pixels)?;
            Some(RightKidney { pixels: part.pixels, bbox: part.bbox })
        }
    }
}

/// The part with the smallest first column, the first of them if equal.
fn leftmost<'a>(parts: impl Iterator<Item = &'a Part>) -> Option<&'a Part> {
    parts.min_by_key(|part| part.bbox.x_min)
}

impl Part {
    fn of_run(row: u32, first: u32, last: u32) -> Self {
        let pixels = u64::from(last - first) + 1;
        let column_sum = (u64::from(first) + u64::from(last)) * pixels / 2;
        Self { pixels, column_sum, bbox: BoxPx { x_min: first, y_min: row, x_max: last, y_max: row } }
    }

    fn join(&mut self, other: &Self) {
        self.pixels += other.pixels;
        self.column_sum += other.column_sum;
        let (a, b) = (self.bbox, other.bbox);
        self.bbox = BoxPx {
            x_min: a.x_min.min(b.x_min),
            y_min: a.y_min.min(b.y_min),
            x_max: a.x_max.max(b.x_max),
            y_max: a.y_max.max(b.y_max),
        };
    }
}

/// 4-connected parts of the true pixels of some rows, in raster order of their first pixel;
/// `origin` is the column and row of the first pixel given.
///
/// Runs of pixels in a row are joined with the runs they touch in the row above. A run's `parent`
/// is an earlier run of the same part, so that the first run stands for the part.
fn find_parts<R: Iterator<Item = bool>>(rows: impl Iterator<Item = R>, origin: [u32; 2]) -> Vec<Part> {
    let mut runs: Vec<Part> = Vec::new();
    let mut parent: Vec<usize> = Vec::new();
    let mut above = 0..0; // runs of the row above
    for (row, pixels) in (origin[1]..).zip(rows) {
        let first_run = runs.len();
        let mut start = None;
        // A false pixel behind the last ends a run there.
        for (col, is_set) in (origin[0]..).zip(pixels.chain(std::iter::once(false))) {
            match (start, is_set) {
                (None, true) => start = Some(col),
                (Some(first), false) => {
                    parent.push(runs.len());
                    runs.push(Part::of_run(row, first, col - 1));
                    start = None;
                }
                _ => {}
            }
        }
        let mut next_upper = above.start;
        for run in first_run..runs.len() {
            let (x_min, x_max) = (runs[run].bbox.x_min, runs[run].bbox.x_max);
            // Runs of a row are in order: those that end left of this one touch no later one either.
            while next_upper < above.end && runs[next_upper].bbox.x_max < x_min {
                next_upper += 1;
            }
            for upper in (next_upper..above.end).take_while(|&upper| runs[upper].bbox.x_min <= x_max) {
                let (one, other) = (root(&mut parent, run), root(&mut parent, upper));
                parent[one.max(other)] = one.min(other);
            }
        }
        above = first_run..runs.len();
    }
    for run in (0..runs.len()).rev() {
        let first = root(&mut parent, run);
        if first != run {
            let part = runs[run];
            runs[first].join(&part);
        }
    }
    let is_first = |(run, _): &(usize, Part)| parent[*run] == *run;
    runs.iter().copied().enumerate().filter(is_first).map(|(_, part)| part).collect()
}

/// The first run of a run's part; the way there is halved for the next time.
fn root(parent: &mut [usize], mut run: usize) -> usize {
    while parent[run] != run {
        parent[run] = parent[parent[run]];
        run = parent[run];
    }
    run
}

#[cfg(test)]
mod tests {
    use ndarray::Array2;
    use proptest::prelude::*;

    use super::*;

    /// The same by filling each part from its first pixel.
    fn filled_parts(mask: &Array2<bool>) -> Vec<(u64, u64, BoxPx)> {
        let (mut mask, mut parts) = (mask.clone(), Vec::new());
        while let Some((first, _)) = mask.indexed_iter().find(|(_, is_set)| **is_set) {
            let mut filled: Vec<(u32, u32)> = Vec::new();
            let mut open = vec![first];
            while let Some((row, col)) = open.pop() {
                if mask.get((row, col)).is_some_and(|is_set| *is_set) {
                    mask[(row, col)] = false;
                    filled.push((u32::try_from(col).unwrap(), u32::try_from(row).unwrap()));
                    open.extend([(row + 1, col), (row, col + 1)]);
                    open.extend(row.checked_sub(1).map(|row| (row, col)));
                    open.extend(col.checked_sub(1).map(|col| (row, col)));
                }
            }
            let (cols, rows) = (filled.iter().map(|p| p.0), filled.iter().map(|p| p.1));
            let bbox = BoxPx {
                x_min: cols.clone().min().unwrap(),
                y_min: rows.clone().min().unwrap(),
                x_max: cols.clone().max().unwrap(),
                y_max: rows.max().unwrap(),
            };
            parts.push((filled.len() as u64, cols.map(u64::from).sum(), bbox));
        }
        parts
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn parts_are_those_of_a_flood_fill(
            (width, pixels) in (1..14_usize, prop::collection::vec(prop::bool::weighted(0.6), 0..150))
        ) {
            let mask = Array2::from_shape_fn((pixels.len() / width, width), |(r, c)| pixels[r * width + c]);
            let rows = mask.rows().into_iter().map(|row| row.into_iter().copied());
            let parts = find_parts(rows, [0, 0]).into_iter().map(|p| (p.pixels, p.column_sum, p.bbox));
            prop_assert_eq!(parts.collect::<Vec<_>>(), filled_parts(&mask));
        }
    }

    /// Rectangles as `[first row, last row, first column, last column]`.
    fn plane(rows: usize, cols: usize, rectangles: &[[usize; 4]]) -> Array2<bool> {
        let mut mask = Array2::from_elem((rows, cols), false);
        for &[r0, r1, c0, c1] in rectangles {
            mask.slice_mut(ndarray::s![r0..=r1, c0..=c1]).fill(true);
        }
        mask
    }

    fn check(mask: &Array2<bool>, rule: KidneyRule, expected: Option<([u32; 4], u64)>) {
        let expected = expected.map(|(bbox, pixels)| RightKidney { pixels, bbox: bbox.into() });
        assert_eq!(right_kidney(mask.view(), rule), expected, "{rule:?} on\n{mask:?}");
    }

    #[test]
    fn published_rule_on_the_worked_planes() {
        let rule = KidneyRule::Published;
        check(&plane(8, 10, &[]), rule, None);
        check(&plane(8, 10, &[[2, 4, 1, 3]]), rule, Some(([1, 2, 3, 4], 9)));
        check(&plane(8, 10, &[[2, 4, 6, 8]]), rule, None);
        check(&plane(8, 10, &[[2, 4, 3, 6]]), rule, Some(([3, 2, 6, 4], 12)));
        check(&plane(8, 10, &[[2, 4, 3, 7]]), rule, None);
        check(&plane(8, 11, &[[2, 4, 3, 7]]), rule, None);
        check(&plane(8, 10, &[[2, 4, 6, 8], [1, 2, 1, 2]]), rule, Some(([1, 1, 2, 2], 13)));
        let three = plane(8, 12, &[[2, 4, 8, 10], [1, 2, 1, 2], [6, 6, 0, 1]]);
        check(&three, rule, Some(([1, 1, 2, 2], 15)));
        let wrong_side = plane(8, 12, &[[1, 3, 8, 10], [5, 7, 7, 9], [2, 2, 1, 2]]);
        check(&wrong_side, rule, Some(([7, 5, 9, 7], 20)));
        // Two diagonal pixels are two parts: the one that begins further left.
        check(&plane(8, 10, &[[2, 2, 2, 2], [3, 3, 3, 3]]), rule, Some(([2, 2, 2, 2], 2)));
    }

    #[test]
    fn parts_that_meet_below_are_one() {
        // A fork and a ring, which begin as several runs of one row.
        let fork = plane(6, 9, &[[0, 4, 0, 0], [1, 4, 2, 2], [0, 4, 4, 4], [4, 4, 0, 4]]);
        let ring = plane(6, 9, &[[1, 1, 6, 8], [5, 5, 6, 8], [1, 5, 6, 6], [1, 5, 8, 8]]);
        check(&fork, KidneyRule::Published, Some(([0, 0, 4, 4], 16)));
        let both = &fork | &ring;
        check(&both, KidneyRule::Published, Some(([0, 0, 4, 4], 28)));
        check(&both, KidneyRule::Fixed { midline_col: None }, Some(([0, 0, 4, 4], 16)));
    }

    #[test]
    fn fixed_rule_counts_the_chosen_part_on_the_right_side() {
        let rule = KidneyRule::Fixed { midline_col: None };
        check(&plane(8, 10, &[]), rule, None);
        check(&plane(8, 10, &[[2, 4, 6, 8]]), rule, None);
        check(&plane(8, 10, &[[2, 4, 6, 8], [1, 2, 1, 2]]), rule, Some(([1, 1, 2, 2], 4)));
        let wrong_side = plane(8, 12, &[[1, 3, 8, 10], [5, 7, 7, 9], [2, 2, 1, 2]]);
        check(&wrong_side, rule, Some(([1, 2, 2, 2], 2)));
        // Of two parts on the right side the larger one.
        check(&plane(8, 12, &[[0, 0, 0, 0], [3, 5, 2, 4]]), rule, Some(([2, 3, 4, 5], 9)));
        // Columns 3 to 6 of 10 lie on the midline 4.5: neither side. A body further right decides.
        let middle = plane(8, 10, &[[2, 4, 3, 6]]);
        check(&middle, rule, None);
        check(&middle, KidneyRule::Fixed { midline_col: Some(5.0) }, Some(([3, 2, 6, 4], 12)));
    }
}
