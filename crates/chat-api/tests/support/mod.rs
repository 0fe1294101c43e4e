//! A server with the scripted model, and ways to ask it.

#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "each test needs a part, and stops at what fails"
)]

pub(crate) mod files;
pub(crate) mod scripted;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Request, StatusCode};
use base64::Engine;
use chat_api::{ChatServer, ServerConfig, serve};
use http_body_util::BodyExt;
use scripted::{ScriptLog, Scripted};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tower::ServiceExt;

/// A reply, read whole.
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) bytes: Vec<u8>,
}

impl Reply {
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes).into_owned()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.bytes).unwrap_or_else(|_| panic!("no JSON: {}", self.text()))
    }

    pub(crate) fn code(&self) -> String {
        self.json()["error"]["code"].as_str().unwrap_or_default().to_owned()
    }
}

pub(crate) fn server(
    token_ms: u64,
    change: impl FnOnce(&mut ServerConfig, &mut Scripted),
) -> (ChatServer, Arc<ScriptLog>) {
    let mut model = Scripted::new(Duration::from_millis(token_ms));
    let mut config = ServerConfig::default();
    change(&mut config, &mut model);
    let log = Arc::clone(&model.log);
    (ChatServer::start(model, config).unwrap(), log)
}

pub(crate) fn plain() -> Router {
    server(0, |_, _| {}).0.router()
}

pub(crate) async fn send(router: &Router, request: Request<Body>) -> Reply {
    let response = router.clone().oneshot(request).await.unwrap();
    let (parts, body) = response.into_parts();
    let bytes = body.collect().await.unwrap().to_bytes().to_vec();
    Reply { status: parts.status, headers: parts.headers, bytes }
}

pub(crate) async fn get(router: &Router, path: &str) -> Reply {
    send(router, Request::get(path).body(Body::empty()).unwrap()).await
}

pub(crate) async fn post(router: &Router, path: &str, body: impl Into<Body>) -> Reply {
    send(router, Request::post(path).body(body.into()).unwrap()).await
}

pub(crate) async fn chat(router: &Router, body: &Value) -> Reply {
    post(router, "/v1/chat/completions", body.to_string()).await
}

/// A question without pictures.
pub(crate) fn question(words: &str) -> Value {
    json!({ "messages": [{ "role": "user", "content": words }] })
}

/// A question about a picture.
pub(crate) fn about(url: &str, words: &str) -> Value {
    let parts =
        json!([{ "type": "image_url", "image_url": { "url": url } }, { "type": "text", "text": words }]);
    json!({ "messages": [{ "role": "user", "content": parts }] })
}

/// A gray picture of a gradient.
pub(crate) fn png(width: usize, height: usize) -> Vec<u8> {
    let image = ndarray::Array2::from_shape_fn((height, width), |(row, col)| {
        u8::try_from((row + col) % 256).unwrap()
    });
    ct_slices::pixels::encode_gray(image.view()).unwrap()
}

pub(crate) fn data_url(bytes: &[u8]) -> String {
    format!("data:image/png;base64,{}", base64::engine::general_purpose::STANDARD.encode(bytes))
}

/// A server on a port of its own; it ends with the test.
pub(crate) async fn listening(server: ChatServer) -> SocketAddr {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(serve(listener, server, std::future::pending()));
    address
}

/// Sends bytes and reads until the server closes or the time is over.
pub(crate) async fn raw(address: SocketAddr, bytes: &[u8], patience: Duration) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    // The server may have closed already, with its answer on the way.
    let _ = stream.write_all(bytes).await;
    let mut reply = Vec::new();
    let _ = tokio::time::timeout(patience, stream.read_to_end(&mut reply)).await;
    String::from_utf8_lossy(&reply).into_owned()
}

pub(crate) fn raw_chat(body: &Value) -> Vec<u8> {
    let body = body.to_string();
    format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

/// Waits until something holds, or panics.
pub(crate) async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    for _ in 0..500 {
        if holds() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("it never came to be that {what}");
}
