//! NIfTI, gzip and NRRD.

use std::io::Write;

use ct_volume::nifti::{decode_labels, decode_volume};
use ct_volume::{Limits, ReadOptions, Volume, read_labels, read_study};
use flate2::{Compression, write::GzEncoder};
use rand::RngExt;
use tempfile::TempDir;

use super::in_repository;
use crate::inputs::format::{Format, outcome};
use crate::inputs::mutate::{Random, damage_bytes, extreme, splice};
use crate::inputs::mutate_text::damage_lines;

/// Where a NIfTI-1 header keeps its numbers: place, width, count.
const FIELDS_1: [(usize, usize, usize); 9] = [
    (0, 4, 1),
    (40, 2, 8),
    (70, 2, 2),
    (76, 4, 8),
    (108, 4, 3),
    (123, 1, 1),
    (252, 2, 2),
    (256, 4, 18),
    (344, 1, 8),
];
/// The same of NIfTI-2.
const FIELDS_2: [(usize, usize, usize); 8] =
    [(0, 4, 1), (4, 1, 8), (12, 2, 2), (16, 8, 8), (104, 8, 8), (168, 8, 3), (344, 4, 2), (352, 8, 18)];

fn fixtures(folder: &str, names: &[&str]) -> anyhow::Result<Vec<Vec<u8>>> {
    let folder = in_repository("crates/ct-volume/tests/fixtures").join(folder);
    names.iter().map(|name| Ok(fs_err::read(folder.join(name))?)).collect()
}

/// What every volume promises.
fn check(volume: &Volume) -> Result<(), String> {
    if !volume.hu().iter().all(|hu| hu.is_finite()) {
        return Err("a voxel is not finite".to_owned());
    }
    let spacing = volume.geometry().spacing_mm();
    if !spacing.iter().all(|mm| mm.is_finite() && *mm > 0.0) {
        return Err(format!("spacing {spacing:?}"));
    }
    Ok(())
}

fn frame(variant: u64) -> Option<usize> {
    [None, Some(0), Some(1), Some(usize::MAX)][usize::try_from(variant % 4).unwrap_or(0)]
}

fn read(bytes: &[u8], variant: u64) -> Result<String, String> {
    let limits = Limits::default();
    // Every third as a mask.
    if variant % 3 == 2 {
        return Ok(outcome(&decode_labels(bytes, &limits, frame(variant))));
    }
    let volume = decode_volume(bytes, &limits, frame(variant));
    if let Ok(volume) = &volume {
        check(volume)?;
    }
    Ok(outcome(&volume))
}

fn damage_header(random: &mut Random, bytes: &mut [u8]) {
    let is_second = matches!(bytes.get(..4), Some([28, 2, 0, 0] | [0, 0, 2, 28]));
    let is_big = bytes.first() == Some(&0);
    let fields: &[_] = if is_second { &FIELDS_2 } else { &FIELDS_1 };
    for _ in 0..random.random_range(1..=4) {
        let (at, width, count) = fields[random.random_range(0..fields.len())];
        let at = at + width * random.random_range(0..count);
        let number = extreme(random, width, is_big);
        if let Some(field) = bytes.get_mut(at..at + width) {
            field.copy_from_slice(&number);
        }
    }
}

/// `.nii`, both versions and byte orders.
pub(super) struct Nifti {
    seeds: Vec<Vec<u8>>,
}

impl Nifti {
    pub(super) fn new() -> anyhow::Result<Self> {
        let names = [
            "i2_le.nii",
            "i2_be.nii",
            "f8_le.nii",
            "f4_be.nii",
            "v2_i2_le.nii",
            "v2_f8_be.nii",
            "4d_one.nii",
            "slope_inter.nii",
            "extension_le.nii",
            "labels_whole.nii",
        ];
        Ok(Self { seeds: fixtures("nifti/files", &names)? })
    }
}

fn damaged_nifti(random: &mut Random, seeds: &[Vec<u8>], seed: usize) -> Vec<u8> {
    let mut bytes = seeds[seed].clone();
    match random.random_range(0..8) {
        0..=4 => damage_header(random, &mut bytes),
        5 => bytes = splice(random, &bytes, &seeds[(seed + 1) % seeds.len()]),
        _ => damage_bytes(random, &mut bytes, 352),
    }
    bytes
}

impl Format for Nifti {
    fn name(&self) -> String {
        "nifti".to_owned()
    }

    fn seeds(&self) -> &[Vec<u8>] {
        &self.seeds
    }

    fn damaged(&self, random: &mut Random, seed: usize) -> Vec<u8> {
        damaged_nifti(random, &self.seeds, seed)
    }

    fn read(&mut self, bytes: &[u8], variant: u64) -> Result<String, String> {
        read(bytes, variant)
    }
}

/// `.nii.gz`: damage to the stream, and to what is in it.
pub(super) struct Gzip {
    seeds: Vec<Vec<u8>>,
    plain: Vec<Vec<u8>>,
}

pub(in crate::inputs) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).and_then(|()| encoder.finish()).expect("a vector takes every byte")
}

impl Gzip {
    pub(super) fn new() -> anyhow::Result<Self> {
        let plain = Nifti::new()?.seeds;
        let mut larger = plain[0].clone();
        larger[42..48].copy_from_slice(&[64, 0, 64, 0, 4, 0]);
        larger
            .extend((0..64 * 64 * 4 * 2_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 27).to_le_bytes()[0]));
        let names =
            ["gz.nii.gz", "gz_members.nii.gz", "gz_fields.nii.gz", "gz_stored.nii.gz", "gz_trailing.nii.gz"];
        let mut seeds = fixtures("nifti/files", &names)?;
        seeds.push(gzip(&larger));
        Ok(Self { seeds, plain })
    }
}

