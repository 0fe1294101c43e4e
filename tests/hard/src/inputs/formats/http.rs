//! Requests to the chat's router: JSON of every route that takes some, forms of files, streams.
//!
//! An input is a request as text: a line of method and address, a line of the content type, then the body.
//! `{id}` stands for a study that the server holds.

use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{Method, Request};
use base64::Engine;
use chat_api::{ChatServer, ExampleStudy, ServerConfig};
use ct_phantom::{Layout, PhantomSpec};
use ct_slices::pixels::encode_gray;
use http_body_util::BodyExt;
use ndarray::Array2;
use rand::RngExt;
use serde_json::{Value, json};
use tokio::runtime::Runtime;
use tower::ServiceExt;

use self::scripted::Scripted;
use super::in_repository;
use crate::inputs::format::Format;
use crate::inputs::mutate::{Random, damage_bytes, one_of};
use crate::inputs::mutate_text::damage_json;

#[path = "../../../../../crates/chat-api/tests/support/scripted.rs"]
mod scripted;

/// A reply that takes longer is none.
const PATIENCE: Duration = Duration::from_secs(20);
const CHAT: &str = "POST /v1/chat/completions";

/// The router over a model that says what its script has.
pub(in crate::inputs) struct Http {
    seeds: Vec<Vec<u8>>,
    runtime: Runtime,
    router: Router,
    study: String,
}

/// What came back.
#[derive(Debug)]
pub(in crate::inputs) struct Reply {
    pub(in crate::inputs) status: u16,
    pub(in crate::inputs) body: Vec<u8>,
}

impl Reply {
    /// The code of an error, or `ok`.
    pub(in crate::inputs) fn code(&self) -> Option<String> {
        if self.status < 400 {
            return Some("ok".to_owned());
        }
        let body: Value = serde_json::from_slice(&self.body).ok()?;
        Some(body["error"]["code"].as_str()?.to_owned())
    }
}

fn input(head: &str, kind: &str, body: &[u8]) -> Vec<u8> {
    [head.as_bytes(), b"\n", kind.as_bytes(), b"\n", body].concat()
}

pub(in crate::inputs) fn chat_input(body: &Value) -> Vec<u8> {
    input(CHAT, "application/json", body.to_string().as_bytes())
}

/// A form with files, its boundary `XX`.
pub(in crate::inputs) fn form_input(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut body = Vec::new();
    for (name, bytes) in files {
        let head =
            format!("--XX\r\ncontent-disposition: form-data; name=\"file\"; filename=\"{name}\"\r\n\r\n");
        body.extend_from_slice(head.as_bytes());
        body.extend_from_slice(bytes);
        body.extend_from_slice(b"\r\n");
    }
    body.extend_from_slice(b"--XX--\r\n");
    input("POST /v1/studies", "multipart/form-data; boundary=XX", &body)
}

