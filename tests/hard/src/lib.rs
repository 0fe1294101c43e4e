//! The hard suite: what the readers do with damaged and hostile files, and what runs leave behind after faults.
//!
//! Everything is counted in rows of one [`table`]. `inputs` goes through the library functions that users' files
//! reach; `faults` runs the programs and breaks what is under them. The binary `hard` runs the long suite
//! (`tests/hard/run.sh`), `tests/quick.rs` a short part of it. `docs/HARDNESS.md` says what is tried and what was measured.

use peak_alloc::PeakAlloc;

pub mod faults;
pub mod inputs;
pub mod table;

/// Counts what everything in the process takes, so that the memory of one input can be told.
#[global_allocator]
pub static MEMORY: PeakAlloc = PeakAlloc;
