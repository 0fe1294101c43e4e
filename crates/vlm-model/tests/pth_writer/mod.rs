//! A writer of `torch.save` files, so that tests need no Python.
//!
//! A zip of stored members: `data.pkl` is a pickle of protocol 2 that names the storages, `data/N`
//! are their bytes. Tensors are made one at a time while the file is written.

#![allow(dead_code, reason = "each test uses its own part")]

pub(crate) mod layout;

use std::io::{self, BufWriter, Write};
use std::path::Path;

use flate2::Crc;

/// What a pickle can hold here.
pub(crate) enum Object {
    None,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(String),
    List(Vec<Object>),
    Dict(Vec<(Object, Object)>),
    Tensor(TensorObject),
}

/// A contiguous tensor whose bytes are made when they are written.
pub(crate) struct TensorObject {
    pub(crate) kind: Kind,
    pub(crate) shape: Vec<usize>,
    pub(crate) bytes: Box<dyn Fn() -> Vec<u8>>,
}

/// The number types that published checkpoints use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    F16,
    F32,
}

impl Kind {
    pub(crate) fn size(self) -> usize {
        match self {
            Self::F16 => 2,
            Self::F32 => 4,
        }
    }

    fn storage(self) -> &'static str {
        match self {
            Self::F16 => "HalfStorage",
            Self::F32 => "FloatStorage",
        }
    }
}

impl Object {
    pub(crate) fn text(text: &str) -> Self {
        Self::Text(text.to_owned())
    }

    /// A dict with text keys.
    pub(crate) fn dict<K: Into<String>>(entries: impl IntoIterator<Item = (K, Object)>) -> Self {
        Self::Dict(entries.into_iter().map(|(key, value)| (Self::Text(key.into()), value)).collect())
    }

    /// A tensor of these f32 values.
    pub(crate) fn f32_tensor(shape: &[usize], values: &[f32]) -> Self {
        assert_eq!(shape.iter().product::<usize>(), values.len());
        let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        Self::Tensor(TensorObject {
            kind: Kind::F32,
            shape: shape.to_vec(),
            bytes: Box::new(move || bytes.clone()),
        })
    }
}

/// Writes `object` as `torch.save` does.
pub(crate) fn write_pth(path: &Path, object: &Object) -> io::Result<()> {
    let mut pickle = Pickle { bytes: vec![0x80, 2], storages: Vec::new() };
    pickle.object(object);
    pickle.bytes.push(b'.');
    let mut zip = Zip {
        file: BufWriter::with_capacity(1 << 20, fs_err::File::create(path)?),
        at: 0,
        members: Vec::new(),
    };
    zip.member("archive/data.pkl", &pickle.bytes)?;
    zip.member("archive/byteorder", b"little")?;
    for (index, tensor) in pickle.storages.iter().enumerate() {
        let bytes = (tensor.bytes)();
        assert_eq!(
            bytes.len(),
            tensor.shape.iter().product::<usize>() * tensor.kind.size(),
            "{:?}",
            tensor.shape
        );
        zip.member(&format!("archive/data/{index}"), &bytes)?;
    }
    zip.member("archive/version", b"3\n")?;
    zip.finish()
}

/// Opcodes of pickle protocol 2, by their names in `pickletools`.
struct Pickle<'a> {
    bytes: Vec<u8>,
    storages: Vec<&'a TensorObject>,
}

impl<'a> Pickle<'a> {
    fn object(&mut self, object: &'a Object) {
        match object {
            Object::None => self.bytes.push(b'N'),
            Object::Bool(value) => self.bytes.push(if *value { 0x88 } else { 0x89 }),
            Object::Int(value) => self.int(*value),
            Object::Float(value) => {
                self.bytes.push(b'G');
                self.bytes.extend(value.to_be_bytes());
            }
            Object::Text(text) => self.text(text),
            Object::List(items) => {
                self.bytes.extend(b"](");
                items.iter().for_each(|item| self.object(item));
                self.bytes.push(b'e');
            }
            Object::Dict(entries) => {
                self.bytes.extend(b"}(");
                for (key, value) in entries {
                    self.object(key);
                    self.object(value);
                }
                self.bytes.push(b'u');
            }
            Object::Tensor(tensor) => self.tensor(tensor),
        }
    }

