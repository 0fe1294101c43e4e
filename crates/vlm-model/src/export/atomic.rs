//! Files and folders that appear whole or not at all.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::ExportError;
use crate::hex::to_hex;

/// What temporary files and folders are called until they are whole.
const PARTIAL: &str = ".partial-";
/// Bytes collected before the operating system is asked to write.
const BUFFER: usize = 1 << 20;

/// A file that was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WrittenFile {
    /// Where it is.
    pub path: PathBuf,
    /// Its size.
    pub bytes: u64,
    /// SHA-256 of its bytes, in hexadecimal.
    pub sha256: String,
}

/// Writes a file under a temporary name in the same folder, syncs it and renames it to `path`.
/// An error leaves nothing behind.
pub(crate) fn write_file(
    path: &Path,
    write: impl FnOnce(&mut HashingWriter) -> Result<(), ExportError>,
) -> Result<WrittenFile, ExportError> {
    let failed = |source| ExportError::Io { path: path.to_owned(), source };
    let partial = ordinary(0o666).tempfile_in(parent(path)).map_err(failed)?;
    let (file, partial) = partial.into_parts();
    let mut writer = HashingWriter {
        file: BufWriter::with_capacity(BUFFER, file),
        sha256: Sha256::new(),
        bytes: 0,
        path: path.to_owned(),
    };
    write(&mut writer)?;
    let HashingWriter { file, sha256, bytes, .. } = writer;
    let file = file.into_inner().map_err(|error| failed(error.into_error()))?;
    file.sync_all().map_err(failed)?;
    drop(file);
    partial.persist(path).map_err(|error| failed(error.error))?;
    Ok(WrittenFile { path: path.to_owned(), bytes, sha256: to_hex(&sha256.finalize()) })
}

/// [`write_file`] of bytes that are there already.
pub(crate) fn write_bytes(path: &Path, bytes: &[u8]) -> Result<WrittenFile, ExportError> {
    write_file(path, |writer| writer.put(bytes))
}

/// A buffered file that counts and hashes what passes through it.
pub(crate) struct HashingWriter {
    file: BufWriter<File>,
    sha256: Sha256,
    bytes: u64,
    path: PathBuf,
}

impl HashingWriter {
    pub(crate) fn put(&mut self, bytes: &[u8]) -> Result<(), ExportError> {
        let failed = |source| ExportError::Io { path: self.path.clone(), source };
        self.file.write_all(bytes).map_err(failed)?;
        self.sha256.update(bytes);
        self.bytes += bytes.len() as u64;
        Ok(())
    }
}

/// Fills a folder under a temporary name beside `folder` and renames it. An error leaves `folder`
/// as it was.
///
/// What `folder` holds already is replaced if `overwrite` is set and refused otherwise.
pub(crate) fn write_folder<T>(
    folder: &Path,
    overwrite: bool,
    fill: impl FnOnce(&Path) -> Result<T, ExportError>,
) -> Result<T, ExportError> {
    let failed = |source| ExportError::Io { path: folder.to_owned(), source };
    let occupied = match fs_err::read_dir(folder) {
        Ok(mut entries) => entries.next().is_some(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => false,
        Err(error) => return Err(failed(error)),
    };
    if occupied && !overwrite {
        return Err(ExportError::NotEmpty { folder: folder.to_owned() });
    }
    let beside = parent(folder);
    fs_err::create_dir_all(beside).map_err(failed)?;
    let partial = ordinary(0o777).tempdir_in(beside).map_err(failed)?;
    let filled = fill(partial.path())?;
    // A folder is not renamed over another: the old one steps aside, and back if that fails.
    let old = tempfile::Builder::new().prefix(PARTIAL).tempdir_in(beside).map_err(failed)?;
    let aside = old.path().join("old");
    let had_old = match fs_err::rename(folder, &aside) {
        Ok(()) => true,
        Err(error) if error.kind() == io::ErrorKind::NotFound => false,
        Err(error) => return Err(failed(error)),
    };
    match fs_err::rename(partial.path(), folder) {
        Ok(()) => {
            let _renamed_away = partial.keep();
            Ok(filled)
        }
        Err(error) => {
            if had_old && fs_err::rename(&aside, folder).is_err() {
                // Better a stray folder than lost weights.
                let _kept = old.keep();
            }
            Err(failed(error))
        }
    }
}

fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

/// Temporary files or folders with these rights less the user's umask: tempfile's own are for their owner alone, and
/// a result is an ordinary one.
fn ordinary(mode: u32) -> tempfile::Builder<'static, 'static> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(PARTIAL);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        builder.permissions(std::fs::Permissions::from_mode(mode));
    }
    #[cfg(not(unix))]
    let _no_rights_of_unix = mode;
    builder
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<String> = fs_err::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    fn broken() -> ExportError {
        ExportError::Name { path: "broken".to_owned() }
    }

    #[test]
    fn a_failed_file_leaves_what_was_there() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("weights");
        let fail = |writer: &mut HashingWriter| {
            writer.put(b"half")?;
            Err(broken())
        };
        assert!(write_file(&path, fail).is_err());
        assert!(names(folder.path()).is_empty());
        let written = write_bytes(&path, b"abc").unwrap();
        let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!((written.bytes, written.sha256.as_str()), (3, abc), "FIPS 180-2, appendix B.1");
        assert!(write_file(&path, fail).is_err());
        assert_eq!(fs_err::read(&path).unwrap(), b"abc");
        assert_eq!(names(folder.path()), ["weights"]);
    }

    #[test]
    fn a_folder_is_replaced_whole_or_not_at_all() {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("deep/model");
        let fill = |text: &'static str| {
            move |folder: &Path| write_bytes(&folder.join(text), text.as_bytes()).map(|_| ())
        };
        write_folder(&folder, false, fill("one")).unwrap();
        assert_eq!(names(&folder), ["one"]);
        assert!(matches!(write_folder(&folder, false, fill("two")), Err(ExportError::NotEmpty { .. })));
        let half = |folder: &Path| write_bytes(&folder.join("x"), b"x").and(Err::<(), _>(broken()));
        assert!(write_folder(&folder, true, half).is_err());
        assert_eq!(names(&folder), ["one"]);
        write_folder(&folder, true, fill("two")).unwrap();
        assert_eq!(names(&folder), ["two"]);
        assert_eq!(names(folder.parent().unwrap()), ["model"], "nothing beside it");
        let empty = root.path().join("empty");
        fs_err::create_dir_all(&empty).unwrap();
        write_folder(&empty, false, fill("three")).unwrap();
        assert_eq!(names(&empty), ["three"]);
    }
}
