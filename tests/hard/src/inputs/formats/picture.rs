//! Uploads: PNG and JPEG pictures, and zip files with studies.

use std::io::{Cursor, Write};
use std::path::Path;

use bytes::Bytes;
use chat_api::{ServerLimits, open_study};
use ct_slices::pixels::{HuWindow, PngLimits, decode_png, encode_gray, encode_rgba};
use ndarray::Array2;
use rand::RngExt;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

use super::in_repository;
use crate::inputs::format::{Format, outcome, usual_limit_bytes};
use crate::inputs::mutate::{Random, damage_bytes, extreme, splice};

type Damage = fn(&mut Random, &[u8], &[u8]) -> Vec<u8>;

/// What `POST /v1/studies` opens, and for PNG what the tools read.
pub(super) struct Picture {
    name: &'static str,
    seeds: Vec<Vec<u8>>,
    damage: Damage,
}

impl Picture {
    pub(super) fn png() -> anyhow::Result<Self> {
        let image = Array2::from_shape_fn((40, 33), |(r, c)| (r * r + 3 * c).to_le_bytes()[0]);
        let rows = |n: usize| -> Vec<u8> {
            (0..20_u8).flat_map(|row| std::iter::once(row % 5).chain(vec![row; n])).collect()
        };
        let palette = (*b"PLTE", (0..48).collect::<Vec<u8>>());
        let seeds = vec![
            encode_gray(image.view())?,
            encode_rgba(image.view())?,
            png(20, 20, [16, 6, 0], &[(*b"IDAT", zlib(&[1; 20 * 161]))]),
            png(20, 20, [4, 3, 0], &[palette, (*b"tRNS", vec![0, 128, 255]), (*b"IDAT", zlib(&rows(10)))]),
            png(9, 7, [2, 0, 1], &[(*b"tRNS", vec![0, 1]), (*b"IDAT", zlib(&[0; 60]))]),
            png(20, 20, [8, 4, 0], &[(*b"gAMA", vec![0, 0, 177, 143]), (*b"IDAT", zlib(&rows(40)))]),
            png(20, 20, [8, 2, 0], &[(*b"tEXt", b"Software\0some".to_vec()), (*b"IDAT", zlib(&rows(60)))]),
        ];
        Ok(Self { name: "png", seeds, damage: damage_png })
    }

    pub(super) fn jpeg() -> anyhow::Result<Self> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("seeds");
        let names =
            ["gray", "gray_progressive", "gray_restarts", "color_420", "color_422", "color_444_progressive"];
        let seeds = names.iter().map(|name| fs_err::read(folder.join(format!("{name}.jpg"))));
        Ok(Self { name: "jpeg", seeds: seeds.collect::<Result<_, _>>()?, damage: damage_jpeg })
    }

    pub(super) fn zip() -> anyhow::Result<Self> {
        let volumes = in_repository("crates/ct-volume/tests/fixtures");
        let (dicom, nifti) = (
            fs_err::read(volumes.join("dicom/explicit_le.dcm"))?,
            fs_err::read(volumes.join("nifti/files/gz.nii.gz"))?,
        );
        let image = encode_gray(Array2::from_elem((9, 7), 3_u8).view())?;
        let jpeg = fs_err::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("seeds/gray.jpg"))?;
        let seeds = vec![
            zip_of(&[("a/1.dcm", &dicom), ("a/", &[]), ("__MACOSX/x", b"x")], CompressionMethod::Deflated)?,
            zip_of(&[("a.nii.gz", &nifti)], CompressionMethod::Stored)?,
            zip_of(&[("1.png", &image), ("2.jpg", &jpeg), (".DS_Store", b"x")], CompressionMethod::Deflated)?,
        ];
        Ok(Self { name: "zip", seeds, damage: damage_zip })
    }
}

