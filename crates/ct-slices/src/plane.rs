//! From voxel indices of one slice to rows and columns of its image.

use ndarray::{ArrayView2, Axis};

use crate::bbox::BoxPx;

/// How the array `A[i, j]` of one slice becomes an image plane `P[row, column]`.
///
/// `N0` and `N1` are the lengths of the slice's axes. All maps are index maps: nothing is
/// resampled, and [`view`](Self::view) copies nothing (SPEC 1.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PlaneMap {
    /// `P[r, c] = A[r, c]`: the preprint's images, which no box fits (D4).
    Stored,
    /// `P[r, c] = A[N0-1-c, N1-1-r]`: MSD and AbdomenCT-1K, images and labels.
    FlipBoth,
    /// `P[r, c] = A[c, N1-1-r]`: NIH labels, and NIH images, whose volume is indexed `[x, y]`.
    FlipRows,
    /// `P[r, c] = A[c, r]`: arrays already in LPS axes, shown as a radiologist sees them.
    Display,
}

/// A box in voxel indices of one slice; all ends inside.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct VoxelBox {
    /// Smallest index along the first axis.
    pub i_min: u32,
    /// Largest index along the first axis, inside the box.
    pub i_max: u32,
    /// Smallest index along the second axis.
    pub j_min: u32,
    /// Largest index along the second axis, inside the box.
    pub j_max: u32,
}

impl PlaneMap {
    /// All maps, in the order of their definition.
    pub const ALL: [Self; 4] = [Self::Stored, Self::FlipBoth, Self::FlipRows, Self::Display];

    /// Width (columns) and height (rows) of the image of an `n0` by `n1` slice.
    #[must_use]
    pub fn plane_size(self, n0: usize, n1: usize) -> (usize, usize) {
        match self {
            Self::Stored => (n1, n0),
            Self::FlipBoth | Self::FlipRows | Self::Display => (n0, n1),
        }
    }

    /// Column and row of voxel `[i, j]` in a slice of `shape` `[n0, n1]`.
    ///
    /// # Panics
    /// If the voxel lies outside the shape: a caller's bug.
    #[must_use]
    pub fn map_point(self, shape: [u32; 2], voxel: [u32; 2]) -> [u32; 2] {
        let ([n0, n1], [i, j]) = (shape, voxel);
        assert!(i < n0 && j < n1, "voxel {voxel:?} outside a slice of {shape:?}");
        match self {
            Self::Stored => [j, i],
            Self::FlipBoth => [n0 - 1 - i, n1 - 1 - j],
            Self::FlipRows => [i, n1 - 1 - j],
            Self::Display => [i, j],
        }
    }

    /// The box in the image of a box of voxels, in a slice of `shape` `[n0, n1]`.
    ///
    /// # Panics
    /// If the box lies outside the shape: a caller's bug.
    #[must_use]
    pub fn map_box(self, shape: [u32; 2], voxels: VoxelBox) -> BoxPx {
        let [xa, ya] = self.map_point(shape, [voxels.i_min, voxels.j_min]);
        let [xb, yb] = self.map_point(shape, [voxels.i_max, voxels.j_max]);
        BoxPx { x_min: xa.min(xb), y_min: ya.min(yb), x_max: xa.max(xb), y_max: ya.max(yb) }
    }

    /// The image plane, `[row, column]`, of one slice `[i, j]`; nothing is copied.
    #[must_use]
    pub fn view<T>(self, slice: ArrayView2<'_, T>) -> ArrayView2<'_, T> {
        let mut slice = slice;
        match self {
            Self::Stored => return slice,
            Self::FlipBoth => {
                slice.invert_axis(Axis(0));
                slice.invert_axis(Axis(1));
            }
            Self::FlipRows => slice.invert_axis(Axis(1)),
            Self::Display => {}
        }
        slice.reversed_axes()
    }
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;

    #[test]
    fn views_of_the_worked_array() {
        let a = array![[0, 1, 2], [3, 4, 5]];
        let view = |map: PlaneMap| map.view(a.view()).to_owned();
        assert_eq!(view(PlaneMap::Stored), a);
        assert_eq!(view(PlaneMap::FlipBoth), array![[5, 2], [4, 1], [3, 0]]);
        assert_eq!(view(PlaneMap::FlipRows), array![[2, 5], [1, 4], [0, 3]]);
        assert_eq!(view(PlaneMap::Display), array![[0, 3], [1, 4], [2, 5]]);
    }

    #[test]
    fn nih_image_is_a_vertical_flip_of_the_dicom_rows() {
        // DICOM D[y, x] as read into a volume indexed [x, y].
        let dicom = array![[0, 1, 2], [3, 4, 5]];
        let volume_slice = dicom.t();
        assert_eq!(PlaneMap::FlipRows.view(volume_slice), array![[3, 4, 5], [0, 1, 2]]);
    }

    #[test]
    fn worked_points() {
        let check = |map: PlaneMap, shape: [u32; 2], voxel: [u32; 2], column_row: [u32; 2]| {
            assert_eq!(map.map_point(shape, voxel), column_row, "{map:?} {shape:?} {voxel:?}");
        };
        check(PlaneMap::FlipBoth, [512, 512], [100, 200], [411, 311]);
        check(PlaneMap::FlipRows, [512, 512], [100, 200], [100, 311]);
        check(PlaneMap::FlipBoth, [6, 5], [3, 3], [2, 1]);
        check(PlaneMap::FlipRows, [6, 5], [3, 3], [3, 1]);
    }
}
