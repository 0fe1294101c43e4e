//! A model that answers.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::Instant;

use burn::module::Module;
use burn::tensor::{Device, Tensor};
use sha2::{Digest, Sha256};
use vlm_model::{
    AttentionMask, DecodingGrammar, Generated, GenerationOptions, GrammarSegment, GroundedAnswer,
    GroundedOptions, LoadReport, MiniGpt, Padding, Precision, SequencePart, decode_grounded, discover,
    generate, load_checkpoint,
};
use vlm_prompt::{
    Answer, AnswerGrammar, AnswerKind, BoxDecode, BoxFormat, GridBox, PixelBox, PromptPart, TaskTag,
    Tokenizer, TokenizerError, Turn, YesNoRule, parse_answer,
};

use crate::features::{FeatureCache, ImageKey, ImageTokens};
use crate::image::pixels_of;
use crate::text_stream::{OnText, TextStream};
use crate::{
    AnswerMode, ImageSource, InferError, PromptSettings, Question, RESEARCH_NOTE, Response, Timings,
};

/// A tokenizer's file in a model folder.
const TOKENIZER_FILE: &str = "tokenizer.json";

/// A model, its tokenizer and how it is asked. Questions may come from several threads.
#[derive(Debug)]
pub struct Responder {
    model: MiniGpt,
    tokenizer: Tokenizer,
    settings: PromptSettings,
    grounded: GroundedOptions,
    report: Option<LoadReport>,
    features: FeatureCache,
    box_grammar: OnceLock<DecodingGrammar>,
    yes_no_grammar: OnceLock<DecodingGrammar>,
}

