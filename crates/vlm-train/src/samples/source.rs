//! Where samples come from.

use sha2::{Digest, Sha256};
use vlm_prompt::InstructionSeed;

use super::TrainingItem;
use crate::error::CallerError;

/// A list of samples, each made when its turn comes.
///
/// A sample may depend on the draw (which of several instructions, which augmentation) but on
/// nothing else, so that a run can be resumed and repeated.
pub trait SampleSource: Send + Sync {
    /// What logs call it; no other source of the run has this name.
    fn name(&self) -> &str;

    /// Number of samples of one pass.
    fn len(&self) -> usize;

    /// Whether there is none.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The sample at `index`. `draw` is what its random choices are keyed by: the run's seed, the
    /// pass over this source, and `index` again.
    ///
    /// # Errors
    /// Whatever keeps the sample from being made; training ends.
    fn item(&self, index: usize, draw: InstructionSeed) -> Result<TrainingItem, CallerError>;

    /// A hash of everything that samples are made of: a run is not resumed on other data.
    fn fingerprint(&self) -> [u8; 32];
}

/// Samples that are there already.
#[derive(Debug, Clone)]
pub struct FixedSource {
    name: String,
    items: Vec<TrainingItem>,
    fingerprint: [u8; 32],
}

impl FixedSource {
    /// A source of these samples; random choices do not change them.
    ///
    /// # Panics
    /// Never: numbers and texts can be written as JSON.
    #[must_use]
    pub fn new(name: impl Into<String>, items: Vec<TrainingItem>) -> Self {
        let mut hash = Sha256::new();
        for item in &items {
            hash.update(serde_json::to_vec(item).expect("numbers and texts"));
            hash.update(b"\n");
        }
        Self { name: name.into(), items, fingerprint: hash.finalize().into() }
    }
}

impl SampleSource for FixedSource {
    fn name(&self) -> &str {
        &self.name
    }

    fn len(&self) -> usize {
        self.items.len()
    }

    fn item(&self, index: usize, _draw: InstructionSeed) -> Result<TrainingItem, CallerError> {
        let missing = || format!("there are {} samples", self.items.len()).into();
        self.items.get(index).cloned().ok_or_else(missing)
    }

    fn fingerprint(&self) -> [u8; 32] {
        self.fingerprint
    }
}
