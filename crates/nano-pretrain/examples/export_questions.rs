//! Writes the questions of phase 2 about slices that `export_slices` wrote, in tokens, one JSON
//! object a line: `export_questions FOLDER STEPS > questions.jsonl`.

use std::io::{BufWriter, Write};
use std::path::Path;

use nano_pretrain::{PhantomSlices, PretrainRecipe, Questions};
use vlm_model::MiniGptConfig;
use vlm_prompt::PromptPart;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [folder, steps] = args.as_slice() else { return Err("expected FOLDER STEPS".into()) };
    let folder = Path::new(folder).join("train");
    let patients = fs_err::read(folder.join("patients.u32"))?;
    let slices = PhantomSlices {
        size: MiniGptConfig::nano().vision.image_size,
        images: Vec::new(),
        labels: fs_err::read(folder.join("labels.u8"))?,
        patients: patients.as_chunks::<4>().0.iter().map(|bytes| u32::from_le_bytes(*bytes)).collect(),
        pairs: Vec::new(),
    };
    let recipe = PretrainRecipe::default().language;
    let questions = Questions::new(&slices, &recipe);
    let mut out = BufWriter::new(std::io::stdout().lock());
    for step in 0..steps.parse()? {
        for question in questions.batch(step)? {
            // text before the image, then text after it
            let mut texts = vec![Vec::new()];
            for part in question.condition {
                match part {
                    PromptPart::Tokens(ids) => texts.last_mut().ok_or("never empty")?.extend(ids),
                    PromptPart::Image(_) => texts.push(Vec::new()),
                }
            }
            let line = serde_json::json!([question.slice, texts, question.answer]);
            serde_json::to_writer(&mut out, &line)?;
            out.write_all(b"\n")?;
        }
    }
    out.flush()?;
    Ok(())
}
