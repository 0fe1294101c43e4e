//! Telling clients apart, so that each has its turn.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::IpAddr;

use axum::http::{Extensions, HeaderMap};

use crate::config::ServerConfig;
use crate::serve::ClientAddress;

/// A name that a client may give itself; the page gives one to each of its tabs. It is for turns alone and
/// never stored or logged.
const CLIENT_HEADER: &str = "x-client-id";
/// Where a proxy adds the address that a request came to it from, behind what came with the request.
const FORWARDED_HEADER: &str = "x-forwarded-for";

/// Whose turn it is.
pub(crate) type ClientId = u64;

/// A client: where it calls from, and the name it gives itself in a header or in the request.
pub(crate) fn client_key(
    config: &ServerConfig,
    extensions: &Extensions,
    headers: &HeaderMap,
    user: Option<&str>,
) -> ClientId {
    let mut hasher = DefaultHasher::new();
    let forwarded = if config.behind_proxy { forwarded_for(headers) } else { None };
    forwarded.hash(&mut hasher);
    if forwarded.is_none() {
        let address: Option<IpAddr> = extensions.get::<ClientAddress>().map(|ClientAddress(at)| at.ip());
        address.hash(&mut hasher);
    }
    let header = headers.get(CLIENT_HEADER).map(|value| value.as_bytes());
    header.or(user.map(str::as_bytes)).hash(&mut hasher);
    hasher.finish()
}

/// The last address: all before it are what the client says of itself.
fn forwarded_for(headers: &HeaderMap) -> Option<&[u8]> {
    let last = headers.get_all(FORWARDED_HEADER).iter().next_back()?;
    last.as_bytes().rsplit(|b| *b == b',').next().map(<[u8]>::trim_ascii)
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use super::*;

    fn key(behind_proxy: bool, from: &str, headers: &[(&'static str, &str)]) -> ClientId {
        let config = ServerConfig { behind_proxy, ..ServerConfig::default() };
        let mut extensions = Extensions::new();
        extensions.insert(ClientAddress(from.parse::<SocketAddr>().unwrap()));
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, value.parse().unwrap());
        }
        client_key(&config, &extensions, &map, None)
    }

    #[test]
    fn clients_behind_a_proxy_are_told_apart_by_what_it_adds() {
        let via = |values: &[&str]| {
            let headers: Vec<_> = values.iter().map(|value| (FORWARDED_HEADER, *value)).collect();
            key(true, "10.0.0.9:5000", &headers)
        };
        assert_eq!(
            via(&["192.0.2.1"]),
            via(&["198.51.100.7, 192.0.2.1"]),
            "what a client says counts for nothing"
        );
        assert_eq!(via(&["192.0.2.1"]), via(&["192.0.2.2", "192.0.2.1"]));
        assert_ne!(via(&["192.0.2.1"]), via(&["192.0.2.2"]));
        assert_ne!(via(&[]), via(&["192.0.2.2"]));
    }

    #[test]
    fn without_a_proxy_the_header_counts_for_nothing() {
        let direct = |value| key(false, "192.0.2.1:5000", &[(FORWARDED_HEADER, value)]);
        assert_eq!(direct("198.51.100.7"), direct("198.51.100.8"));
        assert_eq!(direct("198.51.100.7"), key(false, "192.0.2.1:6000", &[]), "the port is not the client");
        assert_ne!(key(false, "192.0.2.1:1", &[]), key(false, "192.0.2.2:1", &[]));
        assert_ne!(key(false, "192.0.2.1:1", &[("x-client-id", "a")]), key(false, "192.0.2.1:1", &[]));
    }
}
