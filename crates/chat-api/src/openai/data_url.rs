//! Pictures inside a request.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::http::ApiError;
use crate::images::{ImageError, ImageLimits, RasterImage, decode};

/// Reads a picture out of a `data:` address.
pub(super) fn decode_data_url(url: &str, limits: &ImageLimits) -> Result<RasterImage, ApiError> {
    let Some(rest) = url.strip_prefix("data:") else {
        let message = "pictures are given as `data:image/png;base64,…`, `data:image/jpeg;base64,…` or \
                       `study:{id}/{slice}`; nothing is fetched from elsewhere";
        return Err(ApiError::bad("bad_image_url", message));
    };
    let bad = || ApiError::bad("bad_image_url", "the picture's address is not `data:TYPE;base64,DATA`");
    let (head, data) = rest.split_once(',').ok_or_else(bad)?;
    if !head.ends_with(";base64") {
        return Err(bad());
    }
    // Four characters stand for three bytes: the size is known before memory is taken.
    let size = data.len() / 4 * 3;
    if size > limits.max_bytes.saturating_add(2) {
        let error =
            ImageError::Limit { what: "size in bytes", got: size as u64, limit: limits.max_bytes as u64 };
        return Err(error.into());
    }
    let bytes = STANDARD.decode(data.trim_end()).map_err(|_| bad())?;
    Ok(decode(&bytes, limits)?)
}

impl From<ImageError> for ApiError {
    fn from(error: ImageError) -> Self {
        match error {
            ImageError::Limit { .. } => Self::too_large(error.to_string()),
            error => Self::bad("bad_image", error.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_data_addresses_are_read() {
        let limits = ImageLimits { max_bytes: 1000, max_pixels: 1000 };
        let png = RasterImage::gray(2, 1, vec![1, 2]).unwrap();
        let data = STANDARD.encode(png.png().unwrap());
        assert_eq!(decode_data_url(&format!("data:image/png;base64,{data}"), &limits).unwrap(), png);
        let long = format!("data:image/png;base64,{}", "A".repeat(5000));
        for (url, code) in [
            ("https://example.org/a.png", "bad_image_url"),
            ("file:///etc/passwd", "bad_image_url"),
            ("data:image/png,abc", "bad_image_url"),
            ("data:image/png;base64,%%%", "bad_image_url"),
            ("data:image/png;base64,", "bad_image"),
            ("data:image/gif;base64,R0lGODlh", "bad_image"),
            (&long, "too_large"),
        ] {
            assert_eq!(decode_data_url(url, &limits).unwrap_err().code, code, "{url:.40}");
        }
    }
}
