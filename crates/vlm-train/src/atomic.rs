//! Files and folders that appear whole or not at all.

use std::io::Write;
use std::path::{Path, PathBuf};

use crate::TrainError;

pub(crate) use run_folder::PARTIAL;

pub(crate) fn io_error(path: &Path) -> impl FnOnce(std::io::Error) -> TrainError + use<> {
    let path = path.to_owned();
    move |source| TrainError::Io { path, source }
}

/// Writes and syncs a file of a folder that nobody reads yet.
pub(crate) fn write_synced(path: &Path, bytes: &[u8]) -> Result<(), TrainError> {
    let mut file = fs_err::File::create(path).map_err(io_error(path))?;
    file.write_all(bytes).map_err(io_error(path))?;
    file.sync_all().map_err(io_error(path))
}

/// Fills a folder under a temporary name beside `folder`, syncs it and renames it. Another folder
/// of this name, which is one that could not be used, gets a temporary name first: it is never seen half removed.
pub(crate) fn write_folder(
    folder: &Path,
    fill: impl FnOnce(&Path) -> Result<(), TrainError>,
) -> Result<(), TrainError> {
    let beside = folder.parent().map_or_else(|| PathBuf::from("."), Path::to_path_buf);
    let partial = ordinary_folder().tempdir_in(&beside).map_err(io_error(&beside))?;
    fill(partial.path())?;
    sync_folder(partial.path())?;
    if folder.exists() {
        let name = folder.file_name().unwrap_or_default().to_string_lossy();
        let aside = folder.with_file_name(format!("{PARTIAL}unusable-{name}"));
        fs_err::rename(folder, &aside).map_err(io_error(folder))?;
        fs_err::remove_dir_all(&aside).map_err(io_error(&aside))?;
    }
    fs_err::rename(partial.path(), folder).map_err(io_error(folder))?;
    let _renamed_away = partial.keep();
    sync_folder(&beside)
}

/// Makes the names in a folder survive a power cut.
#[cfg(unix)]
fn sync_folder(folder: &Path) -> Result<(), TrainError> {
    fs_err::File::open(folder).and_then(|file| file.sync_all()).map_err(io_error(folder))
}

#[cfg(not(unix))]
fn sync_folder(_folder: &Path) -> Result<(), TrainError> {
    Ok(())
}

/// Temporary folders with the rights that the user's umask leaves: tempfile's own are for their owner alone, and a
/// result is an ordinary folder.
fn ordinary_folder() -> tempfile::Builder<'static, 'static> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(PARTIAL);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        builder.permissions(std::fs::Permissions::from_mode(0o777));
    }
    builder
}
