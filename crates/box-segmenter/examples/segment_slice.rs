//! The mask of one box of one slice, to try a pair of files out.
//!
//! ```text
//! cargo run --package box-segmenter --example segment_slice -- ENCODER DECODER SLICE.png X_MIN Y_MIN X_MAX Y_MAX OUT
//! ```
//!
//! `SLICE.png` is gray; `OUT` becomes a PNG mask, or the logits as little-endian f32 if it ends in `.f32`.

#![allow(clippy::print_stdout, reason = "an example shows its numbers")]

use std::error::Error;
use std::path::Path;
use std::time::Instant;

use box_segmenter::{BoxSegmenter, SegmenterOptions};
use ct_slices::BoxPx;
use ct_slices::pixels::{PngLimits, decode_png, encode_gray};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [encoder, decoder, slice, edges @ .., out] = arguments.as_slice() else {
        return Err("expected ENCODER DECODER SLICE.png X_MIN Y_MIN X_MAX Y_MAX OUT".into());
    };
    let edges: Vec<u32> = edges.iter().map(|edge| edge.parse()).collect::<Result<_, _>>()?;
    let edges: [u32; 4] = edges.try_into().map_err(|_| "a box has four edges")?;
    let gray =
        decode_png(&fs_err::read(slice)?, &PngLimits::default())?.into_gray().ok_or("not a gray image")?;

    let start = Instant::now();
    let segmenter = BoxSegmenter::open(Path::new(encoder), Path::new(decoder), &SegmenterOptions::default())?;
    let opened = start.elapsed();
    let encoded = segmenter.encode(gray.view())?;
    let looked = start.elapsed();
    let found = segmenter.segment(&encoded, BoxPx::from(edges))?;
    println!(
        "{:?}, {} px: opened in {:.2} s, encoded in {:.2} s, segmented in {:.2} s; {} px inside, predicted IoU {:?}",
        segmenter.form(),
        segmenter.side_px(),
        opened.as_secs_f64(),
        (looked - opened).as_secs_f64(),
        (start.elapsed() - looked).as_secs_f64(),
        found.mask.iter().filter(|inside| **inside).count(),
        found.predicted_iou,
    );
    if out.ends_with(".f32") {
        let bytes: Vec<u8> = found.logits.iter().flat_map(|logit| logit.to_le_bytes()).collect();
        fs_err::write(out, bytes)?;
    } else {
        fs_err::write(out, encode_gray(found.mask.mapv(|inside| u8::from(inside) * 255).view())?)?;
    }
    Ok(())
}
