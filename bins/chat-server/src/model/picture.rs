//! A picture as a stage was trained to see it.

use std::sync::Arc;

use cascade::ImageFit;
use chat_api::{ChatImage, ModelError};
use ct_slices::BoxPx;
use ct_slices::pixels::{
    Filter, PixelError, PngLimits, decode_png, encode_gray, encode_rgb, letterbox, resize,
};
use ndarray::{Array2, Array3, ArrayView3, Axis, s};
use vlm_infer::ImageSource;

/// Side that [`ImageFit::HideSize`] goes through.
const HIDDEN_SIZE_PX: usize = 48;

/// A picture as a model takes it.
pub(super) fn image_source(image: &ChatImage) -> ImageSource {
    source_of(Arc::clone(&image.png))
}

/// A part of a picture, or all of it, as a stage takes it.
pub(super) fn shown(
    image: &ChatImage,
    frame: Option<BoxPx>,
    fit: ImageFit,
    model_px: usize,
) -> Result<ImageSource, ModelError> {
    if frame.is_none() && fit == ImageFit::Stretch {
        return Ok(image_source(image));
    }
    let refused = |_| ModelError::Refused { reason: "the picture cannot be used".to_owned() };
    let frame = frame.unwrap_or_else(|| BoxPx::whole(image.size_px));
    Ok(source_of(draw(&image.png, frame, fit, model_px).map_err(refused)?.into()))
}

fn source_of(png: Arc<[u8]>) -> ImageSource {
    ImageSource::Bytes { name: "picture".to_owned(), bytes: png }
}

fn draw(png: &[u8], frame: BoxPx, fit: ImageFit, model_px: usize) -> Result<Vec<u8>, PixelError> {
    let decoded = decode_png(png, &PngLimits::default())?.to_rgb();
    let [x_min, y_min, x_max, y_max] = <[u32; 4]>::from(frame).map(|edge| edge as usize);
    let part = decoded.slice(s![y_min..=y_max, x_min..=x_max, ..]);
    let (rows, columns, _) = part.dim();
    match fit {
        ImageFit::Stretch => encode(part),
        ImageFit::HideSize => encode(resize(part, HIDDEN_SIZE_PX, HIDDEN_SIZE_PX, Filter::Bicubic)?.view()),
        ImageFit::Native if rows.max(columns) <= model_px => {
            let mut square = Array3::zeros((model_px, model_px, 3));
            let (top, left) = ((model_px - rows) / 2, (model_px - columns) / 2);
            square.slice_mut(s![top..top + rows, left..left + columns, ..]).assign(&part);
            encode(square.view())
        }
        ImageFit::Letterbox | ImageFit::Native => {
            let gray: Array2<u8> = part.index_axis(Axis(2), 0).to_owned();
            encode_gray(letterbox(gray.view(), model_px)?.view())
        }
    }
}

/// Gray where all pixels are.
fn encode(image: ArrayView3<'_, u8>) -> Result<Vec<u8>, PixelError> {
    let planes = [0, 1, 2].map(|channel| image.index_axis(Axis(2), channel));
    let [red, green, blue] = &planes;
    if red == green && green == blue { encode_gray(*red) } else { encode_rgb(planes) }
}
