//! Pictures that promise more than they hold.

use std::path::Path;

use bytes::Bytes;
use chat_api::{ServerLimits, open_study};
use ct_slices::pixels::{PngLimits, decode_png};

use super::make::{MIB, zlib_bomb};
use crate::inputs::cases::Case;
use crate::inputs::formats::{png, zlib};

fn decoded(bytes: &[u8]) -> String {
    decode_png(bytes, &PngLimits::default())
        .map_or_else(|error| error.code().to_owned(), |_| "read".to_owned())
}

/// As an upload.
pub(super) fn opened(bytes: Vec<u8>) -> String {
    open_study(vec![Bytes::from(bytes)], &ServerLimits::default())
        .map_or_else(|error| error.code().to_owned(), |_| "read".to_owned())
}

fn case(
    name: &'static str,
    expected: &'static str,
    read: fn(Vec<u8>) -> String,
    make: impl Fn() -> anyhow::Result<Vec<u8>> + Send + Sync + 'static,
) -> Case {
    Case::new(name, expected, move |_| {
        let bytes = make()?;
        Ok(move || read(bytes))
    })
}

fn jpeg(name: &str) -> anyhow::Result<Vec<u8>> {
    Ok(fs_err::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("seeds").join(name))?)
}

pub(super) fn bombs() -> Vec<Case> {
    let plain = |bytes: Vec<u8>| decoded(&bytes);
    let side =
        || -> anyhow::Result<Vec<u8>> { Ok(png(65_535, 65_535, [8, 2, 0], &[(*b"IDAT", zlib(&[0; 1000]))])) };
    vec![
        case("png: 65535 x 65535 pixels in 100 bytes", "limit", plain, side),
        case("png upload: 65535 x 65535 pixels in 100 bytes", "too_large", opened, side),
        case("png: 16384 x 16384 pixels of zeros in 1 MiB", "limit", plain, || {
            Ok(png(16_384, 16_384, [16, 6, 0], &[(*b"IDAT", zlib_bomb(&[], 2048)?)]))
        }),
        case("png upload: 16384 x 16384 pixels of zeros in 1 MiB", "too_large", opened, || {
            Ok(png(16_384, 16_384, [8, 0, 0], &[(*b"IDAT", zlib_bomb(&[], 257)?)]))
        }),
        case("png upload: 1 GiB of text in 1 MiB", "read", opened, || {
            let text = [b"Comment\0\0".to_vec(), zlib_bomb(&[], 1024)?].concat();
            Ok(png(8, 8, [8, 0, 0], &[(*b"zTXt", text), (*b"IDAT", zlib(&[0; 72]))]))
        }),
        case("png upload: a color profile of 1 GiB in 1 MiB", "read", opened, || {
            let profile = [b"icc\0\0".to_vec(), zlib_bomb(&[], 1024)?].concat();
            Ok(png(8, 8, [8, 0, 0], &[(*b"iCCP", profile), (*b"IDAT", zlib(&[0; 72]))]))
        }),
        case("png upload: 1 GiB of zeros behind 64 pixels", "read", opened, || {
            Ok(png(8, 8, [8, 0, 0], &[(*b"IDAT", zlib_bomb(&[0; 72], 1024)?)]))
        }),
        case("jpeg upload: 65500 x 65500 pixels in 700 bytes", "bad_image", opened, || {
            let mut bytes = jpeg("gray.jpg")?;
            let at = bytes.windows(2).position(|window| window == [0xff, 0xc0]).unwrap_or(0);
            bytes[at + 5..at + 9].copy_from_slice(&[0xff, 0xdc, 0xff, 0xdc]);
            Ok(bytes)
        }),
        case("jpeg upload: 16000 x 16000 pixels in 700 bytes", "too_large", opened, || {
            let mut bytes = jpeg("gray.jpg")?;
            let at = bytes.windows(2).position(|window| window == [0xff, 0xc0]).unwrap_or(0);
            bytes[at + 5..at + 9].copy_from_slice(&[0x3e, 0x80, 0x3e, 0x80]);
            Ok(bytes)
        }),
        case("jpeg upload: 4000 x 4000 pixels gone over 10,000 times", "read", opened, || {
            let mut bytes = jpeg("gray_progressive.jpg")?;
            let frame = bytes.windows(2).position(|window| window == [0xff, 0xc2]).unwrap_or(0);
            bytes[frame + 5..frame + 9].copy_from_slice(&[0x0f, 0xa0, 0x0f, 0xa0]);
            let scan = bytes.windows(2).rposition(|window| window == [0xff, 0xda]).unwrap_or(0);
            let again = bytes[scan..bytes.len() - 2].repeat(10_000);
            drop(bytes.splice(scan..scan, again));
            Ok(bytes)
        })
        .within_mib(256),
        case("png upload: 4000 x 4000 gray pixels in 16 KiB", "read", opened, || {
            let rows = vec![0; 4001 * 4000];
            debug_assert!(rows.len() < 16 * MIB);
            Ok(png(4000, 4000, [8, 0, 0], &[(*b"IDAT", zlib(&rows))]))
        }),
    ]
}
