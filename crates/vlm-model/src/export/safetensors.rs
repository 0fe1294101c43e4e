//! A writer of safetensors files that holds one tensor at a time.
//!
//! The `safetensors` crate streams too, but its sources of bytes cannot fail and it does not sync
//! or hash; reading a tensor back from a device can fail, and a checkpoint's hash should not cost
//! a second pass over it. The format: the header's length as u64, a JSON header padded with spaces
//! to a multiple of 8, then the tensors without gaps, little endian.

use std::path::Path;

use burn::tensor::{DType, TensorData};
use serde_json::{Map, Value, json};

use super::ExportError;
use super::atomic::{WrittenFile, write_bytes, write_file};
use super::source::dims;

/// A tensor of a file that is about to be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TensorHeader {
    /// Its name in the file.
    pub name: String,
    /// Its number type: a float of 16, 32 or 64 bits or an integer.
    pub dtype: DType,
    /// Its shape.
    pub shape: Vec<usize>,
}

impl TensorHeader {
    fn bytes(&self) -> u64 {
        self.shape.iter().map(|n| *n as u64).product::<u64>() * self.dtype.size() as u64
    }
}

/// Writes one safetensors file. `read(i)` is asked for the data of `headers[i]`, each once; the
/// order is by number type, widest first, so that all data are aligned.
///
/// # Errors
/// [`ExportError::Tensor`] if data are not as announced, [`ExportError::NumberType`],
/// [`ExportError::Io`], and what `read` returns; nothing is left under `path` then.
pub fn write_safetensors(
    path: &Path,
    headers: &[TensorHeader],
    read: &mut dyn FnMut(usize) -> Result<TensorData, ExportError>,
) -> Result<WrittenFile, ExportError> {
    let mut order: Vec<usize> = (0..headers.len()).collect();
    order.sort_by_key(|index| std::cmp::Reverse(headers[*index].dtype.size()));
    let head = header_bytes(headers, &order)?;
    write_file(path, |writer| {
        writer.put(&(head.len() as u64).to_le_bytes())?;
        writer.put(&head)?;
        for index in order {
            let data = read(index)?;
            check(&headers[index], &data)?;
            writer.put(data.as_bytes())?;
        }
        Ok(())
    })
}

/// Writes `model.safetensors`, or shards of at most `max_shard_bytes` of tensors and their
/// `model.safetensors.index.json`, as transformers names them.
///
/// A tensor larger than a shard gets one of its own.
///
/// # Errors
/// As [`write_safetensors`].
pub fn write_safetensors_shards(
    folder: &Path,
    headers: &[TensorHeader],
    max_shard_bytes: u64,
    read: &mut dyn FnMut(usize) -> Result<TensorData, ExportError>,
) -> Result<Vec<WrittenFile>, ExportError> {
    let shards = split(headers, max_shard_bytes);
    if shards.len() < 2 {
        return Ok(vec![write_safetensors(&folder.join("model.safetensors"), headers, read)?]);
    }
    let mut written = Vec::with_capacity(shards.len() + 1);
    let mut weight_map = Map::new();
    for (shard_idx, shard) in shards.iter().enumerate() {
        let name = format!("model-{:05}-of-{:05}.safetensors", shard_idx + 1, shards.len());
        let tensors = &headers[shard.clone()];
        let first = shard.start;
        written.push(write_safetensors(&folder.join(&name), tensors, &mut |index| read(first + index))?);
        weight_map.extend(tensors.iter().map(|tensor| (tensor.name.clone(), Value::from(name.as_str()))));
    }
    let total: u64 = headers.iter().map(TensorHeader::bytes).sum();
    let index = json!({ "metadata": { "total_size": total }, "weight_map": weight_map });
    let text = format!("{index:#}\n");
    written.push(write_bytes(&folder.join("model.safetensors.index.json"), text.as_bytes())?);
    Ok(written)
}

fn split(headers: &[TensorHeader], max_shard_bytes: u64) -> Vec<std::ops::Range<usize>> {
    let mut shards = Vec::new();
    let (mut start, mut held) = (0, 0);
    for (index, header) in headers.iter().enumerate() {
        let bytes = header.bytes();
        if index > start && held + bytes > max_shard_bytes {
            shards.push(start..index);
            (start, held) = (index, 0);
        }
        held += bytes;
    }
    shards.push(start..headers.len());
    shards
}

