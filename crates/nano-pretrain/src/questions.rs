//! What phase 2 asks, and the answers.

use rand_chacha::ChaCha8Rng;
use vlm_prompt::{InstructionPool, PixelBox, PromptPart, PromptPhase, Template, Tokenizer, TrainingTarget};

use crate::augment::{below, sample_rng, uniform};
use crate::recipe::prompt_settings;
use crate::{LanguageRecipe, PhantomSlices, PretrainError, Structure, targets::LabelBoxes};

const YES_NO: [&str; 4] = [
    "[vqa] Based on the image, respond to this question with yes or no: is the {} visible?",
    "[vqa] Based on the image, answer to the following question with yes or no: does the image show the {}?",
    "[vqa] Based on the image, respond to this question with a short answer: is there a {} in the image?",
    "[vqa] Can you see the {} in this picture?",
];

const POOLS: [InstructionPool; 2] = [InstructionPool::Code, InstructionPool::Paper];

/// A question about a slice, in tokens.
#[derive(Debug, Clone, PartialEq)]
pub struct Question {
    /// Which slice.
    pub slice: usize,
    /// The prompt, without the beginning-of-sequence token.
    pub condition: Vec<PromptPart>,
    /// The answer, its end token included.
    pub answer: Vec<u32>,
}

/// A structure shown in a slice.
struct Shown {
    slice: usize,
    place: [usize; 4],
}

/// Draws questions about boxes and about what can be seen, for every structure.
///
/// Structures are drawn first, by their weights, so that rare ones are asked for too. Of the questions
/// with yes or no, half are answered yes; a tumor is asked for where pancreas is shown, half of the
/// time in the words of the cascade's own stage.
pub struct Questions<'a> {
    slices: &'a PhantomSlices,
    recipe: &'a LanguageRecipe,
    /// By structure, in the order of [`Structure::ALL`].
    shown: Vec<Vec<Shown>>,
    /// By structure: slices that do not show it.
    hidden: Vec<Vec<usize>>,
    tokenizer: Tokenizer,
    template: Template,
}

impl std::fmt::Debug for Questions<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Questions").field("n_slices", &self.slices.len()).finish_non_exhaustive()
    }
}

impl<'a> Questions<'a> {
    /// Looks up what every slice shows.
    #[must_use]
    pub fn new(slices: &'a PhantomSlices, recipe: &'a LanguageRecipe) -> Self {
        let mut shown: Vec<Vec<Shown>> = Structure::ALL.iter().map(|_| Vec::new()).collect();
        let mut hidden: Vec<Vec<usize>> = Structure::ALL.iter().map(|_| Vec::new()).collect();
        for slice in 0..slices.len() {
            let found = LabelBoxes::of(slices.label(slice), slices.size);
            let place = |structure: &Structure| structure.place(&found);
            for (index, structure) in Structure::ALL.iter().enumerate() {
                let is_fair =
                    structure.asked_within.is_none_or(|within| place(&Structure::ALL[within]).is_some());
                match place(structure) {
                    Some(place) => shown[index].push(Shown { slice, place }),
                    None if is_fair => hidden[index].push(slice),
                    None => {}
                }
            }
        }
        let template = Template::new(prompt_settings().mode, PromptPhase::Training);
        Self { slices, recipe, shown, hidden, tokenizer: Tokenizer::nano(), template }
    }

    /// The questions of an update.
    ///
    /// # Errors
    /// [`PretrainError::Prompt`], [`PretrainError::Tokenizer`] where words are not in the vocabulary.
    pub fn batch(&self, step: u64) -> Result<Vec<Question>, PretrainError> {
        (0..self.recipe.batch_size as u64)
            .map(|place| {
                let mut rng = sample_rng(self.recipe.seed, step, place);
                let (slice, question, answer) = self.draw(&mut rng)?;
                let condition = self.template.single(1, &question)?.encode(&self.tokenizer)?;
                let answer = TrainingTarget::single(&self.tokenizer, &answer)?.ids;
                Ok(Question { slice, condition, answer })
            })
            .collect()
    }

    fn draw(&self, rng: &mut ChaCha8Rng) -> Result<(usize, String, String), PretrainError> {
        let is_yes_no = uniform(rng, 0.0, 1.0) < self.recipe.yes_no_share;
        let is_shown = !is_yes_no || below(rng, 2) == 0;
        let candidates: Vec<usize> =
            (0..Structure::ALL.len())
                .filter(|index| {
                    if is_shown { !self.shown[*index].is_empty() } else { !self.hidden[*index].is_empty() }
                })
                .collect();
        if candidates.is_empty() {
            return Err(PretrainError::Recipe {
                field: "phantoms",
                value: format!("{} slices", self.slices.len()),
                reason: "expected slices with and without structures",
            });
        }
        let index = weighted(&candidates, rng);
        let structure = &Structure::ALL[index];
        if is_yes_no {
            let slice = if is_shown {
                self.shown[index][below(rng, self.shown[index].len())].slice
            } else {
                self.hidden[index][below(rng, self.hidden[index].len())]
            };
            let question = if index == Structure::TUMOR && below(rng, 2) == 0 {
                let instructions = POOLS[below(rng, 2)].classification_instructions();
                instructions[below(rng, instructions.len())].clone()
            } else {
                YES_NO[below(rng, YES_NO.len())].replacen("{}", structure.name, 1)
            };
            return Ok((slice, question, if is_shown { "yes" } else { "no" }.to_owned()));
        }
        let Shown { slice, place } = &self.shown[index][below(rng, self.shown[index].len())];
        let instructions = POOLS[below(rng, 2)].detection_instructions(structure.name);
        let question = instructions[below(rng, instructions.len())].clone();
        let side = u32::try_from(self.slices.size).unwrap_or(u32::MAX);
        #[expect(clippy::cast_precision_loss, reason = "images are small")]
        let [x_min, y_min, x_max, y_max] = place.map(|edge| edge as f64);
        let pixels = PixelBox { x_min, y_min, x_max, y_max };
        let answer = prompt_settings().box_format.encode_text(pixels, side, side);
        let answer = answer.map_err(|_| PretrainError::Recipe {
            field: "size",
            value: side.to_string(),
            reason: "expected an image with pixels",
        })?;
        Ok((*slice, question, answer))
    }
}

/// One of the structures, drawn by weight; there is at least one.
fn weighted(candidates: &[usize], rng: &mut ChaCha8Rng) -> usize {
    let mut left = below(rng, candidates.iter().map(|index| Structure::ALL[*index].weight).sum());
    for index in candidates {
        let weight = Structure::ALL[*index].weight;
        if left < weight {
            return *index;
        }
        left -= weight;
    }
    candidates[0]
}
