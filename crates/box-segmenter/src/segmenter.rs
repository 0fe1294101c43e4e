//! Slices and boxes in, masks out.

use std::path::Path;

use ct_slices::BoxPx;
use ndarray::{Array2, ArrayView2, Ix4, s};
use tract_onnx::prelude::Tensor;

use crate::error::SegmentError;
use crate::form::{DecoderForm, DecoderNames, encoder_names};
use crate::image::{Placement, encoder_image};
use crate::network::{Network, OnnxFile, shown_shape};
use crate::options::{ImageInput, ModelLimits, SegmenterOptions, SquareFit};
use crate::resample::bilinear;

/// The side of the square where an encoder's file leaves it open: that of SAM and MedSAM.
const PUBLISHED_SIDE: u64 = 1024;
/// Most masks that a decoder may give for one box.
const MAX_MASKS: usize = 16;

/// An encoder and a decoder, ready to run.
pub struct BoxSegmenter {
    encoder: Network,
    decoder: Network,
    form: DecoderForm,
    image: ImageInput,
    side: usize,
    threshold: f32,
    /// Of the encoder's output.
    embedding: Vec<usize>,
    /// Of the decoder's `mask_input`, or of its `boxes`.
    prompt: Vec<usize>,
}

/// What an encoder made of a slice; boxes of that slice are segmented from it.
pub struct SliceEmbedding {
    tensor: Tensor,
    placement: Placement,
}

/// The mask of one box.
#[derive(Clone, Debug, PartialEq)]
pub struct BoxMask {
    /// `[row, column]` of the slice: where the logit is above the threshold.
    pub mask: Array2<bool>,
    /// `[row, column]` of the slice: what the decoder gave, resized.
    pub logits: Array2<f32>,
    /// The model's own estimate of the mask's IoU, if it gives one.
    pub predicted_iou: Option<f32>,
}

impl BoxSegmenter {
    /// Reads an encoder and a decoder and tells the decoder's form by its names.
    ///
    /// # Errors
    /// [`SegmentError::Read`]; [`SegmentError::Limit`]; [`SegmentError::Onnx`] and
    /// [`SegmentError::RunTime`] for what is no model, or has operators that the run-time lacks;
    /// [`SegmentError::Names`] with the names found and those understood; [`SegmentError::Tensor`] for
    /// shapes that do not fit each other; [`SegmentError::Threshold`].
    pub fn open(encoder: &Path, decoder: &Path, options: &SegmenterOptions) -> Result<Self, SegmentError> {
        let SegmenterOptions { image, threshold, limits } = options;
        if !threshold.is_finite() {
            return Err(SegmentError::Threshold { value: *threshold });
        }
        let encoder = OnnxFile::read(encoder, limits)?;
        let decoder = OnnxFile::read(decoder, limits)?;
        let names = DecoderNames::of(&decoder)?;
        let (image_name, embedding_name) = encoder_names(&encoder, &names.embedding)?;
        let side = square_side(&encoder, &image_name, limits)?;
        let encoder = encoder.load(&[(&image_name, vec![1, 3, side, side])], &[&embedding_name], limits)?;
        let embedding = match encoder.outputs.first() {
            Some((_, Some(shape))) if shape.len() == 4 && shape[0] == 1 => shape.clone(),
            Some((_, shape)) => {
                let got = shape.clone().unwrap_or_default();
                return Err(encoder.wrong_output(
                    0,
                    &got,
                    "the embedding of one image, `[1, d, rows, columns]`",
                ));
            }
            None => return Err(encoder.wrong_output(0, &[], "an embedding")),
        };

        let mut outputs = vec![names.masks.as_str()];
        outputs.extend(names.quality.as_deref());
        let (decoder, prompt) = match &names.boxes {
            None => {
                let prompt = mask_prompt_shape(&decoder, &embedding);
                let inputs = [
                    (names.embedding.as_str(), embedding.clone()),
                    ("point_coords", vec![1, 2, 2]),
                    ("point_labels", vec![1, 2]),
                    ("mask_input", prompt.clone()),
                    ("has_mask_input", vec![1]),
                ];
                (decoder.load(&inputs, &outputs, limits)?, prompt)
            }
            Some(boxes) => {
                let prompt = box_prompt_shape(&decoder, boxes)?;
                let inputs = [(names.embedding.as_str(), embedding.clone()), (boxes, prompt.clone())];
                (decoder.load(&inputs, &outputs, limits)?, prompt)
            }
        };
        let published = match names.form {
            DecoderForm::Points => ImageInput::SAM,
            DecoderForm::Boxes => ImageInput::MEDSAM,
        };
        let image = image.unwrap_or(published);
        let form = names.form;
        Ok(Self { encoder, decoder, form, image, side, threshold: *threshold, embedding, prompt })
    }