fn header_bytes(headers: &[TensorHeader], order: &[usize]) -> Result<Vec<u8>, ExportError> {
    let mut entries = Map::new();
    // transformers refuses a file that does not name the framework of its layout.
    entries.insert("__metadata__".to_owned(), json!({ "format": "pt" }));
    let mut offset = 0;
    for index in order {
        let header = &headers[*index];
        let end = offset + header.bytes();
        let value = json!({
            "dtype": type_name(header)?,
            "shape": header.shape,
            "data_offsets": [offset, end],
        });
        if entries.insert(header.name.clone(), value).is_some() {
            return Err(ExportError::Tensor {
                name: header.name.clone(),
                got: "there twice".to_owned(),
                expected: "one of this name".to_owned(),
            });
        }
        offset = end;
    }
    let mut bytes = Value::Object(entries).to_string().into_bytes();
    bytes.resize(bytes.len().next_multiple_of(8), b' ');
    Ok(bytes)
}

fn type_name(header: &TensorHeader) -> Result<&'static str, ExportError> {
    Ok(match header.dtype {
        DType::F64 => "F64",
        DType::F32 => "F32",
        DType::F16 => "F16",
        DType::BF16 => "BF16",
        DType::I64 => "I64",
        DType::I32 => "I32",
        DType::U8 => "U8",
        other => {
            let dtype = format!("{other:?}");
            return Err(ExportError::NumberType { name: header.name.clone(), dtype });
        }
    })
}

fn check(header: &TensorHeader, data: &TensorData) -> Result<(), ExportError> {
    let shape = dims(data.shape());
    if (data.dtype(), &shape) == (header.dtype, &header.shape)
        && data.as_bytes().len() as u64 == header.bytes()
    {
        return Ok(());
    }
    Err(ExportError::Tensor {
        name: header.name.clone(),
        got: format!("{:?} {shape:?}", data.dtype()),
        expected: format!("{:?} {:?}", header.dtype, header.shape),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(name: &str, dtype: DType, shape: &[usize]) -> TensorHeader {
        TensorHeader { name: name.to_owned(), dtype, shape: shape.to_vec() }
    }

    #[test]
    fn shards_are_cut_at_the_limit() {
        let sizes: [usize; 6] = [4, 4, 4, 20, 4, 4];
        let headers: Vec<_> = sizes.iter().map(|n| header("x", DType::U8, &[*n])).collect();
        for (limit, expected) in [
            (100, "0..6"),
            (40, "0..6"),
            (39, "0..5, 5..6"),
            (12, "0..3, 3..4, 4..6"),
            (1, "0..1, 1..2, 2..3, 3..4, 4..5, 5..6"),
        ] {
            assert_eq!(format!("{:?}", split(&headers, limit)), format!("[{expected}]"), "{limit}");
        }
    }

    #[test]
    fn the_bytes_are_those_of_the_format() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.safetensors");
        let headers = [header("half", DType::F16, &[1]), header("full", DType::F32, &[2, 1])];
        let data = [
            TensorData::new(vec![half::f16::from_f32(1.0)], [1]),
            TensorData::new(vec![1.0_f32, -2.0], [2, 1]),
        ];
        write_safetensors(&path, &headers, &mut |index| Ok(data[index].clone())).unwrap();
        let bytes = fs_err::read(&path).unwrap();
        let n = usize::try_from(u64::from_le_bytes(bytes[..8].try_into().unwrap())).unwrap();
        assert_eq!(n % 8, 0);
        let head: Value = serde_json::from_slice(&bytes[8..8 + n]).unwrap();
        assert_eq!(head["full"], json!({"dtype": "F32", "shape": [2, 1], "data_offsets": [0, 8]}));
        assert_eq!(head["half"], json!({"dtype": "F16", "shape": [1], "data_offsets": [8, 10]}));
        assert_eq!(bytes[8 + n..], [0, 0, 0x80, 0x3f, 0, 0, 0, 0xc0, 0, 0x3c]);
    }

    #[test]
    fn what_was_not_announced_is_refused_and_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.safetensors");
        let good = TensorData::new(vec![1.0_f32, -2.0], [2]);
        for (headers, what) in [
            (vec![header("a", DType::F32, &[3])], "another shape"),
            (vec![header("a", DType::F16, &[2])], "another type"),
            (vec![header("a", DType::F32, &[2]), header("a", DType::F32, &[2])], "a name twice"),
            (vec![header("a", DType::U64, &[2])], "a type that is not written"),
        ] {
            assert!(write_safetensors(&path, &headers, &mut |_| Ok(good.clone())).is_err(), "{what}");
            assert_eq!(fs_err::read_dir(folder.path()).unwrap().count(), 0, "{what}");
        }
    }
}
