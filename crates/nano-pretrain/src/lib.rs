//! Makes the small base model that the quickstart fine-tunes, from phantoms alone.
//!
//! The paper starts from MiniGPT-v2, which has seen millions of images. The quickstart cannot; it
//! starts from a base that this crate trains in two phases, on patients that no cascade sees:
//!
//! 1. [`train_tower`]: the vision tower learns to see. Linear heads on its tokens name the tissue
//!    at every point, draw organ masks and place boxes; they are thrown away afterwards.
//! 2. [`train_language`]: the language model and the projector learn the prompts and to write boxes
//!    and yes or no. The cascade's own question, whether a pancreas has a tumor, is left to it.
//!
//! [`pretrain`] does both and writes a checkpoint folder.

mod augment;
mod dense;
mod error;
mod language;
mod phantoms;
mod questions;
mod recipe;
mod targets;
mod tower;

pub use error::PretrainError;
pub use language::train_language;
pub use phantoms::{PhantomSlices, make_phantoms};
pub use questions::{Question, Questions};
pub use recipe::{LanguageRecipe, PhantomRecipe, PretrainEvent, PretrainRecipe, TowerRecipe, pretrain};
pub use targets::{LabelBoxes, Structure};
pub use tower::{TowerScores, train_tower};
