//! Any bytes as a DICOM file. `cargo fuzz run dicom` (a nightly toolchain).
#![no_main]

use ct_volume::Limits;
use ct_volume::dicom::{DicomOptions, decode_file_bytes};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let limits = Limits::default().with_max_bytes(16 << 20);
    let _ = decode_file_bytes(bytes, &limits, &DicomOptions::default());
});
