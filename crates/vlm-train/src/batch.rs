//! A batch as the published code lays it out.

use burn::tensor::Tensor;
use vlm_model::{IGNORED_LABEL, Labels, Padding, Sequence, SequencePart};

use crate::EncodedSample;

/// A question with its images, and the answer to learn.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrainingSample {
    /// What the model is given, without the beginning-of-sequence token.
    pub condition: Sequence,
    /// The answer's ids, its end token included.
    pub answer: Vec<u32>,
}

/// The images of a batch, in the order in which sequences name them.
#[derive(Debug, Clone)]
pub enum BatchImages {
    /// Normalized pixels, `[n_images, 3, size, size]`.
    Pixels(Tensor<4>),
    /// Vision features computed before, `[n_images, n_image_tokens, merge · width]`: the tower is
    /// frozen, so that they need be computed once.
    Features(Tensor<3>),
    /// None.
    Nothing,
}

/// Sequences with labels and images, ready for [`train_step`](crate::train_step).
#[derive(Debug, Clone)]
pub struct TrainingBatch {
    /// Rows without padding: BOS, condition, answer.
    pub sequences: Vec<Sequence>,
    /// A label for each position of the padded rows.
    pub labels: Labels,
    /// Right padding with the published pad token's embedding.
    pub padding: Padding,
    /// The images.
    pub images: BatchImages,
}

impl TrainingBatch {
    /// Lays samples out: BOS, condition, answer, padding on the right. Labels stand at the
    /// answer's own positions; a label equal to the pad token is not learned.
    ///
    /// The published code pads answers before conditions; padding is masked and answers do not
    /// move, so nothing that is computed differs.
    ///
    /// `n_image_tokens` is the number of positions that one image takes.
    ///
    /// # Source
    /// SPEC 4.1.
    #[must_use]
    pub fn new(
        samples: &[TrainingSample],
        images: BatchImages,
        n_image_tokens: usize,
        bos_token: u32,
        pad_token: u32,
    ) -> Self {
        let samples: Vec<EncodedSample> = samples.iter().cloned().map(EncodedSample::from).collect();
        Self::from_encoded(samples, images, n_image_tokens, bos_token, pad_token)
    }

    /// As [`TrainingBatch::new`], of samples with parts that are read and not learned.
    #[must_use]
    pub fn from_encoded(
        samples: Vec<EncodedSample>,
        images: BatchImages,
        n_image_tokens: usize,
        bos_token: u32,
        pad_token: u32,
    ) -> Self {
        let mut sequences = Vec::with_capacity(samples.len());
        let mut rows = Vec::with_capacity(samples.len());
        for EncodedSample { condition, target } in samples {
            let n_before = 1 + condition.iter().map(|part| n_positions(part, n_image_tokens)).sum::<usize>();
            let label = |(id, learned): (&u32, &bool)| {
                if *learned && *id != pad_token { i64::from(*id) } else { IGNORED_LABEL }
            };
            let mut labels = vec![IGNORED_LABEL; n_before];
            labels.extend(target.ids.iter().zip(&target.supervised).map(label));
            rows.push(labels);
            let mut sequence = vec![SequencePart::Tokens(vec![bos_token])];
            sequence.extend(condition);
            sequence.push(SequencePart::Tokens(target.ids));
            sequences.push(sequence);
        }
        let longest = rows.iter().map(Vec::len).max().unwrap_or(0);
        rows.iter_mut().for_each(|row| row.resize(longest, IGNORED_LABEL));
        Self { sequences, labels: Labels::new(rows), padding: Padding::Right(pad_token), images }
    }
}

fn n_positions(part: &SequencePart, n_image_tokens: usize) -> usize {
    match part {
        SequencePart::Tokens(ids) => ids.len(),
        SequencePart::Image(_) => n_image_tokens,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(before: usize, after: usize, answer: usize) -> TrainingSample {
        let tokens = |n: usize| SequencePart::Tokens(vec![7; n]);
        TrainingSample {
            condition: vec![tokens(before), SequencePart::Image(0), tokens(after)],
            answer: vec![9; answer],
        }
    }

    #[test]
    fn worked_vector_of_two_samples() {
        // SPEC 4.1: conditions of 282 and 276 positions, answers of 16 and 12
        let samples = [sample(6, 20, 16), sample(6, 14, 12)];
        let batch = TrainingBatch::new(&samples, BatchImages::Nothing, 256, 1, 3997);
        let answers: Vec<Vec<usize>> = batch
            .labels
            .rows()
            .iter()
            .map(|row| (0..row.len()).filter(|at| row[*at] != IGNORED_LABEL).collect())
            .collect();
        assert_eq!(batch.labels.rows()[1].len(), 299);
        assert_eq!(answers, [(283..=298).collect::<Vec<_>>(), (277..=288).collect()]);
        assert_eq!(batch.labels.n_targets(), 28);
    }

    #[test]
    fn what_is_not_supervised_has_no_label() {
        let target =
            vlm_prompt::TrainingTarget { ids: vec![5, 6, 7, 2], supervised: vec![true, false, false, true] };
        let sample = EncodedSample { condition: vec![SequencePart::Tokens(vec![9])], target };
        let batch = TrainingBatch::from_encoded(vec![sample], BatchImages::Nothing, 4, 1, 3);
        let ignored = IGNORED_LABEL;
        assert_eq!(batch.labels.rows(), [[ignored, ignored, 5, ignored, ignored, 2]]);
    }

    #[test]
    fn a_pad_token_inside_an_answer_is_not_learned() {
        let sample = TrainingSample { condition: vec![], answer: vec![5, 3, 2] };
        let batch = TrainingBatch::new(&[sample], BatchImages::Nothing, 4, 1, 3);
        assert_eq!(batch.labels.rows(), [[IGNORED_LABEL, 5, IGNORED_LABEL, 2]]);
        assert_eq!(batch.sequences[0].len(), 2);
    }
}
