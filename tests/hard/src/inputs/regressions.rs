//! Files that once crashed a reader, kept for ever: `tests/hard/regressions/<format>/<name>`.

use std::path::{Path, PathBuf};

use super::campaign::{Tally, count};
use super::format::{N_VARIANTS, named};

/// Where they lie, a folder a format.
#[must_use]
pub fn regressions_folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("regressions")
}

/// Reads each in every variant of its format.
///
/// # Errors
/// If a file cannot be read, or lies in a folder that is named as no format.
pub fn run_regressions() -> anyhow::Result<Tally> {
    let mut tally = Tally::default();
    let mut folders = entries(&regressions_folder())?;
    folders.retain(|path| path.is_dir());
    for folder in folders {
        let name = folder.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        // Names of DICOM's formats hold a blank, folders do not.
        let mut format = named(&name.replacen("dicom-", "dicom ", 1))?;
        for path in entries(&folder)? {
            let bytes = fs_err::read(&path)?;
            let what = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
            for variant in 0..N_VARIANTS {
                count(format.as_mut(), &bytes, variant, &what, &mut tally);
            }
        }
    }
    tally.outcomes.clear();
    Ok(tally)
}

fn entries(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let mut paths: Vec<PathBuf> =
        fs_err::read_dir(folder)?.map(|entry| entry.map(|e| e.path())).collect::<Result<_, _>>()?;
    paths.sort();
    Ok(paths)
}
