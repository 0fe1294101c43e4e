//! The list of hashes beside the files.

use std::collections::BTreeMap;
use std::fmt::Write;

use crate::error::StoreError;
use crate::keys;

/// The object that a push writes last: `sha256sum -c SHA256SUMS` checks a folder against it.
pub const SUMS_FILE: &str = "SHA256SUMS";
/// Largest list that is read: some seven million files.
pub(crate) const MAX_SUMS_BYTES: u64 = 1 << 30;

/// Hashes by relative path.
pub(crate) type Sums = BTreeMap<String, String>;

pub(crate) fn write(sums: &Sums) -> String {
    let mut text = String::new();
    for (path, sha256) in sums {
        // Writing to a `String` cannot fail.
        let _ = writeln!(text, "{sha256}  {path}");
    }
    text
}

pub(crate) fn parse(bytes: &[u8]) -> Result<Sums, StoreError> {
    let text = std::str::from_utf8(bytes).map_err(|_| StoreError::Sums("is not UTF-8".to_owned()))?;
    let mut sums = Sums::new();
    for (n, line) in text.lines().enumerate() {
        let unusable = || StoreError::Sums(format!("has no hash and path in line {}", n + 1));
        // A star instead of the second space marks binary files, which all of ours are.
        let (sha256, path) = line.split_once("  ").or_else(|| line.split_once(" *")).ok_or_else(unusable)?;
        let is_hex = sha256.len() == 64 && sha256.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        if !is_hex {
            return Err(unusable());
        }
        keys::check(path)?;
        if sums.insert(path.to_owned(), sha256.to_owned()).is_some() {
            return Err(StoreError::Sums(format!("names `{path}` twice")));
        }
    }
    Ok(sums)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_reads_back_and_a_damaged_one_does_not() {
        let hash = "0123456789abcdef".repeat(4);
        let sums = Sums::from([("a".to_owned(), hash.clone()), ("b  c/d".to_owned(), hash.clone())]);
        assert_eq!(parse(write(&sums).as_bytes()).unwrap(), sums);
        assert_eq!(parse(format!("{hash} *a\n").as_bytes()).unwrap().len(), 1);
        for bad in [
            format!("{hash}\n"),
            format!("{}  a\n", &hash[1..]),
            format!("{}  a\n", hash.to_uppercase()),
            format!("{hash}  ../a\n"),
            format!("{hash}  a\n{hash}  a\n"),
        ] {
            assert!(parse(bad.as_bytes()).is_err(), "{bad}");
        }
        assert!(parse(b"\xff").is_err());
    }
}
