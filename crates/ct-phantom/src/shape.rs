//! Signed distances of organs: negative inside, in mm, evaluated along one image row at a time.

use std::ops::Range;

use crate::vector::{Vec3, smooth_min, vec3};

/// "Nowhere near".
pub(crate) const FAR: f32 = 1e9;

/// Where the voxels of one image row lie after the bending of space.
pub(crate) struct RowPoints<'a> {
    pub(crate) x: &'a [f32],
    pub(crate) y: &'a [f32],
    pub(crate) z: &'a [f32],
    /// Unbent x of the first voxel and the step to the next, in mm.
    pub(crate) x_start: f32,
    pub(crate) x_step: f32,
    /// Unbent position of the row.
    pub(crate) y_row: f32,
    pub(crate) z_row: f32,
    /// Most that bending moves a point along one axis, in mm.
    pub(crate) reach_mm: f32,
    /// Columns with valid positions.
    pub(crate) span: Range<usize>,
}

impl RowPoints<'_> {
    /// Columns whose unbent x lies in `[low, high]` mm.
    pub(crate) fn columns(&self, low: f32, high: f32) -> Range<usize> {
        let n = self.x.len();
        let start = crate::vector::index_below(((low - self.x_start) / self.x_step).ceil(), n);
        let end = crate::vector::index_below(((high - self.x_start) / self.x_step).floor() + 1.0, n);
        let start = start.max(self.span.start);
        start..end.min(self.span.end).max(start)
    }
}

/// An ellipsoid turned about the three axes.
#[derive(Clone, Debug)]
pub(crate) struct Ellipsoid {
    center: Vec3,
    /// Unit axes.
    axes: [Vec3; 3],
    radii: [f32; 3],
    /// Half edges of the upright box around it.
    extent: Vec3,
}

impl Ellipsoid {
    /// `turns` are rotations about x, y and z (in that order), in turns.
    pub(crate) fn new(center: Vec3, radii: Vec3, turns: Vec3) -> Self {
        let axes = [vec3(1.0, 0.0, 0.0), vec3(0.0, 1.0, 0.0), vec3(0.0, 0.0, 1.0)].map(|v| rotate(v, turns));
        let radii = [radii.x, radii.y, radii.z];
        let reach = |part: fn(Vec3) -> f32| {
            (0..3).map(|n| (part(axes[n]) * radii[n]) * (part(axes[n]) * radii[n])).sum::<f32>().sqrt()
        };
        let extent = vec3(reach(|v| v.x), reach(|v| v.y), reach(|v| v.z));
        Self { center, axes, radii, extent }
    }

    /// Near the surface the distance; elsewhere of the right sign and monotone.
    #[inline]
    pub(crate) fn distance(&self, p: Vec3) -> f32 {
        let q = p - self.center;
        let mut k0 = 0.0;
        let mut k1 = 0.0;
        for n in 0..3 {
            let u = self.axes[n].dot(q) / self.radii[n];
            k0 += u * u;
            let v = u / self.radii[n];
            k1 += v * v;
        }
        let smallest = self.radii[0].min(self.radii[1]).min(self.radii[2]);
        if k1 < 1e-12 {
            return -smallest;
        }
        let k0 = k0.sqrt();
        k0 * (k0 - 1.0) / k1.sqrt()
    }
}

fn rotate(v: Vec3, turns: Vec3) -> Vec3 {
    use crate::vector::{cos_turns, sin_turns};
    // Renormalised after each turn, because the polynomial sine is only good to 1e-3.
    let turn = |a: f32, b: f32, t: f32| {
        let (s, c) = (sin_turns(t), cos_turns(t));
        let n = (s * s + c * c).sqrt();
        ((c * a - s * b) / n, (s * a + c * b) / n)
    };
    let (y, z) = turn(v.y, v.z, turns.x);
    let (z, x) = turn(z, v.x, turns.y);
    let (x, y) = turn(x, y, turns.z);
    vec3(x, y, z)
}

/// A ball swept along a line of points with changing radius.
#[derive(Clone, Debug)]
pub(crate) struct Tube {
    /// Points in stretched space (see `stretch`) with their radii.
    nodes: Vec<(Vec3, f32)>,
    /// Distances are taken after each axis is multiplied by this: `z` below 1 makes the tube taller.
    stretch: Vec3,
}

