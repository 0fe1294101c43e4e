//! What is planted in DICOM files comes out nowhere.

#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test stops at what fails"
)]

mod support;

use std::io::Write;
use std::sync::{Arc, Mutex};

use axum::body::Body;
use axum::http::{Request, StatusCode};
use support::files::{dicom_files, upload, zip_of};
use support::{about, chat, get, plain, post, send};
use tempfile::TempDir;

/// Collects what is logged.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn planted_identifiers_come_out_nowhere() {
    use dicom_core::{DataElement, PrimitiveValue, Tag, VR};
    use dicom_dictionary_std::tags;
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_ansi(false)
        .with_writer(move || writer.clone())
        .finish();
    // This file has one test, so that the whole process logs here.
    tracing::subscriber::set_global_default(subscriber).unwrap();
    let folder = TempDir::new().unwrap();
    let router = plain();
    let mut out = String::new();
    let mut planted = Vec::new();
    let mut n_objects = 0;
    for patient in 0..10 {
        let home = folder.path().join(patient.to_string());
        dicom_files(&home);
        let mut files = Vec::new();
        for (n, entry) in std::fs::read_dir(&home).unwrap().enumerate() {
            let mut object = dicom_object::open_file(entry.unwrap().path()).unwrap();
            let mark = |what: &str| format!("ZZ{what}{patient}Q{n}");
            let numbers = format!("2.25.99{patient}77{n}1234");
            for (tag, vr, value) in [
                (tags::PATIENT_NAME, VR::PN, mark("NAME")),
                (tags::PATIENT_ID, VR::LO, mark("MRN")),
                (tags::PATIENT_BIRTH_DATE, VR::DA, format!("19{patient}70{:02}1", n % 9 + 1)),
                (tags::STUDY_DATE, VR::DA, format!("20{patient}1112{}", n % 9)),
                (tags::ACCESSION_NUMBER, VR::SH, mark("ACC")),
                (tags::REFERRING_PHYSICIAN_NAME, VR::PN, mark("REF")),
                (tags::INSTITUTION_NAME, VR::LO, mark("INST")),
                (tags::STUDY_DESCRIPTION, VR::LO, mark("DESC")),
                (tags::SERIES_DESCRIPTION, VR::LO, mark("SDESC")),
                (tags::STUDY_INSTANCE_UID, VR::UI, numbers.clone()),
                (Tag(0x0009, 0x0010), VR::LO, mark("PRIV")),
                (Tag(0x0009, 0x1001), VR::LO, mark("PVAL")),
            ] {
                planted.push(value.clone());
                object.put(DataElement::new(tag, vr, PrimitiveValue::from(value.as_str())));
            }
            let mut bytes = Vec::new();
            object.write_all(&mut bytes).unwrap();
            n_objects += 1;
            planted.push(mark("FILE"));
            files.push((mark("FILE"), bytes));
        }
        let named: Vec<(&str, Vec<u8>)> =
            files.iter().map(|(name, bytes)| (name.as_str(), bytes.clone())).collect();
        let replies = [upload(&router, &named).await, {
            // As zip, and once with a file that is cut short.
            let in_zip: Vec<(&str, &[u8])> =
                named.iter().map(|(name, bytes)| (*name, bytes.as_slice())).collect();
            post(&router, "/v1/studies", zip_of(&in_zip)).await
        }];
        let mut broken = named.clone();
        broken[0].1.truncate(3000);
        let refused = upload(&router, &broken).await;
        assert_eq!(refused.status, StatusCode::BAD_REQUEST);
        out.push_str(&refused.text());
        for reply in replies {
            assert_eq!(reply.status, StatusCode::CREATED, "{}", reply.text());
            let id = reply.json()["id"].as_str().unwrap().to_owned();
            out.push_str(&format!("{:?}{}", reply.headers, reply.text()));
            for path in ["", "/slices/3.png", "/slices/3.i16", "/findings"] {
                let reply = get(&router, &format!("/v1/studies/{id}{path}")).await;
                out.push_str(&format!("{:?}{}", reply.headers, reply.text()));
            }
            out.push_str(&post(&router, &format!("/v1/studies/{id}/run"), Body::empty()).await.text());
            out.push_str(&chat(&router, &about(&format!("study:{id}/3"), &planted[0])).await.text());
            send(&router, Request::delete(format!("/v1/studies/{id}")).body(Body::empty()).unwrap()).await;
        }
    }
    out.push_str(&get(&router, "/metrics").await.text());
    out.push_str(&get(&router, "/readyz").await.text());
    get(&router, &format!("/{}", planted[0])).await;
    let logged = String::from_utf8_lossy(&log.0.lock().unwrap()).into_owned();
    assert!(n_objects >= 200, "{n_objects} objects");
    assert!(logged.contains("study opened"), "the log was read");
    for value in &planted {
        assert!(!out.contains(value.as_str()), "`{value}` came out");
        assert!(!logged.contains(value.as_str()), "`{value}` was logged");
    }
}
