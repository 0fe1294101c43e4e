//! Answers about images and studies that nobody has labeled.

mod overlay;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use burn::tensor::Device;
use ct_slices::BoxPx;
use ct_slices::pixels::{PngLimits, decode_png, encode_gray};
use ct_volume::{ReadOptions, read_study, write_atomic};
use serde::{Deserialize, Serialize};
use vlm_model::{FeatureFormat, Precision};
use vlm_prompt::PixelBox;

use crate::answerer::{Answerer, Asked, ModelAnswerer};
use crate::evaluate_stage::{OpenCheckpoint, open_checkpoint};
use crate::events::{CascadeEvent, Observe};
use crate::images::{ImageFeatures, ImageFit, ImageTable, View};
use crate::region::Locator;
use crate::stage::target_name;
use crate::study::render_slices;
use crate::{CascadeError, RESEARCH_NOTE, Stage};

pub(crate) use overlay::outline;

/// What is asked about, and how.
#[derive(Debug, Clone)]
pub struct PredictOptions {
    /// A checkpoint folder of ours, or a folder of published files.
    pub checkpoint: PathBuf,
    /// The stage; none: as the checkpoint says.
    pub stage: Option<Stage>,
    /// PNG files, NIfTI or NRRD files, DICOM files or folders.
    pub inputs: Vec<PathBuf>,
    /// Where images with the answers drawn in go; none: nowhere.
    pub overlay: Option<PathBuf>,
    /// Number type of the frozen weights.
    pub precision: Precision,
    /// Limits of the HU window for studies.
    pub window_hu: [f64; 2],
    /// Questions answered together.
    pub batch_size: usize,
}

impl PredictOptions {
    /// The stage's own question about these files.
    #[must_use]
    pub fn new(checkpoint: PathBuf, inputs: Vec<PathBuf>) -> Self {
        Self {
            checkpoint,
            stage: None,
            inputs,
            overlay: None,
            precision: Precision::F32,
            window_hu: [-150.0, 250.0],
            batch_size: 32,
        }
    }
}

/// One answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ImagePrediction {
    /// What the answer may be used for.
    pub note: String,
    /// The file or folder that was asked about.
    pub input: String,
    /// Number of the slice, feet first; none for a single image.
    pub slice_index: Option<usize>,
    /// Columns and rows.
    pub image_size: [u32; 2],
    /// What was asked for; empty for yes/no.
    pub target: String,
    /// The question.
    pub question: String,
    /// The answer's text.
    pub text: String,
    /// Whether it could be read.
    pub is_parsed: bool,
    /// The box in px on the continuous axis; none for "nothing is there".
    pub box_px: Option<[f64; 4]>,
    /// The yes or no.
    pub answer: Option<bool>,
    /// Probability of the box, or of yes.
    pub probability: Option<f64>,
}

/// One slice that is asked about.
struct Shown {
    image: u32,
    /// The whole image, where the other shows a region.
    whole_image: u32,
    frame: BoxPx,
    input: PathBuf,
    slice_index: Option<usize>,
    size_px: [u32; 2],
}

/// Answers a stage's question about images and about every slice of studies, in the order of the
/// inputs. Studies are shown as the preset `fixed` prepares them: in LPS axes, by one HU window.
///
/// # Errors
/// [`CascadeError::Image`], [`CascadeError::Volume`] or [`CascadeError::Io`] for an input,
/// [`CascadeError::Stopped`], and what the checkpoint returns.
pub fn predict(
    options: &PredictOptions,
    device: &Device,
    observe: Observe<'_>,
    stop: &AtomicBool,
) -> Result<Vec<ImagePrediction>, CascadeError> {
    let opened = open_checkpoint(&options.checkpoint, options.stage, options.precision, device)?;
    let stage = opened.stage;
    let mut table = ImageTable::new(opened.model.config().vision.image_size);
    let mut shown = Vec::new();
    for input in &options.inputs {
        add_input(input, options, &opened, &mut table, &mut shown)?;
    }
    let table = Arc::new(table);
    let mut images = ImageFeatures::new(Arc::clone(&table), FeatureFormat::F32);
    if let Some(region) = &opened.region {
        observe(CascadeEvent::Part("finding the pancreas"));
        let mut locator = Locator::open(&region.locator, options.precision, device)?;
        let mut progress = |done, total| observe(CascadeEvent::Progress { what: "answers", done, total });
        let whole: Vec<_> = shown.iter().map(|slice| (slice.whole_image, slice.size_px)).collect();
        let regions = locator.regions(&whole, region.margin, &mut images, &mut progress, stop)?;
        for (slice, frame) in shown.iter_mut().zip(regions) {
            table.set_region(slice.image, frame)?;
            slice.frame = frame;
        }
    }
    let targets: Vec<&str> = match stage.organs() {
        [] => vec![""],
        organs => organs.iter().map(|organ| target_name(*organ)).collect(),
    };
    let questions: Vec<String> = targets
        .iter()
        .map(|target| {
            stage.evaluation_question(target, opened.prompt.instructions, opened.prompt.yes_no_question)
        })
        .collect();
    let asked: Vec<Asked<'_>> = shown
        .iter()
        .flat_map(|slice| {
            questions.iter().map(|question| Asked {
                image: View::plain(slice.image).id(),
                frame: slice.frame,
                question,
            })
        })
        .collect();
    images.begin(&opened.model)?;
    let mut progress = |done, total| observe(CascadeEvent::Progress { what: "answers", done, total });
    let mut answerer = ModelAnswerer::new(
        &opened.model,
        &opened.tokenizer,
        opened.prompt,
        &mut images,
        options.batch_size,
        &mut progress,
        stop,
    )?;
    let replies = answerer.answer(stage, &asked)?;
    let mut predictions = Vec::with_capacity(replies.len());
    for (place, reply) in replies.into_iter().enumerate() {
        let (slice, of_slice) = (&shown[place / targets.len()], place % targets.len());
        predictions.push(ImagePrediction {
            note: RESEARCH_NOTE.to_owned(),
            input: slice.input.display().to_string(),
            slice_index: slice.slice_index,
            image_size: slice.size_px,
            target: targets[of_slice].to_owned(),
            question: questions[of_slice].clone(),
            probability: reply.box_probability.or(reply.yes_probability),
            text: reply.text,
            is_parsed: reply.is_parsed,
            box_px: reply.box_px.map(PixelBox::to_array),
            answer: reply.yes,
        });
    }
    if let Some(folder) = &options.overlay {
        write_overlays(folder, &shown, &predictions, targets.len(), &table)?;
    }
    Ok(predictions)
}

