//! The real binary with the checkpoints that it carries.
#![expect(clippy::unwrap_used, reason = "test helpers outside of test functions")]

mod support;

use std::io::Write;
use std::process::Stdio;
use std::sync::OnceLock;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ct_phantom::{Layout, PhantomLabel, PhantomSpec, Tumors, generate_patient};
use ct_slices::PlaneMap;
use ct_slices::pixels::{HuWindow, Rendering, encode_gray, render};
use ct_volume::dicom::{SeriesTags, write_series};
use ct_volume::{Orientation, Volume};
use ndarray::Axis;
use serde_json::{Value, json};
use support::{Server, chat_server};

/// A patient with a tumor, and the box of the pancreas with it by slice, in px.
struct Patient {
    volume: Volume,
    boxes: Vec<Option<[f64; 4]>>,
}

const MATRIX: u32 = 128;

fn patient() -> &'static Patient {
    static PATIENT: OnceLock<Patient> = OnceLock::new();
    PATIENT.get_or_init(|| {
        let spec = PhantomSpec::new(Layout::Msd, 99, 1)
            .with_matrix(MATRIX)
            .with_slices(24..=24)
            .with_tumors(Tumors::All);
        let phantom = generate_patient(&spec, 0).unwrap();
        let is_pancreas =
            |label: u16| label == PhantomLabel::Pancreas as u16 || label == PhantomLabel::Tumor as u16;
        let labels = phantom.organs.view_as(Orientation::LPS);
        let boxes = labels
            .axis_iter(Axis(2))
            .map(|slice| {
                let shown = slice.indexed_iter().filter(|(_, label)| is_pancreas(**label)).map(|(at, _)| at);
                shown.fold(None, |found: Option<[f64; 4]>, (x, y)| {
                    let (x, y) = (x as f64, y as f64);
                    let [x1, y1, x2, y2] = found.unwrap_or([x, y, x, y]);
                    Some([x1.min(x), y1.min(y), x2.max(x + 1.0), y2.max(y + 1.0)])
                })
            })
            .collect();
        Patient { volume: phantom.volume, boxes }
    })
}

fn area([x1, y1, x2, y2]: [f64; 4]) -> f64 {
    (x2 - x1).max(0.0) * (y2 - y1).max(0.0)
}

fn iou(a: [f64; 4], b: [f64; 4]) -> f64 {
    let both = area([a[0].max(b[0]), a[1].max(b[1]), a[2].min(b[2]), a[3].min(b[3])]);
    both / (area(a) + area(b) - both)
}

/// The slice with the largest pancreas.
fn best_slice() -> usize {
    let size = |slice: &usize| patient().boxes[*slice].map_or(0.0, area);
    (0..patient().boxes.len()).max_by(|a, b| size(a).total_cmp(&size(b))).unwrap()
}

/// A slice as a `data:` address.
fn picture(slice_idx: usize) -> String {
    let view = patient().volume.view_as(Orientation::LPS);
    let plane = PlaneMap::Display.view(view.index_axis(Axis(2), slice_idx));
    let gray = render(plane, &Rendering::FixedWindow(HuWindow::PANCREAS)).unwrap();
    format!("data:image/png;base64,{}", STANDARD.encode(encode_gray(gray.view()).unwrap()))
}

fn about(picture: &str, words: &str) -> Value {
    let image = json!({"type": "image_url", "image_url": {"url": picture}});
    json!({"messages": [{"role": "user", "content": [image, {"type": "text", "text": words}]}]})
}

fn with(mut body: Value, more: Value) -> Value {
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    body
}

fn content(reply: &Value) -> &str {
    reply["choices"][0]["message"]["content"].as_str().unwrap_or_else(|| panic!("no content: {reply}"))
}

fn first_box(reply: &Value) -> (String, [f64; 4]) {
    let found = &reply["grounding"]["boxes"][0];
    let box_px =
        serde_json::from_value(found["box_px"].clone()).unwrap_or_else(|_| panic!("no box: {reply}"));
    (found["label"].as_str().unwrap().to_owned(), box_px)
}

