//! Damaged and hostile NIfTI bytes: a typed error or a volume, never a panic, never slow, and never
//! more memory than the limit.

#![expect(clippy::unwrap_used, reason = "helpers of tests, which may unwrap")]

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;
use std::sync::{Mutex, MutexGuard};
use std::time::{Duration, Instant};

use ct_volume::nifti::{self, NiftiError};
use ct_volume::{LabelVolume, Limits, Volume, WarningCode};
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

fn alone() -> MutexGuard<'static, ()> {
    ONE_AT_A_TIME.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

fn fixture(name: &str) -> Vec<u8> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/nifti/files");
    fs_err::read(folder.join(name)).unwrap()
}

fn limits() -> Limits {
    Limits::default().with_max_bytes(LIMIT as u64)
}

/// Reads as volume and as mask; gives what came of the volume: "read" or the error's variant.
fn outcome(what: &dyn Fn() -> String, bytes: &[u8], frame: Option<usize>) -> String {
    let before = MEMORY.current_usage();
    MEMORY.reset_peak_usage();
    let start = Instant::now();
    let volume = nifti::decode_volume(bytes, &limits(), frame);
    let time = start.elapsed();
    let peak = MEMORY.peak_usage() - before;
    assert!(time < TIME, "{}: {time:?}", what());
    assert!(peak < PEAK, "{}: {peak} bytes", what());
    if let Ok(volume) = &volume {
        assert!(volume.hu().iter().all(|v| v.is_finite()), "{}", what());
        assert!(volume.hu().len() * 4 <= LIMIT, "{}", what());
    }
    drop(nifti::decode_labels(bytes, &limits(), frame));
    assert!(MEMORY.peak_usage() - before < 2 * PEAK, "{}", what());
    match volume {
        Ok(_) => "read".to_owned(),
        Err(error) => {
            let text = format!("{error:?}");
            text.split(|c: char| !c.is_alphanumeric()).next().unwrap_or_default().to_owned()
        }
    }
}

/// Checks that the damage was neither all harmless nor always met by the same check.
fn check_outcomes(outcomes: &BTreeMap<String, usize>, expected: &[&str]) {
    for name in expected {
        assert!(outcomes.get(*name).is_some_and(|&n| n >= 3), "few {name} in {outcomes:?}");
    }
}

/// Where a header keeps its numbers, and how wide they are.
const FIELDS_1: [(usize, usize, usize); 9] = [
    (0, 4, 1),    // sizeof_hdr
    (40, 2, 8),   // dim
    (70, 2, 2),   // datatype, bitpix
    (76, 4, 8),   // pixdim
    (108, 4, 3),  // vox_offset, scl_slope, scl_inter
    (123, 1, 1),  // xyzt_units
    (252, 2, 2),  // qform_code, sform_code
    (256, 4, 18), // quaternion, offsets, rows
    (344, 1, 8),  // magic, extension flag
];
const FIELDS_2: [(usize, usize, usize); 8] =
    [(0, 4, 1), (4, 1, 8), (12, 2, 2), (16, 8, 8), (104, 8, 8), (168, 8, 3), (344, 4, 2), (352, 8, 18)];

/// Integers and floats at the edge of what a field can hold.
fn extreme(rng: &mut ChaCha8Rng, width: usize, big: bool) -> Vec<u8> {
    const INTEGERS: [i64; 18] =
        [i64::MIN, i64::MAX, -32_768, -1, 0, 1, 2, 3, 4, 7, 8, 16, 255, 256, 2304, 32_767, 65_536, 1 << 53];
    const FLOATS: [f64; 16] = [
        f64::NAN,
        f64::INFINITY,
        f64::NEG_INFINITY,
        0.0,
        -0.0,
        1.0,
        -1.0,
        1e-45,
        3.4e38,
        -3.4e38,
        352.0,
        353.5,
        1e9,
        1e15,
        0.999_999_9,
        1.000_001,
    ];
    #[expect(clippy::cast_possible_truncation, reason = "any value will do")]
    let mut bytes = match (width, rng.random_bool(0.7)) {
        (4, true) => (FLOATS[rng.random_range(0..FLOATS.len())] as f32).to_le_bytes().to_vec(),
        (8, true) => FLOATS[rng.random_range(0..FLOATS.len())].to_le_bytes().to_vec(),
        _ => INTEGERS[rng.random_range(0..INTEGERS.len())].to_le_bytes()[..width].to_vec(),
    };
    if big {
        bytes.reverse();
    }
    bytes
}

