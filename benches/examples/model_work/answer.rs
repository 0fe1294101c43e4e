//! From an image file to a box.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Result, bail};
use serde_json::{Value, json};
use vlm_infer::{ImageSource, PromptSettings, Question, Responder};
use vlm_model::{DeviceChoice, Precision, discover};
use vlm_prompt::{PromptPart, Tokenizer, Turn};

use crate::Work;

/// Answers a box question about the image at the path that each line names.
pub(crate) fn answer(folder: &Path, question: &str) -> Result<Work> {
    let device = DeviceChoice::Cpu.open()?;
    let responder = Responder::open(folder, &device, Precision::F32, &mut |_, _| {})?;
    let question = question.to_owned();
    Ok(Box::new(move |path| {
        let start = Instant::now();
        let asked = Question::grounded_box(ImageSource::File(PathBuf::from(path)), question.clone());
        let response = responder.respond(&asked, &mut |_| ControlFlow::Continue(()))?;
        let time = start.elapsed();
        Ok((time, response.tokens.iter().map(|token| f64::from(*token)).collect()))
    }))
}

/// The ids before and after the image of a question: the peer has no tokenizer of its own.
pub(crate) fn prompt(folder: &Path, question: &str) -> Result<Value> {
    let (_, _, prompt) = discover(folder)?;
    let template = PromptSettings::from_json(&prompt)?.template();
    let parts = template.render(&[Turn::question(1, question)])?.encode_with_bos(&Tokenizer::nano())?;
    match &parts[..] {
        [PromptPart::Tokens(before), PromptPart::Image(_), PromptPart::Tokens(after)] => {
            Ok(json!([before, after]))
        }
        _ => bail!("expected text, an image and text: {parts:?}"),
    }
}
