//! Inputs from formulas that the peer (`peer.py`) computes too.

use std::path::Path;

use anyhow::Result;
use burn::tensor::{Device, Tensor, TensorData};
use vlm_model::{DeviceChoice, MiniGpt, Precision, Sequence, SequencePart, load_checkpoint};

/// Text before the image, and text that is learned.
const N_BEFORE: usize = 5;
const N_ANSWER: usize = 16;

/// The model of a checkpoint folder, in f32 on the CPU.
pub(crate) fn open(folder: &Path) -> Result<MiniGpt> {
    let device = DeviceChoice::Cpu.open()?;
    Ok(load_checkpoint(folder, Precision::F32, &device, &mut |_, _| {})?.0)
}

/// Positions of a sequence: 60 where an image is 16 tokens, 310 where it is 64.
pub(crate) fn n_positions(model: &MiniGpt) -> usize {
    if model.config().n_image_tokens() <= 16 { 60 } else { 310 }
}

/// Value i is `(i · 2654435761 mod 2^32) / 2^31 - 1`.
pub(crate) fn pixels(n_images: usize, size: usize, device: &Device) -> Tensor<4> {
    let values: Vec<f32> = (0..n_images * 3 * size * size)
        .map(|i| {
            let hashed = (i as u64).wrapping_mul(2_654_435_761) & 0xFFFF_FFFF;
            #[expect(clippy::cast_precision_loss, clippy::cast_possible_truncation, reason = "as the peer")]
            let value = (hashed as f64 / f64::from(1_u32 << 31) - 1.0) as f32;
            value
        })
        .collect();
    Tensor::from_data(TensorData::new(values, [n_images, 3, size, size]), device)
}

/// Ids of a row's text: all but the image.
fn text(model: &MiniGpt, row: usize) -> Vec<u32> {
    let vocab = model.config().llama.vocab_size - 3;
    let n = n_positions(model) - model.config().n_image_tokens();
    #[expect(clippy::cast_possible_truncation, reason = "below the vocabulary")]
    let id = |at: usize| 3 + ((row * 7919 + at * 104_729) % vocab) as u32;
    (0..n).map(id).collect()
}

/// BOS and text before the image, the image, text after it, and the answer that is learned.
pub(crate) fn condition_and_answer(model: &MiniGpt, row: usize) -> (Sequence, Vec<u32>) {
    let text = text(model, row);
    let (before, rest) = text[1..].split_at(N_BEFORE);
    let (after, answer) = rest.split_at(rest.len() - N_ANSWER);
    let tokens = |ids: &[u32]| SequencePart::Tokens(ids.to_vec());
    (vec![tokens(before), SequencePart::Image(row), tokens(after)], answer.to_vec())
}

/// A whole row for generation, about image `row`.
pub(crate) fn sequence(model: &MiniGpt, row: usize) -> Sequence {
    let (condition, answer) = condition_and_answer(model, row);
    let bos = SequencePart::Tokens(vec![model.config().llama.bos_token]);
    std::iter::once(bos).chain(condition).chain([SequencePart::Tokens(answer)]).collect()
}

/// The first values of a tensor, as far as the peer compares them.
pub(crate) fn first_values<const D: usize>(tensor: Tensor<D>) -> Result<Vec<f64>> {
    let values = tensor.try_into_vec_as::<f32>().map_err(|error| anyhow::anyhow!("{error}"))?;
    Ok(values.iter().take(64).map(|value| f64::from(*value)).collect())
}