pub(in crate::inputs) fn zip_of(
    files: &[(&str, &[u8])],
    method: CompressionMethod,
) -> anyhow::Result<Vec<u8>> {
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, content) in files {
        let options = SimpleFileOptions::default().compression_method(method);
        if name.ends_with('/') {
            writer.add_directory(*name, options)?;
        } else {
            writer.start_file(*name, options)?;
            writer.write_all(content)?;
        }
    }
    Ok(writer.finish()?.into_inner())
}

pub(in crate::inputs) fn zlib(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).and_then(|()| encoder.finish()).expect("a vector takes every byte")
}

fn chunk(bytes: &mut Vec<u8>, kind: [u8; 4], data: &[u8]) {
    bytes.extend(u32::try_from(data.len()).unwrap_or(u32::MAX).to_be_bytes());
    let mut crc = flate2::Crc::new();
    crc.update(&kind);
    crc.update(data);
    bytes.extend(kind);
    bytes.extend(data);
    bytes.extend(crc.sum().to_be_bytes());
}

/// A PNG file of depth, color type and interlacing, and of such chunks.
pub(in crate::inputs) fn png(
    width: u32,
    height: u32,
    [depth, color, interlace]: [u8; 3],
    chunks: &[([u8; 4], Vec<u8>)],
) -> Vec<u8> {
    let mut bytes = b"\x89PNG\r\n\x1a\n".to_vec();
    let header = [&width.to_be_bytes()[..], &height.to_be_bytes(), &[depth, color, 0, 0, interlace]].concat();
    chunk(&mut bytes, *b"IHDR", &header);
    for (kind, data) in chunks {
        chunk(&mut bytes, *kind, data);
    }
    chunk(&mut bytes, *b"IEND", &[]);
    bytes
}

/// Kind and data of each chunk, as far as lengths hold.
fn chunks(bytes: &[u8]) -> Vec<([u8; 4], Vec<u8>)> {
    let (mut at, mut found) = (8, Vec::new());
    while let Some(length) = bytes.get(at..at + 4).and_then(|b| b.try_into().ok()).map(u32::from_be_bytes) {
        let end = at + 8 + length as usize;
        let (Some(kind), Some(data)) = (bytes.get(at + 4..at + 8), bytes.get(at + 8..end)) else { break };
        found.push((kind.try_into().unwrap_or_default(), data.to_vec()));
        at = end + 4;
    }
    found
}

fn damage_png(random: &mut Random, bytes: &[u8], other: &[u8]) -> Vec<u8> {
    let mut bytes = match random.random_range(0..10) {
        0 => splice(random, bytes, other),
        _ => bytes.to_vec(),
    };
    if random.random_bool(0.25) {
        damage_bytes(random, &mut bytes, 60);
        return bytes;
    }
    // Damage behind right checksums.
    let mut all = chunks(&bytes);
    let mut out = b"\x89PNG\r\n\x1a\n".to_vec();
    if !all.is_empty() {
        let n = random.random_range(0..all.len());
        match random.random_range(0..8) {
            0 => {
                let copy = all[n].clone();
                all.insert(random.random_range(0..=n), copy);
            }
            1 => drop(all.remove(n)),
            2 => {
                let to = random.random_range(0..all.len());
                all.swap(n, to);
            }
            3 | 4 => {
                // Sizes, depth, color.
                let data = &mut all[0].1;
                let at = [0, 4, 8, 9, 10, 11, 12][random.random_range(0..7)];
                let width = if at < 8 { 4 } else { 1 };
                let number = extreme(random, width, true);
                if let Some(field) = data.get_mut(at..at + width) {
                    field.copy_from_slice(&number);
                }
            }
            5 => all[n].0[random.random_range(0..4)] ^= 0x20,
            _ => {
                let data = &mut all[n].1;
                let header = data.len();
                damage_bytes(random, data, header);
            }
        }
    }
    for (kind, data) in &all {
        chunk(&mut out, *kind, data);
    }
    out
}

