//! Studies: every format in, slices, runs, exports, bombs, expiry.

#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test stops at what fails"
)]

mod support;

use std::io::Write;
use std::time::Duration;

use axum::body::Body;
use axum::http::{Request, StatusCode};
use ct_volume::nifti::{VoxelType, write_volume};
use serde_json::{Value, json};
use support::files::{dicom_files, upload, volume, zip_of};
use support::{about, chat, get, plain, png, post, send, server};
use tempfile::TempDir;

#[tokio::test]
async fn every_way_in_gives_the_same_slices() {
    let folder = TempDir::new().unwrap();
    let dicom = dicom_files(folder.path());
    let nifti = folder.path().join("study.nii.gz");
    write_volume(&nifti, &volume(), VoxelType::Int16).unwrap();
    let nifti = std::fs::read(nifti).unwrap();
    let named: Vec<(&str, Vec<u8>)> = dicom.iter().rev().map(|file| ("x", file.clone())).collect();
    let in_zip: Vec<(&str, &[u8])> =
        dicom.iter().map(Vec::as_slice).zip(NAMES).map(|(f, n)| (n, f)).collect();
    let zip = zip_of(&in_zip);
    let router = plain();
    let replies = [
        ("dicom", upload(&router, &named).await),
        ("dicom", upload(&router, &[("a.zip", zip.clone())]).await),
        ("dicom", post(&router, "/v1/studies", zip).await),
        ("nifti", post(&router, "/v1/studies", nifti).await),
    ];
    let mut pngs = Vec::new();
    for (kind, reply) in &replies {
        assert_eq!(reply.status, StatusCode::CREATED, "{}", reply.text());
        let info = reply.json();
        assert_eq!((info["kind"].as_str(), info["slices"].as_u64()), (Some(*kind), Some(24)));
        assert_eq!((info["columns"].as_u64(), info["rows"].as_u64()), (Some(64), Some(64)));
        let path = format!("/v1/studies/{}/slices/7.png?window=-150,250", info["id"].as_str().unwrap());
        let png = get(&router, &path).await;
        assert_eq!(png.headers["content-type"], "image/png");
        pngs.push(png.bytes);
        let values = get(&router, &path.replace(".png?window=-150,250", ".i16")).await;
        assert_eq!((values.bytes.len(), values.headers["x-rows"].to_str().unwrap()), (64 * 64 * 2, "64"));
    }
    assert!(pngs.iter().all(|png| *png == pngs[0]));
}

const NAMES: [&str; 24] = [
    "s/01", "s/02", "s/03", "s/04", "s/05", "s/06", "s/07", "s/08", "s/09", "s/10", "s/11", "s/12", "s/13",
    "s/14", "s/15", "s/16", "s/17", "s/18", "s/19", "s/20", "s/21", "s/22", "s/23", "s/24",
];

#[tokio::test]
async fn pictures_are_studies_too() {
    let router = plain();
    let reply = upload(&router, &[("a.png", png(40, 30)), ("b.png", png(40, 30))]).await;
    let info = reply.json();
    assert_eq!(
        (info["kind"].as_str(), info["slices"].as_u64(), info["has_hu"].as_bool()),
        (Some("images"), Some(2), Some(false))
    );
    let id = info["id"].as_str().unwrap();
    assert_eq!(get(&router, &format!("/v1/studies/{id}/slices/1.png")).await.status, StatusCode::OK);
    assert_eq!(get(&router, &format!("/v1/studies/{id}/slices/1.i16")).await.code(), "no_hu");
}

#[tokio::test]
async fn a_form_may_be_as_large_as_a_study() {
    let router = plain();
    let files: Vec<(&str, Vec<u8>)> =
        (0..3).map(|_| ("a.txt", vec![7; 1 << 20])).chain([("a.png", png(40, 30))]).collect();
    let reply = upload(&router, &files).await;
    assert_eq!(reply.status, StatusCode::CREATED, "{}", reply.text());
}

