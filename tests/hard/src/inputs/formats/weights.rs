//! Files of tensors: safetensors, and `torch.save`'s zip of a pickle.

use std::io::{Cursor, Read, Write};
use std::path::PathBuf;

use rand::RngExt;
use tempfile::TempDir;
use vlm_model::{TensorFile, WeightsError, inspect};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipArchive, ZipWriter};

use super::in_repository;
use crate::inputs::format::{Format, outcome};
use crate::inputs::mutate::{Random, damage_bytes, splice};
use crate::inputs::mutate_text::damage_json;

/// One of the two.
pub(super) struct Weights {
    name: &'static str,
    seeds: Vec<Vec<u8>>,
    folder: TempDir,
    damage: fn(&mut Random, &[u8], &[u8]) -> Vec<u8>,
}

fn files(paths: &[&str]) -> anyhow::Result<Vec<Vec<u8>>> {
    let folder = in_repository("crates/vlm-verify/tests/fixtures");
    paths.iter().map(|path| Ok(fs_err::read(folder.join(path))?)).collect()
}

impl Weights {
    pub(super) fn safetensors() -> anyhow::Result<Self> {
        let mut seeds = files(&[
            "lora_peft/adapter/adapter_model.safetensors",
            "minigpt/ln_vision.safetensors",
            "train/weights_step1.safetensors",
        ])?;
        seeds.push(with_header(
            br#"{"__metadata__":{"format":"pt"},"a":{"dtype":"F32","shape":[2,2],"data_offsets":[0,16]},"b":{"dtype":"F16","shape":[4],"data_offsets":[16,24]},"c":{"dtype":"BF16","shape":[],"data_offsets":[24,26]},"d":{"dtype":"I64","shape":[0],"data_offsets":[26,26]}}"#,
            &[0; 26],
        ));
        Ok(Self { name: "safetensors", seeds, folder: tempfile::tempdir()?, damage: damage_safetensors })
    }

    pub(super) fn pth() -> anyhow::Result<Self> {
        let seeds = files(&["minigpt/checkpoint_qv.pth", "minigpt/checkpoint_qv_f16.pth"])?;
        Ok(Self { name: "pth", seeds, folder: tempfile::tempdir()?, damage: damage_pth })
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join(format!("x.{}", self.name))
    }
}

/// A safetensors file of a header and data.
pub(in crate::inputs) fn with_header(header: &[u8], data: &[u8]) -> Vec<u8> {
    [&(header.len() as u64).to_le_bytes(), header, data].concat()
}

fn damage_safetensors(random: &mut Random, bytes: &[u8], other: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    match random.random_range(0..10) {
        // The header as a document, its length mended.
        0..=6 => {
            let length = bytes.first_chunk().map_or(0, |length| u64::from_le_bytes(*length));
            let end = usize::try_from(length).unwrap_or(0).saturating_add(8).min(bytes.len());
            let mut header = bytes[8.min(end)..end].to_vec();
            damage_json(random, &mut header);
            with_header(&header, &bytes[end..])
        }
        7 => splice(random, &bytes, other),
        _ => {
            damage_bytes(random, &mut bytes, 256);
            bytes
        }
    }
}

fn damage_pth(random: &mut Random, bytes: &[u8], other: &[u8]) -> Vec<u8> {
    match random.random_range(0..10) {
        // The pickle or another member, packed again with a right checksum.
        0..=6 => repacked(random, bytes).unwrap_or_else(|| bytes.to_vec()),
        7 => splice(random, bytes, other),
        _ => {
            let mut bytes = bytes.to_vec();
            // A zip file's directory is at its end.
            if random.random() {
                bytes.reverse();
                damage_bytes(random, &mut bytes, 512);
                bytes.reverse();
            } else {
                damage_bytes(random, &mut bytes, 512);
            }
            bytes
        }
    }
}

/// The archive with one member damaged.
fn repacked(random: &mut Random, bytes: &[u8]) -> Option<Vec<u8>> {
    let mut archive = ZipArchive::new(Cursor::new(bytes)).ok()?;
    let pickle = archive.file_names().position(|name| name.is_ok_and(|name| name.ends_with("data.pkl")))?;
    let target = if random.random_bool(0.85) { pickle } else { random.random_range(0..archive.len()) };
    let deflated = random.random_bool(0.1);
    let method = if deflated { CompressionMethod::Deflated } else { CompressionMethod::Stored };
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    for index in 0..archive.len() {
        let mut member = archive.by_index(index).ok()?;
        let name = member.name().ok()?.into_owned();
        let mut content = Vec::new();
        member.read_to_end(&mut content).ok()?;
        if index == target {
            let header = content.len();
            if random.random_bool(0.7) {
                damage_pickle(random, &mut content)
            } else {
                damage_bytes(random, &mut content, header)
            }
        }
        writer.start_file(name, SimpleFileOptions::default().compression_method(method)).ok()?;
        writer.write_all(&content).ok()?;
    }
    Some(writer.finish().ok()?.into_inner())
}

/// Other opcodes, other integers, other names.
fn damage_pickle(random: &mut Random, pickle: &mut Vec<u8>) {
    const OPCODES: &[u8] = b"(.0123FGIJKLMNQRSTUVX]abcde}hijlopqrstu)\x80\x81\x85\x86\x87\x88\x89\x8a\x8b\x8c\x8d\x8f\x90\x93\x94\x95";
    for _ in 0..random.random_range(1..=3) {
        if pickle.is_empty() {
            return;
        }
        // BININT arguments: sizes, strides, offsets.
        let integers: Vec<usize> = (0..pickle.len().saturating_sub(5))
            .filter(|at| pickle[*at] == b'J' || pickle[*at] == b'M')
            .collect();
        let at = random.random_range(0..pickle.len());
        match random.random_range(0..6) {
            0 | 1 if !integers.is_empty() => {
                let at = integers[random.random_range(0..integers.len())];
                let value: i32 =
                    [i32::MIN, i32::MAX, -1, 0, 1, 7, 65_536, 1 << 30][random.random_range(0..8)];
                pickle[at + 1..at + 5].copy_from_slice(&value.to_le_bytes());
            }
            2 => pickle[at] = OPCODES[random.random_range(0..OPCODES.len())],
            3 => pickle.insert(at, OPCODES[random.random_range(0..OPCODES.len())]),
            4 => {
                let long = [&[0x8a_u8, 8][..], &(1_u64 << random.random_range(0..64)).to_le_bytes()].concat();
                drop(pickle.splice(at..at, long));
            }
            _ => damage_bytes(random, pickle, 128),
        }
    }
}

/// Opens the file, reads every tensor, and lists them as people see them.
fn read(path: &std::path::Path) -> Result<u64, WeightsError> {
    let file = TensorFile::open(path)?;
    let mut n_bytes = 0;
    for name in file.names() {
        n_bytes += file.read(name)?.as_bytes().len() as u64;
    }
    inspect(path)?;
    Ok(n_bytes)
}

impl Format for Weights {
    fn name(&self) -> String {
        self.name.to_owned()
    }

    fn seeds(&self) -> &[Vec<u8>] {
        &self.seeds
    }

    fn damaged(&self, random: &mut Random, seed: usize) -> Vec<u8> {
        (self.damage)(random, &self.seeds[seed], &self.seeds[(seed + 1) % self.seeds.len()])
    }

    fn read(&mut self, bytes: &[u8], _variant: u64) -> Result<String, String> {
        let path = self.path();
        fs_err::write(&path, bytes).map_err(|error| error.to_string())?;
        Ok(outcome(&read(&path)))
    }
}
