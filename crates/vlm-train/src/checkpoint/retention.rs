//! Which checkpoints stay.

use std::path::Path;

use super::{checkpoint_folder, checkpoint_steps};
use crate::TrainError;
use crate::atomic::{PARTIAL, io_error};

/// Removes all checkpoints but the last `keep_last` and the best.
///
/// A folder is renamed before it is emptied, so that a run that is killed meanwhile leaves no half
/// checkpoint under its name.
pub(crate) fn remove_old(run: &Path, keep_last: usize, best: Option<u64>) -> Result<(), TrainError> {
    let steps = checkpoint_steps(run)?;
    let n_old = steps.len().saturating_sub(keep_last);
    for step in steps[..n_old].iter().filter(|step| Some(**step) != best) {
        let folder = checkpoint_folder(run, *step);
        let aside = folder.with_file_name(format!("{PARTIAL}old-{step}"));
        fs_err::rename(&folder, &aside).map_err(io_error(&folder))?;
        fs_err::remove_dir_all(&aside).map_err(io_error(&aside))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_and_the_best_stay() {
        for (keep_last, best, expected) in [
            (2, None, vec![4, 9]),
            (1, Some(1), vec![1, 9]),
            (1, Some(9), vec![9]),
            (7, None, vec![1, 3, 4, 9]),
        ] {
            let run = tempfile::tempdir().unwrap();
            for step in [1, 3, 4, 9] {
                fs_err::create_dir_all(checkpoint_folder(run.path(), step)).unwrap();
            }
            remove_old(run.path(), keep_last, best).unwrap();
            assert_eq!(checkpoint_steps(run.path()).unwrap(), expected);
            let n_entries =
                fs_err::read_dir(run.path().join(super::super::CHECKPOINTS_FOLDER)).unwrap().count();
            assert_eq!(n_entries, expected.len(), "nothing beside them");
        }
    }
}