impl Tube {
    pub(crate) fn new(nodes: &[(Vec3, f32)]) -> Self {
        Self::stretched(nodes, vec3(1.0, 1.0, 1.0))
    }

    /// With an elliptical cross-section.
    pub(crate) fn stretched(nodes: &[(Vec3, f32)], stretch: Vec3) -> Self {
        Self { nodes: nodes.iter().map(|&(p, r)| (p.times(stretch), r)).collect(), stretch }
    }

    /// A smooth line through the given points (Catmull-Rom), `per_span` pieces between two points.
    pub(crate) fn through(points: &[(Vec3, f32)], per_span: usize) -> Self {
        Self::new(&smooth_line(points, per_span))
    }

    /// Distance of one point.
    pub(crate) fn distance(&self, p: Vec3) -> f32 {
        let p = p.times(self.stretch);
        self.nodes.windows(2).map(|pair| round_cone(p, pair[0], pair[1])).fold(FAR, f32::min)
    }

    /// Lowers `distance` and returns the columns that were touched. Voxels further than `margin_mm`
    /// may keep what they held.
    fn row(&self, row: &RowPoints<'_>, margin_mm: f32, distance: &mut [f32]) -> Range<usize> {
        let margin = margin_mm + row.reach_mm;
        let (mut first, mut last) = (usize::MAX, 0);
        for pair in self.nodes.windows(2) {
            let (a, b) = (pair[0], pair[1]);
            let r = a.1.max(b.1);
            let low = |a: f32, b: f32, stretch: f32| (a.min(b) - r) / stretch - margin;
            let high = |a: f32, b: f32, stretch: f32| (a.max(b) + r) / stretch + margin;
            let s = self.stretch;
            if row.y_row < low(a.0.y, b.0.y, s.y)
                || row.y_row > high(a.0.y, b.0.y, s.y)
                || row.z_row < low(a.0.z, b.0.z, s.z)
                || row.z_row > high(a.0.z, b.0.z, s.z)
            {
                continue;
            }
            let columns = row.columns(low(a.0.x, b.0.x, s.x), high(a.0.x, b.0.x, s.x));
            if columns.is_empty() {
                continue;
            }
            first = first.min(columns.start);
            last = last.max(columns.end);
            for i in columns {
                let p = vec3(row.x[i], row.y[i], row.z[i]).times(s);
                distance[i] = distance[i].min(round_cone(p, a, b));
            }
        }
        if first < last { first..last } else { 0..0 }
    }
}

/// Distance to a capsule whose radius changes from one end to the other.
#[inline]
fn round_cone(p: Vec3, a: (Vec3, f32), b: (Vec3, f32)) -> f32 {
    let (pa, ba) = (p - a.0, b.0 - a.0);
    let length2 = ba.dot(ba);
    let t = if length2 > 0.0 { (pa.dot(ba) / length2).clamp(0.0, 1.0) } else { 0.0 };
    (pa - ba * t).length() - (a.1 + (b.1 - a.1) * t)
}

/// Points and radii along a Catmull-Rom line.
pub(crate) fn smooth_line(points: &[(Vec3, f32)], per_span: usize) -> Vec<(Vec3, f32)> {
    let mut line = Vec::with_capacity(points.len() * per_span + 1);
    for n in 0..points.len().saturating_sub(1) {
        let at = |m: usize| points[m.min(points.len() - 1)];
        let (p0, p1, p2, p3) = (at(n.saturating_sub(1)), at(n), at(n + 1), at(n + 2));
        for step in 0..per_span {
            let t = step as f32 / per_span as f32;
            let w = [
                ((2.0 - t) * t - 1.0) * t * 0.5,
                ((3.0 * t - 5.0) * t * t + 2.0) * 0.5,
                ((4.0 - 3.0 * t) * t + 1.0) * t * 0.5,
                (t - 1.0) * t * t * 0.5,
            ];
            let p = p0.0 * w[0] + p1.0 * w[1] + p2.0 * w[2] + p3.0 * w[3];
            line.push((p, p1.1 + (p2.1 - p1.1) * t));
        }
    }
    line.extend(points.last());
    line
}

