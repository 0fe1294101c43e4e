//! The bytes that `torch.save` writes: a zip of a pickle and one file per storage.

use half::f16;

use super::Weights;

/// What stands at the root of the pickle.
pub(crate) enum Root<'a> {
    /// The tensors themselves.
    Flat(&'a Weights),
    /// `{"model": tensors, "config": {"model": {"lora_alpha": alpha}}, "epoch": 3, ...}`
    Training(&'a Weights, Alpha),
}

/// Python has two kinds of numbers.
#[derive(Clone, Copy)]
pub(crate) enum Alpha {
    Int(u8),
    Float(f64),
}

pub(crate) fn pth_bytes(root: &Root<'_>, is_half: bool) -> Vec<u8> {
    let (mut pickle, mut storages) = (vec![0x80, 2], Vec::new());
    match root {
        Root::Flat(weights) => put_tensors(&mut pickle, weights, is_half, &mut storages),
        Root::Training(weights, alpha) => {
            pickle.push(b'}');
            put_text(&mut pickle, "model");
            put_tensors(&mut pickle, weights, is_half, &mut storages);
            pickle.push(b's');
            put_text(&mut pickle, "config");
            pickle.push(b'}');
            put_text(&mut pickle, "model");
            pickle.push(b'}');
            put_text(&mut pickle, "lora_alpha");
            match alpha {
                Alpha::Int(alpha) => pickle.extend([b'K', *alpha]),
                Alpha::Float(alpha) => {
                    pickle.push(b'G');
                    pickle.extend(alpha.to_be_bytes());
                }
            }
            pickle.extend(b"sss");
            put_text(&mut pickle, "epoch");
            pickle.extend(b"K\x03s");
            put_text(&mut pickle, "scaler");
            pickle.extend(b"Ns");
        }
    }
    pickle.push(b'.');
    archive(&pickle, storages)
}

/// The archive of a pickle and its storages.
pub(crate) fn archive(pickle: &[u8], storages: Vec<Vec<u8>>) -> Vec<u8> {
    let mut entries = vec![
        ("archive/data.pkl".to_owned(), pickle.to_vec()),
        ("archive/version".to_owned(), b"3\n".to_vec()),
    ];
    entries.extend(storages.into_iter().enumerate().map(|(i, bytes)| (format!("archive/data/{i}"), bytes)));
    zip(&entries)
}

fn put_text(pickle: &mut Vec<u8>, text: &str) {
    pickle.push(b'X');
    pickle.extend(u32::try_from(text.len()).unwrap().to_le_bytes());
    pickle.extend(text.as_bytes());
}

fn put_int(pickle: &mut Vec<u8>, value: usize) {
    pickle.push(b'J');
    pickle.extend(i32::try_from(value).unwrap().to_le_bytes());
}

fn put_tensors(pickle: &mut Vec<u8>, weights: &Weights, is_half: bool, storages: &mut Vec<Vec<u8>>) {
    pickle.push(b'}');
    for (name, (shape, values)) in weights {
        put_text(pickle, name);
        pickle.extend(b"ctorch._utils\n_rebuild_tensor_v2\n((");
        put_text(pickle, "storage");
        pickle.extend(if is_half { &b"ctorch\nHalfStorage\n"[..] } else { b"ctorch\nFloatStorage\n" });
        put_text(pickle, &storages.len().to_string());
        put_text(pickle, "cpu");
        put_int(pickle, values.len());
        pickle.extend(b"tQK\x00(");
        shape.iter().for_each(|size| put_int(pickle, *size));
        pickle.extend(b"t(");
        (0..shape.len()).for_each(|axis| put_int(pickle, shape[axis + 1..].iter().product()));
        pickle.extend(b"t\x89ccollections\nOrderedDict\n)RtRs");
        storages.push(if is_half {
            values.iter().flat_map(|value| f16::from_f32(*value).to_le_bytes()).collect()
        } else {
            values.iter().flat_map(|value| value.to_le_bytes()).collect()
        });
    }
}

/// Stored entries without checksums, as `compute_crc32=False` writes them.
fn zip(entries: &[(String, Vec<u8>)]) -> Vec<u8> {
    let (mut bytes, mut directory) = (Vec::new(), Vec::new());
    let u32_of = |n: usize| u32::try_from(n).unwrap().to_le_bytes();
    let u16_of = |n: usize| u16::try_from(n).unwrap().to_le_bytes();
    for (name, data) in entries {
        let offset = bytes.len();
        // version, flags, method, time, date, checksum, sizes, name, extra
        let mut fields = vec![20, 0, 0, 0, 0, 0, 0, 0, 0x21, 0, 0, 0, 0, 0];
        fields.extend(u32_of(data.len()));
        fields.extend(u32_of(data.len()));
        fields.extend(u16_of(name.len()));
        fields.extend([0, 0]);
        bytes.extend(b"PK\x03\x04");
        bytes.extend(&fields);
        bytes.extend(name.as_bytes());
        bytes.extend(data);
        directory.extend(b"PK\x01\x02\x14\x00");
        directory.extend(&fields);
        directory.extend([0; 10]);
        directory.extend(u32_of(offset));
        directory.extend(name.as_bytes());
    }
    let start = bytes.len();
    bytes.extend(&directory);
    bytes.extend(b"PK\x05\x06\0\0\0\0");
    bytes.extend(u16_of(entries.len()));
    bytes.extend(u16_of(entries.len()));
    bytes.extend(u32_of(directory.len()));
    bytes.extend(u32_of(start));
    bytes.extend([0, 0]);
    bytes
}