#[tokio::test]
async fn a_slice_is_asked_about_by_reference() {
    let (server, log) = server(0, |_, _| {});
    let router = server.router();
    let info = post(&router, "/v1/studies/example", Body::empty()).await.json();
    assert_eq!(
        (info["id"].as_str(), info["example"].as_bool(), info["columns"].as_u64()),
        (Some("example"), Some(true), Some(256))
    );
    let reply =
        chat(&router, &about("study:example/12?window=-150,250", "[refer] where is the pancreas?")).await;
    assert_eq!(reply.json()["grounding"]["boxes"][0]["box_px"][0], 97.28);
    assert_eq!(*log.images.lock().unwrap(), [[256, 256]]);
    assert_eq!(chat(&router, &about("study:example/900", "hello")).await.code(), "no_such_slice");
    assert_eq!(chat(&router, &about("study:example/x", "hello")).await.code(), "bad_slice_reference");
}

fn events(text: &str) -> Vec<(String, Value)> {
    let block = |block: &str| {
        let field = |name: &str| block.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
        Some((field("event:")?.to_owned(), serde_json::from_str(field("data:")?).unwrap()))
    };
    text.split("\n\n").filter_map(block).collect()
}

#[tokio::test]
async fn a_run_tells_its_way_and_leaves_findings() {
    let router = plain();
    let folder = TempDir::new().unwrap();
    let files: Vec<(&str, Vec<u8>)> =
        dicom_files(folder.path()).into_iter().map(|file| ("x", file)).collect();
    let id = upload(&router, &files).await.json()["id"].as_str().unwrap().to_owned();
    let path = |end: &str| format!("/v1/studies/{id}/{end}");
    assert_eq!(get(&router, &path("findings")).await.code(), "not_run");
    assert_eq!(post(&router, &path("run"), "{\"organ\":1}").await.code(), "bad_json");
    let reply = post(&router, &path("run"), "{\"organs\": true, \"anonymize\": true}").await;
    assert_eq!(reply.headers["content-type"], "text/event-stream");
    let events = events(&reply.text());
    let n = |name: &str| events.iter().filter(|(event, _)| event == name).count();
    assert_eq!((n("stage"), n("slice"), n("progress"), n("done")), (1, 24, 24, 1));
    let done = &events.last().unwrap().1;
    assert_eq!(done["exports"], json!(["coco.json", "boxes.csv"]), "odd names are left out");
    assert_eq!(get(&router, &path("findings")).await.json(), *done);
    assert_eq!(done["note"], chat_api::RESEARCH_NOTE);
    let export = get(&router, &path("exports/coco.json")).await;
    assert_eq!(export.headers["content-disposition"], "attachment; filename=\"coco.json\"");
    assert!(export.json()["anonymized"].as_bool().unwrap());
    assert_eq!(get(&router, &path("exports/other.json")).await.code(), "no_such_export");
    assert!(get(&router, &format!("/v1/studies/{id}")).await.json()["has_findings"].as_bool().unwrap());
    let delete = || Request::delete(format!("/v1/studies/{id}")).body(Body::empty()).unwrap();
    assert_eq!(send(&router, delete()).await.status, StatusCode::NO_CONTENT);
    assert_eq!(send(&router, delete()).await.status, StatusCode::NOT_FOUND);
    assert_eq!(get(&router, &path("slices/0.png")).await.code(), "no_such_study");
}

#[tokio::test]
async fn chats_are_answered_between_the_steps_of_a_run() {
    let (server, _) = server(15, |_, _| {});
    let router = server.router();
    post(&router, "/v1/studies/example", Body::empty()).await;
    let running = tokio::spawn({
        let router = router.clone();
        async move { post(&router, "/v1/studies/example/run", Body::empty()).await }
    });
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(post(&router, "/v1/studies/example/run", Body::empty()).await.code(), "already_running");
    assert_eq!(chat(&router, &support::question("count 3")).await.status, StatusCode::OK);
    assert!(!running.is_finished(), "the run went on afterwards");
    let deleted = Request::delete("/v1/studies/example").body(Body::empty()).unwrap();
    assert_eq!(send(&router, deleted).await.status, StatusCode::NO_CONTENT);
    let end = running.await.unwrap();
    assert!(end.text().contains("event: error"), "a deleted study's run ends");
}

