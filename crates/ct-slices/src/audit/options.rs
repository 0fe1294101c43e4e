//! What an audit looks at, and how hard.

use crate::index::{SliceIndex, SplitPart};

/// One index under audit.
#[derive(Clone, Debug)]
pub struct AuditInput {
    /// What the report calls it; made unique if two are the same.
    pub name: String,
    /// The records. Read them with [`read_index_as_is`](crate::index::read_index_as_is), so that
    /// impossible values are reported and not refused.
    pub index: SliceIndex,
    /// The part that records without a split belong to, if they are all of one.
    pub default_part: Option<SplitPart>,
}

impl AuditInput {
    /// An index under the name of its folder (of its file, if that is not `index.jsonl`).
    #[must_use]
    pub fn new(index: SliceIndex) -> Self {
        let path = match index.path.file_name() {
            Some(name) if name == crate::index::INDEX_FILE_NAME => index.path.parent(),
            _ => Some(index.path.as_path()),
        };
        let name = path.and_then(|p| p.file_name()).map_or_else(
            || crate::index::INDEX_FILE_NAME.to_owned(),
            |name| name.to_string_lossy().into_owned(),
        );
        Self { name, index, default_part: None }
    }

    /// Sets the name.
    #[must_use]
    pub fn with_name(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// Puts records without a split in this part.
    #[must_use]
    pub fn with_default_part(mut self, part: SplitPart) -> Self {
        self.default_part = Some(part);
        self
    }
}

/// What to look at. The default looks at everything.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct AuditOptions {
    /// Open the images: sizes, hashes, constant images, mirrored and altered copies, the image
    /// part of the probe. Without, only what the records say is compared. Default true.
    pub verify_images: bool,
    /// Look for mirrored, re-windowed and rescaled copies between the parts. Default true.
    pub find_altered_copies: bool,
    /// Try to predict the answer from size and gray levels. Default true.
    pub probe: bool,
    /// Area under the ROC curve above which the probe is a finding. Default 0.65.
    pub probe_threshold: f64,
    /// Parts that the patients are cut into for cross-validation. Default 5.
    pub probe_folds: usize,
    /// Trees of the probe's forest, rounded up to a multiple of ten. Default 200.
    pub probe_trees: usize,
    /// Most slices that the probe takes; patients with most slices give theirs up first. Default 20,000.
    pub probe_max_slices: usize,
    /// Seed of folds, forest and bootstrap. Default 42.
    pub seed: u64,
    /// Most examples with a finding. Default 5.
    pub max_examples: usize,
    /// Show patients, volumes and images as the start of a hash. Default false.
    pub redact: bool,
}

impl Default for AuditOptions {
    fn default() -> Self {
        Self {
            verify_images: true,
            find_altered_copies: true,
            probe: true,
            probe_threshold: 0.65,
            probe_folds: 5,
            probe_trees: 200,
            probe_max_slices: 20_000,
            seed: 42,
            max_examples: 5,
            redact: false,
        }
    }
}

impl AuditOptions {
    /// Sets whether images are opened.
    #[must_use]
    pub fn with_verify_images(mut self, verify_images: bool) -> Self {
        self.verify_images = verify_images;
        self
    }

    /// Sets whether altered copies are looked for.
    #[must_use]
    pub fn with_find_altered_copies(mut self, find_altered_copies: bool) -> Self {
        self.find_altered_copies = find_altered_copies;
        self
    }

    /// Sets whether the probe runs.
    #[must_use]
    pub fn with_probe(mut self, probe: bool) -> Self {
        self.probe = probe;
        self
    }

    /// Sets the probe's threshold.
    #[must_use]
    pub fn with_probe_threshold(mut self, probe_threshold: f64) -> Self {
        self.probe_threshold = probe_threshold;
        self
    }

    /// Sets the number of folds.
    #[must_use]
    pub fn with_probe_folds(mut self, probe_folds: usize) -> Self {
        self.probe_folds = probe_folds;
        self
    }

    /// Sets the number of trees.
    #[must_use]
    pub fn with_probe_trees(mut self, probe_trees: usize) -> Self {
        self.probe_trees = probe_trees;
        self
    }

    /// Sets how many slices the probe takes at most.
    #[must_use]
    pub fn with_probe_max_slices(mut self, probe_max_slices: usize) -> Self {
        self.probe_max_slices = probe_max_slices;
        self
    }

    /// Sets the seed.
    #[must_use]
    pub fn with_seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// Sets how many examples a finding shows.
    #[must_use]
    pub fn with_max_examples(mut self, max_examples: usize) -> Self {
        self.max_examples = max_examples;
        self
    }

    /// Sets whether names are shown as hashes.
    #[must_use]
    pub fn with_redact(mut self, redact: bool) -> Self {
        self.redact = redact;
        self
    }
}
