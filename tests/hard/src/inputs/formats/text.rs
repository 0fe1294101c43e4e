//! Texts: tokenizer.json, configurations, the index of a data set, conversations.

use std::path::{Path, PathBuf};

use cascade::{CascadeConfig, QUICKSTART};
use ct_slices::audit::{AuditInput, AuditOptions, audit};
use ct_slices::dataset::parse_datasets;
use ct_slices::index::{IndexLimits, index_to_bytes, read_index, read_index_as_is};
use rand::RngExt;
use tempfile::TempDir;
use vlm_prompt::{SpecialTokens, Tokenizer};
use vlm_train::{ConversationLimits, ConversationSource};

use super::in_repository;
use crate::inputs::format::{Format, outcome};
use crate::inputs::mutate::{Random, damage_bytes};
use crate::inputs::mutate_text::{damage_json, damage_lines, damage_toml_line};

/// `tokenizer.json`, the small vocabulary and a smaller one.
pub(super) struct TokenizerJson {
    seeds: Vec<Vec<u8>>,
}

impl TokenizerJson {
    pub(super) fn new() -> anyhow::Result<Self> {
        let nano = fs_err::read(in_repository("crates/vlm-prompt/assets/nano-tokenizer.json"))?;
        let small = r#"{"version":"1.0","added_tokens":[{"id":0,"content":"<unk>","special":true},{"id":1,"content":"<s>","special":true},{"id":2,"content":"</s>","special":true}],"model":{"type":"BPE","dropout":null,"unk_token":"<unk>","fuse_unk":true,"byte_fallback":false,"vocab":{"<unk>":0,"<s>":1,"</s>":2,"▁":3,"a":4,"b":5,"▁a":6,"ab":7,"▁ab":8},"merges":["▁ a","a b","▁ ab","▁a b"]}}"#;
        let pairs =
            small.replace(r#"["▁ a","a b","▁ ab","▁a b"]"#, r#"[["▁","a"],["a","b"],["▁","ab"],["▁a","b"]]"#);
        // The small ones weigh more: most changes of a large vocabulary are alike.
        let small = small.as_bytes().to_vec();
        Ok(Self { seeds: vec![small.clone(), pairs.into_bytes(), small, nano] })
    }
}

impl Format for TokenizerJson {
    fn name(&self) -> String {
        "tokenizer-json".to_owned()
    }

    fn seeds(&self) -> &[Vec<u8>] {
        &self.seeds
    }

    fn damaged(&self, random: &mut Random, seed: usize) -> Vec<u8> {
        let mut bytes = self.seeds[seed].clone();
        if random.random_bool(0.8) {
            damage_json(random, &mut bytes);
        } else {
            damage_bytes(random, &mut bytes, 400);
        }
        bytes
    }

    fn read(&mut self, bytes: &[u8], _variant: u64) -> Result<String, String> {
        let tokenizer = Tokenizer::from_bytes(bytes);
        if let Ok(tokenizer) = &tokenizer {
            // What was let through must encode, and give the text back.
            let text = "abba <s> where is the pancreas? {<12><3>} 🙂\u{0}";
            if let Ok(ids) = tokenizer.encode_piece(text) {
                let n = tokenizer.vocab_size();
                if let Some(id) = ids.iter().find(|id| usize::try_from(**id).is_ok_and(|id| id >= n)) {
                    return Err(format!("id {id} of {n}"));
                }
                tokenizer
                    .decode(&ids, SpecialTokens::Keep)
                    .map_err(|error| format!("cannot decode: {error}"))?;
            }
        }
        Ok(outcome(&tokenizer))
    }
}

/// Configurations of a run, or of data sets.
pub(super) struct Toml {
    name: &'static str,
    seeds: Vec<Vec<u8>>,
    parse: fn(&str) -> String,
}

impl Toml {
    pub(super) fn configs() -> anyhow::Result<Self> {
        let mut seeds = vec![QUICKSTART.as_bytes().to_vec()];
        seeds.push(b"name = 'a'\nseed = 1\n[stages.pancreas_box]\n".to_vec());
        let mut paths: Vec<PathBuf> = fs_err::read_dir(in_repository("configs"))?
            .map(|entry| entry.map(|e| e.path()))
            .collect::<Result<_, _>>()?;
        paths.retain(|path| path.extension().is_some_and(|ending| ending == "toml"));
        paths.sort();
        for path in paths {
            let text = fs_err::read_to_string(path)?;
            if CascadeConfig::from_toml(&text, "x").is_ok() {
                seeds.push(text.into_bytes());
            }
        }
        Ok(Self {
            name: "config-toml",
            seeds,
            parse: |text| outcome(&CascadeConfig::from_toml(text, "x.toml")),
        })
    }

    pub(super) fn datasets() -> anyhow::Result<Self> {
        let seeds = vec![fs_err::read(in_repository("datasets.toml"))?];
        Ok(Self { name: "datasets-toml", seeds, parse: |text| outcome(&parse_datasets(text)) })
    }
}

impl Format for Toml {
    fn name(&self) -> String {
        self.name.to_owned()
    }

    fn seeds(&self) -> &[Vec<u8>] {
        &self.seeds
    }

