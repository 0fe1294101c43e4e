//! UIDs made from content.

use sha2::{Digest, Sha256};

/// A hash over parts, each with its length, so that parts cannot run into each other.
pub(crate) fn hash(purpose: &str, parts: &[&[u8]]) -> [u8; 32] {
    let mut hasher = Sha256::new();
    for part in [purpose.as_bytes()].iter().chain(parts) {
        hasher.update((part.len() as u64).to_le_bytes());
        hasher.update(part);
    }
    hasher.finalize().into()
}

/// A UID below 2.25 (PS3.5, B.2) whose UUID is the hash of the parts: version 8 of RFC 9562, which leaves
/// the bits to the maker.
pub(crate) fn derived(purpose: &str, parts: &[&[u8]]) -> String {
    let digest = hash(purpose, parts);
    let mut uuid = [0_u8; 16];
    uuid.copy_from_slice(&digest[..16]);
    uuid[6] = uuid[6] & 0x0F | 0x80;
    uuid[8] = uuid[8] & 0x3F | 0x80;
    format!("2.25.{}", u128::from_be_bytes(uuid))
}

/// True for a UID as PS3.5, 9.1 has it.
pub(crate) fn is_uid(text: &str) -> bool {
    let is_part = |part: &str| {
        let digits = !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
        digits && (part == "0" || !part.starts_with('0'))
    };
    (1..=64).contains(&text.len()) && text.split('.').all(is_part)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn derived_uids_are_uids_and_depend_on_every_part() {
        let uid = derived("a", &[b"b", b"c"]);
        assert!(is_uid(&uid), "{uid}");
        assert!(uid.len() <= 44);
        assert_eq!(uid, derived("a", &[b"b", b"c"]));
        for other in [derived("a", &[b"bc", b""]), derived("a", &[b"b"]), derived("ab", &[b"c"])] {
            assert_ne!(uid, other);
        }
        let uuid: u128 = uid["2.25.".len()..].parse().unwrap();
        assert_eq!((uuid >> 76 & 0xF, uuid >> 62 & 0x3), (8, 2));
    }

    #[test]
    fn what_is_a_uid() {
        for good in ["1.2.840.10008.1.2", "2.25.0", "0.1"] {
            assert!(is_uid(good), "{good}");
        }
        for bad in ["", "1..2", "1.02", "1.2.", "a.b", " 1.2", &"1.".repeat(40)] {
            assert!(!is_uid(bad), "{bad}");
        }
    }
}