/// Puts extremes into one to four fields, or flips bytes of the header, or cuts the file.
fn damage_header(rng: &mut ChaCha8Rng, bytes: &mut Vec<u8>, version: usize, big: bool) {
    let fields: &[_] = if version == 1 { &FIELDS_1 } else { &FIELDS_2 };
    let header = if version == 1 { 352 } else { 544 };
    for _ in 0..rng.random_range(1..=4) {
        if rng.random_bool(0.75) {
            let (at, width, count) = fields[rng.random_range(0..fields.len())];
            let at = at + width * rng.random_range(0..count);
            if let Some(field) = bytes.get_mut(at..at + width) {
                field.copy_from_slice(&extreme(rng, width, big));
            }
        } else if rng.random_bool(0.8) {
            let at = rng.random_range(0..header.min(bytes.len()).max(1));
            if let Some(byte) = bytes.get_mut(at) {
                *byte ^= rng.random_range(1..=255_u8);
            }
        } else {
            bytes.truncate(rng.random_range(0..=bytes.len()));
        }
    }
}

fn some_frame(rng: &mut ChaCha8Rng) -> Option<usize> {
    [None, Some(0), Some(1), Some(usize::MAX)][rng.random_range(0..4)]
}

const BASES: [(&str, usize, bool); 10] = [
    ("i2_le.nii", 1, false),
    ("i2_be.nii", 1, true),
    ("f8_le.nii", 1, false),
    ("f4_be.nii", 1, true),
    ("v2_i2_le.nii", 2, false),
    ("v2_f8_be.nii", 2, true),
    ("4d.nii", 1, false),
    ("slope_inter.nii", 1, false),
    ("extension_le.nii", 1, false),
    ("qform_0.nii", 1, false),
];

