//! The pools of instructions, how one is drawn, and the fixed evaluation prompts.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use serde::{Deserialize, Serialize};

use crate::caption::clean_caption;

/// Which list of instructions training draws from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum InstructionPool {
    /// The lists printed in the paper: eight detection instructions, and the bare classification question.
    Paper,
    /// The lists of the published program: seven detection instructions, and two wrappers around the question.
    #[default]
    Code,
}

/// What a detection instruction asks for. Any other text is as good: the functions here take `&str`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DetectionTarget {
    /// The pancreas.
    Pancreas,
    /// A tumor of the pancreas.
    PancreaticTumor,
    /// The liver.
    Liver,
    /// Both kidneys, or the one in the slice.
    Kidney,
    /// The right kidney, as the paper's tables name it.
    RightKidney,
    /// The spleen.
    Spleen,
}

impl DetectionTarget {
    /// Every target.
    pub const ALL: [Self; 6] =
        [Self::Pancreas, Self::PancreaticTumor, Self::Liver, Self::Kidney, Self::RightKidney, Self::Spleen];

    /// The target as it stands in a prompt.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pancreas => "pancreas",
            Self::PancreaticTumor => "pancreatic tumor",
            Self::Liver => "liver",
            Self::Kidney => "kidney",
            Self::RightKidney => "right kidney",
            Self::Spleen => "spleen",
        }
    }
}

const HOLE: &str = "{}";

const PAPER_DETECTION: [&str; 8] = [
    "[refer] Give me the location of the {}",
    "[refer] Give me the position of the {}",
    "[refer] Where is the {}?",
    "[refer] Where is located the {} in this image?",
    "[refer] Which is the position of the {}?",
    "[refer] From this image, tell me the location of the {}",
    "[refer] Could you tell me the location of the {}?",
    "[refer] Where can I locate the {}?",
];

const CODE_DETECTION: [&str; 7] = [
    "[refer] give me the location of the {}",
    "[refer] {}",
    "[refer] give me the position of the {}",
    "[refer] where is the {} ?",
    "[refer] from this image, tell me the location of the {}",
    "[refer] could you tell me the location for the {}?",
    "[refer] where can I locate the {}?",
];

const CLASSIFICATION: [&str; 8] = [
    "Does the pancreas in the image present a tumor?",
    "Is there a tumor in the pancreas shown in the image?",
    "Can you see a tumor in the pancreas in this picture?",
    "Does the image show a tumor in the pancreas?",
    "Is a pancreatic tumor visible in the image?",
    "Is the pancreas in this image showing signs of a tumor?",
    "Is the pancreas in the image affected by a tumor?",
    "Does the pancreas in the picture have a tumor?",
];

const PAPER_WRAPPER: [&str; 1] = ["[vqa] {}"];

const CODE_WRAPPERS: [&str; 2] = [
    "[vqa] Based on the image, respond to this question with yes or no: {}",
    "[vqa] Based on the image, answer to the following question with yes or no: {}",
];

const CLASSIFICATION_EVALUATION: &str = "[vqa] Based on the image, respond to this question with a short answer: \
                                         does the pancreas contain a tumor?";

/// Where a random choice of an instruction comes from: the same three numbers always choose the same text, on
/// every machine and in whatever order samples are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct InstructionSeed {
    /// Seed of the run.
    pub seed: u64,
    /// Epoch, from 0.
    pub epoch: u64,
    /// Place of the sample in the data set (not in the shuffled order).
    pub index: u64,
}

impl InstructionSeed {
    fn rng(self, purpose: u64) -> ChaCha8Rng {
        let mut key = [0; 32];
        for (bytes, value) in key.chunks_exact_mut(8).zip([self.seed, self.epoch, self.index, purpose]) {
            bytes.copy_from_slice(&value.to_le_bytes());
        }
        ChaCha8Rng::from_seed(key)
    }
}

/// Purposes keep the draws of the two tasks apart.
const DETECTION_PURPOSE: u64 = 1;
const CLASSIFICATION_PURPOSE: u64 = 2;

/// One of `pool`, every entry as likely; `pool` holds at most a few entries, never none.
fn choose<'a>(rng: &mut ChaCha8Rng, pool: &[&'a str]) -> &'a str {
    // The high half of a 64 x 64 bit product; with pools this small its bias is below 1e-18.
    let high = (u128::from(rng.next_u64()) * pool.len() as u128) >> 64;
    usize::try_from(high).ok().and_then(|place| pool.get(place)).copied().unwrap_or_default()
}

fn fill(pattern: &str, text: &str) -> String {
    pattern.replacen(HOLE, text, 1)
}

impl InstructionPool {
    /// Detection instructions for one target, tag included, in the published order.
    ///
    /// # Source
    /// SPEC 2.1.
    pub fn detection_instructions(self, target: &str) -> Vec<String> {
        let target = clean_caption(target);
        self.detection_patterns().iter().map(|pattern| fill(pattern, &target)).collect()
    }

