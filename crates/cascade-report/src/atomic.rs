//! Files that appear whole or not at all.

use std::io::Write;
use std::path::Path;

use crate::ReportError;

/// Writes `text` under a temporary name in the same folder, syncs it and renames it to `path`.
pub(crate) fn write_text(path: &Path, text: &str) -> Result<(), ReportError> {
    let failed = |source| ReportError::Write { path: path.to_owned(), source };
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    fs_err::create_dir_all(folder).map_err(failed)?;
    let mut builder = tempfile::Builder::new();
    builder.prefix(".partial-");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        // tempfile makes files that only their owner reads; a figure is an ordinary file, which the user's umask
        // may keep from others.
        builder.permissions(std::fs::Permissions::from_mode(0o666));
    }
    let mut partial = builder.tempfile_in(folder).map_err(failed)?;
    partial.write_all(text.as_bytes()).map_err(failed)?;
    partial.as_file().sync_all().map_err(failed)?;
    partial.persist(path).map_err(|error| failed(error.error))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_replaced_whole_and_nothing_stays_beside_it() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("figures/loss.svg");
        for text in ["a long first version", "second"] {
            write_text(&path, text).unwrap();
            assert_eq!(fs_err::read_to_string(&path).unwrap(), text);
        }
        assert_eq!(fs_err::read_dir(root.path().join("figures")).unwrap().count(), 1);
        let onto_a_folder = write_text(root.path(), "x");
        assert!(matches!(onto_a_folder, Err(ReportError::Write { .. })));
    }
}
