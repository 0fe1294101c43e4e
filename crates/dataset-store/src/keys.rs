//! Keys of a store as paths of a folder, and back.

use crate::error::StoreError;

/// Longest relative path, in bytes; S3 takes keys of 1024.
const MAX_PATH_BYTES: usize = 1024;
/// What files are called until they are whole, and what locks hang on: never transferred.
const PRIVATE: [&str; 2] = [".partial-", ".lock"];

/// True for files that belong to a process at work.
pub(crate) fn is_private(name: &str) -> bool {
    PRIVATE.iter().any(|prefix| name.starts_with(prefix))
}

/// Checks that a relative path stays below the folder that it is joined to, on every system, and that no
/// other command takes the file for its own.
pub(crate) fn check(path: &str) -> Result<(), StoreError> {
    let problem = if path.is_empty() || path.len() > MAX_PATH_BYTES {
        Some("is empty or longer than 1024 bytes")
    } else if path.chars().any(|c| c == '\\' || c.is_control()) {
        Some("has a backslash or a control character")
    } else if path.as_bytes().get(1) == Some(&b':') {
        Some("starts with a drive")
    } else if path.split('/').any(|part| matches!(part, "" | "." | "..")) {
        Some("has an empty, `.` or `..` part")
    } else if path.split('/').any(is_private) {
        Some("has a part that is named like a temporary file")
    } else {
        None
    };
    problem.map_or(Ok(()), |reason| Err(StoreError::Key { key: path.to_owned(), reason }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_stay_in_the_folder() {
        for good in ["a", "imagesTr/a b.nii.gz", "parts/.shard", "..a/b..", "ä/é.json"] {
            check(good).unwrap();
        }
        for bad in [
            "",
            "/etc/passwd",
            "../a",
            "a/../b",
            "a//b",
            "./a",
            "a\\b",
            "C:/a",
            "a\n",
            "a/.partial-x",
            ".lock",
        ] {
            assert!(check(bad).is_err(), "{bad:?}");
        }
        assert!(check(&"a".repeat(1025)).is_err());
    }
}
