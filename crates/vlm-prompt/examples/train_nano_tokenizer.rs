//! Rebuilds `assets/nano-tokenizer.json` from the prompts and `assets/nano-words.txt`:
//! `cargo run -p vlm-prompt --example train_nano_tokenizer`.

use std::io::Write;
use std::path::Path;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("assets");
    let text = vlm_prompt::train_nano_tokenizer().ok_or("the corpus is too small for the vocabulary")?;
    let mut file = tempfile::NamedTempFile::new_in(&folder)?;
    file.write_all(text.as_bytes())?;
    file.as_file().sync_all()?;
    file.persist(folder.join("nano-tokenizer.json"))?;
    Ok(())
}
