//! What a run tells while it goes on.

use vlm_train::TrainingEvent;

use crate::{Evaluation, Stage};

/// Something that happened in a run.
#[derive(Debug)]
#[non_exhaustive]
pub enum CascadeEvent<'a> {
    /// A part begins; in words.
    Part(&'a str),
    /// So much of a part is done.
    Progress {
        /// What is counted.
        what: &'a str,
        /// Done.
        done: usize,
        /// In all.
        total: usize,
    },
    /// The training loop of a stage.
    Training {
        /// The stage.
        stage: Stage,
        /// What it tells.
        event: &'a TrainingEvent,
    },
    /// A stage was judged.
    Evaluated(&'a Evaluation),
    /// What a user should know.
    Remark(&'a str),
}

/// Told what happens, by one thread at a time.
pub type Observe<'a> = &'a mut (dyn FnMut(CascadeEvent<'_>) + Send);
