//! Files that appear whole or not at all.

use std::io::Write;
use std::path::Path;

use crate::error::VolumeError;

/// Writes `bytes` under a temporary name in the same folder, syncs, and renames to `path`.
///
/// # Errors
/// [`VolumeError::Write`]; nothing is left under `path` or beside it then.
pub fn write_atomic(path: &Path, bytes: &[u8]) -> Result<(), VolumeError> {
    let failed = |source| VolumeError::Write { path: path.to_owned(), source };
    let folder = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let mut builder = tempfile::Builder::new();
    builder.prefix(".partial-");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        // tempfile makes files that only their owner reads; a result is an ordinary file, which the user's umask
        // may keep from others.
        builder.permissions(std::fs::Permissions::from_mode(0o666));
    }
    let mut file = builder.tempfile_in(folder).map_err(failed)?;
    file.write_all(bytes).map_err(failed)?;
    file.as_file().sync_all().map_err(failed)?;
    file.persist(path).map_err(|error| failed(error.error))?;
    Ok(())
}
