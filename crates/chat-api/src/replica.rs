//! Several servers behind one address.

use axum::http::HeaderValue;

/// The cookie that tells a proxy which server holds a client's studies.
pub const REPLICA_COOKIE: &str = "chat-replica";
const MAX_BYTES: usize = 64;

/// The name of one of several servers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReplicaName(String);

/// A name that cannot stand in a cookie.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{name}` is no name of a replica: 1 to 64 of A-Z, a-z, 0-9, `.`, `-` and `_` are")]
pub struct BadReplicaName {
    name: String,
}

impl std::str::FromStr for ReplicaName {
    type Err = BadReplicaName;

    fn from_str(name: &str) -> Result<Self, BadReplicaName> {
        let is_plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_');
        if (1..=MAX_BYTES).contains(&name.len()) && name.bytes().all(is_plain) {
            Ok(Self(name.to_owned()))
        } else {
            Err(BadReplicaName { name: name.chars().take(MAX_BYTES).collect() })
        }
    }
}

impl ReplicaName {
    /// `Set-Cookie` for the browser's session; no script reads it, and no other site's page sends it.
    pub(crate) fn set_cookie(&self) -> Option<HeaderValue> {
        let Self(name) = self;
        HeaderValue::from_str(&format!("{REPLICA_COOKIE}={name}; Path=/; HttpOnly; SameSite=Strict")).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_plain() {
        let check =
            |name: &str, expected: bool| assert_eq!(name.parse::<ReplicaName>().is_ok(), expected, "{name}");
        check("a", true);
        check("chat-server-7d9_x.1", true);
        check(&"a".repeat(64), true);
        check(&"a".repeat(65), false);
        check("", false);
        check("a;b", false);
        check("a b", false);
        check("a\r\nx: y", false);
        check("é", false);
    }
}
