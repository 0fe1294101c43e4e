//! Files and folders that appear whole or not at all.

use std::io::Write;
use std::path::{Path, PathBuf};

use crate::TrainError;

/// What temporary folders are called until they are whole.
pub(crate) const PARTIAL: &str = ".partial-";

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
/// of this name is removed first: it is one that could not be used.
pub(crate) fn write_folder(
    folder: &Path,
    fill: impl FnOnce(&Path) -> Result<(), TrainError>,
) -> Result<(), TrainError> {
    let beside = folder.parent().map_or_else(|| PathBuf::from("."), Path::to_path_buf);
    let partial = tempfile::Builder::new().prefix(PARTIAL).tempdir_in(&beside).map_err(io_error(&beside))?;
    fill(partial.path())?;
    open_to_others(partial.path()).map_err(io_error(folder))?;
    sync_folder(partial.path())?;
    if folder.exists() {
        fs_err::remove_dir_all(folder).map_err(io_error(folder))?;
    }
    fs_err::rename(partial.path(), folder).map_err(io_error(folder))?;
    let _renamed_away = partial.keep();
    sync_folder(&beside)
}

/// Removes what a process that was killed left behind.
pub(crate) fn remove_partial(folder: &Path) -> Result<(), TrainError> {
    for entry in fs_err::read_dir(folder).map_err(io_error(folder))? {
        let path = entry.map_err(io_error(folder))?.path();
        if path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(PARTIAL)) {
            fs_err::remove_dir_all(&path).map_err(io_error(&path))?;
        }
    }
    Ok(())
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

/// tempfile makes what only its owner reads; a result is an ordinary folder.
#[cfg(unix)]
fn open_to_others(folder: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    fs_err::set_permissions(folder, std::fs::Permissions::from_mode(0o755))
}

#[cfg(not(unix))]
fn open_to_others(_folder: &Path) -> std::io::Result<()> {
    Ok(())
}
