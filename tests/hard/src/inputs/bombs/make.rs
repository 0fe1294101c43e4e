//! How bombs are made.

use flate2::{Compress, Compression, FlushCompress};

pub(super) const MIB: usize = 1 << 20;

/// A raw deflate stream of `head` and then so many MiB of zeros, made without inflating them: blocks that end in
/// a full flush do not depend on each other and can be repeated.
pub(super) fn deflated(head: &[u8], mebibytes: usize) -> anyhow::Result<Vec<u8>> {
    let block = |bytes: &[u8]| -> anyhow::Result<Vec<u8>> {
        let mut out = Vec::with_capacity(bytes.len() / 4 + 4096);
        Compress::new(Compression::best(), false).compress_vec(bytes, &mut out, FlushCompress::Full)?;
        Ok(out)
    };
    let mut stream = block(head)?;
    let zeros = block(&vec![0; MIB])?;
    for _ in 0..mebibytes {
        stream.extend(&zeros);
    }
    stream.extend([3, 0]); // a last, empty block
    Ok(stream)
}

/// The same as a gzip file. Its checksum is wrong: whoever gets there has inflated everything.
pub(super) fn gzip_bomb(head: &[u8], mebibytes: usize) -> anyhow::Result<Vec<u8>> {
    let mut bytes = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];
    bytes.extend(deflated(head, mebibytes)?);
    bytes.extend([0; 4]);
    bytes.extend(u32::try_from(mebibytes * MIB + head.len())?.to_le_bytes());
    Ok(bytes)
}

/// The same as a zlib stream, as PNG has them.
pub(super) fn zlib_bomb(head: &[u8], mebibytes: usize) -> anyhow::Result<Vec<u8>> {
    Ok([&[0x78, 0xda][..], &deflated(head, mebibytes)?, &[0; 4]].concat())
}

/// An entry of a zip file that is made by hand.
pub(super) struct Entry<'a> {
    pub(super) name: String,
    /// The compressed bytes; empty means that the entry points to the first one's.
    pub(super) stream: &'a [u8],
    pub(super) method: u16,
    /// What the headers say that it unpacks to.
    pub(super) claimed: u32,
}

/// A zip file of such entries; checksums are zero.
pub(super) fn raw_zip(entries: &[Entry<'_>]) -> anyhow::Result<Vec<u8>> {
    let (mut bytes, mut directory) = (Vec::new(), Vec::new());
    let mut first = None;
    for entry in entries {
        let shared = [
            &20_u16.to_le_bytes()[..],
            &[0, 0],
            &entry.method.to_le_bytes(),
            &[0; 8],
            &u32::try_from(if entry.stream.is_empty() {
                first.map_or(0, |(_, n)| n)
            } else {
                entry.stream.len()
            })?
            .to_le_bytes(),
            &entry.claimed.to_le_bytes(),
            &u16::try_from(entry.name.len())?.to_le_bytes(),
            &[0, 0],
        ]
        .concat();
        let at = match first {
            Some((at, _)) if entry.stream.is_empty() => at,
            _ => {
                let at = bytes.len();
                bytes.extend(b"PK\x03\x04");
                bytes.extend(&shared);
                bytes.extend(entry.name.as_bytes());
                bytes.extend(entry.stream);
                first = first.or(Some((at, entry.stream.len())));
                at
            }
        };
        directory.extend(b"PK\x01\x02\x14\0");
        directory.extend(&shared);
        directory.extend([0; 10]);
        directory.extend(u32::try_from(at)?.to_le_bytes());
        directory.extend(entry.name.as_bytes());
    }
    let (start, size, n) = (bytes.len(), directory.len(), u16::try_from(entries.len().min(65_535))?);
    bytes.extend(directory);
    bytes.extend(b"PK\x05\x06\0\0\0\0");
    bytes.extend(n.to_le_bytes());
    bytes.extend(n.to_le_bytes());
    bytes.extend(u32::try_from(size)?.to_le_bytes());
    bytes.extend(u32::try_from(start)?.to_le_bytes());
    bytes.extend([0, 0]);
    Ok(bytes)
}

/// `open` so many times, and `close` as often.
pub(super) fn nested(open: &str, inner: &str, close: &str, depth: usize) -> Vec<u8> {
    [open.repeat(depth), inner.to_owned(), close.repeat(depth)].concat().into_bytes()
}