#[tokio::test]
async fn bombs_are_refused_before_they_take_memory() {
    let router = server(0, |config, _| {
        config.limits.max_study_bytes = 8 << 20;
        config.limits.max_volume_bytes = 16 << 20;
        config.limits.max_study_files = 50;
    })
    .0
    .router();
    let zeros = vec![0_u8; 64 << 20];
    let zip = zip_of(&[("zeros.dcm", &zeros)]);
    assert!(zip.len() < 1 << 20);
    let many: Vec<(String, Vec<u8>)> = (0..60).map(|n| (n.to_string(), vec![1])).collect();
    let many: Vec<(&str, &[u8])> = many.iter().map(|(n, b)| (n.as_str(), b.as_slice())).collect();
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    let mut header = [0_u8; 352];
    header[..4].copy_from_slice(&348_i32.to_le_bytes());
    for (at, value) in [(40, 3_i16), (42, 2000), (44, 2000), (46, 2000), (70, 4), (72, 16)] {
        header[at..at + 2].copy_from_slice(&value.to_le_bytes());
    }
    header[108..112].copy_from_slice(&352.0_f32.to_le_bytes());
    header[344..348].copy_from_slice(b"n+1\0");
    gzip.write_all(&header).unwrap();
    gzip.write_all(&zeros).unwrap();
    let mut huge = png(8, 8);
    huge[16..24].copy_from_slice(&[0, 0, 0xff, 0xff, 0, 0, 0xff, 0xff]);
    let nested = zip_of(&[("inner.zip", &zip)]);
    for (what, body, statuses) in [
        ("zip", zip, [413, 413]),
        ("many files", zip_of(&many), [413, 413]),
        ("gzip", gzip.finish().unwrap(), [413, 400]),
        ("png", huge, [413, 400]),
        ("nested zip", nested, [400, 400]),
        ("body", vec![7; 9 << 20], [413, 413]),
        ("nothing", Vec::new(), [400, 400]),
        ("text", b"hello".to_vec(), [400, 400]),
        ("broken zip", b"PK\x03\x04nothing".to_vec(), [400, 400]),
    ] {
        let start = std::time::Instant::now();
        let reply = post(&router, "/v1/studies", body).await;
        assert!(statuses.contains(&reply.status.as_u16()), "{what}: {}", reply.text());
        assert!(start.elapsed() < Duration::from_secs(5), "{what}");
    }
    let metrics = get(&router, "/metrics").await.text();
    assert!(metrics.contains("chat_memory_bytes 0\n"), "all is given back: {metrics}");
}

#[tokio::test]
async fn studies_are_forgotten_and_counted() {
    let (server, _) = server(0, |config, _| {
        config.limits.study_expiry = Duration::from_millis(150);
        config.limits.max_studies = 2;
        config.limits.max_memory_bytes = 60_000;
    });
    let router = server.router();
    let open = async |side: usize| post(&router, "/v1/studies", png(side, side)).await;
    let first = open(20).await.json()["id"].as_str().unwrap().to_owned();
    open(20).await;
    assert_eq!(open(20).await.code(), "too_many_studies");
    tokio::time::sleep(Duration::from_millis(250)).await;
    assert_eq!(get(&router, &format!("/v1/studies/{first}")).await.code(), "no_such_study");
    assert_eq!(open(20).await.status, StatusCode::CREATED);
    let full = open(400).await;
    assert_eq!((full.status, full.code().as_str()), (StatusCode::SERVICE_UNAVAILABLE, "memory_full"));
    assert!(full.headers.contains_key("retry-after"));
}