#[test]
fn ten_thousand_damaged_headers() {
    let _alone = alone();
    let bases = BASES.map(|(name, version, big)| (name, fixture(name), version, big));
    let mut rng = ChaCha8Rng::seed_from_u64(20_240_917);
    let mut outcomes = BTreeMap::new();
    for round in 0..10_000 {
        let (name, base, version, big) = &bases[round % bases.len()];
        let mut bytes = base.clone();
        damage_header(&mut rng, &mut bytes, *version, *big);
        let frame = some_frame(&mut rng);
        let outcome = outcome(&|| format!("header {round} of {name}"), &bytes, frame);
        *outcomes.entry(outcome).or_default() += 1;
    }
    check_outcomes(
        &outcomes,
        &[
            "read",
            "Rank",
            "AxisLength",
            "VoxelCount",
            "Limit",
            "UnknownDatatype",
            "UnsupportedDatatype",
            "VoxelOffset",
            "Truncated",
            "Intercept",
            "Geometry",
            "Quaternion",
            "NotNifti",
            "HeaderTooShort",
            "FrameNeeded",
            "FrameOutOfRange",
        ],
    );
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// Flips bytes, cuts, doubles, inserts, or lies about the inflated size.
fn damage_gzip(rng: &mut ChaCha8Rng, bytes: &mut Vec<u8>) {
    for _ in 0..rng.random_range(1..=3) {
        let at = rng.random_range(0..bytes.len().max(1)).min(bytes.len());
        match rng.random_range(0..8) {
            0..=3 => {
                if let Some(byte) = bytes.get_mut(at) {
                    *byte ^= rng.random_range(1..=255_u8);
                }
            }
            // The first 20 bytes decide most: flags, extra fields, the first block's kind.
            4 => {
                if let Some(byte) = bytes.get_mut(at % 20) {
                    *byte = rng.random();
                }
            }
            5 => bytes.truncate(at),
            6 => {
                let copy = bytes[at..].to_vec();
                bytes.extend(copy);
            }
            _ => {
                let size: u32 = [0, 1, 399, 401, 1 << 24, u32::MAX][rng.random_range(0..6)];
                let end = bytes.len().saturating_sub(4);
                bytes.truncate(end);
                bytes.extend(size.to_le_bytes());
            }
        }
    }
}

#[test]
fn ten_thousand_damaged_gzip_streams() {
    let _alone = alone();
    let mut larger = fixture("i2_le.nii");
    larger[42..48].copy_from_slice(&[64, 0, 64, 0, 4, 0]);
    larger.extend((0..64 * 64 * 4 * 2_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8 & 31));
    let bases = [
        fixture("gz.nii.gz"),
        fixture("gz_members.nii.gz"),
        fixture("gz_fields.nii.gz"),
        fixture("gz_trailing.nii.gz"),
        fixture("4d.nii.gz"),
        gzip(&larger),
    ];
    let headers = BASES.map(|(name, version, big)| (fixture(name), version, big));
    let mut rng = ChaCha8Rng::seed_from_u64(7);
    let mut outcomes = BTreeMap::new();
    for round in 0..10_000 {
        let mut bytes = if round % 4 == 3 {
            let (base, version, big) = &headers[round / 4 % headers.len()];
            let mut plain = base.clone();
            damage_header(&mut rng, &mut plain, *version, *big);
            gzip(&plain)
        } else {
            let mut bytes = bases[round % bases.len()].clone();
            damage_gzip(&mut rng, &mut bytes);
            bytes
        };
        if round % 8 == 7 {
            damage_gzip(&mut rng, &mut bytes);
        }
        let frame = some_frame(&mut rng);
        let outcome = outcome(&|| format!("gzip {round}"), &bytes, frame);
        *outcomes.entry(outcome).or_default() += 1;
    }
    check_outcomes(
        &outcomes,
        &["read", "Gzip", "Truncated", "GzipTooSmall", "HeaderTooShort", "FrameNeeded"],
    );
}

/// A gzip member of `head` and then `mebibytes` of zeros, made without inflating them: blocks that
/// end in a full flush do not depend on each other and can be repeated.
fn bomb(head: &[u8], mebibytes: usize) -> Vec<u8> {
    use flate2::{Compress, FlushCompress};
    let block = |bytes: &[u8]| {
        let mut out = Vec::with_capacity(bytes.len() / 4 + 4096);
        Compress::new(Compression::best(), false).compress_vec(bytes, &mut out, FlushCompress::Full).unwrap();
        out
    };
    let mut bytes = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];
    bytes.extend(block(head));
    let zeros = block(&vec![0; MIB]);
    for _ in 0..mebibytes {
        bytes.extend(&zeros);
    }
    bytes.extend([3, 0, 0, 0, 0, 0]); // a last empty block and a wrong checksum
    bytes.extend(u32::try_from(mebibytes * MIB + head.len()).unwrap().to_le_bytes());
    bytes
}

fn header_with(dim: [i16; 8], datatype: i16, bits: i16, vox_offset: f32) -> Vec<u8> {
    let mut bytes = fixture("i2_le.nii");
    bytes.truncate(352);
    for (n, length) in dim.into_iter().enumerate() {
        bytes[40 + 2 * n..42 + 2 * n].copy_from_slice(&length.to_le_bytes());
    }
    bytes[70..72].copy_from_slice(&datatype.to_le_bytes());
    bytes[72..74].copy_from_slice(&bits.to_le_bytes());
    bytes[108..112].copy_from_slice(&vox_offset.to_le_bytes());
    bytes
}

/// What reading costs: result, seconds, bytes at the peak.
fn cost<T>(read: impl FnOnce() -> T) -> (T, Duration, usize) {
    let before = MEMORY.current_usage();
    MEMORY.reset_peak_usage();
    let start = Instant::now();
    let result = read();
    (result, start.elapsed(), MEMORY.peak_usage() - before)
}

