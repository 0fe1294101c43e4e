//! Finding golden groups by what is in their folders.

use std::path::{Path, PathBuf};

use crate::VerifyError;

/// Folders below the given one that are searched.
const MAX_DEPTH: usize = 3;

/// What a golden group checks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum GroupKind {
    /// A language model alone: `config.json`, `model.safetensors`, `cases.safetensors`.
    Llama,
    /// An image encoder alone: `cases.safetensors` beside `hf/` or `eva/`.
    Vision,
    /// The composed model: `inputs.json`, `visual_encoder.safetensors`, `llama/`.
    MiniGpt,
    /// A PEFT adapter: `adapter/adapter_config.json`, `cases.safetensors`.
    Peft,
    /// Optimizer steps: `train.json` and weights after some steps.
    Training,
    /// Image preparation, which belongs to other crates.
    Image,
    /// Scores, which belong to other crates.
    Metrics,
}

/// A golden group's folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// What is in it.
    pub kind: GroupKind,
    /// The folder.
    pub folder: PathBuf,
    /// The folder relative to the one searched, with `/`; the folder's own name for itself.
    pub name: String,
}

/// Finds the golden groups at and below a folder, sorted by name.
///
/// # Errors
/// [`VerifyError::Io`] if a folder cannot be listed, [`VerifyError::NoGroup`] if nothing is found.
pub fn find_groups(folder: &Path) -> Result<Vec<Group>, VerifyError> {
    let mut groups = Vec::new();
    search(folder, folder, 0, &mut groups)?;
    if groups.is_empty() {
        return Err(VerifyError::NoGroup { folder: folder.to_path_buf() });
    }
    Ok(groups)
}

fn search(root: &Path, folder: &Path, depth: usize, groups: &mut Vec<Group>) -> Result<(), VerifyError> {
    if let Some(kind) = kind_of(folder) {
        groups.push(Group { kind, folder: folder.to_path_buf(), name: group_name(root, folder) });
        return Ok(());
    }
    if depth == MAX_DEPTH {
        return Ok(());
    }
    let mut below = Vec::new();
    for entry in fs_err::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            below.push(path);
        }
    }
    below.sort();
    below.iter().try_for_each(|path| search(root, path, depth + 1, groups))
}

fn group_name(root: &Path, folder: &Path) -> String {
    let relative = folder.strip_prefix(root).unwrap_or(folder);
    let parts: Vec<_> = relative.iter().map(|part| part.to_string_lossy()).collect();
    if parts.is_empty() {
        return folder.file_name().map_or_else(|| ".".to_owned(), |name| name.to_string_lossy().into_owned());
    }
    parts.join("/")
}

/// What is in a folder, none for a folder of something else.
fn kind_of(folder: &Path) -> Option<GroupKind> {
    let has = |name: &str| folder.join(name).is_file();
    if has("inputs.json") && has("visual_encoder.safetensors") {
        Some(GroupKind::MiniGpt)
    } else if has("train.json") {
        Some(GroupKind::Training)
    } else if has("adapter/adapter_config.json") && has("cases.safetensors") {
        Some(GroupKind::Peft)
    } else if has("cases.safetensors")
        && (has("eva/visual_encoder.safetensors") || has("hf/model.safetensors"))
    {
        Some(GroupKind::Vision)
    } else if has("cases.safetensors") && has("model.safetensors") && has("config.json") {
        Some(GroupKind::Llama)
    } else if has("image.json") {
        Some(GroupKind::Image)
    } else if has("boxes.json") || has("classification.json") {
        Some(GroupKind::Metrics)
    } else {
        None
    }
}
