//! The worked vectors of SPEC 1.7 to 1.9.

#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::excessive_precision,
    clippy::unwrap_used,
    reason = "small expected numbers, digits as printed in the specification"
)]

use ct_slices::BoxPx;
use ct_slices::pixels::{
    CropEdges, Equalizer, Filter, Normalization, PercentileClip, Precision, Renderer, Rendering, crop,
    resize_gray,
};
use ndarray::{Array2, array};

const CODE: [Rendering; 2] =
    [Rendering::Code2025 { precision: Precision::F64 }, Rendering::Code2025 { precision: Precision::F32 }];

fn row(values: &[f32]) -> Array2<f32> {
    Array2::from_shape_vec((1, values.len()), values.to_vec()).unwrap()
}

#[test]
fn full_range_of_the_window() {
    let pairs: [(f32, u8); 19] = [
        (-1024.0, 0),
        (-151.0, 0),
        (-150.0, 0),
        (-149.0, 0),
        (-148.0, 1),
        (-100.0, 32),
        (-50.0, 64),
        (-1.0, 95),
        (0.0, 96),
        (40.0, 121),
        (49.0, 127),
        (50.0, 128),
        (51.0, 128),
        (100.0, 160),
        (150.0, 192),
        (200.0, 224),
        (249.0, 255),
        (250.0, 255),
        (3000.0, 255),
    ];
    let (hu, gray): (Vec<_>, Vec<_>) = pairs.into_iter().unzip();
    for rendering in CODE {
        let image = ct_slices::pixels::render(row(&hu).view(), &rendering).unwrap();
        assert_eq!(image.as_slice().unwrap(), gray, "{rendering:?}");
    }
}

#[test]
fn partial_range_is_stretched() {
    let check = |hu: &[f32], gray: &[u8]| {
        for rendering in CODE {
            let image = ct_slices::pixels::render(row(hu).view(), &rendering).unwrap();
            assert_eq!(image.as_slice().unwrap(), gray, "{rendering:?} of {hu:?}");
        }
    };
    check(&[-1000.0, 0.0, 40.0, 100.0, 150.0, 200.0], &[0, 109, 138, 182, 219, 255]);
    check(&[0.0, 40.0, 100.0], &[0, 102, 255]);
    check(&[33.0, 33.0, 33.0], &[0, 0, 0]);
}

/// What era P does before the image writer.
fn equalized(plane: &Array2<f32>) -> (PercentileClip, Vec<f64>) {
    let mut sorted: Vec<f64> = plane.iter().map(|&hu| f64::from(hu)).collect();
    sorted.sort_by(f64::total_cmp);
    let clip = PercentileClip::from_ranked(sorted.len(), |rank| sorted[rank]);
    let rescaled: Vec<f64> = plane.iter().map(|&hu| clip.rescale(f64::from(hu))).collect();
    let equalizer = Equalizer::fit(rescaled.iter().map(|&value| (value, 1)));
    (clip, rescaled.iter().map(|&value| equalizer.apply(value)).collect())
}

/// Expected values are printed with six decimals.
fn assert_close(got: &[f64], expected: &[f64]) {
    assert_eq!(got.len(), expected.len());
    for (got, expected) in got.iter().zip(expected) {
        assert!((got - expected).abs() < 1e-6, "{got} is not {expected}");
    }
}

#[test]
fn paper_four_values() {
    let plane = array![[0.0, 1.0], [2.0, 3.0]];
    let (clip, levels) = equalized(&plane);
    assert_close(&[clip.low_hu, clip.high_hu], &[0.06, 2.94]);
    let rescaled: Vec<f64> = plane.iter().map(|&hu| clip.rescale(f64::from(hu))).collect();
    assert_close(&rescaled, &[0.0, 0.326_389, 0.673_611, 1.0]);
    assert_close(&levels, &[0.25, 0.5, 0.736_111, 1.0]);
    let image = Renderer::new().render(plane.view(), &Rendering::Paper2024).unwrap();
    assert_eq!(image, array![[0, 85], [165, 255]]);
}

#[test]
fn paper_sixteen_values() {
    let plane = array![
        [-1000.0, -1000.0, 0.0, 40.0],
        [50.0, 60.0, 100.0, 300.0],
        [40.0, 50.0, -100.0, -1000.0],
        [1200.0, 30.0, 45.0, 55.0]
    ];
    let (clip, levels) = equalized(&plane);
    assert_close(&[clip.low_hu, clip.high_hu], &[-1000.0, 930.0]);
    let expected = [
        0.1875, 0.1875, 0.3125, 0.528_012, 0.707_74, 0.8125, 0.875, 0.933_452, 0.528_012, 0.707_74, 0.242_39,
        0.1875, 1.0, 0.390_22, 0.583_387, 0.777_364,
    ];
    assert_close(&levels, &expected);
    let image = Renderer::new().render(plane.view(), &Rendering::Paper2024).unwrap();
    let gray = [0, 0, 39, 107, 163, 195, 216, 235, 107, 163, 17, 0, 255, 63, 124, 185];
    assert_eq!(image.as_slice().unwrap(), gray);
}

#[test]
fn paper_constant_and_ramp() {
    let constant = Array2::from_elem((2, 2), 7.0);
    assert_close(&equalized(&constant).1, &[0.5; 4]);
    let image = Renderer::new().render(constant.view(), &Rendering::Paper2024).unwrap();
    assert_eq!(image, Array2::<u8>::zeros((2, 2)));

    let ramp = Array2::from_shape_fn((10, 10), |(row, column)| (row * 10 + column) as f32);
    assert_close(&equalized(&ramp).1[..5], &[0.03, 0.03, 0.03, 0.04, 0.049_411]);
    let image = Renderer::new().render(ramp.view(), &Rendering::Paper2024).unwrap();
    let gray = image.as_slice().unwrap();
    assert_eq!(gray[..6], [0, 0, 0, 2, 5, 6]);
    assert_eq!(gray[96..], [247, 255, 255, 255]);
    assert_eq!(gray[50], 126);
}

