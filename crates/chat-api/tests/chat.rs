//! Chat completions, as OpenAI's clients ask for them.

#![allow(missing_docs, clippy::unwrap_used, reason = "a test stops at what fails")]

mod support;

use axum::http::StatusCode;
use serde_json::{Value, json};
use support::{about, chat, data_url, get, plain, png, question, server};

#[tokio::test]
async fn an_answer_has_openais_form_and_its_boxes() {
    let router = plain();
    let reply = chat(&router, &about(&data_url(&png(200, 100)), "[refer] where is the pancreas?")).await;
    assert_eq!(reply.status, StatusCode::OK);
    let body = reply.json();
    assert_eq!(body["object"], "chat.completion");
    assert!(body["id"].as_str().unwrap().starts_with("chatcmpl-"));
    let choice = &body["choices"][0];
    assert_eq!(
        choice["message"],
        json!({ "role": "assistant", "content": "{<38><45><62><58>}", "refusal": null })
    );
    assert_eq!(choice["finish_reason"], "stop");
    let usage = &body["usage"];
    let sum = usage["prompt_tokens"].as_u64().unwrap() + usage["completion_tokens"].as_u64().unwrap();
    assert_eq!(usage["total_tokens"], sum);
    let found = &body["grounding"]["boxes"][0];
    assert_eq!(found["label"], "pancreas");
    assert_eq!(found["box_px"], json!([76.0, 45.0, 124.0, 58.0]));
    assert_eq!(body["grounding"]["note"], chat_api::RESEARCH_NOTE);
}

#[tokio::test]
async fn boxes_of_a_text_are_read_where_the_model_gives_none() {
    let reply = chat(&plain(), &about(&data_url(&png(100, 100)), "[grounding] describe it")).await;
    let boxes = reply.json()["grounding"]["boxes"].clone();
    assert_eq!(boxes[0]["label"], "liver");
    assert_eq!(boxes[1]["box_px"], json!([70.0, 25.0, 90.0, 50.0]));
}

#[tokio::test]
async fn conversations_keep_their_turns_and_pictures() {
    let (server, log) = server(0, |_, _| {});
    let url = data_url(&png(30, 20));
    let image = json!({ "type": "image_url", "image_url": { "url": url } });
    let body = json!({ "messages": [
        { "role": "system", "content": "Be brief." },
        { "role": "user", "content": [image, { "type": "text", "text": "what is this?" }] },
        { "role": "assistant", "content": "A slice." },
        { "role": "user", "content": "and" },
        { "role": "user", "content": [image, image, { "type": "text", "text": "these?" }] },
    ] });
    let reply = chat(&server.router(), &body).await;
    assert_eq!(reply.status, StatusCode::OK, "{}", reply.text());
    assert_eq!(*log.questions.lock().unwrap(), ["and\nthese?"]);
    assert_eq!(log.n_history.load(std::sync::atomic::Ordering::Relaxed), 1);
    assert_eq!(*log.images.lock().unwrap(), [[30, 20]; 3]);
}

fn chunks(text: &str) -> Vec<Value> {
    let lines: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("data: ")).collect();
    assert_eq!(lines.last(), Some(&"[DONE]"), "{text}");
    lines[..lines.len() - 1].iter().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[tokio::test]
async fn a_stream_has_text_an_end_and_what_it_cost() {
    let mut body = question("count 5");
    body["stream"] = true.into();
    body["stream_options"] = json!({ "include_usage": true });
    let reply = chat(&plain(), &body).await;
    assert_eq!(reply.headers["content-type"], "text/event-stream");
    let chunks = chunks(&reply.text());
    assert_eq!(chunks[0]["choices"][0]["delta"]["role"], "assistant");
    let text: String =
        chunks.iter().filter_map(|chunk| chunk["choices"][0]["delta"]["content"].as_str()).collect();
    assert_eq!(text, "1 2 3 4 5 ");
    let [.., last, usage] = &chunks[..] else { panic!("too few chunks") };
    assert_eq!(last["choices"][0]["finish_reason"], "stop");
    assert_eq!(usage["choices"], json!([]));
    assert_eq!(usage["usage"]["completion_tokens"], 5);
    assert!(chunks.iter().all(|chunk| chunk["id"] == chunks[0]["id"]));
}

#[tokio::test]
async fn answers_end_at_stop_texts_and_token_limits() {
    let router = plain();
    let check = async |change: Value, text: &str, reason: &str| {
        let mut body = question("count 50");
        body.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        let reply = chat(&router, &body).await.json();
        assert_eq!(reply["choices"][0]["message"]["content"], text, "{change}");
        assert_eq!(reply["choices"][0]["finish_reason"], reason, "{change}");
    };
    check(json!({ "stop": "4" }), "1 2 3 ", "stop").await;
    check(json!({ "stop": ["9", " 3 4"] }), "1 2", "stop").await;
    check(json!({ "max_tokens": 2 }), "1 2 ", "length").await;
    check(json!({ "max_tokens": 9, "max_completion_tokens": 3 }), "1 2 3 ", "length").await;
}

