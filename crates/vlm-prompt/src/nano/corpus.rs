//! The words that the nano vocabulary is learned from.

use std::collections::BTreeMap;

use crate::boxes::GridBox;
use crate::instructions::{
    DetectionTarget, InstructionPool, classification_evaluation_prompt, detection_evaluation_prompt,
};
use crate::prompt::IMAGE_HOLE;
use crate::task::TaskTag;
use crate::template::{PromptMode, PromptPhase, Template};

/// Marks that are one word each, so that they can become one piece. Merges never cross their borders.
const MARKS: [&str; 17] = [
    "[INST]",
    "[/INST]",
    "[refer]",
    "[vqa]",
    "[identify]",
    "[grounding]",
    "[detection]",
    "<Img>",
    "</Img>",
    "<delim>",
    "</p>",
    "<p>",
    "{<",
    "><",
    ">}",
    "$$",
    "...",
];

/// Prompts must come out in few tokens: they count this much more than the general words.
const PROMPT_WEIGHT: u64 = 40;
/// Marks and answers, which the prompts alone hold too rarely.
const MARK_WEIGHT: u64 = 4000;

/// Single characters of the vocabulary: `▁` and printable ASCII. Everything else is written as bytes.
pub(super) fn alphabet() -> Vec<char> {
    std::iter::once('▁').chain('!'..='~').collect()
}

/// Words with their counts.
pub(super) fn words() -> BTreeMap<String, u64> {
    let mut words = BTreeMap::new();
    for text in prompts() {
        add_text(&mut words, &text, PROMPT_WEIGHT);
    }
    for text in ["yes", "no", "</Img> {<1><2><3><4>}", "<p> </p><delim>{<", "x$$", "..."] {
        add_text(&mut words, text, MARK_WEIGHT);
    }
    for mark in MARKS.iter().filter(|mark| mark.starts_with('[')) {
        add_text(&mut words, mark, MARK_WEIGHT);
    }
    let general = include_str!("../../assets/nano-words.txt");
    for line in general.lines().filter(|line| !line.starts_with('#')) {
        for word in line.split_whitespace() {
            add_text(&mut words, word, 1);
        }
    }
    words
}

/// Every instruction of both pools for every target, in every mode and phase, without control symbols.
fn prompts() -> Vec<String> {
    let mut questions = vec![classification_evaluation_prompt().to_owned()];
    questions.extend(TaskTag::ALL.iter().map(|tag| tag.shortcut().to_owned()));
    for pool in [InstructionPool::Paper, InstructionPool::Code] {
        questions.extend(pool.classification_instructions());
        for target in DetectionTarget::ALL {
            questions.extend(pool.detection_instructions(target.as_str()));
            questions.push(detection_evaluation_prompt(target.as_str()));
            questions.push(format!("[grounding] <p>{}</p> {}", target.as_str(), GridBox::default()));
            questions.push(format!("[identify] what is this {}", GridBox::default()));
            questions.push(format!("[detection] {}", target.as_str()));
        }
    }
    let mut texts = Vec::new();
    for mode in [PromptMode::Reference, PromptMode::Consistent] {
        for phase in [PromptPhase::Training, PromptPhase::Inference] {
            let template = Template::new(mode, phase);
            for prompt in questions.iter().filter_map(|question| template.single(1, question).ok()) {
                texts.extend(prompt.text().split(IMAGE_HOLE).map(|piece| piece.replace("<s>", "")));
            }
        }
    }
    texts
}

/// Counts the words of one text: a mark, a run of letters, or one other character, each with the one `▁` before it;
/// but a digit always alone, so that no merge ever holds one. Longer runs of spaces are left out here.
fn add_text(words: &mut BTreeMap<String, u64>, text: &str, weight: u64) {
    let normalized = format!("▁{}", text.replace(' ', "▁"));
    let mut rest = normalized.as_str();
    while !rest.is_empty() {
        let body = rest.trim_start_matches('▁');
        let lead = (rest.len() - body.len()).min('▁'.len_utf8());
        let start = rest.len() - body.len() - lead;
        let end = start + lead + body_len(body);
        let word = match &rest[start..end] {
            word if word.ends_with(|c: char| c.is_ascii_digit()) => &word[lead..],
            word => word,
        };
        if !body.is_empty() {
            *words.entry(word.to_owned()).or_default() += weight;
        }
        rest = &rest[end..];
    }
}

fn body_len(body: &str) -> usize {
    if let Some(mark) = MARKS.iter().find(|mark| body.starts_with(**mark)) {
        return mark.len();
    }
    let letters = body.bytes().take_while(u8::is_ascii_alphabetic).count();
    if letters > 0 { letters } else { body.chars().next().map_or(0, char::len_utf8) }
}
