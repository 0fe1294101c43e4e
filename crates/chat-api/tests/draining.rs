//! The end of a server: what was asked is answered, and a proxy sees the end coming.

#![allow(missing_docs, clippy::unwrap_used, reason = "a test stops at what fails")]

mod support;

use std::io::Write;
use std::net::SocketAddr;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use axum::body::Body;
use axum::http::{Request, header};
use chat_api::{ChatServer, ServeEnd, serve};
use support::files::upload;
use support::{png, post, question, raw, raw_chat, send, server, until};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// No answer takes so long, whatever else the machine does.
const PATIENCE: Duration = Duration::from_secs(60);

async fn start(server: ChatServer) -> (SocketAddr, oneshot::Sender<()>, JoinHandle<ServeEnd>) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel();
    let ended = tokio::spawn(async move {
        let shutdown = async { stopped.await.unwrap_or_default() };
        serve(listener, server, shutdown).await.unwrap()
    });
    (address, stop, ended)
}

fn streamed(words: &str) -> Vec<u8> {
    let mut body = question(words);
    body["stream"] = true.into();
    raw_chat(&body)
}

fn is_whole(reply: &str, last_words: &str) -> bool {
    reply.starts_with("HTTP/1.1 200") && reply.contains(last_words) && reply.contains("data: [DONE]")
}

const ASK_READY: &[u8] = b"GET /readyz HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n";

/// A reply with a length, on a connection that may stay open.
async fn head_of_reply(connection: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    while !bytes.ends_with(b"}") {
        let mut piece = [0; 1024];
        match connection.read(&mut piece).await.unwrap() {
            0 => break,
            n => bytes.extend_from_slice(&piece[..n]),
        }
    }
    String::from_utf8(bytes).unwrap().to_lowercase()
}

#[tokio::test]
async fn the_door_stays_open_until_a_proxy_has_seen_the_end() {
    let (server, log) = server(10, |config, _| config.limits.drain_delay = Duration::from_secs(2));
    let (address, stop, ended) = start(server).await;
    let mut kept = TcpStream::connect(address).await.unwrap();
    kept.write_all(ASK_READY).await.unwrap();
    let before = head_of_reply(&mut kept).await;
    assert!(before.starts_with("http/1.1 200") && !before.contains("connection: close"), "{before}");
    let first = tokio::spawn(async move { raw(address, &streamed("count 30"), PATIENCE).await });
    until("the answer has begun", || log.n_tokens.load(Relaxed) > 0).await;

    stop.send(()).unwrap();
    // The connection from before is not closed under its client's hands: it says that it will be.
    kept.write_all(ASK_READY).await.unwrap();
    let mut after = head_of_reply(&mut kept).await;
    if after.starts_with("http/1.1 200") {
        // Asked before the server knew.
        kept.write_all(ASK_READY).await.unwrap();
        after = head_of_reply(&mut kept).await;
    }
    assert!(after.starts_with("http/1.1 503") && after.contains("connection: close"), "{after}");
    assert_eq!(kept.read(&mut [0; 8]).await.unwrap(), 0, "it is closed then");
    // New ones are still taken.
    assert!(is_whole(&raw(address, &streamed("count 31"), PATIENCE).await, "31 "));
    assert!(is_whole(&first.await.unwrap(), "30 "));
    assert_eq!(ended.await.unwrap(), ServeEnd::Drained);
    assert!(TcpStream::connect(address).await.is_err());
}

