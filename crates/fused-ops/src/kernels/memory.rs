//! Memory that is written before it is read, without a pass of zeros first.

use std::mem::MaybeUninit;

/// Memory for `n` numbers; in debug builds full of NaN.
pub(crate) fn fresh(n: usize) -> Vec<MaybeUninit<f32>> {
    if cfg!(debug_assertions) {
        return vec![MaybeUninit::new(f32::NAN); n];
    }
    Box::new_uninit_slice(n).into_vec()
}

/// The numbers of memory that was written.
///
/// The callers are this crate's kernels, each of which writes the whole of its output; their tests
/// would find the NaN of [`fresh`].
pub(crate) fn written(memory: Vec<MaybeUninit<f32>>) -> Vec<f32> {
    let memory = memory.into_boxed_slice();
    #[expect(unsafe_code, reason = "the kernels write every number of their outputs, see above")]
    unsafe { memory.assume_init() }.into_vec()
}
