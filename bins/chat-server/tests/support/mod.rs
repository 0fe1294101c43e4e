//! The real binary as a process, and the little of HTTP that tests need.

#![allow(dead_code, clippy::unwrap_used, reason = "each test needs a part, and stops at what fails")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::JoinHandle;
use std::time::Duration;

use serde_json::Value;

/// No answer takes so long, whatever else the machine does.
const PATIENCE: Duration = Duration::from_secs(120);

pub(crate) fn chat_server() -> Command {
    Command::new(env!("CARGO_BIN_EXE_chat-server"))
}

/// A server on a port of its own.
pub(crate) struct Server {
    process: Child,
    address: String,
    log: Option<JoinHandle<String>>,
}

impl Server {
    pub(crate) fn start(arguments: &[&str]) -> Self {
        let mut process = chat_server()
            .args(["--port", "0"])
            .args(arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let mut stderr = process.stderr.take().unwrap();
        let log = std::thread::spawn(move || {
            let mut text = Vec::new();
            stderr.read_to_end(&mut text).unwrap();
            String::from_utf8_lossy(&text).into_owned()
        });
        let address = line.trim().strip_prefix("http://").unwrap_or_else(|| panic!("no address: {line}"));
        Self { address: address.to_owned(), process, log: Some(log) }
    }

    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    pub(crate) fn send(&self, method: &str, path: &str, headers: &str, body: &[u8]) -> Reply {
        Reply::read(&self.try_send(method, path, headers, body).unwrap())
    }

    fn try_send(&self, method: &str, path: &str, headers: &str, body: &[u8]) -> std::io::Result<Vec<u8>> {
        let mut stream = TcpStream::connect(&self.address)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        let head = format!(
            "{method} {path} HTTP/1.1\r\nhost: {}\r\nconnection: close\r\n{headers}content-length: {}\r\n\r\n",
            self.address,
            body.len()
        );
        stream.write_all(head.as_bytes())?;
        stream.write_all(body)?;
        let mut reply = Vec::new();
        stream.read_to_end(&mut reply)?;
        Ok(reply)
    }

    pub(crate) fn get(&self, path: &str) -> Reply {
        self.send("GET", path, "", b"")
    }

    pub(crate) fn post(&self, path: &str, body: &[u8]) -> Reply {
        self.send("POST", path, "", body)
    }

    pub(crate) fn chat(&self, body: &Value) -> Reply {
        self.post("/v1/chat/completions", body.to_string().as_bytes())
    }

    /// A chat whose connection may be cut off; what came of its reply.
    pub(crate) fn try_chat(&self, body: &Value) -> std::io::Result<Vec<u8>> {
        self.try_send("POST", "/v1/chat/completions", "", body.to_string().as_bytes())
    }

    /// Uploads files as a form.
    pub(crate) fn upload(&self, files: &[(String, Vec<u8>)]) -> Reply {
        let mut body = Vec::new();
        for (name, bytes) in files {
            let head =
                format!("--XX\r\ncontent-disposition: form-data; name=\"file\"; filename=\"{name}\"\r\n\r\n");
            body.extend_from_slice(head.as_bytes());
            body.extend_from_slice(bytes);
            body.extend_from_slice(b"\r\n");
        }
        body.extend_from_slice(b"--XX--\r\n");
        self.send("POST", "/v1/studies", "content-type: multipart/form-data; boundary=XX\r\n", &body)
    }

    /// Sends SIGTERM.
    pub(crate) fn terminate(&self) {
        let id = self.process.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &id]).status().unwrap().success());
    }

    /// Sends SIGTERM and waits; what the process ended with and what it logged.
    pub(crate) fn end(self) -> (ExitStatus, String) {
        self.terminate();
        self.wait()
    }

    /// Waits for the end; what the process ended with and what it logged.
    pub(crate) fn wait(mut self) -> (ExitStatus, String) {
        let status = self.process.wait().unwrap();
        let log = self.log.take().unwrap().join().unwrap();
        (status, log)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A reply.
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Reply {
    fn read(bytes: &[u8]) -> Self {
        let end = bytes.windows(4).position(|four| four == b"\r\n\r\n").expect("a head");
        let head = String::from_utf8_lossy(&bytes[..end]).to_lowercase();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        let rest = &bytes[end + 4..];
        let body = if head.contains("transfer-encoding: chunked") { joined(rest) } else { rest.to_vec() };
        Self { status, head, body }
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("no JSON: {}", self.text()))
    }

    /// Data of the events of a stream, with their names.
    pub(crate) fn events(&self) -> Vec<(String, String)> {
        let field = |event: &str, name: &str| {
            event.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default().trim().to_owned()
        };
        let text = self.text();
        text.split("\n\n")
            .map(|event| (field(event, "event:"), field(event, "data:")))
            .filter(|(_, data)| !data.is_empty())
            .collect()
    }
}

/// The pieces of a chunked body.
fn joined(mut bytes: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    while let Some(end) = bytes.windows(2).position(|two| two == b"\r\n") {
        let length = usize::from_str_radix(std::str::from_utf8(&bytes[..end]).unwrap(), 16).unwrap();
        if length == 0 {
            break;
        }
        body.extend_from_slice(&bytes[end + 2..end + 2 + length]);
        bytes = &bytes[end + 2 + length + 2..];
    }
    body
}
