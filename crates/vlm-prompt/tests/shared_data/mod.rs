//! The published tokenizer, where it is present: its license keeps it out of the repository.

use std::path::PathBuf;

use vlm_prompt::Tokenizer;

/// Path of a file in the shared folder, or a note that the test is skipped.
pub(crate) fn shared_file(name: &str) -> Option<PathBuf> {
    let folder = std::env::var_os("MINIGPT_PANCREAS_SHARED")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared"), PathBuf::from);
    let path = folder.join("data").join(name);
    if path.is_file() {
        return Some(path);
    }
    eprintln!("skipped: `{}` is not there", path.display());
    None
}

/// LLaMA 2's tokenizer.
pub(crate) fn llama() -> Option<Tokenizer> {
    shared_file("llama2-tokenizer/tokenizer.json").map(|path| Tokenizer::from_file(path).unwrap())
}
