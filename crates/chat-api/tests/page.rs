//! The page's files, and the document that describes the API.

#![allow(missing_docs, clippy::unwrap_used, reason = "a test stops at what fails")]

mod support;

use axum::http::StatusCode;
use serde_json::Value;
use support::{get, plain};

#[tokio::test]
async fn every_file_that_the_page_names_is_there() {
    let router = plain();
    let mut todo = vec!["/".to_owned()];
    let mut seen = Vec::new();
    while let Some(path) = todo.pop() {
        if seen.contains(&path) {
            continue;
        }
        let reply = get(&router, &path).await;
        assert_eq!(reply.status, StatusCode::OK, "{path}");
        let text = reply.text();
        todo.extend(text.split('"').filter(|part| part.starts_with("/assets/")).map(str::to_owned));
        todo.extend(
            text.split('"').filter_map(|part| part.strip_prefix("./")).map(|name| format!("/assets/{name}")),
        );
        seen.push(path);
    }
    assert!(seen.len() > 15, "{seen:?}");
}

#[tokio::test]
async fn the_page_has_no_inline_code_and_a_label_for_every_field() {
    let page = get(&plain(), "/").await.text();
    assert!(!page.contains(" style=") && !page.contains(" onclick=") && !page.contains("<script>"));
    for part in page.split("<img").skip(1) {
        assert!(part.split('>').next().unwrap().contains("alt="));
    }
}

#[tokio::test]
async fn the_document_describes_every_route() {
    let document: Value = get(&plain(), "/openapi.json").await.json();
    assert!(document["openapi"].as_str().unwrap().starts_with("3."));
    let paths = document["paths"].as_object().unwrap();
    for path in [
        "/v1/chat/completions",
        "/v1/models",
        "/v1/studies",
        "/v1/studies/example",
        "/v1/studies/{id}",
        "/v1/studies/{id}/slices/{n}.png",
        "/v1/studies/{id}/slices/{n}.i16",
        "/v1/studies/{id}/run",
        "/v1/studies/{id}/findings",
        "/v1/studies/{id}/exports/{name}",
        "/healthz",
        "/readyz",
        "/metrics",
    ] {
        assert!(paths.contains_key(path), "{path} of {:?}", paths.keys());
    }
    let text = document.to_string();
    for reference in text.split("\"$ref\":\"#/components/schemas/").skip(1) {
        let name = reference.split('"').next().unwrap();
        assert!(document["components"]["schemas"].get(name).is_some(), "{name}");
    }
}
