//! The published tumour-classification mix.

use crate::index::YesNo;
use crate::python::PyRandom;
use crate::records::{MsdRecord, NihRecord, SplitRecord, TcRecord};

/// All MSD tumour slices with the answer yes, then as many NIH slices (or all, if fewer) with the
/// answer no, drawn without replacement and in random order; numbered from 1 (SPEC 1.9).
///
/// Call it for the **test** part first, then for the training part, with one generator; seed 42
/// for era M. Kept as published: the answer tells the source (D9), and MSD is never sampled, so
/// that a larger MSD gives an unbalanced mix (D12).
/// [`mix_tumor_classification_fixed`](super::mix_tumor_classification_fixed) repairs both.
#[must_use]
pub fn mix_tumor_classification(
    msd: &[SplitRecord<MsdRecord>],
    nih: &[SplitRecord<NihRecord>],
    random: &mut PyRandom,
) -> Vec<TcRecord> {
    let drawn = random.sample_at_most(nih, msd.len());
    let first_no = msd.len() as u64 + 1;
    let yes = (1..).zip(msd).map(|(q_id, yes)| TcRecord::from_msd(yes.record.clone(), q_id, YesNo::Yes));
    let no = (first_no..).zip(drawn).map(|(q_id, no)| TcRecord::from_nih(no.record, q_id, YesNo::No));
    yes.chain(no).collect()
}