    /// Which prompts the decoder takes.
    #[must_use]
    pub fn form(&self) -> DecoderForm {
        self.form
    }

    /// The side of the encoder's square, in px.
    #[must_use]
    pub fn side_px(&self) -> usize {
        self.side
    }

    /// SHA-256 of the encoder's and the decoder's file, in hex; files of weights beside them are not part
    /// of it.
    #[must_use]
    pub fn sha256(&self) -> [&str; 2] {
        [&self.encoder.sha256, &self.decoder.sha256]
    }

    /// Runs the encoder on a slice: the long part, once for all boxes of the slice.
    ///
    /// # Shapes
    /// - `gray`: `[row, column]`, any size; a CT slice that was windowed to 8 bits
    ///
    /// # Errors
    /// [`SegmentError::Slice`] for a slice without pixels; [`SegmentError::Onnx`],
    /// [`SegmentError::RunTime`] and [`SegmentError::Tensor`] if the model fails on it.
    pub fn encode(&self, gray: ArrayView2<'_, u8>) -> Result<SliceEmbedding, SegmentError> {
        let (rows, columns) = gray.dim();
        let placement = Placement::new([rows, columns], self.side, self.image.fit);
        let image = encoder_image(gray, self.side, &self.image, &placement)?;
        let mut outputs = self.encoder.run(vec![Tensor::from(image)])?;
        let tensor = outputs.swap_remove(0);
        if tensor.shape() != self.embedding {
            return Err(self.encoder.wrong_output(0, tensor.shape(), &format!("{:?}", self.embedding)));
        }
        Ok(SliceEmbedding { tensor, placement })
    }

    /// The mask of a box of a slice that was encoded. Of several masks the one with the highest predicted
    /// IoU; the first, where the model predicts none.
    ///
    /// # Shapes
    /// - returns `[row, column]` of the slice
    ///
    /// # Errors
    /// [`SegmentError::Box`] for a box that does not lie in the slice; [`SegmentError::Onnx`],
    /// [`SegmentError::RunTime`] and [`SegmentError::Tensor`] if the model fails on it, or if the slice was
    /// encoded by another one.
    ///
    /// # Source
    /// segment-anything, `utils/onnx.py`, `SamOnnxModel.mask_postprocessing`: logits are resized to the
    /// encoder's square, cut to what shows the slice, and resized to the slice. MedSAM resizes
    /// probabilities in place of logits; its masks may differ in pixels of the edge.
    pub fn segment(&self, slice: &SliceEmbedding, box_px: BoxPx) -> Result<BoxMask, SegmentError> {
        let SliceEmbedding { tensor, placement } = slice;
        let [rows, columns] = placement.size;
        let is_inside = |max: u32, side: usize| u64::from(max) < side as u64;
        let in_order = box_px.x_min <= box_px.x_max && box_px.y_min <= box_px.y_max;
        if !in_order || !is_inside(box_px.x_max, columns) || !is_inside(box_px.y_max, rows) {
            return Err(SegmentError::Box { box_px, columns, rows });
        }
        let corners = placement.corners(box_px);
        let mut inputs = vec![tensor.clone()];
        match self.form {
            DecoderForm::Points => {
                inputs.push(zeros_or(&[1, 2, 2], &corners));
                inputs.push(zeros_or(&[1, 2], &[2.0, 3.0]));
                inputs.push(zeros_or(&self.prompt, &[]));
                inputs.push(zeros_or(&[1], &[]));
            }
            DecoderForm::Boxes => inputs.push(zeros_or(&self.prompt, &corners)),
        }
        let outputs = self.decoder.run(inputs)?;
        let quality: Vec<f32> = match outputs.get(1) {
            Some(quality) => self.values(quality, 1)?.iter().copied().collect(),
            None => Vec::new(),
        };
        let masks = self.values(&outputs[0], 0)?;
        let expected = "`[1, masks, rows, columns]`";
        let wrong = || self.decoder.wrong_output(0, outputs[0].shape(), expected);
        let masks = masks.into_dimensionality::<Ix4>().map_err(|_| wrong())?;
        let (batch, n_masks, low_rows, low_columns) = masks.dim();
        if batch != 1 || !(1..=MAX_MASKS).contains(&n_masks) || low_rows == 0 || low_columns == 0 {
            return Err(wrong());
        }
        let best =
            (0..n_masks.min(quality.len())).max_by(|a, b| quality[*a].total_cmp(&quality[*b]).then(b.cmp(a)));
        let low = masks.slice(s![0, best.unwrap_or(0), .., ..]);
        let logits = match self.image.fit {
            SquareFit::Stretch => bilinear(low, placement.size),
            SquareFit::Pad => {
                let square = bilinear(low, [self.side, self.side]);
                let [shown_rows, shown_columns] = placement.shown;
                bilinear(square.slice(s![..shown_rows, ..shown_columns]), placement.size)
            }
        };
        let mask = logits.mapv(|logit| logit > self.threshold);
        Ok(BoxMask { mask, logits, predicted_iou: best.map(|best| quality[best]) })
    }

