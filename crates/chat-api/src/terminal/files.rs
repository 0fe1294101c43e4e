//! Files of a path.

use std::io::{self, Read};
use std::path::Path;

use bytes::Bytes;

use crate::config::ServerLimits;

/// The file, or the files of the folder and of those in it; within the limits.
pub(super) fn read_files(path: &Path, limits: &ServerLimits) -> io::Result<Vec<Bytes>> {
    let mut files = Vec::new();
    let mut left = limits.max_study_bytes;
    let mut todo = vec![path.to_owned()];
    while let Some(path) = todo.pop() {
        if fs_err::metadata(&path)?.is_dir() {
            for entry in fs_err::read_dir(&path)? {
                let entry = entry?;
                // Links may lead in circles.
                if !entry.file_type()?.is_symlink() {
                    todo.push(entry.path());
                }
            }
        } else {
            let mut bytes = Vec::new();
            fs_err::File::open(&path)?.take(left + 1).read_to_end(&mut bytes)?;
            let too_large =
                || io::Error::other(format!("there are more than {} bytes", limits.max_study_bytes));
            left = left.checked_sub(bytes.len() as u64).ok_or_else(too_large)?;
            files.push(Bytes::from(bytes));
        }
        if files.len() + todo.len() > limits.max_study_files {
            return Err(io::Error::other(format!("there are more than {} files", limits.max_study_files)));
        }
    }
    Ok(files)
}
