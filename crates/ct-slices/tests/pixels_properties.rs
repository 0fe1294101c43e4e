//! What holds for every image: PNG files round-trip, views do not matter.

#![expect(clippy::unwrap_used, reason = "a test without its input fails")]

use ct_slices::pixels::{
    DecodedImage, Filter, PixelError, PngLimits, Renderer, Rendering, decode_png, encode_gray, encode_rgb,
    encode_rgba, resize_gray,
};
use ndarray::{Array2, Array3, ArrayView2, Axis, s, stack};
use proptest::prelude::*;
use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

fn decoded(png: &[u8]) -> DecodedImage {
    decode_png(png, &PngLimits::default()).unwrap()
}

/// The image through all three encoders and back.
fn assert_round_trip(image: ArrayView2<'_, u8>) {
    let owned = image.to_owned();
    assert_eq!(decoded(&encode_gray(image).unwrap()), DecodedImage::Gray(owned.clone()));

    let DecodedImage::Rgba(rgba) = decoded(&encode_rgba(image).unwrap()) else { panic!("four channels") };
    assert!(rgba.index_axis(Axis(2), 3).iter().all(|&alpha| alpha == 255));
    assert_eq!(DecodedImage::Rgba(rgba).into_gray(), Some(owned));

    let inverted = image.mapv(|value| !value);
    let planes = [image, inverted.view(), image.slice(s![..;-1, ..])];
    let rgb = stack(Axis(2), &planes).unwrap();
    assert_eq!(decoded(&encode_rgb(planes).unwrap()).to_rgb(), rgb.as_standard_layout());
}

fn images() -> impl Strategy<Value = Array2<u8>> {
    let sizes = (1_usize..70, 1_usize..150);
    // from flat areas to noise: values near the one to the left, and some that are not
    (sizes, any::<u64>(), 0.0..1.0_f64, 0_u8..=255).prop_map(|((height, width), seed, rate, step)| {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut gray = 0_u8;
        Array2::from_shape_simple_fn((height, width), || {
            if rng.random_bool(rate) {
                gray = gray.wrapping_add(rng.random_range(0..=step));
            }
            gray
        })
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn png_round_trips(image in images()) {
        assert_round_trip(image.view());
        assert_round_trip(image.t());
        assert_round_trip(image.slice(s![..;-1, ..;2]));
    }

    #[test]
    fn views_do_not_matter(image in images(), order in 0..8_u8) {
        let plane = image.mapv(|gray| f32::from(gray) * 3.0 - 300.0);
        let mut view = plane.view();
        if order & 1 > 0 {
            view.invert_axis(Axis(0));
        }
        if order & 2 > 0 {
            view.invert_axis(Axis(1));
        }
        if order & 4 > 0 {
            view.swap_axes(0, 1);
        }
        let mut renderer = Renderer::new();
        for rendering in [Rendering::Paper2024, Rendering::FixedWindow(ct_slices::pixels::HuWindow::LIVER)] {
            let from_view = renderer.render(view, &rendering).unwrap();
            let from_copy = renderer.render(view.as_standard_layout().view(), &rendering).unwrap();
            prop_assert_eq!(from_view, from_copy);
        }
    }

    #[test]
    fn resizing_a_constant_changes_nothing(
        gray: u8, from in (1_usize..40, 1_usize..40), to in (1_usize..40, 1_usize..40),
    ) {
        let image = Array2::from_elem(from, gray);
        for filter in [Filter::Bilinear, Filter::Bicubic, Filter::Lanczos3] {
            let resized = resize_gray(image.view(), to.1, to.0, filter).unwrap();
            prop_assert_eq!(&resized, &Array2::from_elem(to, gray), "{:?}", filter);
        }
    }
}

#[test]
fn large_images_round_trip() {
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let mut noise = Array2::<u8>::zeros((600, 700));
    rng.fill_bytes(noise.as_slice_mut().unwrap());
    assert_round_trip(noise.view());
    assert_round_trip(Array2::zeros((512, 512)).view());
    assert_round_trip(Array2::from_elem((3, 16_000), 200).view());
    // differences whose last use is just within and just beyond the reach of a match
    for width in [8_189, 8_190, 8_191, 8_192, 8_193, 8_194, 8_195] {
        let sparse = Array2::from_shape_fn((3, width), |(_, column)| match column {
            0 | 1 => 7,
            c if c == width - 1 => 14,
            c => u8::try_from(c % 2 * 100).unwrap(),
        });
        assert_round_trip(sparse.view());
    }
}

#[test]
fn equal_images_give_equal_bytes() {
    let image = Array2::from_shape_fn((40, 50), |(r, c)| u8::try_from(r * c % 256).unwrap());
    let encode = || {
        let planes = [image.view(); 3];
        [encode_gray(image.view()), encode_rgba(image.view()), encode_rgb(planes)].map(Result::unwrap)
    };
    assert_eq!(encode(), encode());
}

#[test]
fn what_cannot_be_an_image_is_refused() {
    let empty = Array2::<u8>::zeros((0, 5));
    assert!(matches!(encode_gray(empty.view()), Err(PixelError::Size { .. })));
    assert!(matches!(encode_rgba(empty.view()), Err(PixelError::Size { .. })));
    assert!(matches!(encode_rgb([empty.view(); 3]), Err(PixelError::Size { .. })));
    let long = Array2::<u8>::zeros((1, 65_537));
    assert!(matches!(encode_rgba(long.view()), Err(PixelError::Size { .. })));
    let (a, b) = (Array2::zeros((2, 3)), Array2::zeros((3, 2)));
    let error = encode_rgb([a.view(), b.view(), a.view()]).unwrap_err();
    assert_eq!(error.to_string(), "planes of [2, 3] and [3, 2] [rows, columns] cannot be one image");
    let five = Array3::<u8>::zeros((2, 2, 5));
    let refused = ct_slices::pixels::resize(five.view(), 4, 4, Filter::Bicubic);
    assert!(matches!(refused, Err(PixelError::Channels { got: 5, .. })));
}
