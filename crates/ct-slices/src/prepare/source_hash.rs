//! Hashes of source files, for provenance and resume.

use std::io::Read;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::error::PrepareError;
use crate::hex::hex;

/// SHA-256 of a file's bytes; of a folder, the hash of the sorted hashes of all its files, so that
/// file names, which may hold identifiers, do not enter.
pub(super) fn sha256_of_path(path: &Path) -> Result<String, PrepareError> {
    let metadata = fs_err::metadata(path).map_err(PrepareError::io(path))?;
    if !metadata.is_dir() {
        return Ok(hex(&digest_of_file(path)?));
    }
    let mut digests: Vec<[u8; 32]> = Vec::new();
    let mut folders: Vec<PathBuf> = vec![path.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs_err::read_dir(&folder).map_err(PrepareError::io(&folder))? {
            let entry = entry.map_err(PrepareError::io(&folder))?;
            let kind = entry.file_type().map_err(PrepareError::io(&folder))?;
            if kind.is_dir() {
                folders.push(entry.path());
            } else {
                digests.push(digest_of_file(&entry.path())?);
            }
        }
    }
    digests.sort_unstable();
    let mut hasher = Sha256::new();
    digests.iter().for_each(|digest| hasher.update(digest));
    Ok(hex(&hasher.finalize()))
}

fn digest_of_file(path: &Path) -> Result<[u8; 32], PrepareError> {
    let mut file = fs_err::File::open(path).map_err(PrepareError::io(path))?;
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 1 << 16];
    loop {
        let n = file.read(&mut buffer).map_err(PrepareError::io(path))?;
        if n == 0 {
            return Ok(hasher.finalize().into());
        }
        hasher.update(&buffer[..n]);
    }
}
