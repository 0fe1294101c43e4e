//! Files of tensors that promise more than they hold.

use std::path::Path;

use serde_json::{Value, json};
use vlm_model::{
    CheckpointOptions, DeviceChoice, Precision, TensorFile, WeightsError, init_checkpoint, load_checkpoint,
};
use zip::CompressionMethod;

use super::make::{Entry, deflated, nested, raw_zip};
use crate::inputs::cases::Case;
use crate::inputs::formats::{tiny_config, with_header, zip_of};

fn told<T>(result: Result<T, WeightsError>) -> String {
    result.map_or_else(|error| error.code().to_owned(), |_| "read".to_owned())
}

fn open(path: &Path) -> String {
    let read =
        TensorFile::open(path).and_then(|file| file.names().try_for_each(|name| file.read(name).map(drop)));
    told(read)
}

fn file(
    name: &'static str,
    ending: &'static str,
    expected: &'static str,
    make: impl Fn() -> anyhow::Result<Vec<u8>> + Send + Sync + 'static,
) -> Case {
    Case::new(name, expected, move |folder| {
        let path = folder.join(format!("x.{ending}"));
        fs_err::write(&path, make()?)?;
        Ok(move || open(&path))
    })
}

fn length_only(length: u64) -> Vec<u8> {
    [&length.to_le_bytes()[..], b"{}"].concat()
}

/// An archive as `torch.save` writes it.
fn pth(pickle: &[u8]) -> anyhow::Result<Vec<u8>> {
    zip_of(&[("archive/data.pkl", pickle), ("archive/version", b"3\n")], CompressionMethod::Stored)
}

/// A model folder with other sizes in `minigpt.json`.
fn sizes(name: &'static str, expected: &'static str, change: fn(&mut Value)) -> Case {
    Case::new(name, expected, move |folder| {
        let folder = folder.join("model");
        init_checkpoint(
            &tiny_config(),
            1,
            Precision::F32,
            &folder,
            &json!({}),
            &CheckpointOptions::default(),
        )?;
        let path = folder.join("minigpt.json");
        let mut manifest: Value = serde_json::from_slice(&fs_err::read(&path)?)?;
        change(&mut manifest["config"]);
        fs_err::write(&path, manifest.to_string())?;
        let device = DeviceChoice::Cpu.open()?;
        Ok(move || told(load_checkpoint(&folder, Precision::F32, &device, &mut |_, _| {})))
    })
}

pub(super) fn bombs() -> Vec<Case> {
    let shape = |text: &'static str| {
        move || {
            Ok(with_header(
                format!(r#"{{"x":{{"dtype":"F32","shape":{text},"data_offsets":[0,16]}}}}"#).as_bytes(),
                &[0; 16],
            ))
        }
    };
    vec![
        file("safetensors: a header of 2^60 bytes", "safetensors", "weights-format", || {
            Ok(length_only(1 << 60))
        }),
        file("safetensors: a header of 2^64 - 1 bytes", "safetensors", "weights-format", || {
            Ok(length_only(u64::MAX))
        }),
        file("safetensors: a header 100,000 deep", "safetensors", "weights-format", || {
            Ok(with_header(&nested(r#"{"x":"#, "1", "}", 100_000), &[]))
        }),
        file(
            "safetensors: 2^96 values",
            "safetensors",
            "weights-format",
            shape("[4294967296,4294967296,4294967296]"),
        ),
        file("safetensors: 2^60 values", "safetensors", "weights-format", shape("[1152921504606846976]")),
        file("pth: a pickle of 1 GiB in 1 MiB", "pth", "weights-format", || {
            let stream = deflated(&[], 1024)?;
            let names = ["archive/data.pkl", "archive/version"];
            let entry =
                |name: &str| Entry { name: name.to_owned(), stream: &stream, method: 8, claimed: 1 << 30 };
            raw_zip(&names.map(entry))
        }),
        file("pth: lists 1,000,000 deep", "pth", "weights-format", || {
            let pickle = [&b"\x80\x02"[..], &b"]".repeat(1_000_000), &b"a".repeat(999_999), b"."].concat();
            pth(&pickle)
        })
        .within_mib(192),
        file("pth: tuples 1,000,000 deep", "pth", "weights-format", || {
            let pickle = [&b"\x80\x02N"[..], &b"\x85".repeat(1_000_000), b"."].concat();
            pth(&pickle)
        }),
        file("pth: a list that doubles 40 times", "pth", "weights-format", || {
            // [x, x] is kept under a number, and fetched twice into the next.
            let mut pickle = b"\x80\x02Nq\x00".to_vec();
            for level in 0..40_u8 {
                pickle.extend([b'0', b'(', b'h', level, b'h', level, b'l', b'q', level + 1]);
            }
            pickle.push(b'.');
            pth(&pickle)
        }),
        file("pth: a text of 4 GiB", "pth", "weights-format", || pth(b"\x80\x02X\xff\xff\xff\xff.")),
        file("pth: a number of 2 GiB", "pth", "weights-format", || pth(b"\x80\x02\x8b\xff\xff\xff\x7f.")),
        sizes("checkpoint: 2^60 layers", "weights-config", |config| {
            config["llama"]["n_layers"] = json!(1_u64 << 60)
        }),
        sizes("checkpoint: a vocabulary of 2^60", "weights-config", |config| {
            config["llama"]["vocab_size"] = json!(1_u64 << 60);
        }),
        sizes("checkpoint: 2^40 positions", "weights-config", |config| {
            config["llama"]["max_positions"] = json!(1_u64 << 40);
        }),
        sizes("checkpoint: an image of 2^32 pixels a side", "weights-config", |config| {
            config["vision"]["image_size"] = json!(7_u64 << 32);
        }),
        Case::new("checkpoint: settings 100,000 deep", "weights-json", |folder| {
            let folder = folder.to_owned();
            fs_err::write(folder.join("minigpt.json"), nested(r#"{"prompt":"#, "1", "}", 100_000))?;
            let device = DeviceChoice::Cpu.open()?;
            Ok(move || told(load_checkpoint(&folder, Precision::F32, &device, &mut |_, _| {})))
        }),
    ]
}
