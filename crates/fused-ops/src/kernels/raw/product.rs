//! Matrix products through the `gemm` crate.

use super::memory::{fresh, written};

/// A matrix in memory.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Mat<'a> {
    data: &'a [f32],
    n_rows: usize,
    n_cols: usize,
    row_stride: usize,
    col_stride: usize,
}

impl<'a> Mat<'a> {
    /// # Panics
    /// If an entry lies outside of `data`.
    pub(crate) fn new(
        data: &'a [f32],
        [n_rows, n_cols]: [usize; 2],
        [row_stride, col_stride]: [usize; 2],
    ) -> Self {
        assert!(
            n_entries([n_rows, n_cols], [row_stride, col_stride]) <= data.len(),
            "a matrix in its memory"
        );
        Self { data, n_rows, n_cols, row_stride, col_stride }
    }

    /// Rows one after the other.
    pub(crate) fn rows(data: &'a [f32], shape: [usize; 2]) -> Self {
        Self::new(data, shape, [shape[1], 1])
    }

    pub(crate) fn transposed(self) -> Self {
        Self {
            n_rows: self.n_cols,
            n_cols: self.n_rows,
            row_stride: self.col_stride,
            col_stride: self.row_stride,
            ..self
        }
    }
}

/// Memory that a matrix needs from its first entry on.
fn n_entries([n_rows, n_cols]: [usize; 2], [row_stride, col_stride]: [usize; 2]) -> usize {
    if n_rows == 0 || n_cols == 0 {
        return 0;
    }
    let last = |n: usize, stride: usize| (n - 1).checked_mul(stride);
    let last = last(n_rows, row_stride).zip(last(n_cols, col_stride)).and_then(|(a, b)| a.checked_add(b));
    last.and_then(|last| last.checked_add(1)).expect("a matrix that fits the address space")
}

/// Multiplications from which a product is worth the other threads.
const PARALLEL: usize = 1 << 21;

