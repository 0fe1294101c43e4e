//! Against the shared golden tensors of numpy, scikit-image, matplotlib, Pillow and torchvision
//! (`goldens/image`), where they are present.

#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a test: it says when it is skipped, and fails on what it cannot read"
)]

use std::path::{Path, PathBuf};

use ct_slices::pixels::Filter;
use ct_slices::pixels::{
    Equalizer, HuWindow, Normalization, PercentileClip, Precision, Rendering, render, resize_bicubic,
    resize_gray, stretch_to_gray,
};
use ndarray::{Array1, Array2, Array3, ArrayD, Axis, Ix1, Ix2, Ix3};
use safetensors::{Dtype, SafeTensors};

/// Tolerances of the golden files' own README.
const F64_TOLERANCE: f64 = 1e-12;
const NORMALIZED_TOLERANCE: f32 = 2e-6;

fn goldens() -> Option<PathBuf> {
    let shared = std::env::var_os("MINIGPT_PANCREAS_SHARED")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared"), PathBuf::from);
    let folder = shared.join("goldens/image");
    if folder.is_dir() {
        return Some(folder);
    }
    println!("skipped: `{}` is not there", folder.display());
    None
}

/// One safetensors file.
struct Tensors(Vec<u8>);

impl Tensors {
    fn read(folder: &Path, name: &str) -> Self {
        Self(fs_err::read(folder.join(name)).unwrap())
    }

    fn get<T, const N: usize>(&self, name: &str, dtype: Dtype, read: fn([u8; N]) -> T) -> ArrayD<T> {
        let file = SafeTensors::deserialize(&self.0).unwrap();
        let tensor = file.tensor(name).unwrap();
        assert_eq!(tensor.dtype(), dtype, "{name}");
        let (values, rest) = tensor.data().as_chunks::<N>();
        assert!(rest.is_empty(), "{name}");
        ArrayD::from_shape_vec(tensor.shape(), values.iter().map(|&bytes| read(bytes)).collect()).unwrap()
    }

    fn hu(&self, name: &str) -> Array2<f32> {
        let stored = self.get(name, Dtype::I16, i16::from_le_bytes);
        stored.into_dimensionality::<Ix2>().unwrap().mapv(f32::from)
    }

    fn gray(&self, name: &str) -> Array2<u8> {
        self.get(name, Dtype::U8, u8::from_le_bytes).into_dimensionality::<Ix2>().unwrap()
    }

    fn rgb(&self, name: &str) -> Array3<u8> {
        self.get(name, Dtype::U8, u8::from_le_bytes).into_dimensionality::<Ix3>().unwrap()
    }

    fn plane(&self, name: &str) -> Array2<f64> {
        self.get(name, Dtype::F64, f64::from_le_bytes).into_dimensionality::<Ix2>().unwrap()
    }

    fn line(&self, name: &str) -> Array1<f64> {
        self.get(name, Dtype::F64, f64::from_le_bytes).into_dimensionality::<Ix1>().unwrap()
    }

    fn normalized(&self, name: &str) -> Array3<f32> {
        self.get(name, Dtype::F32, f32::from_le_bytes).into_dimensionality::<Ix3>().unwrap()
    }
}

fn assert_within<'a>(
    what: &str,
    got: impl IntoIterator<Item = &'a f64>,
    expected: impl IntoIterator<Item = &'a f64>,
) {
    let worst = got.into_iter().zip(expected).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
    assert!(worst <= F64_TOLERANCE, "{what} is off by {worst}");
}

#[test]
fn windows() {
    let Some(folder) = goldens() else { return };
    let t = Tensors::read(&folder, "window.safetensors");
    let [f64s, f32s] = [Precision::F64, Precision::F32].map(|precision| Rendering::Code2025 { precision });
    let unit = t.hu("hu").mapv(|hu| HuWindow::PANCREAS.to_unit(f64::from(hu)));
    assert_within("window_f64", &unit, &t.plane("window_f64"));
    for (hu, rendering, gray) in [
        ("hu", f64s, "window_u8"),
        ("hu", f32s, "window_u8_from_f32"),
        ("narrow_hu", f64s, "narrow_u8"),
        ("constant_hu", f64s, "constant_u8"),
        ("constant_hu", f32s, "constant_u8"),
    ] {
        assert_eq!(render(t.hu(hu).view(), &rendering).unwrap(), t.gray(gray), "{hu} {rendering:?}");
    }
}

