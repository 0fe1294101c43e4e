//! Zip files, unpacked in memory within bounds.

use std::io::{Cursor, Read};

use bytes::Bytes;
use zip::ZipArchive;

use super::{OpenLimits, StudyError};
use crate::budget::Share;

/// Begins an entry of a zip file's directory (APPNOTE 4.3.12).
const DIRECTORY_ENTRY: &[u8] = b"PK\x01\x02";
/// Bytes that are asked for at once.
const PIECE: u64 = 1 << 20;

/// The files of a zip file, without their names. Files of systems and folders are left out.
///
/// What the file claims is held against the limits before anything is unpacked, and the file is held to it: an
/// entry that gives more than it claims is damaged. Entries are counted before the directory is read, and bytes
/// as they are unpacked.
pub(super) fn unpack(
    bytes: &Bytes,
    limits: &OpenLimits,
    share: &mut Share,
    unpacked: &mut u64,
) -> Result<Vec<Bytes>, StudyError> {
    let broken = |reason| StudyError::Archive { reason };
    let n_entries = bytes.windows(4).filter(|window| *window == DIRECTORY_ENTRY).count();
    if n_entries > limits.max_files {
        let (got, limit) = (n_entries as u64, limits.max_files as u64);
        return Err(StudyError::Limit { what: "number of files in the zip file", got, limit });
    }
    let mut archive =
        ZipArchive::new(Cursor::new(bytes.as_ref())).map_err(|_| broken("its directory is damaged"))?;
    let too_much =
        |got| StudyError::Limit { what: "unpacked size in bytes", got, limit: limits.max_unpacked_bytes };
    let mut claimed = *unpacked;
    for index in 0..archive.len() {
        let entry = archive.by_index_raw(index).map_err(|_| broken("an entry is damaged"))?;
        claimed = claimed.saturating_add(entry.size());
    }
    if claimed > limits.max_unpacked_bytes {
        return Err(too_much(claimed));
    }
    let mut files = Vec::new();
    for index in 0..archive.len() {
        let entry = archive.by_index(index);
        let mut entry = entry
            .map_err(|_| broken("an entry is encrypted, damaged or packed in a way that is not read"))?;
        let name = entry.name().map_err(|_| broken("an entry's name is damaged"))?;
        if entry.is_dir() || is_clutter(&name) {
            continue;
        }
        let claimed = entry.size();
        let mut file = Vec::new();
        loop {
            let before = file.len() as u64;
            entry.by_ref().take(PIECE).read_to_end(&mut file).map_err(|_| broken("an entry is damaged"))?;
            let more = file.len() as u64 - before;
            if more == 0 {
                break;
            }
            if before + more > claimed {
                return Err(broken("an entry holds more than it claims"));
            }
            *unpacked += more;
            if *unpacked > limits.max_unpacked_bytes {
                return Err(too_much(*unpacked));
            }
            share.grow(more)?;
        }
        files.push(Bytes::from(file));
    }
    Ok(files)
}

/// Files that systems put beside those that a user meant.
fn is_clutter(name: &str) -> bool {
    let base = name.rsplit(['/', '\\']).next().unwrap_or(name);
    base.is_empty() || base.starts_with('.') || name.split('/').any(|part| part == "__MACOSX")
}
