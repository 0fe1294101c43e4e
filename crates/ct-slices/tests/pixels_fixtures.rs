//! Against numpy, scikit-image, matplotlib and Pillow on small images (`fixtures/pixels/generate.py`).

#![expect(clippy::unwrap_used, reason = "a test without its input fails")]

use std::path::Path;

use ct_slices::pixels::{
    DecodedImage, Filter, PngLimits, Precision, Renderer, Rendering, decode_png, letterbox, resize,
    resize_gray,
};
use ndarray::{Array2, Array3};
use serde::Deserialize;
use serde::de::DeserializeOwned;

type Plane<T> = Vec<Vec<T>>;

fn fixture<T: DeserializeOwned>(name: &str) -> T {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/pixels").join(name);
    serde_json::from_slice(&fs_err::read(path).unwrap()).unwrap()
}

fn plane<T: Clone>(rows: &Plane<T>) -> Array2<T> {
    Array2::from_shape_vec((rows.len(), rows[0].len()), rows.concat()).unwrap()
}

fn pixels(rows: &Plane<Vec<u8>>) -> Array3<u8> {
    let shape = (rows.len(), rows[0].len(), rows[0][0].len());
    Array3::from_shape_vec(shape, rows.concat().concat()).unwrap()
}

#[derive(Deserialize)]
struct RenderingCase {
    name: String,
    hu: Plane<f32>,
    code_f64: Plane<u8>,
    code_f32: Plane<u8>,
    percentiles: [f64; 2],
    equalized: Option<Plane<f64>>,
    paper: Plane<u8>,
}

#[test]
fn renderings() {
    let cases: Vec<RenderingCase> = fixture("renderings.json");
    assert!(cases.len() > 15);
    let mut renderer = Renderer::new();
    for case in &cases {
        let hu = plane(&case.hu);
        for (rendering, expected) in [
            (Rendering::Code2025 { precision: Precision::F64 }, &case.code_f64),
            (Rendering::Code2025 { precision: Precision::F32 }, &case.code_f32),
            (Rendering::Paper2024, &case.paper),
        ] {
            let image = renderer.render(hu.view(), &rendering).unwrap();
            assert_eq!(image, plane(expected), "{rendering:?} of `{}`", case.name);
        }
    }
}

/// Equal up to the last bit, which `serde_json` may lose.
fn is_close(got: f64, expected: f64) -> bool {
    (got - expected).abs() <= 1e-15 * expected.abs().max(1.0)
}

#[test]
fn levels_before_the_image_writer() {
    use ct_slices::pixels::{Equalizer, PercentileClip, stretch_to_gray};
    for case in fixture::<Vec<RenderingCase>>("renderings.json") {
        let hu = plane(&case.hu).mapv(f64::from);
        let mut sorted = hu.iter().copied().collect::<Vec<_>>();
        sorted.sort_by(f64::total_cmp);
        let clip = PercentileClip::from_ranked(sorted.len(), |rank| sorted[rank]);
        for (got, expected) in [clip.low_hu, clip.high_hu].into_iter().zip(case.percentiles) {
            assert!(is_close(got, expected), "{}: {got} is not {expected}", case.name);
        }
        let rescaled = hu.mapv(|hu| clip.rescale(hu));
        let equalizer = Equalizer::fit(rescaled.iter().map(|&value| (value, 1)));
        let equalized = rescaled.mapv(|value| equalizer.apply(value));
        if let Some(expected) = &case.equalized {
            assert!(equalized.iter().zip(&plane(expected)).all(|(&a, &b)| is_close(a, b)), "{}", case.name);
        }
        assert_eq!(stretch_to_gray(equalized.view()), plane(&case.paper), "{}", case.name);
    }
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Pixels {
    Gray(Plane<u8>),
    Color(Plane<Vec<u8>>),
}

#[derive(Deserialize)]
struct ResizeCase {
    filter: String,
    image: Pixels,
    resized: Pixels,
}

#[derive(Deserialize)]
struct LetterboxCase {
    size: usize,
    image: Plane<u8>,
    square: Plane<u8>,
}

#[derive(Deserialize)]
struct ResizeCases {
    resizes: Vec<ResizeCase>,
    letterboxes: Vec<LetterboxCase>,
}

#[test]
fn resizes_and_letterboxes() {
    let cases: ResizeCases = fixture("resizes.json");
    assert!(cases.resizes.len() > 20 && cases.letterboxes.len() > 5);
    for case in &cases.resizes {
        let filter = if case.filter == "bicubic" { Filter::Bicubic } else { Filter::Lanczos3 };
        match (&case.image, &case.resized) {
            (Pixels::Gray(image), Pixels::Gray(expected)) => {
                let (image, expected) = (plane(image), plane(expected));
                let (height, width) = expected.dim();
                let resized = resize_gray(image.view(), width, height, filter).unwrap();
                assert_eq!(resized, expected, "{filter:?} of {:?}", image.dim());
            }
            (Pixels::Color(image), Pixels::Color(expected)) => {
                let (image, expected) = (pixels(image), pixels(expected));
                let (height, width, _) = expected.dim();
                let resized = resize(image.view(), width, height, filter).unwrap();
                assert_eq!(resized, expected, "{filter:?} of {:?}", image.dim());
            }
            _ => panic!("an image and its resized form have the same channels"),
        }
    }
    for case in &cases.letterboxes {
        let square = letterbox(plane(&case.image).view(), case.size).unwrap();
        assert_eq!(square, plane(&case.square), "{}", case.size);
    }
}

#[derive(Deserialize)]
struct PngCase {
    name: String,
    png: String,
    pixels: Pixels,
}

#[test]
fn every_kind_of_png() {
    let cases: Vec<PngCase> = fixture("pngs.json");
    assert!(cases.len() > 10);
    for case in &cases {
        let digits = case.png.as_bytes().chunks(2).map(|pair| std::str::from_utf8(pair).unwrap());
        let png: Vec<u8> = digits.map(|pair| u8::from_str_radix(pair, 16).unwrap()).collect();
        let expected = match &case.pixels {
            Pixels::Gray(image) => DecodedImage::Gray(plane(image)),
            Pixels::Color(image) if image[0][0].len() == 3 => DecodedImage::Rgb(pixels(image)),
            Pixels::Color(image) => DecodedImage::Rgba(pixels(image)),
        };
        let image = decode_png(&png, &PngLimits::default()).unwrap();
        assert_eq!(image, expected, "{}", case.name);
        assert_eq!((image.width_px(), image.height_px()), (expected.width_px(), expected.height_px()));
        assert_eq!(image.to_rgb().len_of(ndarray::Axis(2)), 3);
        // cut anywhere, it is an error: no panic, no made-up pixels
        for end in 0..png.len() - 12 {
            assert!(decode_png(&png[..end], &PngLimits::default()).is_err(), "{} cut at {end}", case.name);
        }
    }
}
