//! What a killed process left.

use std::ffi::OsStr;
use std::io;
use std::path::Path;

/// What files and folders are called until they are whole.
pub const PARTIAL: &str = ".partial-";
/// What locks hang on.
pub(crate) const LOCK_FILE: &str = ".lock";

/// Whether a file of this name is only what a lock hangs on.
#[must_use]
pub fn is_lock(name: &OsStr) -> bool {
    name == LOCK_FILE
}

/// Removes from a folder what bears a temporary name; a folder that is missing has nothing. The caller holds the
/// folder, so that nobody is still writing.
///
/// # Errors
/// What the system says, with the path.
pub fn remove_partial(folder: &Path) -> io::Result<()> {
    clean(folder, false)
}

/// As [`remove_partial`], in all folders below too. Symbolic links are not followed.
///
/// # Errors
/// What the system says, with the path.
pub fn remove_partial_below(folder: &Path) -> io::Result<()> {
    clean(folder, true)
}

fn clean(folder: &Path, below: bool) -> io::Result<()> {
    let entries = match fs_err::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        other => other?,
    };
    for entry in entries {
        let entry = entry?;
        let is_folder = entry.file_type()?.is_dir();
        if !entry.file_name().to_string_lossy().starts_with(PARTIAL) {
            if below && is_folder {
                clean(&entry.path(), true)?;
            }
        } else if is_folder {
            fs_err::remove_dir_all(entry.path())?;
        } else {
            fs_err::remove_file(entry.path())?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_temporary_names_go() {
        let place = tempfile::tempdir().unwrap();
        let at = |name: &str| place.path().join(name);
        for folder in [".partial-a/deep", "kept/.partial-b"] {
            fs_err::create_dir_all(at(folder)).unwrap();
        }
        for file in [".partial-c", "partial-d", "kept/.partial-e", "kept/f", ".partial-a/deep/g"] {
            fs_err::write(at(file), "x").unwrap();
        }
        remove_partial(place.path()).unwrap();
        let is_there = [".partial-a", ".partial-c", "partial-d", "kept/.partial-b", "kept/.partial-e"];
        assert_eq!(is_there.map(|name| at(name).exists()), [false, false, true, true, true]);
        remove_partial_below(place.path()).unwrap();
        let is_there = ["partial-d", "kept/.partial-b", "kept/.partial-e", "kept/f"];
        assert_eq!(is_there.map(|name| at(name).exists()), [true, false, false, true]);
        remove_partial_below(&at("missing")).unwrap();
        assert_eq!(["a", ".lock"].map(|name| is_lock(OsStr::new(name))), [false, true]);
    }
}