#[test]
fn questions_about_a_slice_are_answered() {
    let server = Server::start(&[]);
    for path in ["/healthz", "/readyz", "/metrics", "/", "/openapi.json"] {
        assert_eq!(server.get(path).status, 200, "{path}");
    }
    let models = server.get("/v1/models").json();
    assert_eq!(models["data"][0]["id"], "minigpt-pancreas-nano");

    let (slice, picture) = (best_slice(), picture(best_slice()));
    let truth = patient().boxes[slice].unwrap();
    let question = about(&picture, "[refer] where is the pancreas?");
    let whole = server.chat(&question).json();
    let (label, found) = first_box(&whole);
    assert_eq!(label, "pancreas");
    assert!(iou(found, truth) > 0.4, "{found:?} is not {truth:?}");
    let text = content(&whole).to_owned();
    assert!(text.starts_with("{<") && text.ends_with(">}"), "{text}");
    assert!(whole["usage"]["prompt_tokens"].as_u64().unwrap() > 16, "{whole}");
    assert!(whole["usage"]["completion_tokens"].as_u64().unwrap() > 4, "{whole}");
    assert_eq!(whole["choices"][0]["finish_reason"], "stop");

    // Streamed: the same text in pieces, the same box at the end.
    let streamed = server
        .chat(&with(question.clone(), json!({"stream": true, "stream_options": {"include_usage": true}})));
    let events = streamed.events();
    assert_eq!(events.last().unwrap().1, "[DONE]");
    let chunks: Vec<Value> = events.iter().filter_map(|(_, data)| serde_json::from_str(data).ok()).collect();
    let pieces: Vec<&str> =
        chunks.iter().filter_map(|chunk| chunk["choices"][0]["delta"]["content"].as_str()).collect();
    assert_eq!(pieces.concat(), text);
    assert!(pieces.len() > 4, "{pieces:?}");
    let last = chunks.iter().find(|chunk| chunk["grounding"].is_object()).unwrap();
    assert_eq!(last["grounding"], whole["grounding"]);

    // Tumor questions look at the region around the pancreas; boxes are in px of the whole slice.
    let tumor = server.chat(&about(&picture, "[refer] give me the location of the pancreatic tumor")).json();
    let (label, found) = first_box(&tumor);
    assert_eq!(label, "pancreatic tumor");
    let [x1, y1, x2, y2] = truth;
    let middle = [(found[0] + found[2]) / 2.0, (found[1] + found[3]) / 2.0];
    assert!(
        (x1 - 20.0..x2 + 20.0).contains(&middle[0]) && (y1 - 20.0..y2 + 20.0).contains(&middle[1]),
        "{found:?} {truth:?}"
    );
    // The text has the same box in hundredths of the whole slice.
    let numbers: Vec<f64> =
        content(&tumor).split(['{', '<', '>', '}']).filter_map(|n| n.parse().ok()).collect();
    for (number, edge) in numbers.iter().zip(found) {
        assert!((number / 100.0 * f64::from(MATRIX) - edge).abs() < 1.5, "{} {found:?}", content(&tumor));
    }
    let yes_no = server.chat(&about(&picture, "[vqa] is there a tumor in the pancreas?")).json();
    assert!(["yes", "no"].contains(&content(&yes_no)), "{yes_no}");
    let probability = yes_no["grounding"]["yes_no"]["yes_probability"].as_f64().unwrap();
    assert_eq!(probability >= 0.5, content(&yes_no) == "yes");
    let organ = server.chat(&about(&picture, "where is the liver?")).json();
    assert_eq!(first_box(&organ).0, "liver");
    let (status, log) = server.end();
    assert!(status.success(), "{status}");
    assert!(log.contains("/v1/chat/completions") && !log.contains("pancreatic"), "{log}");
}

