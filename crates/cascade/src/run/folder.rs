//! One process at a time in a run folder.

use std::path::Path;

use crate::CascadeError;

const LOCK_FILE: &str = ".lock";

/// Holds a run folder. The system lets go of it when the process ends, however it ends.
#[derive(Debug)]
pub(crate) struct RunLock {
    _file: fs_err::File,
}

impl RunLock {
    pub(crate) fn take(folder: &Path) -> Result<Self, CascadeError> {
        fs_err::create_dir_all(folder).map_err(CascadeError::io(folder))?;
        let lock = folder.join(LOCK_FILE);
        let file = fs_err::File::create(&lock).map_err(CascadeError::io(&lock))?;
        match file.file().try_lock() {
            Ok(()) => Ok(Self { _file: file }),
            Err(std::fs::TryLockError::WouldBlock) => {
                Err(CascadeError::Locked { folder: folder.to_owned(), lock })
            }
            Err(std::fs::TryLockError::Error(source)) => Err(CascadeError::Io { path: lock, source }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_has_one_holder() {
        let folder = tempfile::tempdir().unwrap();
        let held = RunLock::take(folder.path()).unwrap();
        let error = RunLock::take(folder.path()).unwrap_err();
        assert!(matches!(error, CascadeError::Locked { .. }), "{error}");
        drop(held);
        RunLock::take(folder.path()).unwrap();
    }
}