fn damage_jpeg(random: &mut Random, bytes: &[u8], other: &[u8]) -> Vec<u8> {
    if random.random_bool(0.1) {
        return splice(random, bytes, other);
    }
    let mut bytes = bytes.to_vec();
    for _ in 0..random.random_range(1..=3) {
        // Segments begin with a marker; their lengths follow.
        let markers: Vec<usize> = (2..bytes.len().saturating_sub(4))
            .filter(|at| bytes[*at] == 0xff && bytes[at + 1] >= 0xc0)
            .collect();
        if markers.is_empty() || random.random_bool(0.35) {
            damage_bytes(random, &mut bytes, 300);
            continue;
        }
        let n = random.random_range(0..markers.len());
        let (at, end) = (markers[n], markers.get(n + 1).copied().unwrap_or(bytes.len()));
        match random.random_range(0..6) {
            0 => {
                let number = extreme(random, 2, true);
                bytes[at + 2..at + 4].copy_from_slice(&number);
            }
            1 => {
                bytes[at + 1] = [
                    0xc0, 0xc1, 0xc2, 0xc3, 0xc4, 0xc9, 0xca, 0xcc, 0xd0, 0xd8, 0xd9, 0xda, 0xdb, 0xdc, 0xdd,
                    0xe0, 0xee,
                ][random.random_range(0..17)]
            }
            2 => {
                let copy = bytes[at..end].repeat(random.random_range(1..=100));
                drop(bytes.splice(at..at, copy));
            }
            3 => drop(bytes.drain(at..end)),
            // Inside of the segment: sizes of a frame, components, tables.
            _ => {
                let to = (at + 4 + random.random_range(0..12)).min(bytes.len() - 1);
                let number = extreme(random, 1, true);
                bytes[to] = number[0];
            }
        }
    }
    bytes
}

fn damage_zip(random: &mut Random, bytes: &[u8], other: &[u8]) -> Vec<u8> {
    if random.random_bool(0.1) {
        return splice(random, bytes, other);
    }
    let mut bytes = bytes.to_vec();
    // Headers: local, central, end. Their fields hold sizes, offsets, methods, lengths of names.
    let headers: Vec<usize> =
        (0..bytes.len().saturating_sub(46)).filter(|at| bytes[*at..].starts_with(b"PK")).collect();
    for _ in 0..random.random_range(1..=3) {
        match headers.get(random.random_range(0..headers.len().max(1))) {
            Some(at) if random.random_bool(0.7) => {
                let width = [2, 4][random.random_range(0..2)];
                let to = at + 4 + 2 * random.random_range(0..20);
                let number = extreme(random, width, false);
                if let Some(field) = bytes.get_mut(to..to + width) {
                    field.copy_from_slice(&number);
                }
            }
            _ => damage_bytes(random, &mut bytes, 64),
        }
    }
    bytes
}

impl Format for Picture {
    fn name(&self) -> String {
        self.name.to_owned()
    }

    fn seeds(&self) -> &[Vec<u8>] {
        &self.seeds
    }

    fn damaged(&self, random: &mut Random, seed: usize) -> Vec<u8> {
        (self.damage)(random, &self.seeds[seed], &self.seeds[(seed + 1) % self.seeds.len()])
    }

    fn read(&mut self, bytes: &[u8], variant: u64) -> Result<String, String> {
        if self.name == "png" && variant % 2 == 1 {
            return Ok(outcome(&decode_png(bytes, &PngLimits::default())));
        }
        let study = open_study(vec![Bytes::copy_from_slice(bytes)], &ServerLimits::default());
        if let Ok(study) = &study {
            // What is opened can be shown.
            let window = HuWindow::from_limits(-150.0, 250.0).map_err(|error| error.to_string())?;
            let last = study.n_slices().checked_sub(1).ok_or("a study of no slices")?;
            study.slice_png(last, &window).map_err(|error| format!("not shown: {error}"))?;
        }
        Ok(outcome(&study))
    }

    /// The server's own limit, 16 million pixels: decoded, as coefficients of a progressive file, and as PNG.
    fn limit_bytes(&self, n_bytes: u64) -> u64 {
        usual_limit_bytes(n_bytes) + 16_000_000 * 3 * 5
    }
}
