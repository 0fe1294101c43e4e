//! Our side of `benches/peers/slices.py`: a NIfTI volume to one PNG a slice, on one thread.
//!
//! `slice_path VOLUME PRESET OUT` does the volume twice, as a run over several studies does: the
//! second study takes over the memory of the first, as Python's second does in its process. Prints one
//! JSON line with the seconds of each step of the second.

use std::error::Error;
use std::path::Path;
use std::time::{Duration, Instant};

use ct_slices::PlaneMap;
use ct_slices::pixels::{HuWindow, Precision, Renderer, Rendering, encode_gray, encode_rgba};
use ct_volume::{Limits, nifti};
use ndarray::Axis;

struct Preset {
    rendering: Rendering,
    map: PlaneMap,
    is_rgba: bool,
}

#[derive(Default)]
struct Steps {
    n_slices: usize,
    load: Duration,
    render: Duration,
    png: Duration,
    write: Duration,
    total: Duration,
    png_bytes: usize,
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().collect();
    let [_, volume, preset, out] = arguments.as_slice() else {
        return Err("usage: slice_path VOLUME PRESET OUT".into());
    };
    let code = Rendering::Code2025 { precision: Precision::F64 };
    let preset = match preset.as_str() {
        "paper-2024" => Preset { rendering: Rendering::Paper2024, map: PlaneMap::Stored, is_rgba: true },
        "paper-2024-gray" => {
            Preset { rendering: Rendering::Paper2024, map: PlaneMap::Stored, is_rgba: false }
        }
        "code-2025" => Preset { rendering: code, map: PlaneMap::FlipBoth, is_rgba: true },
        "fixed" => Preset {
            rendering: Rendering::FixedWindow(HuWindow::PANCREAS),
            map: PlaneMap::FlipBoth,
            is_rgba: false,
        },
        other => return Err(format!("`{other}` is no preset").into()),
    };
    let mut spare = Vec::new();
    let mut steps = Steps::default();
    for round in ["first", "second"] {
        let out = Path::new(out).join(round);
        fs_err::create_dir_all(&out)?;
        (steps, spare) = one_volume(Path::new(volume), &preset, &out, spare)?;
    }
    let Steps { n_slices, load, render, png, write, total, png_bytes } = steps;
    let [load, render, png, write, total] = [load, render, png, write, total].map(|step| step.as_secs_f64());
    let line = format!(
        "{{\"slices\": {n_slices}, \"load_s\": {load:.6}, \"render_s\": {render:.6}, \"png_s\": {png:.6}, \
         \"write_s\": {write:.6}, \"total_s\": {total:.6}, \"png_bytes\": {png_bytes}}}\n"
    );
    std::io::Write::write_all(&mut std::io::stdout(), line.as_bytes())?;
    Ok(())
}

fn one_volume(
    volume: &Path,
    preset: &Preset,
    out: &Path,
    spare: Vec<f32>,
) -> Result<(Steps, Vec<f32>), Box<dyn Error>> {
    let start = Instant::now();
    let study = nifti::read_volume_into(spare, volume, &Limits::default(), None)?;
    let mut steps = Steps { load: start.elapsed(), n_slices: study.hu().len_of(Axis(2)), ..Steps::default() };
    let mut renderer = Renderer::new();
    for k in 0..steps.n_slices {
        let at = Instant::now();
        let plane = preset.map.view(study.hu().index_axis(Axis(2), k));
        let gray = renderer.render(plane, &preset.rendering)?;
        steps.render += at.elapsed();
        let at = Instant::now();
        let png = if preset.is_rgba { encode_rgba(gray.view())? } else { encode_gray(gray.view())? };
        steps.png += at.elapsed();
        steps.png_bytes += png.len();
        let at = Instant::now();
        fs_err::write(out.join(format!("slice_{k}.png")), png)?;
        steps.write += at.elapsed();
    }
    steps.total = start.elapsed();
    Ok((steps, study.into_array().into_raw_vec_and_offset().0))
}
