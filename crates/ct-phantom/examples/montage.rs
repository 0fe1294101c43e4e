//! Draws `docs/phantom-montage.png`: five phantom slices and, last, one slice of a real scan.
//!
//! `cargo run -p ct-phantom --example montage -- OUT.png [FOLDER_WITH_A_REAL_CT_SERIES]`
//!
//! Window -150..250 HU, pixels as they are, six tiles of 416x304.

use std::io::BufWriter;
use std::path::PathBuf;

use ct_phantom::{Layout, Phantom, PhantomLabel, PhantomSpec, generate_patient};
use ct_volume::{Orientation, ReadOptions, Volume, read_study};

type AnyError = Box<dyn std::error::Error>;

const TILE: (usize, usize) = (416, 304);
const TILES: (usize, usize) = (3, 2);

fn main() -> Result<(), AnyError> {
    let mut arguments = std::env::args_os().skip(1).map(PathBuf::from);
    let out = arguments.next().ok_or("where should the picture go?")?;
    let real = arguments.next();

    let spec = PhantomSpec::new(Layout::Msd, 2024, 64);
    // A patient whose tumour can be seen without a reader's eye; quick studies have the same facts.
    let quick = spec.clone().with_matrix(64).with_slices(24..=24);
    let mut tumor = 0;
    for index in 0..spec.patients {
        let facts = generate_patient(&quick, index)?.facts.tumor;
        if facts.is_some_and(|facts| facts.diameter_mm > 20.0 && facts.contrast_hu > 28.0) {
            tumor = index;
            break;
        }
    }
    let mut planes = Vec::new();
    for (index, choose) in [
        (5, Level::Spleen),
        (3, Level::Pancreas),
        (tumor, Level::Tumor),
        (4, Level::Kidneys),
        (2, Level::Pancreas),
    ] {
        let phantom = generate_patient(&spec, index)?;
        let slice_idx = choose.slice_idx(&phantom);
        planes.push(tile(&phantom.volume, slice_idx));
    }
    match real {
        Some(folder) => {
            let volume = read_study(&folder, &ReadOptions::default())?.reoriented(Orientation::LPS);
            let n_slices = volume.geometry().shape()[2];
            planes.push(tile(&volume, n_slices / 5));
        }
        None => planes.push(vec![0; TILE.0 * TILE.1]),
    }

    let (width, height) = (TILE.0 * TILES.0, TILE.1 * TILES.1);
    let mut picture = vec![0; width * height];
    for (n, plane) in planes.iter().enumerate() {
        let corner = (n / TILES.0) * TILE.1 * width + (n % TILES.0) * TILE.0;
        for (r, line) in plane.chunks_exact(TILE.0).enumerate() {
            picture[corner + r * width..][..TILE.0].copy_from_slice(line);
        }
    }
    let file = BufWriter::new(fs_err::File::create(out)?);
    let mut encoder = png::Encoder::new(file, u32::try_from(width)?, u32::try_from(height)?);
    encoder.set_color(png::ColorType::Grayscale);
    encoder.set_depth(png::BitDepth::Eight);
    encoder.set_compression(png::Compression::High);
    encoder.write_header()?.write_image_data(&picture)?;
    Ok(())
}

/// Which slice of a patient to show.
#[derive(Clone, Copy)]
enum Level {
    Spleen,
    Pancreas,
    Tumor,
    Kidneys,
}

impl Level {
    /// The slice with most of the organ.
    fn slice_idx(self, phantom: &Phantom) -> usize {
        let label = match self {
            Self::Spleen => PhantomLabel::Spleen,
            Self::Pancreas => PhantomLabel::Pancreas,
            Self::Tumor if phantom.facts.tumor.is_none() => PhantomLabel::Pancreas,
            Self::Tumor => PhantomLabel::Tumor,
            Self::Kidneys => PhantomLabel::RightKidney,
        };
        let labels = phantom.organs.labels();
        let count = |k: usize| {
            labels.index_axis(ndarray::Axis(2), k).iter().filter(|&&value| value == label.value()).count()
        };
        (0..labels.len_of(ndarray::Axis(2))).max_by_key(|&k| count(k)).unwrap_or(0)
    }
}

/// The middle of the body in one slice, windowed.
fn tile(volume: &Volume, slice_idx: usize) -> Vec<u8> {
    let plane = volume.hu().index_axis(ndarray::Axis(2), slice_idx);
    let (columns, rows) = plane.dim();
    // The body's box: rows and columns with much that is not air (the table is thin).
    let dense = |hu: &f32| *hu > -200.0;
    let solid = |count: usize| count > 40;
    let in_column = |i: usize| solid(plane.row(i).iter().filter(|hu| dense(hu)).count());
    let in_row = |j: usize| solid(plane.column(j).iter().filter(|hu| dense(hu)).count());
    let middle = |n: usize, inside: &dyn Fn(usize) -> bool| {
        let first = (0..n).find(|&at| inside(at)).unwrap_or(0);
        let last = (0..n).rev().find(|&at| inside(at)).unwrap_or(n - 1);
        usize::midpoint(first, last)
    };
    let (x, y) = (middle(columns, &in_column), middle(rows, &in_row));
    let mut pixels = Vec::with_capacity(TILE.0 * TILE.1);
    for r in 0..TILE.1 {
        for c in 0..TILE.0 {
            let at = ((x + c).checked_sub(TILE.0 / 2), (y + r).checked_sub(TILE.1 / 2));
            let hu = at.0.zip(at.1).and_then(|at| plane.get(at)).copied().unwrap_or(-1024.0);
            pixels.push(gray(hu));
        }
    }
    pixels
}

/// Window -150..250 HU, in steps of 4 gray levels, which noise hides and a PNG compresses better.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to 0..=255 first")]
fn gray(hu: f32) -> u8 {
    ((hu + 150.0) * (256.0 / 400.0)).clamp(0.0, 255.0) as u8 & 0xfc
}
