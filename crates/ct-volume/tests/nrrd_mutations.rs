//! Damaged and hostile NRRD bytes: a typed error or a mask, never a panic, never slow, and never more
//! memory than the limit.

#![expect(clippy::unwrap_used, reason = "helpers of tests, which may unwrap")]

use std::collections::BTreeMap;
use std::io::Write;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use ct_volume::nifti::NiftiError;
use ct_volume::nrrd::{self, NrrdError};
use ct_volume::{LabelVolume, Limits};
use flate2::{Compression, write::GzEncoder};
use peak_alloc::PeakAlloc;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

/// Held by each test, because the allocator counts for the whole process.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

const MIB: usize = 1 << 20;
const LIMIT: usize = 16 * MIB;
/// The limit, an eighth for bytes after the voxels, a quarter for shrinking, and small change.
const PEAK: usize = LIMIT + LIMIT * 3 / 8 + MIB;
const TIME: Duration = Duration::from_secs(1);

/// Reads within the bounds of time and memory, or fails.
fn decode(what: &str, bytes: &[u8], peak_limit: usize) -> Result<LabelVolume, NrrdError> {
    let before = MEMORY.current_usage();
    MEMORY.reset_peak_usage();
    let start = Instant::now();
    let labels = nrrd::decode_labels(bytes, &Limits::default().with_max_bytes(LIMIT as u64));
    let (time, peak) = (start.elapsed(), MEMORY.peak_usage() - before);
    assert!(time < TIME && peak < peak_limit, "{what}: {time:?}, {peak} bytes");
    labels
}

