//! Ten thousand broken DICOM files of every transfer syntax: no panic, no hang, bounded memory.

#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test stops at what fails"
)]

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use ct_volume::Limits;
use ct_volume::dicom::{DicomOptions, decode_file_bytes};
use peak_alloc::PeakAlloc;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

#[global_allocator]
static ALLOCATOR: PeakAlloc = PeakAlloc;

const N_MUTATIONS: usize = 10_000;
/// The limits let 4 GiB through, and broken headers ask for as much. Nothing is taken for a size that
/// the file does not back, so a file of 3 KiB stays far below.
const MAX_PEAK: usize = 64 << 20;

fn files() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/dicom");
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<PathBuf> = entries.filter(|p| p.extension().is_some_and(|e| e == "dcm")).collect();
    files.sort();
    files
}

/// One to four changes: bits, bytes, runs of extremes, lengths, cuts, pieces moved.
fn mutate(data: &mut Vec<u8>, rng: &mut ChaCha8Rng) {
    // The preamble is never read. Every other time only the pixels are hit: header changes hide them.
    const PREAMBLE: usize = 132;
    let pixels = data.windows(4).position(|window| window == [0xE0, 0x7F, 0x10, 0x00]);
    let start = if rng.random() { PREAMBLE } else { pixels.unwrap_or(PREAMBLE) };
    for _ in 0..rng.random_range(1..5) {
        if data.len() <= start + 8 {
            return;
        }
        let at = rng.random_range(start..data.len() - 8);
        match rng.random_range(0..8) {
            0 => data[at] ^= 1 << rng.random_range(0..8),
            1 => data[at] = rng.random(),
            2 => data[at..at + 4].fill(0xFF),
            3 => data[at..at + 8].fill(0),
            4 => data[at..at + 2].copy_from_slice(&rng.random::<u16>().to_le_bytes()),
            5 => data.truncate(at),
            6 => {
                let to = rng.random_range(start..data.len() - 8);
                let piece: [u8; 8] = data[at..at + 8].try_into().unwrap();
                data[to..to + 8].copy_from_slice(&piece);
            }
            _ => {
                let length = rng.random_range(1..64).min(data.len() - at);
                data.drain(at..at + length);
            }
        }
    }
}

#[test]
fn broken_files_give_errors_fast_and_small() {
    let files: Vec<(PathBuf, Vec<u8>)> =
        files().into_iter().map(|path| (path.clone(), std::fs::read(path).unwrap())).collect();
    assert!(files.len() > 40);
    let limits = Limits::default();
    let (mut n_read, mut slowest, mut largest) = (0, Duration::ZERO, 0);
    for n in 0..N_MUTATIONS {
        let mut rng = ChaCha8Rng::seed_from_u64(n as u64);
        let (path, data) = &files[n % files.len()];
        let mut data = data.clone();
        mutate(&mut data, &mut rng);
        let mut options = DicomOptions::default();
        options.stored_values = n % 7 == 0;
        options.allow_irregular = n % 3 == 0;
        let before = ALLOCATOR.current_usage();
        ALLOCATOR.reset_peak_usage();
        let start = Instant::now();
        let result = decode_file_bytes(&data, &limits, &options);
        let (time, peak) = (start.elapsed(), ALLOCATOR.peak_usage() - before);
        n_read += usize::from(result.is_ok());
        slowest = slowest.max(time);
        largest = largest.max(peak);
        assert!(time < Duration::from_secs(1), "mutation {n} of `{}` took {time:?}", path.display());
        assert!(peak < MAX_PEAK, "mutation {n} of `{}` took {peak} bytes", path.display());
    }
    println!("{n_read} of {N_MUTATIONS} read; slowest {slowest:?}; peak {largest} bytes");
    // Most changes hit pixels or what nobody reads; if none could be read, the test would test nothing.
    assert!((N_MUTATIONS / 10..N_MUTATIONS * 9 / 10).contains(&n_read), "{n_read}");
}