#[test]
fn a_gzip_bomb_costs_no_more_than_what_is_wanted() {
    let _alone = alone();
    let small = bomb(&header_with([3, 4, 3, 2, 1, 1, 1, 1], 4, 16, 352.0), 1024);
    assert!(small.len() < 2 * MIB, "{}", small.len());
    let (read, time, peak) = cost(|| nifti::decode_volume(&small, &limits(), None));
    let volume: Volume = read.unwrap();
    assert_eq!(volume.hu().len(), 24);
    assert_eq!(volume.warnings()[0].code, WarningCode::TrailingBytes);
    assert!(time < TIME / 10 && peak < MIB, "{time:?}, {peak} bytes");

    // What fills the limit is read; what is above it costs nothing.
    let full = bomb(&header_with([3, 256, 256, 64, 1, 1, 1, 1], 4, 16, 352.0), 64);
    let (read, time, peak) = cost(|| nifti::decode_volume(&full, &limits(), None));
    assert_eq!(read.unwrap().hu().len() * 4, LIMIT);
    assert!(time < TIME && peak < PEAK, "{time:?}, {peak} bytes");
    let above = bomb(&header_with([3, 256, 256, 65, 1, 1, 1, 1], 4, 16, 352.0), 64);
    let (read, time, peak) = cost(|| nifti::decode_volume(&above, &limits(), None));
    assert!(matches!(read, Err(NiftiError::Limit(_))), "{read:?}");
    assert!(time < TIME / 10 && peak < MIB, "{time:?}, {peak} bytes");
}

#[test]
fn headers_that_promise_too_much_cost_nothing() {
    let _alone = alone();
    let generous = Limits::default();
    let cases = [
        (header_with([3, 32_767, 32_767, 32_767, 1, 1, 1, 1], 64, 64, 352.0), "Limit"),
        (
            header_with([7, 32_767, 32_767, 32_767, 32_767, 32_767, 32_767, 32_767], 64, 64, 352.0),
            "VoxelCount",
        ),
        (header_with([3, 512, 512, 1000, 1, 1, 1, 1], 4, 16, 352.0), "Truncated"),
        (header_with([3, 4, 3, 2, 1, 1, 1, 1], 4, 16, 1e15), "Limit"),
        (header_with([3, 4, 3, 2, 1, 1, 1, 1], 4, 16, 3e9), "Truncated"),
    ];
    for (header, expected) in cases {
        for bytes in [gzip(&header), header] {
            let (read, time, peak) = cost(|| nifti::decode_volume(&bytes, &generous, None));
            let name = format!("{:?}", read.unwrap_err());
            let gzip_says = expected == "Truncated" && name.starts_with("GzipTooSmall");
            assert!(name.starts_with(expected) || gzip_says, "{name}, expected {expected}");
            assert!(time < TIME / 10 && peak < MIB, "{name}: {time:?}, {peak} bytes");
        }
    }
}

#[test]
fn memory_is_the_result_and_the_compressed_file() {
    let _alone = alone();
    // 64x64x256 int16: 2 MiB in the file, 4 MiB as f32.
    let mut plain = header_with([3, 64, 64, 256, 1, 1, 1, 1], 4, 16, 352.0);
    plain.extend((0..2 * MIB).map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes()[3] & 15));
    let compressed = gzip(&plain);
    let folder = tempfile::tempdir().unwrap();
    for (name, bytes) in [("a.nii", &plain), ("a.nii.gz", &compressed)] {
        let path = folder.path().join(name);
        fs_err::write(&path, bytes).unwrap();
        let held = if name == "a.nii" { 0 } else { compressed.len() };
        let (volume, _, peak) = cost(|| nifti::read_volume(&path, &limits(), None));
        assert_eq!(volume.unwrap().hu().len(), MIB);
        assert!(peak < 4 * MIB + held + MIB / 4, "{name}: {peak} bytes, {held} of them compressed");
        let (labels, _, peak): (_, _, usize) = cost(|| nifti::read_labels(&path, &limits(), None));
        let labels: LabelVolume = labels.unwrap();
        assert_eq!(labels.labels().len(), MIB);
        assert!(peak < 2 * MIB + held + MIB / 4, "{name}: {peak} bytes, {held} of them compressed");
    }
}