#[tokio::test]
async fn json_has_the_form_that_was_asked_for() {
    let schema = json!({ "type": "object", "properties": {
        "boxes": { "type": "array", "items": { "type": "object", "properties": {
            "label": { "type": "string" }, "x1": { "type": "integer" }, "y1": { "type": "integer" },
            "x2": { "type": "integer" }, "y2": { "type": "integer" },
        }, "required": ["label", "x1", "y1", "x2", "y2"] } },
    }, "required": ["boxes"] });
    let mut body = about(&data_url(&png(100, 100)), "the pancreas");
    body["response_format"] =
        json!({ "type": "json_schema", "json_schema": { "name": "boxes", "schema": schema } });
    let router = plain();
    let expected = json!({ "boxes": [{ "label": "pancreas", "x1": 38, "y1": 45, "x2": 62, "y2": 58 }] });
    let content = chat(&router, &body).await.json()["choices"][0]["message"]["content"].clone();
    assert_eq!(serde_json::from_str::<Value>(content.as_str().unwrap()).unwrap(), expected);
    body["stream"] = true.into();
    let text: String = chunks(&chat(&router, &body).await.text())
        .iter()
        .filter_map(|chunk| chunk["choices"][0]["delta"]["content"].as_str().map(str::to_owned))
        .collect();
    assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), expected);
    body["response_format"] = json!({ "type": "json_schema", "json_schema": { "name": "x", "schema": { "type": "object",
        "properties": { "age": { "type": "number" } }, "required": ["age"] } } });
    let refused = chat(&router, &body).await;
    assert_eq!((refused.status, refused.code()), (StatusCode::BAD_REQUEST, "unsupported_schema".to_owned()));
    body["response_format"] = json!({ "type": "json_object" });
    body["stream"] = false.into();
    let content = chat(&router, &body).await.json()["choices"][0]["message"]["content"].clone();
    let object: Value = serde_json::from_str(content.as_str().unwrap()).unwrap();
    assert_eq!(object["boxes"][0]["box"], json!([38.0, 45.0, 62.0, 58.0]));
}

#[tokio::test]
async fn refusals_have_openais_form() {
    let router = plain();
    let with = |change: Value| {
        let mut body = question("hello");
        body.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        body
    };
    let part = |part: Value| json!({ "messages": [{ "role": "user", "content": [part] }] });
    let rows = [
        (json!({}), 400, "bad_json"),
        (json!({ "messages": [] }), 400, "no_question"),
        (json!({ "messages": [{ "role": "assistant", "content": "hi" }] }), 400, "bad_message"),
        (json!({ "messages": [{ "role": "tool", "content": "hi" }] }), 400, "bad_role"),
        (json!({ "messages": [{ "role": "user", "content": "  " }] }), 400, "empty_question"),
        (part(json!({ "type": "input_audio" })), 400, "bad_part"),
        (
            part(json!({ "type": "image_url", "image_url": { "url": "https://example.org/a.png" } })),
            400,
            "bad_image_url",
        ),
        (part(json!({ "type": "image_url", "image_url": { "url": "study:none/3" } })), 404, "no_such_study"),
        (with(json!({ "model": "gpt-4o" })), 404, "model_not_found"),
        (with(json!({ "temperature": 3 })), 400, "invalid_value"),
        (with(json!({ "temperature": -0.1 })), 400, "invalid_value"),
        (with(json!({ "top_p": 0 })), 400, "invalid_value"),
        (with(json!({ "max_tokens": 0 })), 400, "invalid_value"),
        (with(json!({ "stop": ["1", "2", "3", "4", "5"] })), 400, "invalid_value"),
        (with(json!({ "n": 2 })), 400, "unsupported_parameter"),
        (with(json!({ "tools": [{}] })), 400, "unsupported_parameter"),
        (with(json!({ "answer_form": "poem" })), 400, "invalid_value"),
        (question(&"x".repeat(100_000)), 400, "context_length_exceeded"),
        (question("please refuse"), 400, "context_length_exceeded"),
        (question("please fail"), 500, "model_failed"),
        (question("please panic"), 500, "model_failed"),
    ];
    for (body, status, code) in rows {
        let reply = chat(&router, &body).await;
        let short: String = body.to_string().chars().take(80).collect();
        assert_eq!((reply.status.as_u16(), reply.code().as_str()), (status, code), "{short}");
        assert!(!reply.json()["error"]["message"].as_str().unwrap().is_empty());
    }
    // The model goes on after a panic.
    assert_eq!(chat(&router, &question("hello")).await.status, StatusCode::OK);
}

#[tokio::test]
async fn the_model_is_listed() {
    let router = plain();
    let list = get(&router, "/v1/models").await.json();
    assert_eq!((list["object"].as_str(), list["data"][0]["id"].as_str()), (Some("list"), Some("scripted")));
    assert_eq!(list["data"][0]["window_hu"], json!([-150.0, 250.0]));
    assert_eq!(get(&router, "/v1/models/scripted").await.json()["object"], "model");
    assert_eq!(get(&router, "/v1/models/other").await.code(), "model_not_found");
}
