//! The chat for terminals.

#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test stops at what fails"
)]

mod support;

use std::time::Duration;

use chat_api::{ServerLimits, terminal_chat};
use support::png;
use support::scripted::Scripted;

fn talk(lines: &str) -> String {
    let mut model = Scripted::new(Duration::ZERO);
    let mut output = Vec::new();
    terminal_chat(&mut model, lines.as_bytes(), &mut output, &ServerLimits::default()).unwrap();
    String::from_utf8(output).unwrap()
}

#[test]
fn a_file_is_opened_asked_about_and_looked_at() {
    let folder = tempfile::TempDir::new().unwrap();
    let path = folder.path().join("a.png");
    std::fs::write(&path, png(100, 50)).unwrap();
    let out = folder.path().join("out");
    let said = talk(&format!(
        "open {}\n[refer] where is the pancreas?\nand now?\nrun\nsave {}\nquit\nnever read",
        path.display(),
        out.display()
    ));
    assert!(said.contains("1 slices of 100 x 50 px"), "{said}");
    assert!(said.contains("{<38><45><62><58>}\n  pancreas: 38,22 to 62,29 px, confidence 0.87"), "{said}");
    assert!(said.contains("This is a slice of a synthetic abdomen."), "{said}");
    assert!(said.contains("tumor anywhere: 0.81"), "{said}");
    assert!(said.contains(chat_api::RESEARCH_NOTE), "{said}");
    let findings = std::fs::read_to_string(out.join("findings.json")).unwrap();
    assert!(findings.contains("\"label\": \"tumor\""));
    assert!(out.join("coco.json").exists() && !folder.path().join("escape.json").exists());
}

#[test]
fn what_goes_wrong_is_said_and_the_chat_goes_on() {
    let said = talk(
        "open /no/such/file\nslice 3\nrun\nsave x\nexample\nslice 99\nslice 20\nplease fail\nwindow lung\nhello\n",
    );
    for words in [
        "/no/such/file",
        "open a study first",
        "there is nothing to save",
        "40 slices of 256 x 256 px",
        "there is no slice 99, the last one is 39",
        "slice 20 of 0..=39",
        "the model failed",
        "window -1350..150 HU",
        "This is a slice",
    ] {
        assert!(said.contains(words), "`{words}` in {said}");
    }
}
