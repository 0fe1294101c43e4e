//! Which prompts a decoder takes, told by the names of its inputs.

use crate::error::{ModelPart, SegmentError};
use crate::network::OnnxFile;

/// Which prompts a decoder takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum DecoderForm {
    /// SAM's official export: a box is two points with the labels 2 and 3.
    Points,
    /// MedSAM's users: an input `boxes` of shape `[1, 1, 4]` or `[1, 4]`.
    Boxes,
}

pub(crate) const EMBEDDING: [&str; 3] = ["image_embeddings", "image_embedding", "embeddings"];
const BOXES: [&str; 3] = ["boxes", "box", "bboxes"];
const POINTS: [&str; 4] = ["point_coords", "point_labels", "mask_input", "has_mask_input"];
/// Only for the output `masks`, which is not used.
const IMAGE_SIZE: &str = "orig_im_size";
const MASKS: [&str; 3] = ["low_res_masks", "low_res_logits", "masks"];
const QUALITY: &str = "iou_predictions";

const UNDERSTOOD: &str = "SAM's export (`image_embeddings`, `point_coords`, `point_labels`, `mask_input`, \
    `has_mask_input`, perhaps `orig_im_size`, with the output `low_res_masks`), or `image_embeddings` and \
    `boxes` with the output `low_res_masks` or `masks`";
const UNDERSTOOD_ENCODER: &str = "one input of any name, an image `[1, 3, side, side]`, and one output, or one that the decoder's input names";

/// The names that matter of a decoder.
#[derive(Debug)]
pub(crate) struct DecoderNames {
    pub(crate) form: DecoderForm,
    pub(crate) embedding: String,
    /// Of [`DecoderForm::Boxes`].
    pub(crate) boxes: Option<String>,
    pub(crate) masks: String,
    pub(crate) quality: Option<String>,
}

impl DecoderNames {
    pub(crate) fn of(decoder: &OnnxFile) -> Result<Self, SegmentError> {
        let inputs: Vec<&str> = decoder.inputs.iter().map(|input| input.name.as_str()).collect();
        let outputs: Vec<&str> = decoder.outputs.iter().map(String::as_str).collect();
        let refused = || refused(decoder, ModelPart::Decoder, UNDERSTOOD, inputs.len() == 1);
        let embedding = one_of(&EMBEDDING, &inputs).ok_or_else(refused)?;
        let rest: Vec<&str> = inputs.iter().copied().filter(|name| *name != embedding).collect();
        let boxes = one_of(&BOXES, &rest);
        let (form, masks) = if boxes.is_some() && rest.len() == 1 {
            // A single output can be nothing else.
            let only = if let [only] = outputs.as_slice() { Some(*only) } else { None };
            (DecoderForm::Boxes, one_of(&MASKS, &outputs).or(only))
        } else if POINTS.iter().all(|name| rest.contains(name))
            && rest.iter().all(|name| POINTS.contains(name) || *name == IMAGE_SIZE)
        {
            (DecoderForm::Points, one_of(&MASKS[..2], &outputs))
        } else {
            return Err(refused());
        };
        Ok(Self {
            form,
            embedding: embedding.to_owned(),
            boxes: boxes.map(str::to_owned),
            masks: masks.ok_or_else(refused)?.to_owned(),
            quality: one_of(&[QUALITY], &outputs).map(str::to_owned),
        })
    }
}

/// The first of the known names that is there.
fn one_of<'a>(known: &[&'a str], names: &[&str]) -> Option<&'a str> {
    known.iter().find(|known| names.contains(known)).copied()
}

/// The input and the output of an encoder.
pub(crate) fn encoder_names(encoder: &OnnxFile, embedding: &str) -> Result<(String, String), SegmentError> {
    let is_decoder = encoder.inputs.iter().any(|input| EMBEDDING.contains(&input.name.as_str()));
    let refused = || refused(encoder, ModelPart::Encoder, UNDERSTOOD_ENCODER, is_decoder);
    let [image] = encoder.inputs.as_slice() else { return Err(refused()) };
    let output = match encoder.outputs.as_slice() {
        [only] => only,
        several => {
            let named = |wanted: &str| several.iter().find(|name| *name == wanted);
            named(embedding).or_else(|| EMBEDDING.iter().find_map(|name| named(name))).ok_or_else(refused)?
        }
    };
    if is_decoder {
        return Err(refused());
    }
    Ok((image.name.clone(), output.clone()))
}

fn refused(file: &OnnxFile, part: ModelPart, understood: &'static str, is_swapped: bool) -> SegmentError {
    SegmentError::Names {
        path: file.path.clone(),
        part,
        inputs: shown(file.inputs.iter().map(|input| input.name.as_str())),
        outputs: shown(file.outputs.iter().map(String::as_str)),
        understood,
        is_swapped,
    }
}

/// Names of a file in a message: few, short, printable.
fn shown<'a>(names: impl ExactSizeIterator<Item = &'a str>) -> Vec<String> {
    const MOST: usize = 16;
    let left_out = names.len().saturating_sub(MOST);
    let mut shown: Vec<String> = names.take(MOST).map(|name| format!("`{}`", printable(name))).collect();
    if left_out > 0 {
        shown.push(format!("{left_out} more"));
    }
    if shown.is_empty() {
        shown.push("none".to_owned());
    }
    shown
}

/// A name of a file, short and printable.
pub(crate) fn printable(name: &str) -> String {
    name.chars().take(64).map(|c| if c.is_ascii_graphic() || c == ' ' { c } else { '?' }).collect()
}
