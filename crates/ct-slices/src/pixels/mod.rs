//! Hounsfield planes to 8-bit images, PNG files and model input.
//!
//! A plane is an [`ArrayView2<f32>`](ndarray::ArrayView2) in image order, `[row, col]`, in HU, of any
//! strides; an image is an [`Array2<u8>`](ndarray::Array2) in standard layout. [`Renderer`] turns one
//! into the other, [`encode_gray`], [`encode_rgba`] and [`encode_rgb`] make PNG files, [`decode_png`]
//! reads them back, [`crop`] and [`letterbox`] cut pieces out, [`resize_bicubic`] and
//! [`Normalization`] make what the vision tower takes.
//!
//! It does not orient planes (they come oriented) and reads no other image format.
//!
//! ```
//! use ct_slices::pixels::{self, HuWindow, PngLimits, Rendering};
//! use ndarray::array;
//!
//! let plane = array![[-1000.0, -150.0, 50.0], [49.0, 250.0, 3000.0]];
//! let image = pixels::render(plane.view(), &Rendering::FixedWindow(HuWindow::PANCREAS))?;
//! assert_eq!(image, array![[0, 0, 128], [127, 255, 255]]);
//!
//! let png = pixels::encode_gray(image.view())?;
//! let back = pixels::decode_png(&png, &PngLimits::default())?;
//! assert_eq!(back.into_gray(), Some(image));
//! # Ok::<(), pixels::PixelError>(())
//! ```

mod crop;
mod decode;
mod encode;
mod equalize;
mod error;
mod flat;
mod gray_table;
mod normalize;
mod render;
mod resample;
mod rgba_stream;
mod whole;
mod window;

pub use crop::{CropEdges, crop, letterbox};
pub use decode::{DecodedImage, PngLimits, decode_png};
pub use encode::{encode_gray, encode_rgb, encode_rgba};
pub use equalize::{Equalizer, PercentileClip};
pub use error::PixelError;
pub use normalize::Normalization;
pub use render::{Precision, Renderer, Rendering, render, stretch_to_gray};
pub use resample::{Filter, resize, resize_bicubic, resize_gray};
pub use window::HuWindow;
