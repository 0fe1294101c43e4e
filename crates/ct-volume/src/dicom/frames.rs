//! Takes the encoded frames of a file one after the other.

use std::io::Read;

use dicom_core::VR;

use super::error::DicomError;
use super::header::PixelFormat;
use super::syntax::{Compression, Encoding, Syntax};
use super::walker::{PixelElement, read_error};
use crate::limits::Limits;

/// Gives one frame after the other; holds no more than one.
pub(super) struct FrameReader<'a> {
    reader: Box<dyn Read + 'a>,
    format: PixelFormat,
    layout: Layout,
    next: usize,
}

enum Layout {
    Native { big_endian: bool },
    Encapsulated(Fragments),
}

/// Where a [`FrameReader`] is among the fragments (PS3.5, A.4).
struct Fragments {
    /// Offsets of the frames' first fragments; empty where the file does not tell.
    offsets: Vec<u32>,
    /// The same of the next fragment.
    position: u64,
    /// A fragment that turned out to begin the next frame.
    held: Option<Vec<u8>>,
    compression: Compression,
    max_bytes: u64,
}

impl<'a> FrameReader<'a> {
    /// Of a file whose pixels have passed [`check_length`].
    pub(super) fn new(
        reader: Box<dyn Read + 'a>,
        element: PixelElement,
        syntax: &Syntax,
        format: PixelFormat,
        limits: &Limits,
    ) -> Result<Self, DicomError> {
        let layout = match (syntax.compression, element.length) {
            (Compression::Native, Some(_)) => {
                let big_endian = syntax.encoding == Encoding::ExplicitBig;
                if big_endian && format.bits_allocated == 8 && element.vr == VR::OW {
                    return Err(DicomError::Structure { reason: "8-bit pixels in big-endian words" });
                }
                Layout::Native { big_endian }
            }
            (Compression::Native, None) => {
                return Err(DicomError::Structure { reason: "native pixels without a length" });
            }
            (_, Some(_)) => {
                return Err(DicomError::Structure { reason: "compressed pixels that are not in fragments" });
            }
            (compression, None) => Layout::Encapsulated(Fragments {
                offsets: Vec::new(),
                position: 0,
                held: None,
                compression,
                max_bytes: limits.max_bytes,
            }),
        };
        let mut frames = Self { reader, format, layout, next: 0 };
        frames.read_offsets()?;
        Ok(frames)
    }

    /// The next frame's bytes; native samples are little endian then.
    pub(super) fn next_frame(&mut self, out: &mut Vec<u8>) -> Result<(), DicomError> {
        out.clear();
        let frame = self.next;
        self.next += 1;
        match &mut self.layout {
            Layout::Native { big_endian } => {
                let length = self.format.frame_bytes();
                read_up_to(&mut self.reader, length as u64, out)?;
                if out.len() < length {
                    return Err(DicomError::Truncated { what: "PixelData" });
                }
                if *big_endian {
                    out.chunks_exact_mut(self.format.bytes_per_sample()).for_each(<[u8]>::reverse);
                }
                Ok(())
            }
            Layout::Encapsulated(fragments) => {
                fragments.next_frame(&mut self.reader, frame, self.format.n_frames, out)
            }
        }
    }

    /// The first fragment is the basic offset table, which may be empty.
    fn read_offsets(&mut self) -> Result<(), DicomError> {
        let Layout::Encapsulated(fragments) = &mut self.layout else { return Ok(()) };
        let Some(table) = fragments.read_fragment(&mut self.reader)? else {
            return Err(DicomError::Truncated { what: "PixelData" });
        };
        fragments.position = 0;
        // A table of another length is a mistake; the frames are told without it then.
        if self.format.n_frames > 1 && table.len() == 4 * self.format.n_frames {
            let word = |b: &[u8]| u32::from_le_bytes([b[0], b[1], b[2], b[3]]);
            fragments.offsets = table.chunks_exact(4).map(word).collect();
        }
        Ok(())
    }
}

impl Fragments {
    /// Joins the fragments of a frame: all of them if there is one frame, those between two offsets
    /// if there is a table, else up to the next fragment that begins a stream.
    fn next_frame(
        &mut self,
        reader: &mut dyn Read,
        frame: usize,
        n_frames: usize,
        out: &mut Vec<u8>,
    ) -> Result<(), DicomError> {
        let next_offset = self.offsets.get(frame + 1).map(|&offset| u64::from(offset));
        let is_last = frame + 1 == n_frames;
        if let Some(held) = self.held.take() {
            *out = held;
        }
        loop {
            if next_offset.is_some_and(|next| self.position >= next) && !out.is_empty() {
                return Ok(());
            }
            let Some(fragment) = self.read_fragment(reader)? else { break };
            if self.offsets.is_empty() && !is_last && !out.is_empty() && self.begins_frame(&fragment) {
                self.held = Some(fragment);
                return Ok(());
            }
            out.extend_from_slice(&fragment);
        }
        if out.is_empty() { Err(DicomError::Truncated { what: "PixelData" }) } else { Ok(()) }
    }

    /// RLE frames are one fragment each; the JPEG family begins with a start marker.
    fn begins_frame(&self, fragment: &[u8]) -> bool {
        match self.compression {
            Compression::Jpeg | Compression::JpegLs => fragment.starts_with(&[0xFF, 0xD8]),
            Compression::Jpeg2000 => fragment.starts_with(&[0xFF, 0x4F]),
            _ => true,
        }
    }

    /// The next fragment, `None` at the end of the sequence.
    fn read_fragment(&mut self, reader: &mut dyn Read) -> Result<Option<Vec<u8>>, DicomError> {
        const ITEM: [u8; 4] = [0xFE, 0xFF, 0x00, 0xE0];
        const END: [u8; 4] = [0xFE, 0xFF, 0xDD, 0xE0];
        let mut header = [0_u8; 8];
        reader.read_exact(&mut header).map_err(read_error)?;
        let [t0, t1, t2, t3, l0, l1, l2, l3] = header;
        match [t0, t1, t2, t3] {
            ITEM => {}
            END => return Ok(None),
            _ => return Err(DicomError::Structure { reason: "something else than an item in PixelData" }),
        }
        let length = u64::from(u32::from_le_bytes([l0, l1, l2, l3]));
        Limits::check("fragment size in bytes", length, self.max_bytes)?;
        let mut fragment = Vec::new();
        read_up_to(reader, length, &mut fragment)?;
        if (fragment.len() as u64) < length {
            return Err(DicomError::Truncated { what: "PixelData" });
        }
        self.position += 8 + length;
        Ok(Some(fragment))
    }
}

/// Checks that native pixels are all there, as far as the element and the file tell; `left` is what
/// can follow in the file, where that is known.
pub(super) fn check_length(
    element: PixelElement,
    left: Option<u64>,
    format: &PixelFormat,
) -> Result<(), DicomError> {
    let Some(length) = element.length else { return Ok(()) };
    let needed = (format.frame_bytes() as u64).saturating_mul(format.n_frames as u64);
    if u64::from(length) < needed || left.is_some_and(|left| left < needed) {
        return Err(DicomError::Truncated { what: "PixelData" });
    }
    Ok(())
}

/// Appends up to `length` bytes; memory is taken as they come.
fn read_up_to(reader: &mut dyn Read, length: u64, out: &mut Vec<u8>) -> Result<(), DicomError> {
    reader.take(length).read_to_end(out).map_err(read_error)?;
    Ok(())
}