    fn int(&mut self, value: i64) {
        if let Ok(small) = i32::try_from(value) {
            self.bytes.push(b'J');
            self.bytes.extend(small.to_le_bytes());
        } else {
            self.bytes.extend([0x8a, 8]);
            self.bytes.extend(value.to_le_bytes());
        }
    }

    fn size(&mut self, value: usize) {
        self.int(i64::try_from(value).unwrap());
    }

    fn text(&mut self, text: &str) {
        self.bytes.push(b'X');
        self.bytes.extend(u32::try_from(text.len()).unwrap().to_le_bytes());
        self.bytes.extend(text.as_bytes());
    }

    fn global(&mut self, module: &str, name: &str) {
        self.bytes.extend(format!("c{module}\n{name}\n").as_bytes());
    }

    /// `torch._utils._rebuild_tensor_v2(storage, 0, size, stride, False, OrderedDict())`
    fn tensor(&mut self, tensor: &'a TensorObject) {
        self.global("torch._utils", "_rebuild_tensor_v2");
        self.bytes.extend(b"((");
        self.text("storage");
        self.global("torch", tensor.kind.storage());
        self.text(&self.storages.len().to_string());
        self.text("cpu");
        self.size(tensor.shape.iter().product());
        self.bytes.extend(b"tQ"); // the tuple is a persistent id
        self.int(0);
        let strides =
            (0..tensor.shape.len()).map(|axis| tensor.shape[axis + 1..].iter().product()).collect::<Vec<_>>();
        for sizes in [&tensor.shape, &strides] {
            self.bytes.push(b'(');
            sizes.iter().for_each(|size| self.size(*size));
            self.bytes.push(b't');
        }
        self.bytes.push(0x89);
        self.global("collections", "OrderedDict");
        self.bytes.extend(b")RtR");
        self.storages.push(tensor);
    }
}

/// A zip archive of stored members, written front to back.
struct Zip<W: Write> {
    file: W,
    at: usize,
    members: Vec<Vec<u8>>,
}

impl<W: Write> Zip<W> {
    /// Writes one member whose bytes start at a multiple of 64, as torch aligns them.
    fn member(&mut self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let mut crc = Crc::new();
        crc.update(bytes);
        let start = self.at + 30 + name.len() + 4;
        let padding = start.next_multiple_of(64) - start;
        // What the local and the central header share: versions, flags, method, time, date, sizes.
        let mut shared = vec![20, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        shared.extend(crc.sum().to_le_bytes());
        shared.extend(word(bytes.len()));
        shared.extend(word(bytes.len()));
        shared.extend(short(name.len()));
        let mut central = b"PK\x01\x02\x14\x00".to_vec();
        central.extend(&shared);
        central.extend([0; 2 + 2 + 2 + 2 + 4]); // extra, comment, disk, attributes
        central.extend(word(self.at));
        central.extend(name.as_bytes());
        self.members.push(central);
        self.put(b"PK\x03\x04")?;
        self.put(&shared)?;
        self.put(&short(padding + 4))?;
        self.put(name.as_bytes())?;
        self.put(b"FB")?;
        self.put(&short(padding))?;
        self.put(&vec![b'Z'; padding])?;
        self.put(bytes)
    }

    fn finish(mut self) -> io::Result<()> {
        let start = self.at;
        let members = std::mem::take(&mut self.members);
        members.iter().try_for_each(|member| self.put(member))?;
        let size = self.at - start;
        self.put(b"PK\x05\x06\0\0\0\0")?;
        self.put(&short(members.len()))?;
        self.put(&short(members.len()))?;
        self.put(&word(size))?;
        self.put(&word(start))?;
        self.put(&[0, 0])?;
        self.file.flush()
    }

    fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.at += bytes.len();
        self.file.write_all(bytes)
    }
}

fn word(value: usize) -> [u8; 4] {
    u32::try_from(value).expect("no zip64 here: below 4 GB").to_le_bytes()
}

fn short(value: usize) -> [u8; 2] {
    u16::try_from(value).expect("fits 16 bits").to_le_bytes()
}
