//! Requests to the chat that ask for a lot.

use base64::Engine;
use serde_json::{Value, json};

use super::make::{Entry, MIB, deflated, gzip_bomb, nested, raw_zip};
use super::pictures::opened;
use super::volumes::header;
use crate::inputs::cases::Case;
use crate::inputs::formats::{Http, chat_input, form_input, png, zip_of, zlib};

/// What a request gives: the code of the error.
fn request(
    name: &'static str,
    expected: &'static str,
    make: impl Fn() -> anyhow::Result<Vec<u8>> + Send + Sync + 'static,
) -> Case {
    Case::new(name, expected, move |_| {
        let (http, input) = (Http::new()?, make()?);
        Ok(move || {
            let reply = http.send(&input).map_err(|error| error.to_string());
            reply.map_or_else(
                |error| error,
                |reply| reply.code().unwrap_or_else(|| format!("status {}", reply.status)),
            )
        })
    })
    .within_mib(192)
}

fn upload(
    name: &'static str,
    expected: &'static str,
    make: impl Fn() -> anyhow::Result<Vec<u8>> + Send + Sync + 'static,
) -> Case {
    Case::new(name, expected, move |_| {
        let bytes = make()?;
        Ok(move || opened(bytes))
    })
}

fn entry(n: usize, stream: &[u8], claimed: u32) -> Entry<'_> {
    Entry { name: format!("{n}.dcm"), stream, method: 8, claimed }
}

/// A question that wants an answer of a form so deep.
fn schema(depth: usize) -> Vec<u8> {
    let deeper = |inner, _| json!({"type": "object", "properties": {"a": inner}});
    let schema = (0..depth).fold(json!({"type": "string"}), deeper);
    let format = json!({"type": "json_schema", "json_schema": {"name": "x", "schema": schema}});
    chat_input(&json!({"messages": [user(json!("hello"))], "response_format": format}))
}

fn user(content: Value) -> Value {
    json!({"role": "user", "content": content})
}

pub(super) fn bombs() -> Vec<Case> {
    vec![
        upload("zip upload: 2 GiB of zeros in 2 MiB", "too_large", || {
            raw_zip(&[entry(0, &deflated(&[], 2048)?, 1 << 31)])
        }),
        upload("zip upload: 2 GiB of zeros that claim to be 1 KiB", "bad_archive", || {
            raw_zip(&[entry(0, &deflated(&[], 2048)?, 1024)])
        }),
        upload("zip upload: 4,000 entries that are one entry of 1 MiB", "too_large", || {
            let stream = deflated(&[], 1)?;
            let entries: Vec<Entry<'_>> =
                (0..4000).map(|n| entry(n, if n == 0 { &stream[..] } else { &[] }, 1 << 20)).collect();
            raw_zip(&entries)
        }),
        upload("zip upload: 60,000 entries", "too_large", || {
            let entries: Vec<Entry<'_>> = (0..60_000).map(|n| entry(n, &[3, 0], 0)).collect();
            raw_zip(&entries)
        }),
        upload("zip upload: zip in zip in zip", "unknown_format", || {
            let mut inner = zip_of(&[("a.dcm", b"x")], zip::CompressionMethod::Deflated)?;
            for _ in 0..5 {
                inner = zip_of(&[("a.zip", &inner)], zip::CompressionMethod::Deflated)?;
            }
            Ok(inner)
        }),
        upload("nii.gz upload: 1 GiB of zeros behind 24 voxels", "read", || {
            gzip_bomb(&header([3, 4, 3, 2, 1, 1, 1, 1], 4, 16, 352.0)?, 1024)
        }),
        upload("nii.gz upload: 32767 x 32767 x 32767 voxels", "too_large", || {
            gzip_bomb(&header([3, 32_767, 32_767, 32_767, 1, 1, 1, 1], 4, 16, 352.0)?, 1)
        }),
        request("chat: JSON 100,000 deep", "bad_json", || {
            Ok([
                &b"POST /v1/chat/completions\napplication/json\n"[..],
                &nested(r#"{"messages":["#, "", "]}", 100_000),
            ]
            .concat())
        }),
        request("chat: a schema 100 deep", "bad_json", || Ok(schema(100))),
        request("chat: a schema 30 deep", "ok", || Ok(schema(30))),
        request("chat: 33 MiB", "too_large", || {
            Ok(chat_input(&json!({"messages": [user(json!("x".repeat(33 * MIB)))]})))
        }),
        request("chat: 100,000 turns", "too_many_messages", || {
            Ok(chat_input(&json!({"messages": vec![user(json!("x")); 100_000]})))
        }),
        request("chat: 10,000 pictures", "too_many_images", || {
            let picture = base64::engine::general_purpose::STANDARD.encode(png(
                8,
                8,
                [8, 0, 0],
                &[(*b"IDAT", zlib(&[0; 72]))],
            ));
            let part = json!({"type": "image_url", "image_url": {"url": format!("data:image/png;base64,{picture}")}});
            Ok(chat_input(&json!({"messages": [user(Value::Array(vec![part; 10_000]))]})))
        }),
        request("chat: a picture of 65535 x 65535 pixels", "too_large", || {
            let picture = png(65_535, 65_535, [8, 2, 0], &[(*b"IDAT", zlib(&[0; 1000]))]);
            let url = format!(
                "data:image/png;base64,{}",
                base64::engine::general_purpose::STANDARD.encode(picture)
            );
            Ok(chat_input(
                &json!({"messages": [user(json!([{"type": "image_url", "image_url": {"url": url}}, {"type": "text", "text": "x"}]))]}),
            ))
        }),
        request("chat: 2^63 tokens", "ok", || {
            Ok(chat_input(&json!({"messages": [user(json!("hello"))], "max_tokens": 1_u64 << 63})))
        }),
        request("study form: 100,000 files", "too_large", || {
            let files: Vec<(&str, &[u8])> = vec![("a", &b"x"[..]); 100_000];
            Ok(form_input(&files))
        }),
    ]
}