    fn detection_patterns(self) -> &'static [&'static str] {
        match self {
            Self::Paper => &PAPER_DETECTION,
            Self::Code => &CODE_DETECTION,
        }
    }

    fn wrappers(self) -> &'static [&'static str] {
        match self {
            Self::Paper => &PAPER_WRAPPER,
            Self::Code => &CODE_WRAPPERS,
        }
    }

    /// One detection instruction.
    ///
    /// # Source
    /// SPEC 2.1: every entry is as likely, and the target passes through [`clean_caption`].
    pub fn draw_detection(self, target: &str, seed: InstructionSeed) -> String {
        let mut rng = seed.rng(DETECTION_PURPOSE);
        fill(choose(&mut rng, self.detection_patterns()), &clean_caption(target))
    }

    /// Every classification prompt of the pool: all questions in the first wrapper, then in the next.
    ///
    /// # Source
    /// SPEC 2.2.
    pub fn classification_instructions(self) -> Vec<String> {
        let wrappers = self.wrappers().iter();
        wrappers.flat_map(|wrapper| CLASSIFICATION.iter().map(|question| fill(wrapper, question))).collect()
    }

    /// One classification prompt: the question is drawn first, then the wrapper.
    ///
    /// # Source
    /// SPEC 2.2.
    pub fn draw_classification(self, seed: InstructionSeed) -> String {
        let mut rng = seed.rng(CLASSIFICATION_PURPOSE);
        let question = choose(&mut rng, &CLASSIFICATION);
        let wrapper = choose(&mut rng, self.wrappers());
        fill(wrapper, question)
    }
}

/// The eight classification questions without tag and wrapper.
pub fn classification_questions() -> &'static [&'static str] {
    &CLASSIFICATION
}

/// The fixed prompt that detection is evaluated with.
///
/// # Source
/// SPEC 2.3.
pub fn detection_evaluation_prompt(target: &str) -> String {
    fill(CODE_DETECTION[0], target)
}

/// The fixed prompt that classification is evaluated with. Neither its wrapper nor its question occurs in training.
///
/// # Source
/// SPEC 2.3.
pub fn classification_evaluation_prompt() -> &'static str {
    CLASSIFICATION_EVALUATION
}

/// The answer of a classification sample.
pub fn classification_answer(has_tumor: bool) -> &'static str {
    if has_tumor { "yes" } else { "no" }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    const SEED: InstructionSeed = InstructionSeed { seed: 42, epoch: 0, index: 0 };

    #[test]
    fn pools_have_the_published_sizes_and_tags() {
        for (pool, n_detection, n_classification) in
            [(InstructionPool::Paper, 8, 8), (InstructionPool::Code, 7, 16)]
        {
            let detection = pool.detection_instructions("pancreas");
            assert_eq!(detection.len(), n_detection);
            assert!(detection.iter().all(|text| text.starts_with("[refer] ") && text.contains("pancreas")));
            let classification = pool.classification_instructions();
            assert_eq!(classification.len(), n_classification);
            assert!(classification.iter().all(|text| text.starts_with("[vqa] ") && text.ends_with('?')));
        }
    }

    #[test]
    fn published_texts() {
        let rows = [
            (InstructionPool::Paper, 3, "[refer] Where is located the pancreas in this image?"),
            (InstructionPool::Code, 1, "[refer] pancreas"),
            (InstructionPool::Code, 3, "[refer] where is the pancreas ?"),
            (InstructionPool::Code, 5, "[refer] could you tell me the location for the pancreas?"),
        ];
        for (pool, place, expected) in rows {
            assert_eq!(pool.detection_instructions("Pancreas!")[place], expected);
        }
        assert_eq!(
            detection_evaluation_prompt("pancreatic tumor"),
            "[refer] give me the location of the pancreatic tumor"
        );
        assert_eq!(
            InstructionPool::Code.classification_instructions()[8],
            "[vqa] Based on the image, answer to the following question with yes or no: Does the pancreas in the \
             image present a tumor?"
        );
    }

    #[test]
    fn a_draw_depends_on_all_three_numbers_and_on_nothing_else() {
        let draw = |seed| {
            (
                InstructionPool::Code.draw_detection("liver", seed),
                InstructionPool::Code.draw_classification(seed),
            )
        };
        assert_eq!(draw(SEED), draw(SEED));
        for vary in [
            (|i| InstructionSeed { seed: i, ..SEED }) as fn(u64) -> InstructionSeed,
            |i| InstructionSeed { epoch: i, ..SEED },
            |i| InstructionSeed { index: i, ..SEED },
        ] {
            let drawn: HashSet<_> = (0..400).map(|i| draw(vary(i))).collect();
            assert!(drawn.len() > 80, "only {} of 112 pairs in 400 draws", drawn.len());
        }
    }

    #[test]
    fn draws_are_close_to_uniform() {
        let mut counts = std::collections::HashMap::new();
        for index in 0..16_000 {
            *counts
                .entry(InstructionPool::Code.draw_classification(InstructionSeed { index, ..SEED }))
                .or_insert(0) += 1;
        }
        assert_eq!(counts.len(), 16);
        // 1000 expected each, standard deviation 31: five of them.
        assert!(counts.values().all(|count| (845..=1155).contains(count)), "{counts:?}");
    }

    #[test]
    fn the_first_draws_of_seed_42_never_change() {
        let detection: Vec<_> = (0..6)
            .map(|index| {
                let text = InstructionPool::Code.draw_detection("x", InstructionSeed { index, ..SEED });
                InstructionPool::Code.detection_instructions("x").iter().position(|entry| *entry == text)
            })
            .collect();
        assert_eq!(detection, FIRST_DRAWS.map(Some));
    }

    /// Recorded once; a change means that earlier runs cannot be repeated.
    const FIRST_DRAWS: [usize; 6] = [1, 3, 0, 6, 1, 0];
}
