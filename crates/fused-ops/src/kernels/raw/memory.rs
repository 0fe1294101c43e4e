//! Memory that is written before it is read, without a pass of zeros over all of it first.

use std::mem::MaybeUninit;

/// What memory holds before a kernel writes it: in debug builds NaN, so that tests see what a kernel leaves out.
const BLANK: f32 = if cfg!(debug_assertions) { f32::NAN } else { 0.0 };

/// Memory for `n` numbers; in debug builds full of [`BLANK`].
pub(super) fn fresh(n: usize) -> Vec<MaybeUninit<f32>> {
    if cfg!(debug_assertions) {
        return vec![MaybeUninit::new(BLANK); n];
    }
    Box::new_uninit_slice(n).into_vec()
}

/// A part of fresh memory as numbers.
///
/// Parts are small enough for the cache of a core, which their kernel then writes again: that costs far
/// less than a pass of zeros over the whole output.
#[inline(always)]
pub(super) fn blank(part: &mut [MaybeUninit<f32>]) -> &mut [f32] {
    part.fill(MaybeUninit::new(BLANK));
    #[expect(unsafe_code, reason = "see below")]
    // SAFETY: every number was written by the line above.
    unsafe {
        part.assume_init_mut()
    }
}

/// The numbers of memory that was written.
///
/// # Safety
/// Every number of `memory` must have been written.
#[expect(unsafe_code, reason = "the caller promises it, see above")]
pub(super) unsafe fn written(memory: Vec<MaybeUninit<f32>>) -> Vec<f32> {
    let memory = memory.into_boxed_slice();
    // SAFETY: the caller's promise.
    unsafe { memory.assume_init() }.into_vec()
}
