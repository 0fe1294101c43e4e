//! Damaged PNG files: no panic, no hang, no memory beyond the limits.

#![expect(clippy::unwrap_used, reason = "a test without its input fails")]

use std::io::Write;
use std::time::{Duration, Instant};

use ct_slices::pixels::{PixelError, PngLimits, decode_png, encode_gray, encode_rgba};
use ndarray::Array2;
use peak_alloc::PeakAlloc;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

const N_MUTATIONS: usize = 10_000;

/// The decoded image, once as the decoder fills it and once more where gray and alpha become four
/// channels; the decoder's own buffers.
const PEAK_BYTES: usize = 2 * LIMIT_BYTES + (1 << 20);
const LIMIT_BYTES: usize = 1 << 20;

fn chunk(bytes: &mut Vec<u8>, kind: [u8; 4], data: &[u8]) {
    bytes.extend_from_slice(&u32::try_from(data.len()).unwrap().to_be_bytes());
    let start = bytes.len();
    bytes.extend_from_slice(&kind);
    bytes.extend_from_slice(data);
    let checksum = crc(&bytes[start..]);
    bytes.extend_from_slice(&checksum.to_be_bytes());
}

fn crc(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0, |crc, &byte| {
        (0..8).fold(crc ^ u32::from(byte), |crc, _| crc >> 1 ^ (0xEDB8_8320 & (crc & 1).wrapping_neg()))
    })
}

/// A file of our own making, so that damage can be given a right checksum.
fn png(
    width: u32,
    height: u32,
    depth: u8,
    color: u8,
    interlace: u8,
    chunks: &[([u8; 4], Vec<u8>)],
) -> Vec<u8> {
    let mut bytes = b"\x89PNG\r\n\x1a\n".to_vec();
    let mut header = Vec::new();
    header.extend_from_slice(&width.to_be_bytes());
    header.extend_from_slice(&height.to_be_bytes());
    header.extend_from_slice(&[depth, color, 0, 0, interlace]);
    chunk(&mut bytes, *b"IHDR", &header);
    for (kind, data) in chunks {
        chunk(&mut bytes, *kind, data);
    }
    chunk(&mut bytes, *b"IEND", &[]);
    bytes
}

/// A zlib stream of stored blocks.
fn stored(raw: &[u8]) -> Vec<u8> {
    let mut stream = vec![0x78, 0x01];
    let mut blocks = raw.chunks(65_535).peekable();
    while let Some(block) = blocks.next() {
        let length = u16::try_from(block.len()).unwrap();
        stream.push(u8::from(blocks.peek().is_none()));
        stream.extend_from_slice(&length.to_le_bytes());
        stream.extend_from_slice(&(!length).to_le_bytes());
        stream.write_all(block).unwrap();
    }
    let (a, b) = raw.iter().fold((1_u32, 0_u32), |(a, b), &byte| {
        let a = (a + u32::from(byte)) % 65_521;
        (a, (b + a) % 65_521)
    });
    stream.extend_from_slice(&(b << 16 | a).to_be_bytes());
    stream
}

fn seeds() -> Vec<Vec<u8>> {
    let image = Array2::from_shape_fn((40, 33), |(r, c)| u8::try_from((r * r + 3 * c) % 256).unwrap());
    let palette = (*b"PLTE", (0..48).collect::<Vec<u8>>());
    let transparency = (*b"tRNS", vec![0, 128, 255]);
    let rows = |n_bytes: usize| {
        let raw: Vec<u8> =
            (0_u8..20).flat_map(|row| std::iter::once(row % 5).chain(vec![row; n_bytes])).collect();
        stored(&raw)
    };
    vec![
        encode_gray(image.view()).unwrap(),
        encode_rgba(image.view()).unwrap(),
        png(20, 20, 16, 6, 0, &[(*b"IDAT", stored(&[1; 20 * 161]))]),
        png(20, 20, 4, 3, 0, &[palette.clone(), transparency.clone(), (*b"IDAT", rows(10))]),
        png(9, 7, 2, 0, 1, &[(*b"tRNS", vec![0, 1]), (*b"IDAT", stored(&[0; 60]))]),
        png(20, 20, 8, 4, 0, &[(*b"gAMA", vec![0, 0, 177, 143]), (*b"IDAT", rows(40))]),
        png(20, 20, 8, 2, 0, &[(*b"tEXt", b"Software\0some".to_vec()), (*b"IDAT", rows(60))]),
    ]
}