impl Http {
    pub(in crate::inputs) fn new() -> anyhow::Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let mut config = ServerConfig::default();
        // A small one: how long phantoms take is not what is measured.
        let spec = PhantomSpec::quick(Layout::Msd, 3, 2).with_matrix(64);
        config.example = Some(ExampleStudy { spec, patient: 0 });
        let server = ChatServer::start(Scripted::new(Duration::ZERO), config)?;
        let image = encode_gray(Array2::from_shape_fn((12, 10), |(r, c)| (r * c).to_le_bytes()[0]).view())?;
        let url =
            format!("data:image/png;base64,{}", base64::engine::general_purpose::STANDARD.encode(&image));
        let nifti = fs_err::read(in_repository("crates/ct-volume/tests/fixtures/nifti/files/i2_le.nii"))?;
        let dicom = fs_err::read(in_repository("crates/ct-volume/tests/fixtures/dicom/explicit_le.dcm"))?;
        let user = |content: Value| json!({"role": "user", "content": content});
        let part = |url: &str| json!({"type": "image_url", "image_url": {"url": url}});
        let text = |words: &str| json!({"type": "text", "text": words});
        let talk = json!([
            {"role": "system", "content": "be brief"},
            user(json!([part(&url), text("what is this?")])),
            {"role": "assistant", "content": "a slice"},
            user(json!([text("[refer] where is the pancreas?"), part("study:{id}/0?window=-150,250")])),
        ]);
        let schema = json!({"type": "json_schema", "json_schema": {"name": "x", "schema": {"type": "object",
            "properties": {"boxes": {"type": "array", "items": {"type": "object"}}, "answer": {"enum": ["yes", "no"]}}}}});
        let seeds = vec![
            chat_input(&json!({"messages": [user(json!("count 5"))], "max_tokens": 4, "stop": ["3"]})),
            chat_input(
                &json!({"model": "scripted", "messages": talk, "temperature": 0.5, "top_p": 0.9, "seed": 1}),
            ),
            chat_input(&json!({"messages": talk, "stream": true, "stream_options": {"include_usage": true}})),
            chat_input(&json!({"messages": talk, "response_format": schema, "answer_form": "boxes", "n": 1})),
            chat_input(&json!({"messages": [user(json!([part(&url), text("is there a tumor?")]))],
                "answer_form": "yes_no", "max_completion_tokens": 9, "user": "me", "response_format": {"type": "json_object"}})),
            form_input(&[("a.nii", &nifti)]),
            form_input(&[("a.png", &image), ("b.png", &image)]),
            input("POST /v1/studies?frame=0&allow_irregular=true", "application/dicom", &dicom),
            input("POST /v1/studies", "application/octet-stream", &nifti),
            input("POST /v1/studies/{id}/run", "application/json", br#"{"organs": true, "anonymize": true}"#),
            input("GET /v1/studies/{id}/slices/0.png?window=-150,250", "text/plain", b""),
            input("GET /v1/studies/{id}/slices/0.i16", "text/plain", b""),
            input("GET /v1/studies/{id}/exports/coco.json", "text/plain", b""),
            input("POST /v1/studies/example", "application/json", b"{}"),
        ];
        let mut http = Self { seeds, runtime, router: server.router(), study: String::new() };
        let opened = http.send(&http.seeds[8].clone())?;
        let study: Value = serde_json::from_slice(&opened.body)?;
        http.study = study["id"].as_str().unwrap_or_default().to_owned();
        anyhow::ensure!(!http.study.is_empty(), "no study was opened: {study}");
        // So that there are findings to export.
        http.send(&http.seeds[9].clone())?;
        Ok(http)
    }

    /// Sends an input and reads the whole reply.
    pub(in crate::inputs) fn send(&self, input: &[u8]) -> anyhow::Result<Reply> {
        let text_end = |from: usize| {
            input[from..].iter().position(|byte| *byte == b'\n').map_or(input.len(), |at| from + at)
        };
        let head_end = text_end(0);
        let kind_end = text_end((head_end + 1).min(input.len()));
        let head = String::from_utf8_lossy(&input[..head_end]).into_owned();
        let kind = &input[(head_end + 1).min(kind_end)..kind_end];
        let body = input.get(kind_end + 1..).unwrap_or_default();
        let (method, address) = head.split_once(' ').unwrap_or(("POST", &head));
        let method = Method::from_bytes(method.as_bytes()).unwrap_or(Method::POST);
        let body = if self.study.is_empty() {
            body.to_vec()
        } else {
            // Only where the id is named: other bodies are bytes.
            replaced(body, b"{id}", self.study.as_bytes())
        };
        let request = Request::builder()
            .method(method)
            .uri(address.replace("{id}", &self.study))
            .header("content-type", kind)
            .body(Body::from(body))?;
        let router = self.router.clone();
        self.runtime.block_on(async {
            let reply = async {
                let response = router.oneshot(request).await.unwrap_or_else(|never| match never {});
                let status = response.status().as_u16();
                let body =
                    response.into_body().collect().await.map_err(|error| anyhow::anyhow!("{error}"))?;
                Ok(Reply { status, body: body.to_bytes().to_vec() })
            };
            tokio::time::timeout(PATIENCE, reply).await?
        })
    }

