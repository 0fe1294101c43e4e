//! Any bytes as a NIfTI file, plain or gzip. `cargo fuzz run nifti` (a nightly toolchain).
#![no_main]

use ct_volume::Limits;
use ct_volume::nifti::decode_volume;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let limits = Limits::default().with_max_bytes(16 << 20);
    let _ = decode_volume(bytes, &limits, None);
});
