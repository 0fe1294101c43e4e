//! Pictures in and out: PNG and JPEG files to pixels, pixels to PNG files without anything else in them.

mod decode;
mod raster;

pub use decode::ImageError;
pub(crate) use decode::{ImageLimits, decode, is_image};
pub use raster::RasterImage;