impl Responder {
    /// Opens a checkpoint folder of this project or a folder of the published files.
    ///
    /// The tokenizer is `tokenizer.json` of the folder or of its language model; a model with the
    /// small built-in vocabulary needs none. `progress` is told the bytes read and all bytes.
    ///
    /// # Errors
    /// [`InferError::Weights`], [`InferError::Settings`], [`InferError::NoTokenizer`],
    /// [`InferError::Tokenizer`] or [`InferError::Vocabulary`].
    pub fn open(
        folder: &Path,
        device: &Device,
        precision: Precision,
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<Self, InferError> {
        // What is cheap comes first: weights may take minutes.
        let (_, _, prompt) = discover(folder)?;
        let settings = PromptSettings::from_json(&prompt)
            .map_err(|source| InferError::Settings { path: folder.to_owned(), source })?;
        let tokenizer = open_tokenizer(folder)?;
        let (model, report, _) = load_checkpoint(folder, precision, device, progress)?;
        Ok(Self { report: Some(report), ..Self::new(model, tokenizer, settings)? })
    }

    /// A responder of parts that are there already.
    ///
    /// # Errors
    /// [`InferError::Vocabulary`] if the tokenizer has more tokens than the model.
    pub fn new(model: MiniGpt, tokenizer: Tokenizer, settings: PromptSettings) -> Result<Self, InferError> {
        let vocab = model.config().llama.vocab_size;
        if tokenizer.vocab_size() > vocab {
            return Err(InferError::Vocabulary { tokenizer: tokenizer.vocab_size(), model: vocab });
        }
        Ok(Self {
            model: model.valid(),
            tokenizer,
            settings,
            grounded: GroundedOptions::default(),
            report: None,
            features: FeatureCache::default(),
            box_grammar: OnceLock::new(),
            yes_no_grammar: OnceLock::new(),
        })
    }

    pub(crate) fn grounded_options(&self) -> &GroundedOptions {
        &self.grounded
    }

    /// This responder with other settings for grounded answers.
    #[must_use]
    pub fn with_grounded_options(mut self, options: GroundedOptions) -> Self {
        self.grounded = options;
        self
    }

    /// The model.
    #[must_use]
    pub fn model(&self) -> &MiniGpt {
        &self.model
    }

    /// The tokenizer.
    #[must_use]
    pub fn tokenizer(&self) -> &Tokenizer {
        &self.tokenizer
    }

    /// How the model is asked.
    #[must_use]
    pub fn settings(&self) -> &PromptSettings {
        &self.settings
    }

    /// What was read, where the model was opened from a folder.
    #[must_use]
    pub fn load_report(&self) -> Option<&LoadReport> {
        self.report.as_ref()
    }

    /// Answers a question. Text is handed to `on_text` at every token, empty where a token brings
    /// none; `Break` ends a free answer.
    ///
    /// # Errors
    /// - [`InferError::ReadImage`], [`InferError::LargeImage`] or [`InferError::Image`], naming the
    ///   image
    /// - [`InferError::Prompt`] for a question that holds the image marker
    /// - [`InferError::Tokenizer`] if the vocabulary cannot write a grounded answer
    /// - [`InferError::Model`] if prompt and answer do not fit the model's positions, or the
    ///   options are impossible
    pub fn respond(&self, question: &Question, on_text: &mut OnText<'_>) -> Result<Response, InferError> {
        let start = Instant::now();
        let mut timings = Timings::default();
        let parts = self.prompt(question)?;
        let images = self.images(question, &mut timings)?;
        let tokens: Vec<Tensor<3>> = images.iter().map(|image| image.tokens.clone()).collect();
        let tokens = (!tokens.is_empty()).then(|| Tensor::cat(tokens, 0));
        let (embeddings, mask) = self.model.assemble(&[parts], tokens.as_ref(), Padding::Left)?;
        let language = Instant::now();
        let mut response = match &question.mode {
            AnswerMode::Free(options) => self.free(embeddings, &mask, question, options, on_text)?,
            AnswerMode::GroundedBox | AnswerMode::GroundedYesNo => {
                self.grounded(embeddings, &mask, question, on_text)?
            }
        };
        timings.language_s = language.elapsed().as_secs_f64();
        response.n_prompt_tokens = mask.n_positions();
        if let Some(image) = question.boxed_image().and_then(|place| images.get(place)) {
            self.place_box(&mut response, image.size_px)?;
        }
        timings.total_s = start.elapsed().as_secs_f64();
        response.timings = timings;
        Ok(response)
    }

    fn prompt(&self, question: &Question) -> Result<Vec<SequencePart>, InferError> {
        let earlier = question
            .history
            .iter()
            .map(|turn| Turn::answered(turn.images.len(), &turn.question, &turn.answer));
        let turns: Vec<Turn> =
            earlier.chain([Turn::question(question.images.len(), &question.text)]).collect();
        self.encode(&turns)
    }

    /// The prompt of some turns as the model reads it.
    pub(crate) fn encode(&self, turns: &[Turn]) -> Result<Vec<SequencePart>, InferError> {
        let parts = self.settings.template().render(turns)?.encode_with_bos(&self.tokenizer)?;
        let part = |part| match part {
            PromptPart::Tokens(ids) => SequencePart::Tokens(ids),
            PromptPart::Image(place) => SequencePart::Image(place),
        };
        Ok(parts.into_iter().map(part).collect())
    }

    /// The image tokens of all images, computed for those only that were not seen lately.
    fn images(&self, question: &Question, timings: &mut Timings) -> Result<Vec<ImageTokens>, InferError> {
        question.all_images().map(|source| self.image(source, timings)).collect()
    }

    fn image(&self, source: &ImageSource, timings: &mut Timings) -> Result<ImageTokens, InferError> {
        let start = Instant::now();
        let bytes = source.read()?;
        let key: ImageKey = Sha256::digest(&bytes).into();
        if let Some(known) = self.features.get(&key) {
            timings.images_s += start.elapsed().as_secs_f64();
            return Ok(known);
        }
        let image = pixels_of(&bytes, &source.name(), self.model.config().vision.image_size)?;
        timings.images_s += start.elapsed().as_secs_f64();

        let start = Instant::now();
        let device = self.model.device();
        let pixels = Tensor::<3>::from_data(image.pixels, &device).unsqueeze_dim(0); // [1, 3, s, s]
        let tokens = self.model.project(self.model.vision_features(pixels)?);
        let tokens = ImageTokens { tokens, size_px: [image.width_px, image.height_px] };
        self.features.put(key, tokens.clone());
        // So that the time is the vision tower's. A failure shows when values are read.
        let _ = device.sync();
        timings.vision_s += start.elapsed().as_secs_f64();
        Ok(tokens)
    }

    fn free(
        &self,
        embeddings: Tensor<3>,
        mask: &AttentionMask,
        question: &Question,
        options: &GenerationOptions,
        on_text: &mut OnText<'_>,
    ) -> Result<Response, InferError> {
        let mut options = options.clone();
        if !options.stop_tokens.contains(&self.tokenizer.eos_id()) {
            options.stop_tokens.push(self.tokenizer.eos_id());
        }
        let mut stream = TextStream::new(&self.tokenizer);
        let mut failure: Option<TokenizerError> = None;
        let mut on_token = |new: vlm_model::NewToken| {
            stream.push(new.token, on_text).unwrap_or_else(|error| {
                failure = Some(error);
                ControlFlow::Break(())
            })
        };
        let mut rows = generate(&self.model.language_model, embeddings, mask, &options, &mut on_token)?;
        if let Some(error) = failure {
            return Err(error.into());
        }
        let generated = rows.pop().expect("one row for one question");
        let text = stream.finish(on_text)?;
        Ok(self.free_response(&question.text, text, generated))
    }

    pub(crate) fn free_response(&self, question: &str, text: String, generated: Generated) -> Response {
        let log_probability: f64 = generated.log_probabilities.iter().map(|log| f64::from(*log)).sum();
        let answer = self.parse_free(question, &text);
        Response {
            free_probability: log_probability.exp(),
            n_scored: generated.tokens.len(),
            stop_reason: Some(generated.stop_reason),
            n_model_steps: generated.n_model_steps,
            ..response(text, answer, generated.tokens)
        }
    }

    /// A free answer as its question's tag asks for it.
    fn parse_free(&self, question: &str, text: &str) -> Answer {
        match TaskTag::split(question) {
            Some((TaskTag::Refer, _)) => parse_answer(text, AnswerKind::Box(self.settings.box_format)),
            Some((TaskTag::Vqa, _)) => match parse_answer(text, AnswerKind::YesNo(YesNoRule::Exact)) {
                Answer::Unparsed(_) => parse_answer(text, AnswerKind::Text),
                answer => answer,
            },
            _ => parse_answer(text, AnswerKind::Text),
        }
    }

    fn grounded(
        &self,
        embeddings: Tensor<3>,
        mask: &AttentionMask,
        question: &Question,
        on_text: &mut OnText<'_>,
    ) -> Result<Response, InferError> {
        let is_box = question.mode == AnswerMode::GroundedBox;
        let grammar = if is_box { self.box_grammar()? } else { self.yes_no_grammar()? };
        let model = &self.model.language_model;
        let mut rows = decode_grounded(model, embeddings, mask, grammar, &self.grounded)?;
        let decoded: GroundedAnswer = rows.pop().expect("one row for one question");
        let mut stream = TextStream::new(&self.tokenizer);
        for token in &decoded.tokens {
            if stream.push(*token, on_text)?.is_break() {
                break;
            }
        }
        self.grounded_response(is_box, decoded)
    }

    pub(crate) fn grounded_response(
        &self,
        is_box: bool,
        decoded: GroundedAnswer,
    ) -> Result<Response, InferError> {
        let text = vlm_prompt::decode_answer(&self.tokenizer, &decoded.tokens)?;
        let answer = match decoded.values[..] {
            [x_min, y_min, x_max, y_max] if is_box => Answer::Box(GridBox { x_min, y_min, x_max, y_max }),
            [value] if !is_box => Answer::YesNo(value == 1),
            _ => Answer::Unparsed(text.clone()),
        };
        Ok(Response {
            probability: Some(decoded.probability),
            free_probability: decoded.free_probability,
            n_scored: decoded.n_scored,
            distributions: decoded.choices,
            n_model_steps: decoded.n_model_steps,
            ..response(text, answer, decoded.tokens)
        })
    }

    pub(crate) fn box_grammar(&self) -> Result<&DecodingGrammar, InferError> {
        if let Some(grammar) = self.box_grammar.get() {
            return Ok(grammar);
        }
        let grammar = AnswerGrammar::bounding_box(&self.tokenizer, self.settings.box_format)?;
        Ok(self.box_grammar.get_or_init(|| decoding_grammar(grammar)))
    }

    pub(crate) fn yes_no_grammar(&self) -> Result<&DecodingGrammar, InferError> {
        if let Some(grammar) = self.yes_no_grammar.get() {
            return Ok(grammar);
        }
        let grammar = AnswerGrammar::yes_no(&self.tokenizer)?;
        Ok(self.yes_no_grammar.get_or_init(|| decoding_grammar(grammar)))
    }

    pub(crate) fn place_box(&self, response: &mut Response, size_px: [u32; 2]) -> Result<(), InferError> {
        let [width, height] = size_px;
        response.image_size_px = Some(size_px);
        let Answer::Box(grid) = response.answer else { return Ok(()) };
        if grid.is_zero() {
            return Ok(());
        }
        let (format, at) = (self.settings.box_format, self.settings.box_decode);
        response.box_px = Some(format.decode(grid, width, height, at)?);
        if let [x_min, y_min, x_max, y_max] = &response.distributions[..] {
            // Means lie between the grid's lines, which may stand for the middles of their bins.
            let offset = match (at, format) {
                (BoxDecode::BinCenter, BoxFormat::Percent100) => 0.5,
                _ => 0.0,
            };
            let max = f64::from(format.max_value());
            let place = |mean: f64, side: u32| (mean + offset) / max * f64::from(side);
            let mean = PixelBox {
                x_min: place(x_min.mean, width),
                y_min: place(y_min.mean, height),
                x_max: place(x_max.mean, width),
                y_max: place(y_max.mean, height),
            };
            // Edges that are told apart badly, such as those of two places, may have means in no order.
            response.mean_box_px = Some(mean).filter(|b| b.x_min < b.x_max && b.y_min < b.y_max);
        }
        Ok(())
    }
}

/// A response of which only the answer is known.
fn response(text: String, answer: Answer, tokens: Vec<u32>) -> Response {
    Response {
        note: RESEARCH_NOTE.to_owned(),
        text,
        answer,
        box_px: None,
        mean_box_px: None,
        image_size_px: None,
        probability: None,
        free_probability: 0.0,
        n_scored: 0,
        distributions: Vec::new(),
        stop_reason: None,
        n_prompt_tokens: 0,
        n_new_tokens: tokens.len(),
        tokens,
        n_model_steps: 0,
        timings: Timings::default(),
    }
}

fn decoding_grammar(grammar: AnswerGrammar) -> DecodingGrammar {
    let segment = |segment| match segment {
        vlm_prompt::GrammarSegment::Forced(tokens) => GrammarSegment::Forced(tokens),
        vlm_prompt::GrammarSegment::Choice(options) => {
            GrammarSegment::Choice(options.into_iter().map(|option| (option.tokens, option.value)).collect())
        }
    };
    DecodingGrammar { segments: grammar.segments.into_iter().map(segment).collect() }
}

/// The tokenizer of a model folder: `tokenizer.json` of the folder or of its language model, or the
/// small built-in one where the vocabulary is its own.
///
/// # Errors
/// [`InferError::Weights`], [`InferError::NoTokenizer`] or [`InferError::Tokenizer`].
pub fn open_tokenizer(folder: &Path) -> Result<Tokenizer, InferError> {
    let (config, files, _) = discover(folder)?;
    let beside = files.language_model.as_deref().map(|llama| {
        // a folder, or a file in one
        if llama.is_dir() { llama } else { llama.parent().unwrap_or(folder) }.join(TOKENIZER_FILE)
    });
    let mut candidates = vec![folder.join(TOKENIZER_FILE)];
    candidates.extend(beside.filter(|path| *path != candidates[0]));
    find_tokenizer(candidates, config.llama.vocab_size)
}

/// The first tokenizer file that is there, else the built-in one where the vocabulary is its own.
fn find_tokenizer(candidates: Vec<PathBuf>, vocab: usize) -> Result<Tokenizer, InferError> {
    if let Some(path) = candidates.iter().find(|path| path.is_file()) {
        return Ok(Tokenizer::from_file(path)?);
    }
    let nano = Tokenizer::nano();
    if nano.vocab_size() == vocab {
        return Ok(nano);
    }
    Err(InferError::NoTokenizer { vocab, tried: candidates })
}
