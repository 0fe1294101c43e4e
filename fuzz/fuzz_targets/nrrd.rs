//! Any bytes as an NRRD label map. `cargo fuzz run nrrd` (a nightly toolchain).
#![no_main]

use ct_volume::Limits;
use ct_volume::nrrd::decode_labels;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let limits = Limits::default().with_max_bytes(16 << 20);
    let _ = decode_labels(bytes, &limits);
});
