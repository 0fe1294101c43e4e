//! Files of conversations.
#![expect(clippy::unwrap_used, reason = "helper functions of tests")]

use std::path::Path;

use vlm_prompt::{InstructionSeed, TaskTag};
use vlm_train::{
    ConversationLimits, ConversationSource, ImageId, SampleSource, TrainError, TrainingItem, TrainingTurn,
};

const DRAW: InstructionSeed = InstructionSeed { seed: 0, epoch: 0, index: 0 };

fn write(folder: &Path, name: &str, text: &str) -> std::path::PathBuf {
    let path = folder.join(name);
    fs_err::write(&path, text).unwrap();
    path
}

fn read(name: &str, text: &str) -> Result<ConversationSource, TrainError> {
    let folder = tempfile::tempdir().unwrap();
    ConversationSource::read("talk", &write(folder.path(), name, text), &ConversationLimits::default())
}

fn item(images: &[u64], turns: &[(&str, &str)]) -> TrainingItem {
    let turn = |(question, answer): &(&str, &str)| TrainingTurn {
        question: (*question).to_owned(),
        answer: (*answer).to_owned(),
    };
    TrainingItem {
        images: images.iter().copied().map(ImageId).collect(),
        turns: turns.iter().map(turn).collect(),
    }
}

#[test]
fn both_forms_are_read() {
    let rows = [
        (
            r#"{"id": 1, "image": "a.png", "conversations": [{"from": "human", "value": "<image>\nWhat is it?"}, {"from": "gpt", "value": "A liver."}]}"#,
            item(&[0], &[("What is it?", "A liver.")]),
        ),
        (
            r#"{"images": ["b.png", "a.png"], "conversations": [{"from": "human", "value": "Compare <image> and <image>."}, {"from": "gpt", "value": "Same"}, {"from": "human", "value": "Sure?"}, {"from": "gpt", "value": "Yes"}]}"#,
            item(&[1, 0], &[("Compare   and  .", "Same"), ("Sure?", "Yes")]),
        ),
        (
            r#"{"conversations": [{"from": "human", "value": "Hello"}, {"from": "gpt", "value": "Hi"}]}"#,
            item(&[], &[("Hello", "Hi")]),
        ),
        (
            r#"{"messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "file:///c.png"}}, {"type": "text", "text": "[vqa] tumor?"}]}, {"role": "assistant", "content": "no"}]}"#,
            item(&[2], &[("Be brief. [vqa] tumor?", "no")]),
        ),
        (
            r#"{"messages": [{"role": "user", "content": [{"type": "text", "text": "q"}, {"type": "image", "image": "a.png"}]}, {"role": "assistant", "content": [{"type": "text", "text": "a"}]}]}"#,
            item(&[0], &[("q", "a")]),
        ),
    ];
    let records: Vec<&str> = rows.iter().map(|row| row.0).collect();
    let expected: Vec<TrainingItem> = rows.iter().map(|row| row.1.clone()).collect();
    let lines = read("x.jsonl", &format!("\n{}\n", records.join("\n\n"))).unwrap();
    let array = read("x.json", &format!("[{}]", records.join(","))).unwrap();
    assert_eq!(lines.items(), expected);
    assert_eq!(array.items(), expected);
    let images: Vec<_> = lines.images().collect();
    assert_eq!(images, [(ImageId(0), "a.png"), (ImageId(1), "b.png"), (ImageId(2), "/c.png")]);
    let moved = lines.clone().with_first_image(100).with_default_tag(TaskTag::Vqa);
    assert_eq!(
        moved.item(1, DRAW).unwrap(),
        item(&[101, 100], &[("[vqa] Compare   and  .", "Same"), ("[vqa] Sure?", "Yes")])
    );
    assert_eq!(moved.item(3, DRAW).unwrap().turns[0].question, "[vqa] Be brief. [vqa] tumor?");
    assert_eq!(moved.images().next().unwrap(), (ImageId(100), "a.png"));
    assert_ne!(moved.fingerprint(), lines.fingerprint());
    assert!(moved.item(9, DRAW).is_err());
}

#[test]
fn what_is_wrong_is_said_with_its_line() {
    let human = |text: &str| format!(r#"{{"from": "human", "value": "{text}"}}"#);
    let gpt = |text: &str| format!(r#"{{"from": "gpt", "value": "{text}"}}"#);
    let talk = |parts: &[String]| format!(r#"{{"conversations": [{}]}}"#, parts.join(","));
    let with_image = |image: &str, parts: &[String]| {
        format!(r#"{{"image": {image}, "conversations": [{}]}}"#, parts.join(","))
    };
    let good = talk(&[human("q"), gpt("a")]);
    for (record, what) in [
        ("{".to_owned(), "EOF"),
        ("{}".to_owned(), "either"),
        (r#"{"conversations": 3}"#.to_owned(), "no list"),
        (r#"{"messages": [{"role": "tool", "content": "x"}]}"#.to_owned(), "tool"),
        (r#"{"messages": [{"role": "user", "content": 5}]}"#.to_owned(), "neither"),
        (r#"{"messages": [{"role": "user", "content": [{"type": "audio"}]}]}"#.to_owned(), "audio"),
        (talk(&[]), "no question"),
        (talk(&[gpt("a")]), "without a question"),
        (talk(&[human("q"), human("q")]), "alternate"),
        (talk(&[human("q"), gpt("a"), human("q")]), "has no answer"),
        (talk(&[human("q"), gpt(" ")]), "empty answer"),
        (talk(&[human("<image> q"), gpt("a")]), "1 image markers for 0 images"),
        (with_image(r#""a.png""#, &[human("q"), gpt("a"), human("<image> q"), gpt("a")]), "first question"),
        (with_image(r#""http://x/a.png""#, &[human("q"), gpt("a")]), "files only"),
        (with_image(r#""data:image/png;base64,AA""#, &[human("q"), gpt("a")]), "files only"),
        (with_image("7", &[human("q"), gpt("a")]), "named by a text"),
        (with_image(&format!("[{}]", [r#""a""#; 17].join(",")), &[human("q"), gpt("a")]), "17 images"),
    ] {
        let error = read("x.jsonl", &format!("{good}\n\n{record}\n")).unwrap_err().to_string();
        assert!(error.contains("x.jsonl`, line 3: ") && error.contains(what), "{error}");
    }
    let error = read("x.json", &format!("[{good}, {{}}]")).unwrap_err().to_string();
    assert!(error.contains("record 2"), "{error}");
    let error = read("x.json", "[\n{\n").unwrap_err().to_string();
    assert!(error.contains("line 3"), "{error}");
    let folder = tempfile::tempdir().unwrap();
    let path = write(folder.path(), "x.jsonl", &good);
    let mut limits = ConversationLimits::default();
    limits.max_bytes = 10;
    assert!(ConversationSource::read("x", &path, &limits).unwrap_err().to_string().contains("10 bytes"));
    limits = ConversationLimits::default();
    limits.max_text_bytes = 0;
    assert!(
        ConversationSource::read("x", &path, &limits).unwrap_err().to_string().contains("text of 1 bytes")
    );
    limits = ConversationLimits::default();
    limits.max_items = 0;
    assert!(ConversationSource::read("x", &path, &limits).unwrap_err().to_string().contains("at most 0"));
    assert!(matches!(
        ConversationSource::read("x", &folder.path().join("no.json"), &ConversationLimits::default()),
        Err(TrainError::Io { .. })
    ));
}