    fn forget(&self, reply: &Reply) {
        let id = serde_json::from_slice::<Value>(&reply.body)
            .ok()
            .and_then(|study| Some(study["id"].as_str()?.to_owned()));
        // The example is made once and stays.
        if let Some(id) = id.filter(|id| *id != self.study && id != "example") {
            // What cannot be forgotten fills the server, and that shows.
            let _ = self.send(&input(&format!("DELETE /v1/studies/{id}"), "text/plain", b""));
        }
    }
}

fn replaced(bytes: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        if bytes[at..].starts_with(from) {
            out.extend_from_slice(to);
            at += from.len();
        } else {
            out.push(bytes[at]);
            at += 1;
        }
    }
    out
}

impl Format for Http {
    fn name(&self) -> String {
        "http".to_owned()
    }

    fn seeds(&self) -> &[Vec<u8>] {
        &self.seeds
    }

    fn damaged(&self, random: &mut Random, seed: usize) -> Vec<u8> {
        // Bodies that are only an address weigh less.
        let seed = if seed >= 10 && random.random_bool(0.6) { random.random_range(0..10) } else { seed };
        let bytes = &self.seeds[seed];
        let ends: Vec<usize> =
            bytes.iter().enumerate().filter(|(_, byte)| **byte == b'\n').map(|(at, _)| at).take(2).collect();
        let body_at = ends.get(1).map_or(bytes.len(), |at| at + 1);
        let (mut head, mut body) = (bytes[..body_at].to_vec(), bytes[body_at..].to_vec());
        if body.is_empty() || random.random_bool(0.1) {
            if random.random() {
                damage_bytes(random, &mut head, body_at);
            } else {
                let head_text = String::from_utf8_lossy(&head).into_owned();
                let address = one_of(
                    random,
                    &[
                        "POST /v1/studies/{id}/run",
                        "POST /v1/studies?series=18446744073709551616",
                        "POST /v1/studies?series=4294967295",
                        "POST /v1/studies?frame=-1",
                        "GET /v1/studies/{id}/slices/18446744073709551615.png",
                        "GET /v1/studies/{id}/slices/-1.png",
                        "GET /v1/studies/{id}/slices/0.png?window=nan,inf",
                        "GET /v1/studies/{id}/slices/0.png?window=1e308,-1e308",
                        "GET /v1/studies/{id}/slices/0.png?window=-1e308,1e308",
                        "GET /v1/studies/{id}/slices/0.png?window=0,1e-320",
                        "GET /v1/studies/{id}/slices/%00.png",
                        "GET /v1/studies/{id}/exports/..%2f..%2fetc%2fpasswd",
                        "GET /v1/models/%ff%fe",
                        "PUT /v1/chat/completions",
                    ],
                );
                let rest = head_text.split_once('\n').map_or("", |(_, rest)| rest);
                head = format!("{address}\n{rest}").into_bytes();
            }
        }
        if body.first() == Some(&b'{') && random.random_bool(0.85) {
            damage_json(random, &mut body);
        } else if !body.is_empty() {
            damage_bytes(random, &mut body, 200);
        }
        [head, body].concat()
    }

    fn read(&mut self, bytes: &[u8], _variant: u64) -> Result<String, String> {
        let reply = match self.send(bytes) {
            Ok(reply) => reply,
            // No request at all: the address or the content type is not allowed in HTTP.
            Err(error) if error.is::<axum::http::Error>() => return Ok("no request".to_owned()),
            Err(error) => return Err(format!("no reply: {error}")),
        };
        if reply.status == 201 {
            self.forget(&reply);
        }
        if reply.status == 500 {
            return Err(format!("status 500: {}", String::from_utf8_lossy(&reply.body)));
        }
        if reply.status < 400 {
            return Ok("read".to_owned());
        }
        match reply.code() {
            Some(code) => Ok(format!("{} {code}", reply.status)),
            None => Ok(format!("{} without a code", reply.status)),
        }
    }

    /// Studies and bodies are held twice while a request is built and read.
    fn limit_bytes(&self, n_bytes: u64) -> u64 {
        (128 << 20) + 64 * n_bytes
    }
}
