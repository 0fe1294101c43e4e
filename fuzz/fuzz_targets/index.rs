//! Any bytes as a line of an index. `cargo fuzz run index` (a nightly toolchain).
#![no_main]

use ct_slices::IndexRecord;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(record) = serde_json::from_slice::<IndexRecord>(bytes) {
        let _ = record.check();
    }
});