    fn damaged(&self, random: &mut Random, seed: usize) -> Vec<u8> {
        let mut bytes = self.seeds[seed].clone();
        if random.random_bool(0.85) {
            damage_lines(random, &mut bytes, &damage_toml_line);
        } else {
            let header = bytes.len();
            damage_bytes(random, &mut bytes, header);
        }
        bytes
    }

    fn read(&mut self, bytes: &[u8], _variant: u64) -> Result<String, String> {
        match std::str::from_utf8(bytes) {
            Ok(text) => Ok((self.parse)(text)),
            Err(_) => Ok("not UTF-8".to_owned()),
        }
    }
}

/// `index.jsonl`: the strict reader, that of the audit, and the audit itself.
pub(super) struct Index {
    seeds: Vec<Vec<u8>>,
    folder: TempDir,
}

impl Index {
    pub(super) fn new() -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        let good = fs_err::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("seeds/index.jsonl"))?;
        let one = good.split_inclusive(|byte| *byte == b'\n').next().unwrap_or_default().to_vec();
        Ok(Self { seeds: vec![good, one], folder })
    }
}

impl Format for Index {
    fn name(&self) -> String {
        "index-jsonl".to_owned()
    }

    fn seeds(&self) -> &[Vec<u8>] {
        &self.seeds
    }

    fn damaged(&self, random: &mut Random, seed: usize) -> Vec<u8> {
        let mut bytes = self.seeds[seed].clone();
        if random.random_bool(0.75) {
            damage_lines(random, &mut bytes, &damage_json);
        } else {
            let header = bytes.len();
            damage_bytes(random, &mut bytes, header);
        }
        bytes
    }

    fn read(&mut self, bytes: &[u8], variant: u64) -> Result<String, String> {
        let path = self.folder.path().join("index.jsonl");
        fs_err::write(&path, bytes).map_err(|error| error.to_string())?;
        let limits = IndexLimits::default();
        let (strict, as_is) = (read_index(&path, &limits), read_index_as_is(&path, &limits));
        if strict.is_ok() && as_is.is_err() {
            return Err("what is sound is not read as it is".to_owned());
        }
        if let Ok(index) = &strict {
            let again = index_to_bytes(&path, &index.records)
                .map_err(|error| format!("not written again: {error}"))?;
            fs_err::write(&path, again).map_err(|error| error.to_string())?;
            let second = read_index(&path, &limits).map_err(|error| format!("not read again: {error}"))?;
            if second.records != index.records {
                return Err("another index when it is read again".to_owned());
            }
        }
        if let (Ok(index), 0) = (as_is, variant % 4) {
            let options = AuditOptions::default().with_probe(false);
            let report = audit(&[AuditInput::new(index)], &options);
            serde_json::from_str::<serde_json::Value>(&report.to_json())
                .map_err(|e| format!("report: {e}"))?;
            drop(report.to_text());
        }
        Ok(outcome(&strict))
    }
}

/// Files of conversations, LLaVA's and OpenAI's form, as an array and as lines.
pub(super) struct Conversations {
    seeds: Vec<Vec<u8>>,
    folder: TempDir,
}

impl Conversations {
    pub(super) fn new() -> anyhow::Result<Self> {
        let records = [
            r#"{"id": 1, "image": "a.png", "conversations": [{"from": "human", "value": "<image>\nWhat is it?"}, {"from": "gpt", "value": "A liver."}]}"#,
            r#"{"images": ["b.png", "a.png"], "conversations": [{"from": "human", "value": "Compare <image> and <image>."}, {"from": "gpt", "value": "Same"}, {"from": "human", "value": "Sure?"}, {"from": "gpt", "value": "Yes"}]}"#,
            r#"{"messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "file:///c.png"}}, {"type": "text", "text": "[vqa] tumor?"}]}, {"role": "assistant", "content": "no"}]}"#,
        ];
        let seeds = vec![records.join("\n").into_bytes(), format!("[{}]", records.join(",")).into_bytes()];
        Ok(Self { seeds, folder: tempfile::tempdir()? })
    }
}

impl Format for Conversations {
    fn name(&self) -> String {
        "conversations-json".to_owned()
    }

    fn seeds(&self) -> &[Vec<u8>] {
        &self.seeds
    }

    fn damaged(&self, random: &mut Random, seed: usize) -> Vec<u8> {
        let mut bytes = self.seeds[seed].clone();
        match (seed, random.random_range(0..5)) {
            (0, 0..=3) => damage_lines(random, &mut bytes, &damage_json),
            (_, 0..=3) => damage_json(random, &mut bytes),
            _ => {
                let header = bytes.len();
                damage_bytes(random, &mut bytes, header);
            }
        }
        bytes
    }

    fn read(&mut self, bytes: &[u8], _variant: u64) -> Result<String, String> {
        let name = if bytes.first() == Some(&b'[') { "talk.json" } else { "talk.jsonl" };
        let path = self.folder.path().join(name);
        fs_err::write(&path, bytes).map_err(|error| error.to_string())?;
        Ok(outcome(&ConversationSource::read("talk", &path, &ConversationLimits::default())))
    }
}
