//! A picture as a stage was trained to see it.

use std::sync::Arc;

use cascade::ImageFit;
use chat_api::{ChatImage, ModelError};
use ct_slices::BoxPx;
use ct_slices::pixels::{PixelError, PngLimits, decode_png, encode_gray, encode_rgb};
use ndarray::{Axis, s};
use vlm_infer::ImageSource;

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
    let decoded = decode_png(png, &PngLimits::default())?;
    let color = decoded.to_rgb();
    let whole = decoded.into_gray().map_or(color, |gray| gray.insert_axis(Axis(2)));
    let [x_min, y_min, x_max, y_max] = <[u32; 4]>::from(frame).map(|edge| edge as usize);
    let square = fit.square(whole.slice(s![y_min..=y_max, x_min..=x_max, ..]), model_px)?;
    let plane = |channel: usize| square.index_axis(Axis(2), channel);
    if square.len_of(Axis(2)) == 1 { encode_gray(plane(0)) } else { encode_rgb([0, 1, 2].map(plane)) }
}