/// Where a product goes.
#[derive(Debug)]
pub(crate) enum To<'a> {
    /// Numbers that it replaces.
    Over(&'a mut [f32]),
    /// Numbers that it is added to.
    Added(&'a mut [f32]),
}

/// `lhs · rhs` in memory that it is the first to write, its rows one after the other.
///
/// # Panics
/// If the sizes do not fit each other.
pub(crate) fn fresh_product(lhs: Mat<'_>, rhs: Mat<'_>, is_parallel: bool) -> Vec<f32> {
    let size = [lhs.n_rows, rhs.n_cols];
    let len = size[0].checked_mul(size[1]).expect("a product that fits the address space");
    let mut out = fresh(len);
    let to = Out { first: out.as_mut_ptr().cast(), len, stride: size[1], is_added: false };
    #[expect(unsafe_code, reason = "see below")]
    // SAFETY: `first` is that of `len` numbers, borrowed alone. gemm writes every entry of the product without
    // reading it, and the product is all of `out`, as rows are as far apart as they are wide.
    unsafe {
        write_product(&to, 1.0, lhs, rhs, is_parallel);
        written(out)
    }
}

/// `scale · lhs · rhs`, whose rows go to places `stride` apart.
///
/// # Panics
/// If the sizes do not fit each other.
pub(crate) fn product(to: To<'_>, stride: usize, scale: f32, lhs: Mat<'_>, rhs: Mat<'_>, is_parallel: bool) {
    let (out, is_added) = match to {
        To::Over(out) => (out, false),
        To::Added(out) => (out, true),
    };
    let to = Out { first: out.as_mut_ptr(), len: out.len(), stride, is_added };
    #[expect(unsafe_code, reason = "see below")]
    // SAFETY: `first` and `len` are those of a slice that is borrowed alone and holds numbers.
    unsafe {
        write_product(&to, scale, lhs, rhs, is_parallel);
    }
}

/// The memory of a product.
struct Out {
    first: *mut f32,
    len: usize,
    /// How far rows are apart.
    stride: usize,
    /// Whether the product is added to the numbers that are there.
    is_added: bool,
}

/// # Safety
/// `out.first` must be that of `out.len` numbers of which nobody else reads or writes any meanwhile; with
/// `is_added` they must have been written. Every entry of the product is written.
///
/// # Panics
/// If the sizes do not fit each other.
#[expect(unsafe_code, reason = "gemm takes pointers")]
unsafe fn write_product(out: &Out, scale: f32, lhs: Mat<'_>, rhs: Mat<'_>, is_parallel: bool) {
    let &Out { first, len, stride, is_added } = out;
    let [m, n, k] = [lhs.n_rows, rhs.n_cols, lhs.n_cols];
    assert_eq!(k, rhs.n_rows, "inner sizes of a product");
    assert!(n <= stride || m <= 1, "rows of a product side by side");
    assert!(n_entries([m, n], [stride, 1]) <= len, "a product in its memory");
    if m == 0 || n == 0 {
        return;
    }
    let is_large = m.saturating_mul(n).saturating_mul(k) >= PARALLEL;
    let parallelism =
        if is_parallel && is_large { gemm::Parallelism::Rayon(0) } else { gemm::Parallelism::None };
    let signed = |stride: usize| isize::try_from(stride).expect("a stride in memory");
    let (out_rs, lhs_rs, lhs_cs) = (signed(stride), signed(lhs.row_stride), signed(lhs.col_stride));
    let (rhs_rs, rhs_cs) = (signed(rhs.row_stride), signed(rhs.col_stride));
    // SAFETY: every entry of the three matrices was checked to lie in its memory, those of `lhs` and `rhs` in
    // borrowed slices; rows of `out` do not overlap, and it is read only where numbers are there already.
    unsafe {
        gemm::gemm(
            m,
            n,
            k,
            first,
            1,
            out_rs,
            is_added,
            lhs.data.as_ptr(),
            lhs_cs,
            lhs_rs,
            rhs.data.as_ptr(),
            rhs_cs,
            rhs_rs,
            1.0,
            scale,
            false,
            false,
            false,
            parallelism,
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn products_are_written_and_added() {
        let a = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]; // [2, 3]
        let b = [1.0, 0.0, 0.0, 1.0, 1.0, 1.0]; // [3, 2]
        let mut out = [7.0; 6]; // rows 3 apart
        product(To::Over(&mut out), 3, 2.0, Mat::rows(&a, [2, 3]), Mat::rows(&b, [3, 2]), true);
        assert_eq!(out, [8.0, 10.0, 7.0, 20.0, 22.0, 7.0]);
        let fresh = fresh_product(Mat::rows(&a, [2, 3]), Mat::rows(&b, [3, 2]), true);
        assert_eq!(fresh, [4.0, 5.0, 10.0, 11.0]);
        // the same matrices, transposed in memory
        let transposed = Mat::rows(&a, [2, 3]).transposed();
        let mut gram = [1.0; 9];
        product(To::Added(&mut gram), 3, 1.0, transposed, transposed.transposed(), false);
        assert_eq!(gram, [18.0, 23.0, 28.0, 23.0, 30.0, 37.0, 28.0, 37.0, 46.0]);
    }

    #[test]
    fn a_product_over_nothing_is_zeros() {
        assert_eq!(fresh_product(Mat::rows(&[], [2, 0]), Mat::rows(&[], [0, 3]), false), [0.0; 6]);
    }

    #[test]
    #[should_panic(expected = "a matrix in its memory")]
    fn a_matrix_outside_of_its_memory() {
        Mat::rows(&[0.0; 5], [2, 3]);
    }

    #[test]
    #[should_panic(expected = "a product in its memory")]
    fn a_product_outside_of_its_memory() {
        let a = [0.0; 4];
        product(To::Over(&mut [0.0; 3]), 2, 1.0, Mat::rows(&a, [2, 2]), Mat::rows(&a, [2, 2]), false);
    }
}
