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
    let mut partial = tempfile::Builder::new().prefix(".partial-").tempfile_in(folder).map_err(failed)?;
    partial.write_all(text.as_bytes()).map_err(failed)?;
    partial.as_file().sync_all().map_err(failed)?;
    make_readable(partial.as_file()).map_err(failed)?;
    partial.persist(path).map_err(|error| failed(error.error))?;
    Ok(())
}

/// tempfile makes what only its owner reads; a figure is an ordinary file.
#[cfg(unix)]
fn make_readable(file: &std::fs::File) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    file.set_permissions(std::fs::Permissions::from_mode(0o644))
}

#[cfg(not(unix))]
fn make_readable(_file: &std::fs::File) -> std::io::Result<()> {
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