#[test]
fn image_writer() {
    let Some(folder) = goldens() else { return };
    let t = Tensors::read(&folder, "window.safetensors");
    // numpy's linspace multiplies the step and sets the last value
    let mut ramp = Array2::from_shape_fn((64, 64), |(r, c)| (64 * r + c) as f64 * (1.0 / 4095.0));
    ramp[[63, 63]] = 1.0;
    assert_eq!(stretch_to_gray(ramp.view()), t.gray("ramp_u8"));
    let table = t.get("gray_lut", Dtype::U8, u8::from_le_bytes);
    let indices = Array2::from_shape_fn((1, 257), |(_, index)| index as f64 / 256.0);
    assert_eq!(stretch_to_gray(indices.view()).as_slice().unwrap()[..256], table.as_slice().unwrap()[..]);
}

#[test]
fn equalization() {
    let Some(folder) = goldens() else { return };
    let t = Tensors::read(&folder, "window.safetensors");
    let hu = t.hu("hu").mapv(f64::from);
    let mut sorted = hu.iter().copied().collect::<Vec<_>>();
    sorted.sort_by(f64::total_cmp);
    let clip = PercentileClip::from_ranked(sorted.len(), |rank| sorted[rank]);
    let info: serde_json::Value =
        serde_json::from_slice(&fs_err::read(folder.join("image.json")).unwrap()).unwrap();
    let expected = [&info["p2"], &info["p98"]].map(|value| value.as_f64().unwrap());
    assert_within("percentiles", &[clip.low_hu, clip.high_hu], &expected);

    let clipped = hu.mapv(|hu| clip.clip(hu));
    assert_within("clip_f64", &clipped, &t.plane("clip_f64"));
    let equalizer = Equalizer::fit(clipped.iter().map(|&value| (value, 1)));
    assert_within("equalize_cdf", equalizer.cdf(), &t.line("equalize_cdf"));
    assert_within("equalize_bin_centers", equalizer.centers(), &t.line("equalize_bin_centers"));
    let equalized = clipped.mapv(|value| equalizer.apply(value));
    assert_within("equalize_f64", &equalized, &t.plane("equalize_f64"));
    assert_eq!(stretch_to_gray(equalized.view()), t.gray("equalize_u8_imsave"));
    assert_eq!(equalized.mapv(|level| (level * 255.0).round_ties_even() as u8), t.gray("equalize_u8_round"));

    let unit = clipped.mapv(|hu| (hu - clip.low_hu) / (clip.high_hu - clip.low_hu));
    let equalizer = Equalizer::fit(unit.iter().map(|&value| (value, 1)));
    assert_within("equalize_unit_f64", &unit.mapv(|v| equalizer.apply(v)), &t.plane("equalize_unit_f64"));
}

fn assert_normalized(what: &str, got: &Array3<f32>, expected: &Array3<f32>) {
    assert_eq!(got.dim(), expected.dim(), "{what}");
    let worst = got.iter().zip(expected).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    assert!(worst <= NORMALIZED_TOLERANCE, "{what} is off by {worst}");
}

#[test]
fn gray_model_input() {
    let Some(folder) = goldens() else { return };
    let t = Tensors::read(&folder, "resize_gray.safetensors");
    let source = t.gray("source");
    let [large, small] = [448, 112].map(|side| {
        let resized = resize_gray(source.view(), side, side, Filter::Bicubic).unwrap();
        assert_eq!(resized, t.gray(&format!("resized_{side}")));
        Normalization::CLIP.gray(resized.view())
    });
    assert_normalized("normalised_112", &small, &t.normalized("normalised_112"));
    let rows = large.select(Axis(1), &[0, 56, 112, 168, 224, 280, 336, 392]);
    assert_normalized("normalised_448_rows", &rows, &t.normalized("normalised_448_rows"));
}

#[test]
fn color_model_input() {
    let Some(folder) = goldens() else { return };
    let t = Tensors::read(&folder, "resize_colour.safetensors");
    let source = t.rgb("source");
    for side in [112, 56] {
        let resized = resize_bicubic(source.view(), side, side).unwrap();
        assert_eq!(resized, t.rgb(&format!("resized_{side}")));
        let name = format!("normalised_{side}");
        assert_normalized(&name, &Normalization::CLIP.rgb(resized.view()).unwrap(), &t.normalized(&name));
    }
    let resized = resize_gray(t.gray("ct512").view(), 448, 448, Filter::Bicubic).unwrap();
    assert_eq!(resized, t.gray("ct512_resized_448"));
}
