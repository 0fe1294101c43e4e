//! A header whose every field was checked.

use super::error::NrrdError;
use super::fields::Fields;
use super::placement;
use crate::geometry::Geometry;
use crate::nifti::{ByteOrder, Datatype};
use crate::warning::Warning;

/// What a header says, checked, but not against limits.
#[derive(Debug)]
pub(super) struct Header {
    pub(super) datatype: Datatype,
    pub(super) order: ByteOrder,
    pub(super) is_gzip: bool,
    /// Bytes to skip before the voxels; `None` if the voxels are the last of the file.
    pub(super) skip: Option<u64>,
    pub(super) geometry: Geometry,
    pub(super) warnings: Vec<Warning>,
}

impl Header {
    pub(super) fn new(fields: &Fields) -> Result<Self, NrrdError> {
        let is_gzip = match &fields.need("encoding")?.to_ascii_lowercase()[..] {
            "raw" => false,
            "gzip" | "gz" => true,
            other => return Err(NrrdError::unsupported("encoding", other, "`raw` and `gzip`")),
        };
        let datatype = datatype(fields.need("type")?)?;
        let order = match fields.get("endian").map(str::to_ascii_lowercase).as_deref() {
            Some("big") => ByteOrder::Big,
            Some("little") => ByteOrder::Little,
            None if datatype.size() == 1 => ByteOrder::Little,
            None => return Err(NrrdError::Missing { field: "endian" }),
            Some(other) => return Err(NrrdError::malformed("endian", other, "`little` or `big`")),
        };
        if let Some(lines) = fields.get("line skip").filter(|&lines| lines != "0") {
            return Err(NrrdError::unsupported("line skip", lines, "0"));
        }
        let no_number = |bytes| NrrdError::malformed("byte skip", bytes, "a number of bytes");
        let skip = match fields.get("byte skip").unwrap_or("0") {
            "-1" if !is_gzip => None,
            bytes => Some(bytes.parse().map_err(|_| no_number(bytes))?),
        };
        let (geometry, warnings) = placement::geometry(fields)?;
        Ok(Self { datatype, order, is_gzip, skip, geometry, warnings })
    }
}

/// All spellings of the format, which has no plain `char`: its sign is a compiler's affair.
#[rustfmt::skip]
fn datatype(value: &str) -> Result<Datatype, NrrdError> {
    let words: Vec<_> = value.split_whitespace().take(5).map(str::to_ascii_lowercase).collect();
    Ok(match &words.join(" ")[..] {
        "signed char" | "int8" | "int8_t" => Datatype::Int8,
        "uchar" | "unsigned char" | "uint8" | "uint8_t" => Datatype::Uint8,
        "short" | "short int" | "signed short" | "signed short int" | "int16" | "int16_t" => Datatype::Int16,
        "ushort" | "unsigned short" | "unsigned short int" | "uint16" | "uint16_t" => Datatype::Uint16,
        "int" | "signed int" | "int32" | "int32_t" => Datatype::Int32,
        "uint" | "unsigned int" | "uint32" | "uint32_t" => Datatype::Uint32,
        "longlong" | "long long" | "long long int" | "signed long long" | "signed long long int" | "int64"
        | "int64_t" => Datatype::Int64,
        "ulonglong" | "unsigned long long" | "unsigned long long int" | "uint64" | "uint64_t" => Datatype::Uint64,
        "float" => Datatype::Float32,
        "double" => Datatype::Float64,
        "block" => return Err(NrrdError::unsupported("type", value, "8- to 64-bit integers and floats")),
        _ => return Err(NrrdError::malformed("type", value, "a type of the format")),
    })
}