fn resized(row: &[u8], to: usize, filter: Filter) -> Vec<u8> {
    let image = Array2::from_shape_vec((1, row.len()), row.to_vec()).unwrap();
    let across = resize_gray(image.view(), to, 1, filter).unwrap();
    let down = resize_gray(image.t(), 1, to, filter).unwrap();
    assert_eq!(across, down.t(), "both axes are alike");
    across.into_raw_vec_and_offset().0
}

fn bicubic(row: &[u8], to: usize) -> Vec<u8> {
    resized(row, to, Filter::Bicubic)
}

#[test]
fn bilinear_rows() {
    // Pillow 11.3, `Image.resize(..., Image.Resampling.BILINEAR)`.
    let check = |row: &[u8], to: usize, expected: &[u8]| {
        assert_eq!(resized(row, to, Filter::Bilinear), expected, "{row:?} to {to}");
    };
    check(&[0, 64, 128, 255], 8, &[0, 16, 48, 80, 112, 160, 223, 255]);
    check(&[0, 64, 128, 255], 2, &[46, 173]);
    check(&[0, 0, 255, 255, 0, 0, 255], 3, &[55, 165, 91]);
    check(&[0, 0, 255, 255, 0, 0, 255], 14, &[0, 0, 0, 64, 191, 255, 255, 191, 64, 0, 0, 64, 191, 255]);
    check(&[1, 2, 3], 3, &[1, 2, 3]);
}

#[test]
fn bicubic_rows() {
    let check =
        |row: &[u8], to: usize, expected: &[u8]| assert_eq!(bicubic(row, to), expected, "{row:?} to {to}");
    check(&[0, 64, 128, 255], 8, &[0, 11, 45, 79, 108, 161, 232, 255]);
    check(&[0, 64, 128, 255], 2, &[35, 183]);
    check(&[0, 0, 255, 255, 0, 0, 255], 3, &[54, 169, 89]);
    check(&[0, 0, 255, 255, 0, 0, 255], 14, &[0, 0, 0, 52, 203, 255, 255, 203, 52, 0, 0, 56, 207, 255]);
    check(&[1, 2, 3], 3, &[1, 2, 3]);
}

#[test]
fn bicubic_512_to_448() {
    let mut step = [0; 512];
    step[256..].fill(255);
    assert_eq!(bicubic(&step, 448)[219..229], [0, 0, 0, 0, 5, 250, 255, 255, 255, 255]);

    // single samples show the weights of one output pixel: 0.891464, 0.138746, -0.03021
    let mut impulse = [0; 512];
    impulse[8] = 255;
    let response = bicubic(&impulse, 448);
    let lit: Vec<(usize, u8)> = response.into_iter().enumerate().filter(|(_, value)| *value > 0).collect();
    assert_eq!(lit, [(6, 9), (7, 222)]);
    let at = |sample: usize, output: usize| {
        let mut impulse = [0; 512];
        impulse[sample] = 255;
        bicubic(&impulse, 448)[output]
    };
    let byte = |weight: f64| (weight * 255.0).round() as u8;
    for (output, first, weights) in [
        (0, 0, &[0.891_464, 0.138_746, -0.030_21][..]),
        (1, 0, &[-0.023_957, 0.804_195, 0.266_716, -0.046_955]),
        (3, 2, &[-0.064_416, 0.564_416, 0.564_416, -0.064_416]),
        (223, 253, &[-0.029_56, 0.135_763, 0.872_299, 0.034_075, -0.012_577]),
        (447, 509, &[-0.030_21, 0.138_746, 0.891_464]),
    ] {
        for (tap, &weight) in weights.iter().enumerate() {
            assert_eq!(at(first + tap, output), byte(f64::max(weight, 0.0)), "output {output}, tap {tap}");
        }
    }
}

#[test]
fn bicubic_square() {
    let image = array![[10, 200], [60, 130]];
    let expected = array![[0, 47, 165, 224], [11, 54, 152, 200], [43, 69, 125, 153], [59, 76, 112, 129]];
    assert_eq!(resize_gray(image.view(), 4, 4, Filter::Bicubic).unwrap(), expected);
}

#[test]
fn normalized_grays() {
    let check = |gray: u8, expected: [f32; 3]| {
        let normalized = Normalization::CLIP.gray(array![[gray]].view());
        for (got, expected) in normalized.iter().zip(expected) {
            assert!((got - expected).abs() < 2e-6, "{gray}: {got} is not {expected}");
        }
    };
    check(0, [-1.792_262_6, -1.752_097_1, -1.480_219_8]);
    check(1, [-1.777_664_1, -1.737_089_3, -1.465_999_7]);
    check(64, [-0.857_963_2, -0.791_599_9, -0.570_135_5]);
    check(128, [0.076_336_1, 0.168_897_3, 0.339_948_8]);
    check(200, [1.127_422_8, 1.249_456_5, 1.363_793_5]);
    check(255, [1.930_336_1, 2.074_883_7, 2.145_896_9]);
}

#[test]
fn published_crop_is_half_open() {
    let image = Array2::from_shape_fn((5, 5), |(row, column)| u8::try_from(row * 5 + column).unwrap());
    let bbox = BoxPx::from([1, 1, 3, 3]);
    assert_eq!(crop(image.view(), bbox, CropEdges::HalfOpen).unwrap(), array![[6, 7], [11, 12]]);
}