/// "read", or the variant of the error.
fn outcome(labels: &Result<LabelVolume, NrrdError>) -> String {
    let text = match labels {
        Ok(_) => return "read".to_owned(),
        Err(NrrdError::Voxels(error)) => format!("{error:?}"),
        Err(error) => format!("{error:?}"),
    };
    text.split(|c: char| !c.is_alphanumeric()).next().unwrap_or_default().to_owned()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn header(kind: &str, sizes: &str, encoding: &str) -> Vec<u8> {
    format!(
        "NRRD0004\n# made by a test\ntype: {kind}\ndimension: 3\nspace: left-posterior-superior\nsizes: {sizes}\n\
         space directions: (0.8,0,0) (0,-0.8,0) (0,0,2.5)\nkinds: domain domain domain\nendian: little\n\
         encoding: {encoding}\nspace origin: (-1,2e1,3.5)\nSegment0_Name:=pancreas\n\n"
    )
    .into_bytes()
}

/// Bytes that mean something in a header.
const TOKENS: [&[u8]; 28] = [
    b"\n",
    b"\n\n",
    b"\r\n",
    b":",
    b":=",
    b": ",
    b"#",
    b"(",
    b")",
    b",",
    b"none",
    b"nan",
    b"inf",
    b"-",
    b"0",
    b"1",
    b"99999",
    b"4294967296",
    b"18446744073709551615",
    b"1e308",
    b"\xff\xfe",
    b"\0",
    b"double",
    b"int8",
    b"gzip",
    b"raw",
    b"\nbyte skip: 9\n",
    b"\ndata file: ../x\n",
];

const NUMBERS: [&str; 10] =
    ["0", "1", "2", "7", "12", "999", "32768", "32769", "4294967296", "18446744073709551615"];

fn damage(rng: &mut ChaCha8Rng, bytes: &mut Vec<u8>, from: usize, to: usize) {
    for _ in 0..rng.random_range(1..=3) {
        let at = rng.random_range(from..to).min(bytes.len());
        let until = (at + rng.random_range(0..24)).min(bytes.len());
        match rng.random_range(0..8) {
            0..=2 => {
                let token = TOKENS[rng.random_range(0..TOKENS.len())];
                let old = if rng.random_bool(0.5) { at..at } else { at..(at + token.len()).min(bytes.len()) };
                bytes.splice(old, token.iter().copied());
            }
            3 | 4 => {
                if let Some(byte) = bytes.get_mut(at) {
                    *byte ^= rng.random_range(1..=255_u8);
                }
            }
            5 => drop(bytes.drain(at..until)),
            6 => {
                let copy = bytes[at..until].to_vec();
                bytes.splice(at..at, copy);
            }
            _ if rng.random_bool(0.2) => bytes.truncate(at),
            _ => {
                // Another number, so that the header is still well formed.
                let is_digit = |&b: &u8| b.is_ascii_digit();
                let first = bytes[at..].iter().position(&is_digit).map_or(bytes.len(), |n| at + n);
                let len = bytes[first..].iter().take_while(|b| is_digit(b)).count();
                let number = NUMBERS[rng.random_range(0..NUMBERS.len())];
                bytes.splice(first..first + len, number.bytes());
            }
        }
    }
}

#[test]
fn ten_thousand_mutations() {
    let _alone = ONE_AT_A_TIME.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    let voxels: Vec<u8> = (0..8 * 9 * 10 * 8_u32).map(|n| u8::from(n % 16 == 0)).collect();
    let bases: Vec<(usize, Vec<u8>)> =
        [("short", "8 9 10", 2), ("uchar", "8 9 10", 1), ("uint64", "8 9 10", 8)]
            .into_iter()
            .flat_map(|(kind, sizes, size)| {
                let voxels = &voxels[..720 * size];
                [("raw", voxels.to_vec()), ("gzip", gzip(voxels))].map(|(encoding, voxels)| {
                    let header = header(kind, sizes, encoding);
                    (header.len(), [header, voxels].concat())
                })
            })
            .collect();
    for (n, (_, base)) in bases.iter().enumerate() {
        assert!(decode(&format!("base {n}"), base, PEAK).is_ok());
    }
    let mut rng = ChaCha8Rng::seed_from_u64(20_250_301);
    let mut outcomes = BTreeMap::<String, usize>::new();
    for round in 0..10_000 {
        let (end, base) = &bases[round % bases.len()];
        let mut bytes = base.clone();
        let (from, to) = if round % 3 == 2 { (*end, base.len()) } else { (0, *end) };
        damage(&mut rng, &mut bytes, from, to);
        *outcomes.entry(outcome(&decode(&format!("round {round}"), &bytes, PEAK))).or_default() += 1;
    }
    // The damage was neither all harmless nor always met by the same check.
    for name in [
        "read",
        "Magic",
        "Missing",
        "Duplicate",
        "Malformed",
        "Unsupported",
        "NonSpatialAxis",
        "Limit",
        "Geometry",
        "Truncated",
        "Gzip",
        "GzipTooSmall",
        "LabelRange",
    ] {
        assert!(outcomes.get(name).is_some_and(|&n| n >= 3), "few {name} in {outcomes:?}");
    }
}

#[test]
fn promises_and_bombs_cost_no_more_than_what_is_wanted() {
    let _alone = ONE_AT_A_TIME.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    let zeros = gzip(&vec![0; 256 * MIB]);
    let file = |sizes, encoding, voxels: &[u8]| [&header("short", sizes, encoding), voxels].concat();
    let small = decode("bomb", &file("4 3 2", "gzip", &zeros), MIB).unwrap();
    assert_eq!(small.labels().len(), 24);
    let full = decode("full", &file("512 512 32", "gzip", &zeros), PEAK).unwrap();
    assert_eq!(full.labels().len() * 2, LIMIT);
    drop((small, full));
    for (sizes, encoding, expected) in [
        ("512 512 33", "gzip", "Limit"),
        ("32768 32768 32768", "raw", "Limit"),
        ("18446744073709551615 2 2", "raw", "Limit"),
        ("512 512 30", "raw", "Truncated"),
        ("512 512 30\nbyte skip: 16777217", "raw", "Limit"),
        ("512 512 30\nbyte skip: 16777216", "gzip", "GzipTooSmall"),
    ] {
        let labels = decode(sizes, &file(sizes, encoding, &zeros[..10_000]), MIB);
        assert_eq!(outcome(&labels), expected, "{sizes}: {labels:?}");
    }
    // No limit keeps the arithmetic from overflowing.
    let mut limits = Limits::default().with_max_bytes(u64::MAX);
    limits.max_axis = u64::MAX;
    let huge = file("18446744073709551615 18446744073709551615 2", "raw", &[]);
    let error = nrrd::decode_labels(&huge, &limits).unwrap_err();
    assert!(matches!(error, NrrdError::Voxels(NiftiError::OutOfMemory { .. })), "{error:?}");
    // A header as long as is allowed, of nothing but the shortest entries.
    for text in ["none ", "(0,0,0)", "1 ", "a:\n", "\u{fffd}"] {
        let mut bytes = b"NRRD0004\ndimension: 3\nspace directions: ".to_vec();
        bytes.extend(text.repeat(5 * MIB / text.len()).bytes());
        assert!(decode(text, &bytes, 24 * MIB).is_err());
    }
}
