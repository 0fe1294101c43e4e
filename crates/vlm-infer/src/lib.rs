//! A question about images in, a parsed answer out: pixels, prompt, model and decoding together.
//!
//! Start at [`Responder`]: it holds a model with its tokenizer and answers one [`Question`] at a
//! time, freely or held to a grammar, with probabilities. It reads PNG files, keeps no
//! conversation (whoever asks sends the earlier turns along) and judges nothing: every
//! [`Response`] says that it is for research and not for diagnosis.
//!
//! ```no_run
//! use std::ops::ControlFlow;
//! use std::path::Path;
//!
//! use vlm_infer::{ImageSource, Question, Responder};
//! use vlm_model::{DeviceChoice, Precision};
//!
//! let device = DeviceChoice::Auto.open()?;
//! let responder = Responder::open(Path::new("stage3"), &device, Precision::F32, &mut |_, _| {})?;
//! let image = ImageSource::File("slice.png".into());
//! let question = Question::grounded_box(image, "[refer] give me the location of the pancreas");
//! let response = responder.respond(&question, &mut |_| ControlFlow::Continue(()))?;
//! println!("{} {:?}", response.text, response.box_px);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

#![forbid(unsafe_code)]

mod batch;
mod error;
mod features;
mod image;
mod question;
mod responder;
mod response;
mod settings;
mod text_stream;

pub use batch::FeatureQuestion;
pub use error::InferError;
pub use image::{ImageSource, ModelImage, image_pixels};
pub use question::{AnswerMode, EarlierTurn, Question};
pub use responder::{Responder, open_tokenizer};
pub use response::{RESEARCH_NOTE, Response, TextEvent, Timings};
pub use settings::PromptSettings;
