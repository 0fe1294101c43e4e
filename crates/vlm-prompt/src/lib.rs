//! Prompts, instruction pools, box text, answer parsing and grammar, and the tokenizer of a vision-language model.
//!
//! Everything between a sample and token ids, and back from generated ids to a box or a yes: pure text and numbers,
//! no tensors. The crate refuses to guess: a reply that is not what was asked for is [`Answer::Unparsed`], never an
//! error and never a zero box.
//!
//! Start at [`InstructionPool`] for what is asked, [`Template`] for the text around it, [`Tokenizer`] for ids,
//! [`BoxFormat`] and [`parse_answer`] for what comes back.
//!
//! ```
//! use vlm_prompt::{
//!     Answer, AnswerKind, BoxFormat, PromptMode, PromptPart, PromptPhase, Template, Tokenizer, TrainingTarget,
//!     decode_answer, detection_evaluation_prompt, parse_answer,
//! };
//!
//! let tokenizer = Tokenizer::nano();
//! let template = Template::new(PromptMode::Consistent, PromptPhase::Inference);
//! let prompt = template.single(1, &detection_evaluation_prompt("pancreas"))?;
//! let parts = prompt.encode(&tokenizer)?;
//! assert!(matches!(&parts[..], [PromptPart::Tokens(_), PromptPart::Image(0), PromptPart::Tokens(_)]));
//!
//! let text = BoxFormat::Percent100.encode_text([196, 235, 237, 260].into(), 512, 512)?;
//! assert_eq!(text, "{<38><45><46><50>}");
//! let target = TrainingTarget::single(&tokenizer, &text)?;
//! let reply = decode_answer(&tokenizer, &target.ids)?;
//! assert_eq!(
//!     parse_answer(&reply, AnswerKind::Box(BoxFormat::Percent100)),
//!     Answer::Box([38, 45, 46, 50].into())
//! );
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

#![forbid(unsafe_code)]

mod answer_ids;
mod boxes;
mod caption;
mod grammar;
mod instructions;
mod nano;
mod prompt;
mod task;
mod template;
mod tokenizer;

pub use answer_ids::{TrainingTarget, decode_answer};
pub use boxes::{
    Answer, AnswerKind, BoxDecode, BoxError, BoxFormat, GridBox, GroundedPhrase, GroundedText, PixelBox,
    YesNoRule, accept_at_head, four_integers, parse_answer, parse_grounded, parse_yes_no, score_at_head,
    score_in_paper,
};
pub use caption::clean_caption;
pub use grammar::{AnswerGrammar, GrammarOption, GrammarSegment};
pub use instructions::{
    DetectionTarget, InstructionPool, InstructionSeed, classification_answer,
    classification_evaluation_prompt, classification_questions, detection_evaluation_prompt,
};
#[doc(hidden)]
pub use nano::train_nano_tokenizer;
pub use prompt::{IMAGE_HOLE, Prompt, PromptError, PromptPart};
pub use task::TaskTag;
pub use template::{AnswerHistory, END_SYMBOL, PromptMode, PromptPhase, Template, Turn};
pub use tokenizer::{Detokenizer, SpecialTokens, Tokenizer, TokenizerError};
