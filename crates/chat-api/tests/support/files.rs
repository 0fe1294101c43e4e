//! Files of studies.

use std::io::Write;
use std::path::Path;

use axum::Router;
use axum::http::Request;
use ct_phantom::{Layout, PhantomSpec, generate_patient};
use ct_volume::Volume;
use ct_volume::dicom::{SeriesTags, write_series};

use super::{Reply, send};

pub(crate) fn volume() -> Volume {
    let spec = PhantomSpec::quick(Layout::Msd, 3, 2).with_matrix(64);
    generate_patient(&spec, 0).unwrap().volume
}

pub(crate) fn dicom_files(folder: &Path) -> Vec<Vec<u8>> {
    let tags = SeriesTags { patient: "P1".into(), uid_root: "2.25.7".into(), slice_thickness_mm: 5.0 };
    let files = write_series(folder, &volume(), &tags).unwrap();
    files.iter().map(|file| std::fs::read(file).unwrap()).collect()
}

fn form(files: &[(&str, Vec<u8>)]) -> (String, Vec<u8>) {
    let mut body = Vec::new();
    for (name, bytes) in files {
        let head = format!(
            "--XX\r\ncontent-disposition: form-data; name=\"file\"; filename=\"{name}\"\r\ncontent-type: application/octet-stream\r\n\r\n"
        );
        body.extend_from_slice(head.as_bytes());
        body.extend_from_slice(bytes);
        body.extend_from_slice(b"\r\n");
    }
    body.extend_from_slice(b"--XX--\r\n");
    ("multipart/form-data; boundary=XX".to_owned(), body)
}

pub(crate) async fn upload(router: &Router, files: &[(&str, Vec<u8>)]) -> Reply {
    let (kind, body) = form(files);
    send(router, Request::post("/v1/studies").header("content-type", kind).body(body.into()).unwrap()).await
}

pub(crate) fn zip_of(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (name, bytes) in files {
        zip.start_file(*name, zip::write::SimpleFileOptions::default()).unwrap();
        zip.write_all(bytes).unwrap();
    }
    zip.finish().unwrap().into_inner()
}