/// Changes some bytes, and cuts, doubles or drops a piece now and then.
fn mutate(bytes: &mut Vec<u8>, rng: &mut ChaCha8Rng) {
    for _ in 0..rng.random_range(1..6) {
        let at = rng.random_range(0..bytes.len());
        match rng.random_range(0..10) {
            0 => bytes.truncate(at.max(1)),
            1 => drop(bytes.drain(at..(at + rng.random_range(0..16)).min(bytes.len()))),
            2 => {
                let piece = bytes[at..(at + 32).min(bytes.len())].to_vec();
                bytes.splice(at..at, piece);
            }
            3 => bytes[at] = [0, 1, 127, 128, 255][rng.random_range(0..5)],
            // headers matter most
            4 | 5 => {
                let at = rng.random_range(8..40).min(bytes.len() - 1);
                bytes[at] = rng.random();
            }
            _ => bytes[at] ^= 1 << rng.random_range(0..8),
        }
        if bytes.is_empty() {
            bytes.push(0);
        }
    }
}

/// Gives every chunk that still has its length a right checksum, so that damage gets past the first check.
fn mend(bytes: &mut [u8]) {
    let mut at = 8;
    while let Some(length) = bytes.get(at..at + 4).and_then(|b| b.try_into().ok()).map(u32::from_be_bytes) {
        let end = at + 8 + length as usize;
        if end + 4 > bytes.len() {
            return;
        }
        let checksum = crc(&bytes[at + 4..end]);
        bytes[end..end + 4].copy_from_slice(&checksum.to_be_bytes());
        at = end + 4;
    }
}

// One test, so that nothing else allocates beside it.
#[test]
fn damage_is_survived_within_limits() {
    let limits = PngLimits::default().with_max_bytes(LIMIT_BYTES as u64);
    let seeds = seeds();
    for (index, seed) in seeds.iter().enumerate() {
        assert!(decode_png(seed, &limits).is_ok(), "seed {index}: {:?}", decode_png(seed, &limits));
    }
    let mut rng = ChaCha8Rng::seed_from_u64(20_240_610);
    let (mut n_decoded, mut slowest, mut peak) = (0, Duration::ZERO, 0);
    for index in 0..N_MUTATIONS {
        let mut bytes = seeds[index % seeds.len()].clone();
        mutate(&mut bytes, &mut rng);
        if rng.random_bool(0.7) {
            mend(&mut bytes);
        }
        let before = MEMORY.current_usage();
        MEMORY.reset_peak_usage();
        let start = Instant::now();
        let result = decode_png(&bytes, &limits);
        slowest = slowest.max(start.elapsed());
        peak = peak.max(MEMORY.peak_usage().saturating_sub(before));
        n_decoded += usize::from(result.is_ok());
    }
    println!("{n_decoded} of {N_MUTATIONS} decoded, slowest {slowest:?}, peak {peak} bytes");
    assert!(slowest < Duration::from_secs(1), "{slowest:?}");
    assert!(peak < PEAK_BYTES, "{peak} bytes");
    assert!((500..N_MUTATIONS - 500).contains(&n_decoded), "{n_decoded}: the damage is trivial or total");

    // sizes that a header may promise
    let idat = (*b"IDAT", stored(&[0; 1000]));
    let side = png(65_535, 65_535, 16, 6, 0, std::slice::from_ref(&idat));
    let area = png(16_000, 16_000, 8, 0, 0, std::slice::from_ref(&idat));
    let short = png(1000, 1000, 8, 0, 0, &[(*b"IDAT", vec![0x78, 0x01])]);
    MEMORY.reset_peak_usage();
    let before = MEMORY.current_usage();
    assert!(matches!(decode_png(&side, &PngLimits::default()), Err(PixelError::Limit { got: 65_535, .. })));
    let wide = PngLimits::default().with_max_side_px(u32::MAX);
    assert!(
        matches!(decode_png(&side, &wide), Err(PixelError::Limit { limit, .. }) if limit == wide.max_bytes)
    );
    assert!(matches!(decode_png(&area, &wide), Err(PixelError::Limit { got: 512_000_000, .. })));
    let generous = wide.with_max_bytes(u64::MAX);
    assert!(matches!(decode_png(&side, &generous), Err(PixelError::Truncated { width_px: 65_535, .. })));
    assert!(matches!(decode_png(&area, &generous), Err(PixelError::Truncated { .. })));
    assert!(matches!(decode_png(&short, &wide), Err(PixelError::Truncated { bytes: 59, .. })));
    let peak = MEMORY.peak_usage() - before;
    assert!(peak < 1 << 18, "{peak} bytes for files that are refused");
}
