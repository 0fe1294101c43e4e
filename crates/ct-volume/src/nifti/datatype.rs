//! Voxel types and byte orders of the format.

use super::error::NiftiError;

/// Byte order of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ByteOrder {
    /// Least significant byte first.
    Little,
    /// Most significant byte first.
    Big,
}

/// A voxel type that holds one gray value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Datatype {
    /// Unsigned 8-bit, code 2.
    Uint8,
    /// Signed 16-bit, code 4.
    Int16,
    /// Signed 32-bit, code 8.
    Int32,
    /// 32-bit float, code 16.
    Float32,
    /// 64-bit float, code 64.
    Float64,
    /// Signed 8-bit, code 256.
    Int8,
    /// Unsigned 16-bit, code 512.
    Uint16,
    /// Unsigned 32-bit, code 768.
    Uint32,
    /// Signed 64-bit, code 1024.
    Int64,
    /// Unsigned 64-bit, code 1280.
    Uint64,
}

impl Datatype {
    /// From the header's `datatype`.
    ///
    /// # Errors
    /// [`NiftiError::UnsupportedDatatype`] for colour, complex, 1-bit and 128-bit voxels;
    /// [`NiftiError::UnknownDatatype`] for anything else.
    pub fn from_code(code: i16) -> Result<Self, NiftiError> {
        let name = match code {
            2 => return Ok(Self::Uint8),
            4 => return Ok(Self::Int16),
            8 => return Ok(Self::Int32),
            16 => return Ok(Self::Float32),
            64 => return Ok(Self::Float64),
            256 => return Ok(Self::Int8),
            512 => return Ok(Self::Uint16),
            768 => return Ok(Self::Uint32),
            1024 => return Ok(Self::Int64),
            1280 => return Ok(Self::Uint64),
            1 => "BINARY",
            32 => "COMPLEX64",
            128 => "RGB24",
            1536 => "FLOAT128",
            1792 => "COMPLEX128",
            2048 => "COMPLEX256",
            2304 => "RGBA32",
            _ => return Err(NiftiError::UnknownDatatype { code }),
        };
        Err(NiftiError::UnsupportedDatatype { code, name })
    }

    /// The header's `datatype`.
    #[must_use]
    pub fn code(self) -> i16 {
        match self {
            Self::Uint8 => 2,
            Self::Int16 => 4,
            Self::Int32 => 8,
            Self::Float32 => 16,
            Self::Float64 => 64,
            Self::Int8 => 256,
            Self::Uint16 => 512,
            Self::Uint32 => 768,
            Self::Int64 => 1024,
            Self::Uint64 => 1280,
        }
    }

    /// Bytes of one voxel.
    #[must_use]
    pub fn size(self) -> usize {
        match self {
            Self::Uint8 | Self::Int8 => 1,
            Self::Int16 | Self::Uint16 => 2,
            Self::Int32 | Self::Uint32 | Self::Float32 => 4,
            Self::Int64 | Self::Uint64 | Self::Float64 => 8,
        }
    }

    pub(super) fn is_float(self) -> bool {
        matches!(self, Self::Float32 | Self::Float64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_round_trip_and_others_are_refused() {
        let mut read = 0;
        for code in i16::MIN..=i16::MAX {
            match Datatype::from_code(code) {
                Ok(datatype) => {
                    assert_eq!(datatype.code(), code);
                    read += 1;
                }
                Err(
                    NiftiError::UnsupportedDatatype { code: c, .. } | NiftiError::UnknownDatatype { code: c },
                ) => {
                    assert_eq!(c, code);
                }
                Err(other) => panic!("{other}"),
            }
        }
        assert_eq!(read, 10);
    }
}
