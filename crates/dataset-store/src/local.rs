//! The folder's side: which files there are, their hashes, files that appear whole.

use std::fmt::Write as _;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use sha2::{Digest, Sha256};
use tempfile::NamedTempFile;

use crate::error::StoreError;
use crate::keys;
use crate::sums::SUMS_FILE;
use crate::transfer::Transfer;

/// Bytes read at once.
const BUFFER_BYTES: usize = 1 << 20;

/// A file of a folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LocalFile {
    /// Relative, with `/`.
    pub(crate) path: String,
    pub(crate) absolute: PathBuf,
    pub(crate) n_bytes: u64,
}

/// All files below a folder, sorted by path, without temporary ones and locks, and without a list of hashes.
///
/// Linked files are followed, linked folders are refused: they might lead in a circle.
pub(crate) fn files(folder: &Path) -> Result<Vec<LocalFile>, StoreError> {
    let mut found = Vec::new();
    let mut todo = vec![(folder.to_owned(), String::new())];
    while let Some((at, prefix)) = todo.pop() {
        for entry in fs_err::read_dir(&at).map_err(StoreError::local(&at))? {
            let absolute = entry.map_err(StoreError::local(&at))?.path();
            let name =
                absolute.file_name().and_then(|name| name.to_str()).ok_or_else(|| StoreError::Key {
                    key: absolute.display().to_string(),
                    reason: "has a name that is not UTF-8",
                })?;
            let path = format!("{prefix}{name}");
            if keys::is_private(name) || path == SUMS_FILE {
                continue;
            }
            let metadata = fs_err::metadata(&absolute).map_err(StoreError::local(&absolute))?;
            if metadata.is_dir() {
                if absolute.is_symlink() {
                    return Err(StoreError::Key { key: path, reason: "is a linked folder" });
                }
                todo.push((absolute, format!("{path}/")));
            } else {
                keys::check(&path)?;
                found.push(LocalFile { path, absolute, n_bytes: metadata.len() });
            }
        }
    }
    found.sort_unstable_by(|a, b| a.path.cmp(&b.path));
    Ok(found)
}

/// SHA-256 of a file's bytes.
pub(crate) fn sha256(path: &Path, transfer: &Transfer<'_>) -> Result<String, StoreError> {
    let mut file = fs_err::File::open(path).map_err(StoreError::local(path))?;
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; BUFFER_BYTES];
    loop {
        transfer.check()?;
        let n = file.read(&mut buffer).map_err(StoreError::local(path))?;
        if n == 0 {
            return Ok(hex(hasher));
        }
        hasher.update(&buffer[..n]);
    }
}

pub(crate) fn hex(hasher: Sha256) -> String {
    let mut text = String::with_capacity(64);
    for byte in hasher.finalize() {
        // Writing to a `String` cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

/// A file under a temporary name; removed unless it is [`finish`](Self::finish)ed.
#[derive(Debug)]
pub(crate) struct Incoming {
    file: NamedTempFile,
    path: PathBuf,
    hasher: Sha256,
    n_bytes: u64,
}

impl Incoming {
    pub(crate) fn create(path: &Path) -> Result<Self, StoreError> {
        let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
        fs_err::create_dir_all(folder).map_err(StoreError::local(folder))?;
        let mut builder = tempfile::Builder::new();
        builder.prefix(".partial-");
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            // tempfile makes files that only their owner reads; a result is an ordinary file, which the user's
            // umask may keep from others.
            builder.permissions(std::fs::Permissions::from_mode(0o666));
        }
        let file = builder.tempfile_in(folder).map_err(StoreError::local(folder))?;
        Ok(Self { file, path: path.to_owned(), hasher: Sha256::new(), n_bytes: 0 })
    }

    pub(crate) fn write(&mut self, bytes: &[u8]) -> Result<(), StoreError> {
        self.file.write_all(bytes).map_err(StoreError::local(&self.path))?;
        self.hasher.update(bytes);
        self.n_bytes += bytes.len() as u64;
        Ok(())
    }

    pub(crate) fn n_bytes(&self) -> u64 {
        self.n_bytes
    }

    pub(crate) fn sha256(&self) -> String {
        hex(self.hasher.clone())
    }

    /// Puts the file on disk and gives it its name and the time of the object.
    pub(crate) fn finish(self, modified: SystemTime) -> Result<(), StoreError> {
        let failed = StoreError::local(&self.path);
        let all = || -> std::io::Result<()> {
            self.file.as_file().set_modified(modified)?;
            self.file.as_file().sync_all()?;
            self.file.persist(&self.path).map_err(|error| error.error)?;
            Ok(())
        };
        all().map_err(failed)
    }
}
