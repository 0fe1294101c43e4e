//! Texts that are deep or endless.

use std::path::Path;

use cascade::CascadeConfig;
use ct_slices::dataset::parse_datasets;
use ct_slices::index::{IndexLimits, read_index};
use vlm_prompt::Tokenizer;
use vlm_train::{ConversationLimits, ConversationSource};

use super::make::{MIB, nested};
use crate::inputs::cases::Case;

fn index(path: &Path) -> String {
    read_index(path, &IndexLimits::default())
        .map_or_else(|error| error.code().to_owned(), |_| "read".to_owned())
}

fn config(text: &[u8]) -> String {
    let text = String::from_utf8_lossy(text);
    CascadeConfig::from_toml(&text, "x.toml")
        .map_or_else(|error| error.code().to_owned(), |_| "read".to_owned())
}

fn tokenizer(bytes: &[u8]) -> String {
    Tokenizer::from_bytes(bytes).map_or_else(|error| error.code().to_owned(), |_| "read".to_owned())
}

fn case(
    name: &'static str,
    expected: &'static str,
    read: impl Fn(&[u8]) -> String + Copy + Send + Sync + 'static,
    make: impl Fn() -> Vec<u8> + Send + Sync + 'static,
) -> Case {
    Case::new(name, expected, move |_| {
        let bytes = make();
        Ok(move || read(&bytes))
    })
}

fn on_disk(
    name: &'static str,
    file: &'static str,
    expected: &'static str,
    read: fn(&Path) -> String,
    make: impl Fn() -> Vec<u8> + Send + Sync + 'static,
) -> Case {
    Case::new(name, expected, move |folder| {
        let path = folder.join(file);
        fs_err::write(&path, make())?;
        Ok(move || read(&path))
    })
}

pub(super) fn bombs() -> Vec<Case> {
    let talk = |path: &Path| match ConversationSource::read("talk", path, &ConversationLimits::default()) {
        Ok(_) => "read".to_owned(),
        Err(vlm_train::TrainError::Conversation { .. }) => "conversation".to_owned(),
        Err(error) => error.to_string(),
    };
    let datasets = |text: &[u8]| match parse_datasets(&String::from_utf8_lossy(text)) {
        Ok(_) => "read".to_owned(),
        Err(_) => "datasets".to_owned(),
    };
    vec![
        case("tokenizer: 100,000 deep", "tokenizer-json", tokenizer, || nested("[", "", "]", 100_000)),
        case("tokenizer: an id of 2^32 - 1", "tokenizer-unsupported", tokenizer, || {
            br#"{"model":{"unk_token":"a","vocab":{"a":0,"\u2581":4294967295},"merges":[]}}"#.to_vec()
        }),
        case("tokenizer: 65 MiB", "limit", tokenizer, || vec![b' '; 65 * MIB]),
        on_disk("index: a line 60,000 deep", "index.jsonl", "line-json", index, || {
            nested("[", "", "]", 30_000)
        }),
        on_disk("index: a line 100,000 deep", "index.jsonl", "line-too-long", index, || {
            nested("[", "", "]", 100_000)
        }),
        on_disk("index: a line of 100 MiB without an end", "index.jsonl", "line-too-long", index, || {
            vec![b'x'; 100 * MIB]
        }),
        on_disk("conversations: 100,000 deep", "a.json", "conversation", talk, || {
            nested("[", "", "]", 100_000)
        }),
        on_disk("conversations: a line 100,000 deep", "a.jsonl", "conversation", talk, || {
            nested(r#"{"messages":"#, "1", "}", 100_000)
        }),
        case("config: arrays 100,000 deep", "config-toml", config, || {
            [b"name = ".to_vec(), nested("[", "", "]", 100_000)].concat()
        }),
        case("config: tables 100,000 deep", "config-toml", config, || {
            [b"name = ".to_vec(), nested("{ a = ", "1", " }", 100_000)].concat()
        }),
        case("config: a key of 100,000 parts", "config-toml", config, || {
            [nested("a.", "a", "", 100_000), b" = 1".to_vec()].concat()
        }),
        case("config: a header of 100,000 parts", "config-toml", config, || {
            [b"[".to_vec(), nested("a.", "a", "", 100_000), b"]".to_vec()].concat()
        }),
        case("datasets: arrays 100,000 deep", "datasets", datasets, || {
            [b"x = ".to_vec(), nested("[", "", "]", 100_000)].concat()
        }),
    ]
}
