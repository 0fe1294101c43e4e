//! Telling clients apart, so that each has its turn.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::IpAddr;

use axum::http::{Extensions, HeaderMap};

use crate::serve::ClientAddress;

/// A name that a client may give itself; the page gives one to each of its tabs. It is for turns alone and
/// never stored or logged.
const CLIENT_HEADER: &str = "x-client-id";

/// Whose turn it is.
pub(crate) type ClientId = u64;

/// A client: where it calls from, and the name it gives itself in a header or in the request.
pub(crate) fn client_key(extensions: &Extensions, headers: &HeaderMap, user: Option<&str>) -> ClientId {
    let mut hasher = DefaultHasher::new();
    let address: Option<IpAddr> = extensions.get::<ClientAddress>().map(|ClientAddress(at)| at.ip());
    address.hash(&mut hasher);
    let header = headers.get(CLIENT_HEADER).map(|value| value.as_bytes());
    header.or(user.map(str::as_bytes)).hash(&mut hasher);
    hasher.finish()
}
