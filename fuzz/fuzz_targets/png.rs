//! Any bytes as a PNG file. `cargo fuzz run png` (a nightly toolchain).
#![no_main]

use ct_slices::pixels::{PngLimits, decode_png};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let limits = PngLimits::default().with_max_bytes(16 << 20);
    let _ = decode_png(bytes, &limits);
});