fn add_input(
    input: &Path,
    options: &PredictOptions,
    opened: &OpenCheckpoint,
    table: &mut ImageTable,
    shown: &mut Vec<Shown>,
) -> Result<(), CascadeError> {
    let fit = opened.image_fit;
    let refused = |source| CascadeError::Image { path: input.to_owned(), source };
    let side = |side: usize| u32::try_from(side).unwrap_or(u32::MAX);
    let is_png = input.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("png"));
    if is_png {
        // Not shared with the whole image: a region of it may be shown.
        let image = table.add_apart(input, fit);
        let whole_image = if opened.region.is_some() { table.add(input, ImageFit::Stretch) } else { image };
        let decoded = decode_png(&table.png_bytes(image)?, &PngLimits::default()).map_err(refused)?;
        let size_px = [side(decoded.width_px()), side(decoded.height_px())];
        let frame = BoxPx::whole(size_px);
        shown.push(Shown { image, whole_image, frame, input: input.to_owned(), slice_index: None, size_px });
        return Ok(());
    }
    let volume = read_study(input, &ReadOptions::default())?;
    for (slice_idx, gray) in render_slices(&volume, options.window_hu)?.into_iter().enumerate() {
        let png = encode_gray(gray.view()).map_err(refused)?;
        let (rows, columns) = gray.dim();
        let name = format!("{} slice {slice_idx}", input.display());
        let (bytes, size_px): (Arc<[u8]>, _) = (png.into(), [side(columns), side(rows)]);
        let image = table.add_png(&name, Arc::clone(&bytes), fit);
        let whole_image =
            if opened.region.is_some() { table.add_png(&name, bytes, ImageFit::Stretch) } else { image };
        shown.push(Shown {
            image,
            whole_image,
            frame: BoxPx::whole(size_px),
            input: input.to_owned(),
            slice_index: Some(slice_idx),
            size_px,
        });
    }
    Ok(())
}

/// One PNG a slice, with all its answers in red.
fn write_overlays(
    folder: &Path,
    shown: &[Shown],
    predictions: &[ImagePrediction],
    n_targets: usize,
    table: &ImageTable,
) -> Result<(), CascadeError> {
    fs_err::create_dir_all(folder).map_err(CascadeError::io(folder))?;
    for (place, (slice, answers)) in shown.iter().zip(predictions.chunks(n_targets)).enumerate() {
        let refused = |source| CascadeError::Image { path: slice.input.clone(), source };
        let mut boxes: Vec<PixelBox> =
            answers.iter().filter_map(|answer| answer.box_px.map(PixelBox::from)).collect();
        if answers.iter().any(|answer| answer.answer == Some(true)) {
            // A yes has no place: all that was shown is outlined.
            let [x_min, y_min, x_max, y_max] = <[u32; 4]>::from(slice.frame).map(f64::from);
            boxes.push([x_min, y_min, x_max + 1.0, y_max + 1.0].into());
        }
        let png = outline(&table.png_bytes(slice.image)?, &[], &boxes).map_err(refused)?;
        write_atomic(&folder.join(format!("{:05}.png", place + 1)), &png)?;
    }
    Ok(())
}