/// The outline of an organ.
#[derive(Clone, Debug)]
pub(crate) enum Shape {
    /// Ellipsoids joined with a fillet of `blend_mm`; `gap_mm` keeps them that far inside the
    /// abdominal cavity's wall and diaphragm.
    Ellipsoids { parts: Vec<Ellipsoid>, blend_mm: f32, gap_mm: f32 },
    /// A swept tube.
    Tube(Tube),
}

impl Shape {
    pub(crate) fn ellipsoid(center: Vec3, radii: Vec3, turns: Vec3, gap_mm: f32) -> Self {
        Self::Ellipsoids { parts: vec![Ellipsoid::new(center, radii, turns)], blend_mm: 1.0, gap_mm }
    }

    /// Writes distances for the columns that the shape may touch, and returns these columns.
    ///
    /// `cavity` holds the distance to the wall of the abdominal cavity. Entries of `distance`
    /// outside the returned columns are left as they were; inside, far voxels hold [`FAR`].
    pub(crate) fn row(
        &self,
        row: &RowPoints<'_>,
        cavity: &[f32],
        margin_mm: f32,
        distance: &mut [f32],
    ) -> Range<usize> {
        match self {
            Self::Tube(tube) => tube.row(row, margin_mm, distance),
            Self::Ellipsoids { parts, blend_mm, gap_mm } => {
                let (mut first, mut last) = (usize::MAX, 0);
                for part in parts {
                    let reach = margin_mm + row.reach_mm + blend_mm;
                    let (c, e) = (part.center, part.extent);
                    if (row.y_row - c.y).abs() > e.y + reach || (row.z_row - c.z).abs() > e.z + reach {
                        continue;
                    }
                    let columns = row.columns(c.x - e.x - reach, c.x + e.x + reach);
                    if columns.is_empty() {
                        continue;
                    }
                    first = first.min(columns.start);
                    last = last.max(columns.end);
                    for i in columns {
                        let d = part.distance(vec3(row.x[i], row.y[i], row.z[i]));
                        distance[i] =
                            if distance[i] == FAR { d } else { smooth_min(distance[i], d, *blend_mm) };
                    }
                }
                if first >= last {
                    return 0..0;
                }
                for i in first..last {
                    distance[i] = distance[i].max(cavity[i] + gap_mm);
                }
                first..last
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances_of_simple_shapes() {
        let ball = Ellipsoid::new(vec3(1.0, 2.0, 3.0), vec3(5.0, 5.0, 5.0), vec3(0.1, 0.2, 0.3));
        assert!((ball.distance(vec3(1.0, 2.0, 11.0)) - 3.0).abs() < 1e-4);
        let tube = Tube::new(&[(vec3(0.0, 0.0, 0.0), 2.0), (vec3(10.0, 0.0, 0.0), 4.0)]);
        assert!((tube.distance(vec3(5.0, 5.0, 0.0)) - 2.0).abs() < 1e-5);
        assert!((tube.distance(vec3(13.0, 0.0, 0.0)) + 1.0).abs() < 1e-5);
    }

    #[test]
    fn a_turned_ellipsoid_has_its_tips_on_its_axes() {
        let quarter = Ellipsoid::new(Vec3::default(), vec3(10.0, 2.0, 3.0), vec3(0.0, 0.0, 0.25));
        assert!(quarter.distance(vec3(0.0, 10.0, 0.0)).abs() < 1e-3);
        assert!((quarter.extent.y - 10.0).abs() < 1e-3 && (quarter.extent.x - 2.0).abs() < 1e-2);
    }

    #[test]
    fn a_smooth_line_passes_through_its_points() {
        let points = [(vec3(0.0, 0.0, 0.0), 1.0), (vec3(5.0, 3.0, 0.0), 2.0), (vec3(9.0, 0.0, 4.0), 3.0)];
        let line = smooth_line(&points, 4);
        assert_eq!(line.len(), 9);
        assert_eq!((line[0], line[4], line[8]), (points[0], points[1], points[2]));
    }
}
