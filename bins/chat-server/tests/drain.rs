//! The real binary ended by SIGTERM while clients wait for their answers.
#![expect(clippy::unwrap_used, reason = "test helpers outside of test functions")]

mod support;

use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ct_slices::pixels::encode_gray;
use ndarray::Array2;
use serde_json::{Value, json};
use support::Server;

const N_CLIENTS: usize = 32;

fn body() -> Value {
    let image = Array2::from_shape_fn((96, 96), |(row, col)| u8::try_from((2 * row + col) % 256).unwrap());
    let url = format!("data:image/png;base64,{}", STANDARD.encode(encode_gray(image.view()).unwrap()));
    let image = json!({"type": "image_url", "image_url": {"url": url}});
    let text = json!({"type": "text", "text": "[refer] where is the pancreas?"});
    json!({"messages": [{"role": "user", "content": [image, text]}], "stream": true})
}

#[test]
fn sigterm_under_load_loses_no_answer() {
    let server = Arc::new(Server::start(&["--drain-delay-s", "1", "--log", "warn"]));
    let expected = server.chat(&body()).events().len();
    assert!(expected > 4, "the answer comes in pieces");
    let clients: Vec<_> = (0..N_CLIENTS)
        .map(|_| {
            let server = Arc::clone(&server);
            std::thread::spawn(move || server.chat(&body()))
        })
        .collect();
    let at_hand = || {
        let ready = server.get("/readyz").json();
        ready["waiting"].as_u64().unwrap() + ready["active"].as_u64().unwrap()
    };
    while at_hand() < 8 {
        std::thread::sleep(Duration::from_millis(2));
    }
    server.terminate();
    let left = at_hand();
    while server.get("/readyz").status == 200 {
        std::thread::sleep(Duration::from_millis(2));
    }
    // Still answered, and not at the next request on this connection.
    let late = server.chat(&body());
    assert!(late.head.contains("connection: close"), "{}", late.head);
    let replies = clients.into_iter().map(|client| client.join().unwrap()).chain([late]);
    for (n, reply) in replies.enumerate() {
        let events = reply.events();
        assert_eq!((reply.status, events.len()), (200, expected), "client {n}: {}", reply.text());
        assert_eq!(events.last().unwrap().1, "[DONE]", "client {n}");
    }
    let server = Arc::into_inner(server).expect("all clients are done");
    let (status, log) = server.wait();
    assert_eq!(status.code(), Some(0), "{log}");
    assert!(!log.contains("cut off") && !log.contains("panicked"), "{log}");
    assert!(left > 0, "nothing was at hand at the end");
}

#[test]
fn what_takes_longer_than_allowed_is_told_by_the_exit_code() {
    let server = Arc::new(Server::start(&["--drain-timeout-s", "0", "--log", "off"]));
    let clients: Vec<_> = (0..N_CLIENTS)
        .map(|_| {
            let server = Arc::clone(&server);
            // The connection may be cut off at any place.
            std::thread::spawn(move || drop(server.try_chat(&body())))
        })
        .collect();
    while server.get("/readyz").json()["waiting"].as_u64().unwrap() < 8 {
        std::thread::sleep(Duration::from_millis(2));
    }
    server.terminate();
    clients.into_iter().for_each(|client| client.join().unwrap());
    let (status, log) = Arc::into_inner(server).expect("all clients are done").wait();
    assert_eq!(status.code(), Some(1), "{log}");
    assert!(log.contains("connections were cut off"), "{log}");
}