#[test]
fn answers_are_drawn_cut_and_put_into_forms() {
    let server = Server::start(&[]);
    let picture = picture(best_slice());
    let question = about(&picture, "[refer] where is the pancreas?");
    let drawn = |seed: u64| {
        let more = json!({"temperature": 1.5, "top_p": 0.95, "seed": seed});
        content(&server.chat(&with(question.clone(), more)).json()).to_owned()
    };
    assert_eq!(drawn(7), drawn(7));
    assert!(
        (0..6).map(drawn).collect::<std::collections::BTreeSet<_>>().len() > 1,
        "a temperature varies answers"
    );
    let free = with(question.clone(), json!({"max_tokens": 2, "answer_form": "text"}));
    for body in [with(question.clone(), json!({"max_tokens": 2})), free] {
        let cut = server.chat(&body).json();
        assert_eq!(cut["choices"][0]["finish_reason"], "length", "{cut}");
        assert_eq!(cut["usage"]["completion_tokens"], 2, "{cut}");
        assert_eq!(cut["grounding"]["boxes"], json!([]), "{cut}");
    }
    let stopped = server.chat(&with(question.clone(), json!({"stop": ["><"]}))).json();
    assert!(content(&stopped).starts_with("{<") && !content(&stopped).contains('>'), "{stopped}");

    let schema = json!({
        "type": "object",
        "properties": {"boxes": {"type": "array", "items": {
            "type": "object",
            "properties": {"label": {"type": "string"}, "x1": {"type": "number"}, "y1": {"type": "number"},
                "x2": {"type": "number"}, "y2": {"type": "number"}, "confidence": {"type": ["number", "null"]}},
            "required": ["label", "x1", "y1", "x2", "y2", "confidence"], "additionalProperties": false}}},
        "required": ["boxes"], "additionalProperties": false,
    });
    let form = json!({"response_format": {"type": "json_schema", "json_schema": {"name": "boxes", "schema": schema}}});
    let filled = server.chat(&with(about(&picture, "find the pancreas"), form)).json();
    let boxes: Value = serde_json::from_str(content(&filled)).unwrap();
    let whole = server.chat(&question).json();
    let (_, [x1, ..]) = first_box(&whole);
    assert_eq!((&boxes["boxes"][0]["label"], &boxes["boxes"][0]["x1"]), (&json!("pancreas"), &json!(x1)));

    // What no stage was trained for is refused; a question without a picture too.
    assert_eq!(server.chat(&about(&picture, "[refer] where is the heart?")).status, 400);
    let bare = json!({"messages": [{"role": "user", "content": "[refer] where is the pancreas?"}]});
    assert_eq!(server.chat(&bare).status, 400);
}