#[tokio::test]
async fn a_full_line_is_answered_after_the_door_is_closed() {
    let n_clients = 32;
    let (server, log) = server(1, |_, _| {});
    let router = server.router();
    let (address, stop, ended) = start(server).await;
    let clients: Vec<_> = (0..n_clients)
        .map(|n| {
            let words = format!("count {}", 10 + n);
            tokio::spawn(async move { raw(address, &streamed(&words), PATIENCE).await })
        })
        .collect();
    let waiting = async || {
        let ready = support::get(&router, "/readyz").await.json();
        ready["waiting"].as_u64().unwrap()
    };
    while waiting().await + (log.questions.lock().unwrap().len() as u64) < n_clients {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let still = waiting().await;
    stop.send(()).unwrap();
    for (n, client) in clients.into_iter().enumerate() {
        let reply = client.await.unwrap();
        assert!(is_whole(&reply, &format!("{} ", 10 + n)), "client {n}: {reply}");
    }
    assert_eq!(ended.await.unwrap(), ServeEnd::Drained);
    assert!(still > 8, "the line was not long at the end: {still}");
}

#[tokio::test]
async fn a_request_that_was_sent_before_the_end_is_answered() {
    for n in 0..20 {
        let (server, _) = server(0, |_, _| {});
        let (address, stop, ended) = start(server).await;
        // Nothing of the server runs meanwhile: the system has made the connection and holds the request.
        let mut connection = std::net::TcpStream::connect(address).unwrap();
        connection.write_all(&streamed("count 3")).unwrap();
        stop.send(()).unwrap();
        connection.set_nonblocking(true).unwrap();
        let mut reply = String::new();
        TcpStream::from_std(connection).unwrap().read_to_string(&mut reply).await.unwrap();
        assert!(is_whole(&reply, "3 "), "time {n}: {reply:?}");
        assert_eq!(ended.await.unwrap(), ServeEnd::Drained);
    }
}

/// A client cannot know that the server begins to close the connection that it is just asking on.
#[tokio::test]
async fn a_request_on_a_kept_connection_is_answered_at_the_last_moment() {
    let mut n_answered = 0;
    for _ in 0..20 {
        let (server, _) = server(0, |_, _| {});
        let (address, stop, ended) = start(server).await;
        let mut kept = TcpStream::connect(address).await.unwrap();
        kept.write_all(ASK_READY).await.unwrap();
        head_of_reply(&mut kept).await;
        stop.send(()).unwrap();
        // On this one thread nothing runs between the end of the door and the next line but what is ready.
        while std::net::TcpStream::connect(address).is_ok() {
            tokio::task::yield_now().await;
        }
        let mut reply = String::new();
        if kept.write_all(&streamed("count 3")).await.is_ok() {
            // The connection may be gone.
            let _ = kept.read_to_string(&mut reply).await;
        }
        n_answered += usize::from(is_whole(&reply, "3 "));
        assert_eq!(ended.await.unwrap(), ServeEnd::Drained);
    }
    // A machine that stands still for a tenth of a second in between may miss one.
    assert!(n_answered >= 17, "{n_answered} of 20");
}

#[tokio::test]
async fn what_takes_too_long_is_told_and_cut_off() {
    let (server, log) = server(10, |config, _| config.limits.drain_timeout = Duration::from_millis(300));
    let (address, stop, ended) = start(server.clone()).await;
    let first = tokio::spawn(async move { raw(address, &streamed("count 1500"), PATIENCE).await });
    until("the answer has begun", || log.n_tokens.load(Relaxed) > 0).await;
    let second = tokio::spawn(async move { raw(address, &streamed("count 5"), PATIENCE).await });
    while support::get(&server.router(), "/readyz").await.json()["waiting"] != 1 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    stop.send(()).unwrap();
    assert_eq!(ended.await.unwrap(), ServeEnd::CutOff { connections: 2 });
    let told = second.await.unwrap();
    assert!(told.contains("\"code\":\"stopped\""), "{told}");
    // The process ends now, and the answer with it.
    first.abort();
}

#[tokio::test]
async fn a_cookie_says_where_a_study_lies() {
    let cookie = "chat-replica=b-2; Path=/; HttpOnly; SameSite=Strict";
    for (name, expected) in [(None, None), (Some("b-2"), Some(cookie))] {
        let (server, _) =
            server(0, |config, _| config.replica_name = name.map(|name: &str| name.parse().unwrap()));
        let router = server.router();
        let opened = upload(&router, &[("a.png", png(9, 9))]).await;
        let example = post(&router, "/v1/studies/example", Body::empty()).await;
        for reply in [opened, example] {
            assert_eq!(reply.status, 201);
            let set = reply.headers.get(header::SET_COOKIE).map(|value| value.to_str().unwrap());
            assert_eq!(set, expected);
        }
        // A question with its picture may go anywhere.
        let request =
            Request::post("/v1/chat/completions").body(question("hello").to_string().into()).unwrap();
        assert!(send(&router, request).await.headers.get(header::SET_COOKIE).is_none());
    }
}
