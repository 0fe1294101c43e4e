//! One module for each kind of golden group.

pub(crate) mod decode;
pub(crate) mod llama;
pub(crate) mod minigpt;
pub(crate) mod peft;
pub(crate) mod training;
pub(crate) mod vision;
