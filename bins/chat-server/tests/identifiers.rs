//! What is planted in 200 DICOM objects comes out nowhere but where DICOM asks for it.

#[path = "support/planted.rs"]
mod planted;
mod support;

use std::io::Read;

use planted::{leaked, plant};
use serde_json::{Value, json};
use support::{Reply, Server};

const N_SERIES: usize = 8;
const N_SLICES: u32 = 25;

fn all_of(reply: &Reply) -> Vec<u8> {
    [reply.head.as_bytes(), b"\n", &reply.body].concat()
}

#[test]
fn planted_identifiers_come_out_nowhere() {
    let server = Server::start(&["--log", "trace"]);
    let everything: Vec<_> = (0..N_SERIES).map(|series| plant(series, N_SLICES)).collect();
    assert_eq!(everything.iter().map(|planted| planted.files.len()).sum::<usize>(), 200);
    let mut out = Vec::new();
    for (number, planted) in everything.iter().enumerate() {
        let opened = server.upload(&planted.files);
        assert_eq!(opened.status, 201, "{}", opened.text());
        let id = opened.json()["id"].as_str().unwrap().to_owned();
        let study = format!("/v1/studies/{id}");
        out.push(all_of(&opened));
        let anonymize = number % 2 == 1;
        let options = json!({"organs": number == 0, "anonymize": anonymize}).to_string();
        let run = server.post(&format!("{study}/run"), options.as_bytes());
        assert_eq!(run.events().last().unwrap().0, "done", "{}", run.text());
        out.push(all_of(&run));
        for path in ["", "/findings", "/slices/9.png", "/slices/9.i16", "/slices/99.png", "/exports/none"] {
            out.push(all_of(&server.get(&format!("{study}{path}"))));
        }
        let findings = server.get(&format!("{study}/findings")).json();
        let names: Vec<&str> =
            findings["exports"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
        assert!(names.contains(&"findings-sr.dcm"), "{names:?}");
        for name in names {
            let export = server.get(&format!("{study}/exports/{name}"));
            assert_eq!(export.status, 200);
            out.push(export.head.clone().into_bytes());
            match name.rsplit_once('.').unwrap().1 {
                // Objects that belong to the study repeat what the standard asks for, and no more.
                "dcm" if !anonymize => {
                    assert_eq!(leaked(&export.body, &planted.secret), None, "{name}");
                    assert!(leaked(&export.body, &planted.repeated).is_some(), "{name} points to the study");
                }
                "gz" => {
                    let mut voxels = Vec::new();
                    flate2::read::GzDecoder::new(export.body.as_slice()).read_to_end(&mut voxels).unwrap();
                    out.push(voxels);
                }
                _ => out.push(export.body),
            }
        }
        // Words of a question, and an address that is none.
        let image = json!({"type": "image_url", "image_url": {"url": format!("study:{id}/9")}});
        let words = format!("[refer] where is the pancreas of {}?", planted.secret[0]);
        let question =
            json!({"messages": [{"role": "user", "content": [image, {"type": "text", "text": words}]}]});
        let answer = server.chat(&question);
        assert_eq!(answer.status, 200, "{}", answer.text());
        out.push(all_of(&answer));
        out.push(all_of(&server.get(&format!("/{}", planted.secret[1]))));
        // Cut short, and with a file of another kind.
        let mut broken = planted.files.clone();
        broken[0].1.truncate(2000);
        broken[1].1 = planted.secret.join(" ").into_bytes();
        out.push(all_of(&server.upload(&broken)));
        if number % 2 == 0 {
            assert_eq!(server.send("DELETE", &study, "", b"").status, 204);
        }
    }
    for path in ["/metrics", "/readyz", "/", "/v1/models", "/openapi.json", "/assets/main.js"] {
        let reply = server.get(path);
        assert_eq!(reply.status, 200, "{path}");
        out.push(all_of(&reply));
    }
    let (status, log) = server.end();
    assert!(status.success(), "{status}");
    assert!(log.contains("request") && log.len() > 2000, "the log was read: {log}");
    out.push(log.into_bytes());
    let values = || everything.iter().flat_map(|planted| planted.all());
    assert!(values().count() > 3000);
    for bytes in &out {
        let found = leaked(bytes, values());
        assert!(found.is_none(), "`{}` came out: {}", found.unwrap(), String::from_utf8_lossy(bytes));
    }
    assert_eq!(
        leaked(b"a ZZINST3Q7X b", values()).map(String::as_str),
        Some("ZZINST3Q7X"),
        "the search works"
    );
}
