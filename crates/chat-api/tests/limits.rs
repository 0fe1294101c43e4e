//! Limits, fairness, cancellation, slow and hostile clients.

#![allow(missing_docs, clippy::unwrap_used, reason = "a test stops at what fails")]

mod support;

use std::num::NonZeroUsize;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use axum::body::Body;
use axum::http::{Request, StatusCode};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use serde_json::{Value, json};
use support::files::zip_of;
use support::{
    about, chat, data_url, get, listening, plain, png, post, question, raw, raw_chat, send, server, until,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

fn named(client: &str, words: &str) -> Request<Body> {
    let body = question(words).to_string();
    Request::post("/v1/chat/completions").header("x-client-id", client).body(body.into()).unwrap()
}

#[tokio::test]
async fn a_client_that_goes_away_frees_the_slot_within_a_token() {
    let (server, log) = server(20, |_, _| {});
    let address = listening(server.clone()).await;
    for stream in [true, false] {
        let before = log.n_tokens.load(Relaxed);
        let mut body = question("count 1000");
        body["stream"] = stream.into();
        let mut connection = TcpStream::connect(address).await.unwrap();
        connection.write_all(&raw_chat(&body)).await.unwrap();
        until("the answer has begun", || log.n_tokens.load(Relaxed) >= before + 3).await;
        drop(connection);
        // The news of it needs a moment; after that, at most the token that was being computed.
        tokio::time::sleep(Duration::from_millis(60)).await;
        let left = log.n_tokens.load(Relaxed);
        let start = Instant::now();
        assert_eq!(chat(&server.router(), &question("hello")).await.status, StatusCode::OK);
        assert!(start.elapsed() < Duration::from_secs(2), "the slot was free");
        let hello = 8;
        assert!(log.n_tokens.load(Relaxed) <= left + 1 + hello, "no token was computed for nobody");
    }
    assert!(get(&server.router(), "/metrics").await.text().contains("chat_cancelled_total 2"));
}

#[tokio::test]
async fn a_client_that_goes_away_leaves_the_queue() {
    let (server, log) = server(20, |_, _| {});
    let router = server.router();
    let first = tokio::spawn({
        let router = router.clone();
        async move { send(&router, named("a", "count 20")).await.status }
    });
    until("the first is being answered", || log.n_tokens.load(Relaxed) > 0).await;
    let waiting = tokio::spawn({
        let router = router.clone();
        async move { send(&router, named("b", "count 21")).await.status }
    });
    tokio::time::sleep(Duration::from_millis(60)).await;
    assert_eq!(get(&router, "/readyz").await.json()["waiting"], 1);
    waiting.abort();
    let _ = waiting.await;
    assert_eq!(get(&router, "/readyz").await.json()["waiting"], 0);
    assert_eq!(first.await.unwrap(), StatusCode::OK);
    assert_eq!(*log.questions.lock().unwrap(), ["count 20"]);
}

#[tokio::test]
async fn clients_take_turns() {
    let (server, log) = server(5, |_, _| {});
    let router = server.router();
    let mut tasks = Vec::new();
    let mut ask = |client: &'static str, words: &'static str| {
        let router = router.clone();
        tasks.push(tokio::spawn(async move { send(&router, named(client, words)).await.status }));
    };
    ask("a", "count 40");
    until("the first is being answered", || log.n_tokens.load(Relaxed) > 0).await;
    for words in ["count 1", "count 2", "count 3", "count 4"] {
        ask("a", words);
        tokio::time::sleep(Duration::from_millis(15)).await;
    }
    ask("b", "count 5");
    for task in tasks {
        assert_eq!(task.await.unwrap(), StatusCode::OK);
    }
    let order = log.questions.lock().unwrap().clone();
    assert_eq!(order[..3], ["count 40", "count 1", "count 5"], "{order:?}");
}

#[tokio::test]
async fn a_full_queue_says_when_to_come_again() {
    let (server, log) = server(20, |config, _| config.limits.queue_capacity = NonZeroUsize::new(2).unwrap());
    let router = server.router();
    let tasks: Vec<_> = (0..6)
        .map(|n| {
            let router = router.clone();
            tokio::spawn(async move { send(&router, named(&n.to_string(), "count 10")).await })
        })
        .collect();
    let mut statuses = Vec::new();
    for task in tasks {
        let reply = task.await.unwrap();
        if reply.status == StatusCode::TOO_MANY_REQUESTS {
            assert!(reply.headers["retry-after"].to_str().unwrap().parse::<u64>().unwrap() >= 1);
            assert_eq!(reply.json()["error"]["type"], "rate_limit_error");
        }
        statuses.push(reply.status.as_u16());
    }
    statuses.sort_unstable();
    let n_full = statuses.iter().filter(|status| **status == 429).count();
    assert!((3..=4).contains(&n_full), "{statuses:?}");
    assert_eq!(log.questions.lock().unwrap().len(), 6 - n_full);
}

#[tokio::test]
async fn compatible_requests_are_answered_together() {
    let (server, log) = server(10, |_, model| model.max_batch = 4);
    let router = server.router();
    let tasks: Vec<_> = (0..6)
        .map(|n| {
            let router = router.clone();
            tokio::spawn(async move { send(&router, named(&n.to_string(), "count 10")).await.json() })
        })
        .collect();
    for task in tasks {
        let content = task.await.unwrap()["choices"][0]["message"]["content"].clone();
        assert_eq!(content, "1 2 3 4 5 6 7 8 9 10 ");
    }
    let batches = log.batches.lock().unwrap().clone();
    assert_eq!(batches.iter().sum::<usize>(), 6);
    assert!(batches.iter().any(|n| *n > 1), "{batches:?}");
}

#[tokio::test]
async fn bodies_pictures_and_texts_have_limits() {
    let router = server(0, |config, _| {
        config.limits.max_chat_bytes = 20_000;
        config.limits.max_image_pixels = 10_000;
        config.limits.max_images = 2;
    })
    .0
    .router();
    let check =
        async |body: Value, status: u16| assert_eq!(chat(&router, &body).await.status.as_u16(), status);
    check(question(&"x".repeat(30_000)), 413).await;
    check(about(&data_url(&png(200, 100)), "hello"), 413).await;
    check(about(&data_url(&png(100, 100)), "hello"), 200).await;
    let image = json!({ "type": "image_url", "image_url": { "url": data_url(&png(10, 10)) } });
    let three = json!({ "messages": [{ "role": "user", "content": [image, image, image, { "type": "text", "text": "?" }] }] });
    check(three, 400).await;
}

#[tokio::test]
async fn a_token_is_asked_for_where_there_is_one() {
    let router = server(0, |config, _| config.bearer_token = Some("sesame".to_owned())).0.router();
    for path in ["/v1/models", "/metrics", "/v1/studies/example", "/v1/studies/example/slices/1.png"] {
        let reply = get(&router, path).await;
        assert_eq!(
            (reply.status, reply.code().as_str()),
            (StatusCode::UNAUTHORIZED, "invalid_api_key"),
            "{path}"
        );
        assert_eq!(reply.headers["www-authenticate"], "Bearer");
    }
    for path in ["/", "/healthz", "/readyz", "/openapi.json", "/assets/main.js"] {
        assert_eq!(get(&router, path).await.status, StatusCode::OK, "{path}");
    }
    let request =
        Request::get("/v1/models").header("authorization", "Bearer sesame").body(Body::empty()).unwrap();
    assert_eq!(send(&router, request).await.status, StatusCode::OK);
}

#[tokio::test]
async fn replies_keep_the_page_to_itself() {
    let router = plain();
    for path in ["/", "/v1/models", "/nowhere"] {
        let headers = get(&router, path).await.headers;
        let policy = headers["content-security-policy"].to_str().unwrap();
        assert!(policy.contains("default-src 'none'") && policy.contains("frame-ancestors 'none'"), "{path}");
        assert_eq!(headers["x-content-type-options"], "nosniff");
        assert_eq!(headers["referrer-policy"], "no-referrer");
    }
    let foreign = Request::post("/v1/studies/example")
        .header("host", "127.0.0.1")
        .header("origin", "http://evil.example");
    assert_eq!(send(&router, foreign.body(Body::empty()).unwrap()).await.status, StatusCode::FORBIDDEN);
    let rebound = Request::get("/v1/models").header("host", "evil.example").body(Body::empty()).unwrap();
    assert_eq!(send(&router, rebound).await.code(), "unknown_host");
    // The page asks nobody but its own server.
    let page = get(&router, "/").await.text();
    assert!(!page.contains("http://") && !page.contains("https://"));
    assert!(page.contains("Research use only"));
}

#[tokio::test]
async fn slow_heads_and_bodies_are_cut_off() {
    let (server, _) = server(0, |config, _| {
        config.limits.header_timeout = Duration::from_millis(200);
        config.limits.body_idle_timeout = Duration::from_millis(200);
    });
    let address = listening(server).await;
    let start = Instant::now();
    raw(address, b"GET / HTTP/1.1\r\nhost: 127.0.0.1\r\nx-slow: ", Duration::from_secs(5)).await;
    let half = b"POST /v1/chat/completions HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\ncontent-length: 900\r\n\r\n{";
    let reply = raw(address, half, Duration::from_secs(5)).await;
    assert!(reply.starts_with("HTTP/1.1 408"), "{reply}");
    assert!(start.elapsed() < Duration::from_secs(4));
}

#[tokio::test]
async fn a_shutdown_lets_answers_end() {
    let (server, log) = server(10, |_, _| {});
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let ended = tokio::spawn(chat_api::serve(listener, server, async { stopped.await.unwrap_or_default() }));
    let mut connection = TcpStream::connect(address).await.unwrap();
    connection.write_all(&raw_chat(&question("count 30"))).await.unwrap();
    until("the answer has begun", || log.n_tokens.load(Relaxed) > 0).await;
    stop.send(()).unwrap();
    let mut reply = String::new();
    connection.read_to_string(&mut reply).await.unwrap();
    assert!(reply.contains("29 30 "), "{reply}");
    let end = tokio::time::timeout(Duration::from_secs(5), ended).await;
    end.expect("it ends").unwrap().unwrap();
    assert!(TcpStream::connect(address).await.is_err());
}

/// Damages a request: bytes changed, cut out, doubled.
fn damaged(random: &mut ChaCha8Rng, bytes: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    let below = |random: &mut ChaCha8Rng, n: usize| (random.next_u32() as usize) % n.max(1);
    for _ in 0..=below(random, 4) {
        let at = below(random, bytes.len());
        match random.next_u32() % 4 {
            0 => bytes[at] = random.next_u32().to_le_bytes()[0],
            1 => bytes.truncate(at.max(1)),
            2 => drop(bytes.splice(at..at, [b'"', b'[', b'{', b'9', 0xff].iter().copied().take(1 + at % 5))),
            _ => {
                let end = (at + below(random, 30)).min(bytes.len());
                bytes.drain(at..end);
                if bytes.is_empty() {
                    bytes.push(b'{');
                }
            }
        }
    }
    bytes
}

#[tokio::test]
async fn thousands_of_damaged_requests_are_refused_or_answered() {
    let mut random = ChaCha8Rng::seed_from_u64(5);
    let (server, _) = server(0, |config, _| config.limits.max_answer_tokens = 3);
    let router = server.router();
    let mut full = about(&data_url(&png(8, 8)), "[refer] where is the pancreas?");
    full["stop"] = json!(["a"]);
    full["response_format"] = json!({ "type": "json_schema", "json_schema": { "name": "a", "schema": {
        "type": "object", "properties": { "box": { "type": "array", "items": { "type": "number" } } } } } });
    let chat_body = full.to_string().into_bytes();
    let zip = zip_of(&[("a.png", &png(8, 8))]);
    let mut statuses = std::collections::BTreeMap::<u16, usize>::new();
    for n in 0..4000 {
        let (path, body) = match n % 4 {
            0 => ("/v1/studies", damaged(&mut random, &png(9, 9))),
            1 => ("/v1/studies", damaged(&mut random, &zip)),
            _ => ("/v1/chat/completions", damaged(&mut random, &chat_body)),
        };
        let status = post(&router, path, body).await.status.as_u16();
        *statuses.entry(status).or_default() += 1;
        assert!(matches!(status, 200 | 201 | 400 | 404 | 413 | 429 | 503), "{status} of {path}, request {n}");
    }
    assert!(statuses[&400] > 1000, "{statuses:?}");
    assert!(get(&router, "/metrics").await.text().contains("chat_panics_total 0"));
    assert_eq!(chat(&router, &question("hello")).await.status, StatusCode::OK);
}

#[tokio::test]
async fn garbage_on_the_wire_is_refused() {
    let (server, _) = server(0, |config, _| config.limits.header_timeout = Duration::from_millis(300));
    let router = server.router();
    let address = listening(server).await;
    let long = format!("GET /{} HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n", "a".repeat(100_000));
    let many = format!("GET / HTTP/1.1\r\nhost: 127.0.0.1\r\n{}\r\n", "a: b\r\n".repeat(200));
    for bytes in
        [b"\x16\x03\x01\x02\x00".as_slice(), b"GET\r\n\r\n", b"\r\n\r\n", long.as_bytes(), many.as_bytes()]
    {
        let reply = raw(address, bytes, Duration::from_secs(3)).await;
        assert!(reply.is_empty() || reply.starts_with("HTTP/1.1 4"), "{reply}");
    }
    assert_eq!(get(&router, "/healthz").await.text(), "ok");
}