impl Format for Gzip {
    fn name(&self) -> String {
        "gzip".to_owned()
    }

    fn seeds(&self) -> &[Vec<u8>] {
        &self.seeds
    }

    fn damaged(&self, random: &mut Random, seed: usize) -> Vec<u8> {
        let mut bytes = match random.random_range(0..4) {
            0 => {
                let n = random.random_range(0..self.plain.len());
                return gzip(&damaged_nifti(random, &self.plain, n));
            }
            1 => {
                // The inflated size at the end is a claim.
                let mut bytes = self.seeds[seed].clone();
                let end = bytes.len().saturating_sub(4);
                bytes.truncate(end);
                let size: u32 = [0, 1, 399, 401, 1 << 24, u32::MAX][random.random_range(0..6)];
                bytes.extend(size.to_le_bytes());
                bytes
            }
            2 => splice(random, &self.seeds[seed], &self.seeds[(seed + 1) % self.seeds.len()]),
            _ => self.seeds[seed].clone(),
        };
        damage_bytes(random, &mut bytes, 20);
        bytes
    }

    fn read(&mut self, bytes: &[u8], variant: u64) -> Result<String, String> {
        read(bytes, variant)
    }

    /// A gzip stream may hold 1032 times its length; the header is trusted as far as that.
    fn limit_bytes(&self, n_bytes: u64) -> u64 {
        (64 << 20) + 4 * 1032 * n_bytes
    }
}

/// `.nrrd`, read from disk as users' files are.
pub(super) struct Nrrd {
    seeds: Vec<Vec<u8>>,
    folder: TempDir,
}

impl Nrrd {
    pub(super) fn new() -> anyhow::Result<Self> {
        let voxels: Vec<u8> = (0..4 * 3 * 2_u8).flat_map(|n| [n % 3, 0]).collect();
        let bytes: Vec<u8> = voxels.iter().step_by(2).copied().collect();
        let text: String = bytes.iter().map(|value| format!("{value} ")).collect();
        let seeds = vec![
            [nrrd_header("short", "raw"), voxels.clone()].concat(),
            [nrrd_header("unsigned char", "raw"), bytes.clone()].concat(),
            [nrrd_header("short", "gzip"), gzip(&voxels)].concat(),
            [nrrd_header("unsigned char", "gzip"), gzip(&bytes)].concat(),
            [nrrd_header("short", "ascii"), text.into_bytes()].concat(),
        ];
        Ok(Self { seeds, folder: tempfile::tempdir()? })
    }
}

impl Format for Nrrd {
    fn name(&self) -> String {
        "nrrd".to_owned()
    }

    fn seeds(&self) -> &[Vec<u8>] {
        &self.seeds
    }

    fn damaged(&self, random: &mut Random, seed: usize) -> Vec<u8> {
        let bytes = &self.seeds[seed];
        let end = bytes.windows(2).position(|pair| pair == b"\n\n").unwrap_or(bytes.len());
        let (mut header, data) = (bytes[..end].to_vec(), &bytes[end..]);
        match random.random_range(0..5) {
            0..=2 => damage_lines(random, &mut header, &damage_field),
            3 => damage_bytes(random, &mut header, end),
            _ => {
                let mut all = bytes.clone();
                damage_bytes(random, &mut all, end);
                return all;
            }
        }
        [&header, data].concat()
    }

    fn read(&mut self, bytes: &[u8], variant: u64) -> Result<String, String> {
        let path = self.folder.path().join("a.nrrd");
        fs_err::write(&path, bytes).map_err(|error| error.to_string())?;
        let options = ReadOptions::default();
        if variant % 2 == 1 {
            return Ok(outcome(&read_labels(&path, &options)));
        }
        let volume = read_study(&path, &options);
        if let Ok(volume) = &volume {
            check(volume)?;
        }
        Ok(outcome(&volume))
    }

    fn limit_bytes(&self, n_bytes: u64) -> u64 {
        (64 << 20) + 4 * 1032 * n_bytes
    }
}

fn nrrd_header(kind: &str, encoding: &str) -> Vec<u8> {
    format!(
        "NRRD0004\ntype: {kind}\ndimension: 3\nspace: left-posterior-superior\nsizes: 4 3 2\n\
         space directions: (0.8,0,0) (0,-0.8,0) (0,0,2.5)\nkinds: domain domain domain\nendian: little\n\
         encoding: {encoding}\nspace origin: (-1,2e1,3.5)\nSegment0_Name:=pancreas\n\n"
    )
    .into_bytes()
}

/// Another value for a line `field: value`.
fn damage_field(random: &mut Random, line: &mut Vec<u8>) {
    const VALUES: [&str; 16] = [
        "nan nan nan",
        "0 0 0",
        "-1 -1 -1",
        "4294967295 4294967295 4294967295",
        "18446744073709551616 1 1",
        "(0,0,0) (0,0,0) (0,0,0)",
        "(1,0,0) (2,0,0) (0,0,1)",
        "(inf,0,0) (0,1,0) (0,0,1)",
        "none none none",
        "gzip",
        "raw",
        "ascii",
        "double",
        "../../etc/passwd",
        "",
        "3",
    ];
    let text = String::from_utf8_lossy(line).into_owned();
    if let Some((field, _)) = text.split_once(':') {
        *line = format!("{field}: {}", VALUES[random.random_range(0..VALUES.len())]).into_bytes();
    }
}
