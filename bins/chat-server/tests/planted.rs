//! What is planted in every attribute of PS3.15's table, and in NIfTI and NRRD headers, comes out of the chat nowhere.

#[path = "../../../crates/dicom-findings/tests/support/planting.rs"]
mod planting;
mod support;

use ct_phantom::{Layout, PhantomSpec, Tumors, generate_patient};
use ct_volume::dicom::{SeriesTags, write_series};
use ct_volume::nifti::{VoxelType, write_volume};
use planting::{Planter, check_search, deflated, in_syntax};
use serde_json::{Value, json};
use support::{Reply, Server};

const SYNTAXES: [&str; 3] = ["1.2.840.10008.1.2.1", "1.2.840.10008.1.2", "1.2.840.10008.1.2.2"];

fn all_of(reply: &Reply) -> Vec<u8> {
    [reply.head.as_bytes(), b"\n", &reply.body].concat()
}

#[test]
fn nothing_that_identifies_comes_out_of_the_chat() {
    let work = tempfile::tempdir().unwrap();
    let server = Server::start(&["--log", "trace"]);
    let (mut out, mut own, mut planters) = (Vec::new(), Vec::new(), Vec::new());
    let mut uploads: Vec<Vec<(String, Vec<u8>)>> = Vec::new();
    let spec = |seed| {
        let spec = PhantomSpec::new(Layout::Msd, seed, 1).with_matrix(64).with_slices(24..=24);
        spec.with_tumors(Tumors::All)
    };
    for number in 0..5 {
        let volume = generate_patient(&spec(900 + number as u64), 0).unwrap().volume;
        let folder = work.path().join(number.to_string());
        let tags = SeriesTags { patient: "P".into(), uid_root: "2.25.66".into(), slice_thickness_mm: 5.0 };
        let mut planter = Planter::new(number);
        let attributes = planter.attributes();
        let mut files = Vec::new();
        for (slice, path) in write_series(&folder, &volume, &tags).unwrap().iter().enumerate() {
            let object = dicom_object::open_file(path).unwrap();
            let object = in_syntax(object, SYNTAXES[number % SYNTAXES.len()]);
            let mut bytes = planter.file(object, &attributes, slice);
            if number == 3 {
                bytes = deflated(&bytes);
            }
            files.push((format!("{}.dcm", planter.mark("FILE", slice)), bytes));
        }
        planters.push(planter);
        uploads.push(files);
    }
    let plain = work.path().join("plain.nii");
    write_volume(&plain, &generate_patient(&spec(990), 0).unwrap().volume, VoxelType::Int16).unwrap();
    let mut headers = Planter::new(8);
    let nifti = headers.nifti(&fs_err::read(&plain).unwrap());
    let nrrd = headers.nrrd(64);
    uploads.push(vec![(format!("{}.nii", headers.mark("FILE", 1)), nifti)]);
    uploads.push(vec![(format!("{}.nrrd", headers.mark("FILE", 2)), nrrd)]);
    planters.push(headers);

    for (number, files) in uploads.iter().enumerate() {
        let opened = server.upload(files);
        out.push(all_of(&opened));
        let mut broken = files.clone();
        let half = broken[0].1.len() / 2;
        broken[0].1.truncate(half);
        out.push(all_of(&server.upload(&broken)));
        if opened.status != 201 {
            // NRRD volumes are not opened by the chat, and it is said without their words.
            assert!(number == 6, "{number}: {}", opened.text());
            continue;
        }
        let id = opened.json()["id"].as_str().unwrap().to_owned();
        let study = format!("/v1/studies/{id}");
        let anonymize = number != 1;
        let options = json!({"organs": false, "anonymize": anonymize}).to_string();
        let run = server.post(&format!("{study}/run"), options.as_bytes());
        assert_eq!(run.events().last().unwrap().0, "done", "{}", run.text());
        out.push(all_of(&run));
        for path in ["", "/findings", "/slices/9.png", "/slices/9.i16", "/slices/99.png"] {
            out.push(all_of(&server.get(&format!("{study}{path}"))));
        }
        let findings = server.get(&format!("{study}/findings")).json();
        for name in findings["exports"].as_array().unwrap().iter().filter_map(Value::as_str) {
            let export = server.get(&format!("{study}/exports/{name}"));
            out.push(export.head.clone().into_bytes());
            if name.ends_with(".dcm") && !anonymize { own.push(export.body) } else { out.push(export.body) }
        }
        let image = json!({"type": "image_url", "image_url": {"url": format!("study:{id}/9")}});
        let secret = String::from_utf8_lossy(&planters[number.min(5)].planted[3].bytes).into_owned();
        let words = json!({"type": "text", "text": format!("[refer] where is the pancreas of {secret}?")});
        out.push(all_of(&server.chat(&json!({"messages": [{"role": "user", "content": [image, words]}]}))));
        out.push(all_of(&server.get(&format!("/v1/studies/{secret}"))));
        out.push(all_of(&server.send("DELETE", &study, "", b"")));
    }
    for path in ["/metrics", "/readyz", "/v1/models"] {
        out.push(all_of(&server.get(path)));
    }
    let (status, log) = server.end();
    assert!(status.success() && log.len() > 2000, "{status}");
    out.push(log.into_bytes());
    let search = Planter::search(&planters, true);
    check_search(&search, &planters[1].planted[4].bytes);
    assert!(uploads[0].iter().all(|(_, bytes)| search.find(bytes).is_some()), "a leak is found");
    for bytes in &out {
        let found = search.find(bytes);
        assert!(found.is_none(), "{found:?} came out: {}", String::from_utf8_lossy(bytes));
    }
    assert_eq!(own.len(), 2);
    let secret = Planter::search(&planters, false);
    for bytes in &own {
        assert_eq!(secret.find(bytes), None);
    }
    let n_bytes: usize = out.iter().map(Vec::len).sum();
    println!("{} forms, {} outputs of {n_bytes} bytes", search.n_forms(), out.len());
}
