//! The lock.

use std::fs::{File, TryLockError};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use crate::leftovers::LOCK_FILE;

/// A holder may remove the file between our opening and our locking it; more often than this is no accident.
const N_TRIES: usize = 64;

/// Why a folder cannot be worked in.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LockError {
    /// Another process works there.
    #[error("`{}` is in use by another process (lock `{}`)", folder.display(), lock.display())]
    Held {
        /// The folder.
        folder: PathBuf,
        /// The file that the lock hangs on.
        lock: PathBuf,
    },
    /// The folder or the lock file cannot be made.
    #[error("cannot use `{}`", path.display())]
    Io {
        /// Folder or lock file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// Holds a folder until it is dropped or the process ends, however it ends.
#[derive(Debug)]
pub struct RunLock {
    /// None where the file system has no locks.
    file: Option<File>,
    path: PathBuf,
    /// Made for the lock: removed with it where nothing came of it.
    made: Option<PathBuf>,
}

impl RunLock {
    /// Takes a folder for this process alone, and makes it where it is missing.
    ///
    /// # Errors
    /// [`LockError::Held`] if another process works there, [`LockError::Io`].
    pub fn take(folder: &Path) -> Result<Self, LockError> {
        let made = (!folder.exists()).then(|| folder.to_owned());
        let path = folder.join(LOCK_FILE);
        for _ in 0..N_TRIES {
            fs_err::create_dir_all(folder)
                .map_err(|source| LockError::Io { path: folder.to_owned(), source })?;
            let opened = fs_err::OpenOptions::new().write(true).create(true).truncate(false).open(&path);
            let file = match opened {
                Ok(file) => file.into_parts().0,
                // Whoever was here took the empty folder away.
                Err(error) if error.kind() == ErrorKind::NotFound => continue,
                Err(source) => return Err(LockError::Io { path, source }),
            };
            match file.try_lock() {
                Ok(()) if is_still_there(&file, &path) => return Ok(Self { file: Some(file), path, made }),
                // The file was removed by its holder: locking it keeps nobody out.
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => break,
                Err(TryLockError::Error(error)) if error.kind() == ErrorKind::Unsupported => {
                    return Ok(Self { file: None, path, made });
                }
                Err(TryLockError::Error(source)) => return Err(LockError::Io { path, source }),
            }
        }
        Err(LockError::Held { folder: folder.to_owned(), lock: path })
    }
}

impl Drop for RunLock {
    fn drop(&mut self) {
        // Removed while it is held, so that whoever opened it meanwhile sees that it is gone. Elsewhere than on Unix
        // an open file cannot be removed: it stays.
        if cfg!(unix) {
            let _ = fs_err::remove_file(&self.path);
        }
        self.file = None;
        if let Some(folder) = &self.made {
            // Fails where it is not empty.
            let _ = fs_err::remove_dir(folder);
        }
    }
}

/// Whether the path still leads to the file that was opened.
#[cfg(unix)]
fn is_still_there(file: &File, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let (Ok(ours), Ok(there)) = (file.metadata(), fs_err::metadata(path)) else { return false };
    (ours.dev(), ours.ino()) == (there.dev(), there.ino())
}

#[cfg(not(unix))]
fn is_still_there(_file: &File, _path: &Path) -> bool {
    true
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let names = fs_err::read_dir(folder).unwrap();
        let mut names: Vec<_> =
            names.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn a_folder_has_one_holder_and_no_trace_of_it() {
        let place = tempfile::tempdir().unwrap();
        let folder = place.path().join("deep/run");
        let held = RunLock::take(&folder).unwrap();
        let refused = RunLock::take(&folder).unwrap_err();
        assert!(matches!(refused, LockError::Held { .. }), "{refused}");
        assert!(refused.to_string().contains("deep/run` is in use"), "{refused}");
        drop(held);
        assert!(!folder.exists(), "nothing came of it");
        let held = RunLock::take(&folder).unwrap();
        fs_err::write(folder.join("result"), "x").unwrap();
        drop(held);
        assert_eq!(names(&folder), ["result"]);
        // What a killed process leaves keeps nobody out.
        fs_err::write(folder.join(LOCK_FILE), "").unwrap();
        drop(RunLock::take(&folder).unwrap());
        assert_eq!(names(&folder), ["result"]);
    }

    #[test]
    fn removing_the_file_never_lets_two_in() {
        let place = tempfile::tempdir().unwrap();
        let (inside, taken) = (AtomicUsize::new(0), AtomicUsize::new(0));
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..500 {
                        let Ok(_held) = RunLock::take(place.path()) else { continue };
                        assert_eq!(inside.fetch_add(1, Ordering::SeqCst), 0);
                        taken.fetch_add(1, Ordering::SeqCst);
                        std::thread::yield_now();
                        inside.fetch_sub(1, Ordering::SeqCst);
                    }
                });
            }
        });
        assert!(taken.load(Ordering::SeqCst) > 0);
    }
}