    fn values<'t>(
        &self,
        tensor: &'t Tensor,
        place: usize,
    ) -> Result<ndarray::ArrayViewD<'t, f32>, SegmentError> {
        let wrong = |_| self.decoder.wrong_output(place, tensor.shape(), "an array of numbers");
        tensor.to_plain_array_view::<f32>().map_err(wrong)
    }
}

/// A tensor that starts with some values, zeros after.
fn zeros_or(shape: &[usize], values: &[f32]) -> Tensor {
    let mut array = ndarray::ArrayD::zeros(shape);
    array.iter_mut().zip(values).for_each(|(element, value)| *element = *value);
    Tensor::from(array)
}

/// The side of the square that an encoder takes, from its file.
fn square_side(encoder: &OnnxFile, name: &str, limits: &ModelLimits) -> Result<usize, SegmentError> {
    let open = [None; 4];
    let shape = encoder.input(name).and_then(|input| input.shape.as_deref()).unwrap_or(&open);
    let is_open_or = |length: Option<u64>, wanted| length.is_none_or(|length| length == wanted);
    let side = match *shape {
        [batch, channels, rows, columns] if is_open_or(batch, 1) && is_open_or(channels, 3) => {
            let side = rows.or(columns).unwrap_or(PUBLISHED_SIDE);
            (is_open_or(rows, side) && is_open_or(columns, side)).then_some(side)
        }
        _ => None,
    };
    match side.filter(|side| *side <= limits.max_side_px).and_then(|side| usize::try_from(side).ok()) {
        Some(side) => Ok(side),
        None => Err(SegmentError::Tensor {
            path: encoder.path.clone(),
            name: crate::form::printable(name),
            got: shown_shape(shape),
            expected: format!("`[1, 3, side, side]` with a side of at most {}", limits.max_side_px),
        }),
    }
}

/// The shape of `mask_input`: four times the embedding's grid where the file leaves it open.
fn mask_prompt_shape(decoder: &OnnxFile, embedding: &[usize]) -> Vec<usize> {
    let declared = decoder.input("mask_input").and_then(|input| input.shape.as_deref());
    let published = [1, 1, embedding[2].saturating_mul(4), embedding[3].saturating_mul(4)];
    let side = |axis: usize| {
        let declared = declared.and_then(|shape| *shape.get(axis)?);
        declared.and_then(|side| usize::try_from(side).ok()).unwrap_or(published[axis])
    };
    [0, 1, 2, 3].map(side).to_vec()
}

/// The shape of an input of boxes: `[1, 1, 4]`, or `[1, 4]`.
fn box_prompt_shape(decoder: &OnnxFile, name: &str) -> Result<Vec<usize>, SegmentError> {
    let declared = decoder.input(name).and_then(|input| input.shape.as_deref());
    match declared.map(<[_]>::len) {
        Some(3) | None => Ok(vec![1, 1, 4]),
        Some(2) => Ok(vec![1, 4]),
        Some(_) => Err(SegmentError::Tensor {
            path: decoder.path.clone(),
            name: crate::form::printable(name),
            got: shown_shape(declared.unwrap_or_default()),
            expected: "`[1, 1, 4]` or `[1, 4]`".to_owned(),
        }),
    }
}

impl std::fmt::Debug for BoxSegmenter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BoxSegmenter")
            .field("encoder", &self.encoder.path)
            .field("decoder", &self.decoder.path)
            .field("form", &self.form)
            .field("image", &self.image)
            .field("side", &self.side)
            .field("threshold", &self.threshold)
            .finish_non_exhaustive()
    }
}

impl std::fmt::Debug for SliceEmbedding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let shape = self.tensor.shape();
        f.debug_struct("SliceEmbedding").field("shape", &shape).field("placement", &self.placement).finish()
    }
}
