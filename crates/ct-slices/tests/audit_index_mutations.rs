//! Ten thousand damaged indices: no panic, no long wait, no memory beyond the limits.

mod audit_set;

use std::io::Write;
use std::time::{Duration, Instant};

use audit_set::Set;
use ct_slices::SplitPart::{Test, Train};
use ct_slices::index::{INDEX_FILE_NAME, IndexLimits, index_to_bytes, read_index, read_index_as_is};
use peak_alloc::PeakAlloc;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

#[global_allocator]
static PEAK_ALLOC: PeakAlloc = PeakAlloc;

const N_MUTATIONS: u32 = 10_000;
/// A few hundred times the file, far below what a careless reader could be made to take.
const MAX_PEAK_BYTES: usize = 2 << 20;

fn below(rng: &mut ChaCha8Rng, n: usize) -> usize {
    usize::try_from(rng.next_u64() % n.max(1) as u64).expect("below n")
}

fn mutate(bytes: &mut Vec<u8>, rng: &mut ChaCha8Rng) {
    const PIECES: [&[u8]; 14] = [
        b"-1",
        b"1e999",
        b"99999999999999999999",
        b"null",
        b"\"\"",
        b"{",
        b"[[[[[[[[",
        b"\n",
        b"\\u0000",
        b"\xff",
        b"../",
        b",",
        b"true",
        b"NaN",
    ];
    for _ in 0..=below(rng, 3) {
        let at = below(rng, bytes.len());
        let end = (at + 1 + below(rng, 30)).min(bytes.len());
        match below(rng, 7) {
            0 if at < bytes.len() => bytes[at] ^= 1 << below(rng, 8),
            1 if at < bytes.len() => bytes[at] = rng.next_u32().to_le_bytes()[0],
            2 => drop(bytes.drain(at..end)),
            3 => drop(bytes.splice(at..at, PIECES[below(rng, PIECES.len())].iter().copied())),
            4 => drop(bytes.splice(at..end, PIECES[below(rng, PIECES.len())].iter().copied())),
            5 => bytes.truncate(at),
            _ => {
                let piece = bytes[at..end].repeat(1 + below(rng, 200));
                drop(bytes.splice(at..at, piece));
            }
        }
    }
}

#[test]
fn damaged_indices_are_refused_or_read() {
    let mut set = Set::new("set", "MSD");
    set.add_patient("pancreas_001", 1, Train, true);
    set.add_patient("pancreas_002", 2, Test, false);
    let path = set.root().join(INDEX_FILE_NAME);
    let good = index_to_bytes(&path, &set.records[3..6]).unwrap();
    let limits = IndexLimits::default();
    let mut rng = ChaCha8Rng::seed_from_u64(2024);
    let mut file = fs_err::File::create(&path).unwrap();
    let (mut n_read, mut n_as_is, mut slowest) = (0, 0, Duration::ZERO);
    let before = PEAK_ALLOC.current_usage();
    PEAK_ALLOC.reset_peak_usage();
    for _ in 0..N_MUTATIONS {
        let mut bytes = good.clone();
        mutate(&mut bytes, &mut rng);
        // The same file again: creating ten thousand would be most of the time.
        file.set_len(0).unwrap();
        std::io::Seek::rewind(&mut file).unwrap();
        file.write_all(&bytes).unwrap();
        let start = Instant::now();
        let strict = read_index(&path, &limits);
        let as_is = read_index_as_is(&path, &limits);
        slowest = slowest.max(start.elapsed());
        assert!(strict.is_err() || as_is.is_ok(), "what is sound can be read as it is");
        if let Ok(index) = &strict {
            // What was let through can be written, and reads as the same.
            let bytes = index_to_bytes(&path, &index.records).unwrap();
            n_read += u32::from(!bytes.is_empty());
        }
        n_as_is += u32::from(as_is.is_ok());
        for error in [strict.err(), as_is.err()].into_iter().flatten() {
            assert!(error.to_string().contains(INDEX_FILE_NAME));
        }
    }
    let peak = PEAK_ALLOC.peak_usage_as_mb();
    println!(
        "{n_read} read, {n_as_is} as they are, slowest {slowest:?}, peak {peak:.2} MB above {before} bytes"
    );
    assert!(slowest < Duration::from_secs(1), "{slowest:?}");
    assert!(n_read > 0 && n_read < N_MUTATIONS, "{n_read}");
    assert!(PEAK_ALLOC.peak_usage() < before + MAX_PEAK_BYTES, "{peak} MB");
}