#[test]
fn a_study_is_looked_at_as_a_whole() {
    let server = Server::start(&["--log", "off"]);
    let folder = tempfile::tempdir().unwrap();
    let tags =
        SeriesTags { patient: "P1".to_owned(), uid_root: "2.25.4712".to_owned(), slice_thickness_mm: 5.0 };
    let files: Vec<(String, Vec<u8>)> = write_series(folder.path(), &patient().volume, &tags)
        .unwrap()
        .iter()
        .map(|file| ("slice.dcm".to_owned(), fs_err::read(file).unwrap()))
        .collect();
    let opened = server.upload(&files);
    assert_eq!(opened.status, 201, "{}", opened.text());
    let id = opened.json()["id"].as_str().unwrap().to_owned();
    let run = server.post(&format!("/v1/studies/{id}/run"), br#"{"organs": true}"#);
    let events = run.events();
    let count = |name: &str| events.iter().filter(|(event, _)| event == name).count();
    assert!(count("stage") >= 4 && count("progress") >= 4 && count("slice") == 24, "{}", run.text());
    let (name, done) = events.last().unwrap();
    assert_eq!(name, "done", "{done}");
    let done: Value = serde_json::from_str(done).unwrap();
    let findings = server.get(&format!("/v1/studies/{id}/findings")).json();
    assert_eq!(findings, done);
    assert!(findings["tumor_score"].as_f64().is_some_and(|score| (0.0..=1.0).contains(&score)));
    let pancreas =
        findings["findings"].as_array().unwrap().iter().find(|found| found["label"] == "pancreas").unwrap();
    let key = usize::try_from(pancreas["key_slice"].as_u64().unwrap()).unwrap();
    let found: [f64; 4] = serde_json::from_value(pancreas["box_px"].clone()).unwrap();
    let truth = patient().boxes[key].expect("a slice with a pancreas");
    assert!(iou(found, truth) > 0.3, "{found:?} is not {truth:?}");

    let names: Vec<&str> = findings["exports"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
    let expected = [
        "study-findings.json",
        "coco.json",
        "coco-results.json",
        "findings.mrk.json",
        "boxes.nii.gz",
        "montage.png",
        "findings-sr.dcm",
        "findings-seg.dcm",
    ];
    assert_eq!(names, expected);
    for name in names {
        let export = server.get(&format!("/v1/studies/{id}/exports/{name}"));
        assert_eq!(export.status, 200, "{name}");
        let start: &[u8] = match name.rsplit('.').next().unwrap() {
            "json" => b"{",
            "gz" => b"\x1f\x8b",
            "png" => b"\x89PNG",
            _ => &[0; 4],
        };
        let start = if name == "coco-results.json" { b"[" } else { start };
        assert!(export.body.starts_with(start), "{name}");
        if name.ends_with(".dcm") {
            let object = dicom_object::from_reader(export.body.as_slice()).unwrap();
            let study = object.element(dicom_dictionary_std::tags::STUDY_INSTANCE_UID).unwrap();
            assert!(study.to_str().unwrap().starts_with("2.25.4712"), "{name} belongs to the study");
        }
    }
    // Left out of the objects where it is asked for.
    let run = server.post(&format!("/v1/studies/{id}/run"), br#"{"anonymize": true}"#);
    assert_eq!(run.events().last().unwrap().0, "done");
    let report = server.get(&format!("/v1/studies/{id}/exports/findings-sr.dcm"));
    assert!(!report.body.windows(9).any(|bytes| bytes == b"2.25.4712"));
    assert_eq!(server.send("DELETE", &format!("/v1/studies/{id}"), "", b"").status, 204);

    // Pictures are no volume.
    let picture = STANDARD.decode(picture(3).split_once(',').unwrap().1).unwrap();
    let id = server.upload(&[("a.png".to_owned(), picture)]).json()["id"].as_str().unwrap().to_owned();
    let run = server.post(&format!("/v1/studies/{id}/run"), b"");
    assert!(run.text().contains("event: error") && run.text().contains("DICOM series"), "{}", run.text());
}

#[test]
fn chats_are_answered_while_a_study_is_looked_at() {
    let server = Server::start(&["--log", "off"]);
    let opened = server.post("/v1/studies/example", b"");
    assert_eq!(opened.status, 201, "{}", opened.text());
    std::thread::scope(|scope| {
        let run = scope.spawn(|| server.post("/v1/studies/example/run", br#"{"organs": true}"#));
        while !server.get("/metrics").text().contains("chat_active_requests 1") {
            std::thread::yield_now();
        }
        let answer = server.chat(&about("study:example/20", "[refer] where is the pancreas?"));
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert!(!run.is_finished(), "the chat did not wait for the run");
        assert_eq!(run.join().unwrap().events().last().unwrap().0, "done");
    });
    // Whoever goes away gives the run up.
    let mut stream = std::net::TcpStream::connect(server.address()).unwrap();
    let host = server.address();
    write!(stream, "POST /v1/studies/example/run HTTP/1.1\r\nhost: {host}\r\ncontent-length: 0\r\n\r\n")
        .unwrap();
    while !server.get("/metrics").text().contains("chat_active_requests 1") {
        std::thread::yield_now();
    }
    drop(stream);
    let again = server.chat(&about("study:example/20", "[vqa] is there a tumor in the pancreas?"));
    assert_eq!(content(&again.json()), "yes");
    let left = std::time::Instant::now();
    while server.post("/v1/studies/example/run", b"").status == 409 {
        assert!(left.elapsed() < std::time::Duration::from_secs(20), "the run goes on");
    }
}

#[test]
fn one_checkpoint_answers_everything() {
    let folder = tempfile::tempdir().unwrap();
    let checkpoint = cascade::write_embedded_stage(cascade::Stage::PancreasBox, folder.path()).unwrap();
    let server = Server::start(&["--checkpoint", checkpoint.to_str().unwrap(), "--log", "off"]);
    let picture = picture(best_slice());
    let whole = server.chat(&about(&picture, "[refer] give me the location of the pancreas")).json();
    let (label, found) = first_box(&whole);
    assert_eq!((label.as_str(), &whole["grounding"]["boxes"][0]["confidence"]), ("pancreas", &Value::Null));
    assert!(iou(found, patient().boxes[best_slice()].unwrap()) > 0.4, "{found:?}");
    // Earlier turns come along: the prompt is longer.
    let mut body = about(&picture, "[refer] give me the location of the pancreas");
    let messages = body["messages"].as_array_mut().unwrap();
    messages.push(json!({"role": "assistant", "content": content(&whole)}));
    messages.push(json!({"role": "user", "content": "[refer] where is the pancreas?"}));
    let again = server.chat(&body).json();
    let tokens = |reply: &Value| reply["usage"]["prompt_tokens"].as_u64().unwrap();
    assert!(tokens(&again) > tokens(&whole) + 10, "{again}");
    assert_eq!(first_box(&again).0, "pancreas");
    let long = server.chat(&about(&picture, &"slice ".repeat(3000)));
    assert_eq!((long.status, &long.json()["error"]["code"]), (400, &json!("context_length_exceeded")));
}

#[test]
fn a_token_is_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    fs_err::write(&file, "0123456789abcdef\n").unwrap();
    let server = Server::start(&["--token-file", file.to_str().unwrap(), "--log", "off"]);
    assert_eq!(server.get("/v1/models").status, 401);
    assert_eq!(server.get("/healthz").status, 200);
    let token = "authorization: Bearer 0123456789abcdef\r\n";
    assert_eq!(server.send("GET", "/v1/models", token, b"").status, 200);
}

#[test]
fn the_terminal_talks() {
    let mut process = chat_server()
        .arg("--terminal")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    process
        .stdin
        .take()
        .unwrap()
        .write_all(b"[refer] where is the pancreas?\nexample\n[refer] where is the pancreas?\nis there a tumor?\nslice 900\nquit\n")
        .unwrap();
    let output = process.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{said}");
    assert!(said.contains("research use only"), "{said}");
    assert!(said.contains("a picture must come with the question"), "{said}");
    assert!(said.contains("40 slices of 256 x 256 px"), "{said}");
    assert!(said.contains("{<") && said.contains("pancreas"), "{said}");
    assert!(said.contains("> yes") || said.contains("> no"), "{said}");
}

#[test]
fn bad_arguments_are_refused() {
    let check = |arguments: &[&str], code: i32, words: &str| {
        let output = chat_server().args(arguments).stdin(Stdio::null()).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {said}");
        assert!(said.contains(words), "{arguments:?}: {said}");
        assert!(output.stdout.is_empty(), "{arguments:?}");
    };
    check(&["--port", "70000"], 2, "--port");
    check(&["--host", "nowhere"], 2, "--host");
    check(&["--queue", "0"], 2, "--queue");
    check(&["--terminal", "--port", "1"], 2, "cannot be used with");
    check(&["--run", "a", "--checkpoint", "b"], 2, "cannot be used with");
    check(&["--device", "abacus", "--port", "0"], 2, "abacus");
    check(&["--log", "[[", "--port", "0"], 1, "--log");
    check(&["--port", "0", "--checkpoint", "no/such/folder"], 1, "no/such/folder");
    check(&["--port", "0", "--run", "no/such/run"], 1, "no/such/run");
    check(&["--port", "0", "--token-file", "no/such/file"], 1, "no/such/file");
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    fs_err::write(&file, "short\n").unwrap();
    check(&["--port", "0", "--token-file", file.to_str().unwrap()], 1, "at least 16");
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    check(&["--port", &port], 1, "cannot listen");
    let help = chat_server().arg("--help").output().unwrap();
    let said = String::from_utf8_lossy(&help.stdout).into_owned();
    assert!(help.status.success() && said.contains("Example:") && said.contains("Exit codes:"), "{said}");
}
