//! A whole study in, findings out.
//!
//! Two passes: every slice is asked for the pancreas, then the region around it, enlarged, for a tumor.

mod files;
mod models;
mod slices;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use burn::tensor::Device;
use ct_slices::{BoxPx, Organ};
use ct_volume::{ReadOptions, Volume, read_study};
use findings::{
    Entity, FindingOptions, Findings, PlaneBox, Provenance, SliceAnswers, SliceBox, StudyWarning,
};
use vlm_model::{FeatureFormat, Precision};

use crate::answerer::{Answerer, Asked, ModelAnswerer, Reply};
use crate::evaluate_stage::OpenCheckpoint;
use crate::events::{CascadeEvent, Observe};
use crate::images::{ImageFeatures, View};
use crate::region::region_around;
use crate::stage::target_name;
use crate::{CascadeError, Stage};

pub use files::{StudyFiles, StudyWritten, write_study};
pub use models::StudyModels;
use slices::StudySlices;
pub(crate) use slices::render_slices;

/// How a study is asked about.
#[derive(Debug, Clone, PartialEq)]
pub struct StudyOptions {
    /// Limits of the HU window.
    pub window_hu: [f64; 2],
    /// Number type of the frozen weights.
    pub precision: Precision,
    /// Questions answered together.
    pub batch_size: usize,
    /// Whether liver, right kidney and spleen are looked for too.
    pub organs: bool,
    /// Least probability with which a structure is said to be visible for its box to count. The question
    /// is one that the embedded base has learned; 0 leaves it out, for models that have not.
    pub min_presence: f64,
    /// Least probability of a tumor for its box to be asked for.
    pub min_tumor: f64,
    /// How boxes become findings.
    pub findings: FindingOptions,
}

impl Default for StudyOptions {
    fn default() -> Self {
        Self {
            window_hu: [-150.0, 250.0],
            precision: Precision::F32,
            batch_size: 32,
            organs: false,
            min_presence: 0.5,
            min_tumor: 0.5,
            findings: FindingOptions::default(),
        }
    }
}

impl StudyOptions {
    fn check(&self) -> Result<(), CascadeError> {
        for (field, value) in [("min_presence", self.min_presence), ("min_tumor", self.min_tumor)] {
            if !(0.0..=1.0).contains(&value) {
                return Err(CascadeError::setting(field, value, "expected 0 to 1"));
            }
        }
        if !(1..=4096).contains(&self.batch_size) {
            return Err(CascadeError::setting("batch_size", self.batch_size, "expected 1 to 4096"));
        }
        Ok(())
    }
}

/// What was found in a study, and the study.
#[derive(Debug)]
pub struct StudyPrediction {
    /// What was found.
    pub findings: Findings,
    /// What it was found in.
    pub volume: Volume,
}

/// Reads a study (NIfTI, NRRD, DICOM) and asks about every slice of it. Slices are those of the preset
/// `fixed`: in LPS axes, by one HU window.
///
/// # Errors
/// [`CascadeError::Volume`] for the study, [`CascadeError::Setting`] for options, [`CascadeError::Stopped`],
/// and what checkpoints and findings return.
pub fn predict_study(
    input: &Path,
    models: &StudyModels,
    options: &StudyOptions,
    device: &Device,
    observe: Observe<'_>,
    stop: &AtomicBool,
) -> Result<StudyPrediction, CascadeError> {
    let volume = read_study(input, &ReadOptions::default())?;
    let findings = predict_volume(&volume, models, options, device, observe, stop)?;
    Ok(StudyPrediction { findings, volume })
}

/// Asks about every slice of a volume.
///
/// # Errors
/// As [`predict_study`].
pub fn predict_volume(
    volume: &Volume,
    models: &StudyModels,
    options: &StudyOptions,
    device: &Device,
    observe: Observe<'_>,
    stop: &AtomicBool,
) -> Result<Findings, CascadeError> {
    options.check()?;
    let mut provenance = Provenance::default();
    let mut open = |folder: &Path, stage: Stage| -> Result<OpenCheckpoint, CascadeError> {
        models::open(folder, stage, options.precision, device, &mut provenance)
    };
    let pancreas = open(&models.pancreas_box, Stage::PancreasBox)?;
    let size = pancreas.model.config().vision.image_size;
    let yes_no = models.tumor_yes_no.as_deref().map(|folder| open(folder, Stage::TumorYesNo)).transpose()?;
    let tumor = models.tumor_box.as_deref().map(|folder| open(folder, Stage::TumorBox)).transpose()?;
    let wants_organs = models.organs.as_deref().filter(|_| options.organs);
    let organs = wants_organs.map(|folder| open(folder, Stage::Organs)).transpose()?;

    let slices = StudySlices::render(volume, options.window_hu, size, [&yes_no, &tumor])?;
    let mut asking = Asking {
        images: ImageFeatures::new(Arc::clone(&slices.table), FeatureFormat::F32),
        options,
        observe,
        stop,
    };
    let n_slices = slices.whole.len();
    let whole = BoxPx::whole(slices.size_px);
    let mut answers: Vec<SliceAnswers> = (0..n_slices)
        .map(|slice_idx| SliceAnswers { slice_idx, boxes: Vec::new(), tumor_probability: None })
        .collect();

    let every: Vec<(u32, BoxPx)> = slices.whole.iter().map(|image| (*image, whole)).collect();
    let found = asking.structure(&pancreas, Stage::PancreasBox, Organ::Pancreas, &every)?;
    let mut shown: Vec<(usize, vlm_prompt::PixelBox)> = Vec::new();
    for (slice_idx, reply) in found.into_iter().enumerate() {
        let Some(reply) = reply else { continue };
        let Some(bbox) = reply.box_px else { continue };
        shown.push((slice_idx, bbox));
        answers[slice_idx].boxes.push(slice_box(Entity::PANCREAS, bbox, reply.box_probability));
    }
    if let Some(yes_no) = &yes_no {
        // Where there is no pancreas there is no tumor of it.
        answers.iter_mut().for_each(|answer| answer.tumor_probability = Some(0.0));
        let asked = slices.regions(0, yes_no, &shown)?;
        let question = Stage::TumorYesNo.evaluation_question(
            "",
            yes_no.prompt.instructions,
            yes_no.prompt.yes_no_question,
        );
        let replies = asking.ask("asking for tumors", yes_no, Stage::TumorYesNo, &question, &asked)?;
        for ((slice_idx, _), reply) in shown.iter().zip(replies) {
            let certain = reply.yes.map(|yes| f64::from(u8::from(yes)));
            answers[*slice_idx].tumor_probability = Some(reply.yes_probability.or(certain).unwrap_or(0.0));
        }
    }
    if let Some(tumor) = &tumor {
        shown.retain(|(slice_idx, _)| {
            answers[*slice_idx].tumor_probability.is_none_or(|p| p >= options.min_tumor)
        });
        let asked = slices.regions(1, tumor, &shown)?;
        let question = question(tumor, Stage::TumorBox, target_name(Organ::Tumor));
        let replies = asking.ask("placing tumors", tumor, Stage::TumorBox, &question, &asked)?;
        for ((slice_idx, _), reply) in shown.iter().zip(replies) {
            if let Some(bbox) = reply.box_px {
                let tumor = slice_box(Entity::PANCREATIC_TUMOR, bbox, reply.box_probability);
                answers[*slice_idx].boxes.push(tumor);
            }
        }
    }
    if let Some(organs) = &organs {
        for (entity, organ) in [
            (Entity::LIVER, Organ::Liver),
            (Entity::RIGHT_KIDNEY, Organ::Kidney),
            (Entity::SPLEEN, Organ::Spleen),
        ] {
            let replies = asking.structure(organs, Stage::Organs, organ, &every)?;
            for (slice_idx, reply) in replies.into_iter().enumerate() {
                let Some((bbox, probability)) = reply.and_then(|r| Some((r.box_px?, r.box_probability)))
                else {
                    continue;
                };
                answers[slice_idx].boxes.push(slice_box(entity.clone(), bbox, probability));
            }
        }
    }
    provenance.config = Some(serde_json::json!({
        "window_hu": options.window_hu,
        "precision": options.precision.to_string(),
        "organs": options.organs,
        "min_presence": options.min_presence,
        "min_tumor": options.min_tumor,
    }));
    let mut found = Findings::from_answers(&answers, volume.geometry(), provenance, &options.findings)?;
    found.warnings = volume.warnings().iter().map(StudyWarning::from).collect();
    Ok(found)
}

fn slice_box(entity: Entity, bbox: vlm_prompt::PixelBox, probability: Option<f64>) -> SliceBox {
    SliceBox { entity, box_px: PlaneBox::from(bbox.to_array()), probability }
}

fn question(opened: &OpenCheckpoint, stage: Stage, target: &str) -> String {
    stage.evaluation_question(target, opened.prompt.instructions, opened.prompt.yes_no_question)
}

/// Questions to one model after another about the same images.
struct Asking<'a, 'b> {
    images: ImageFeatures,
    options: &'a StudyOptions,
    observe: Observe<'b>,
    stop: &'a AtomicBool,
}

impl Asking<'_, '_> {
    /// One question about many images, each with what it shows.
    fn ask(
        &mut self,
        part: &str,
        opened: &OpenCheckpoint,
        stage: Stage,
        question: &str,
        shown: &[(u32, BoxPx)],
    ) -> Result<Vec<Reply>, CascadeError> {
        let observe = &mut *self.observe;
        observe(CascadeEvent::Part(part));
        let OpenCheckpoint { model, tokenizer, prompt, .. } = opened;
        self.images.begin(model)?;
        let mut progress = |done, total| observe(CascadeEvent::Progress { what: "answers", done, total });
        let batch_size = self.options.batch_size;
        let mut answerer = ModelAnswerer::new(
            model,
            tokenizer,
            *prompt,
            &mut self.images,
            batch_size,
            &mut progress,
            self.stop,
        )?;
        let asked: Vec<Asked<'_>> = shown
            .iter()
            .map(|(image, frame)| Asked { image: View::plain(*image).id(), frame: *frame, question })
            .collect();
        answerer.answer(stage, &asked)
    }

    /// Boxes of a structure where it is said to be visible; none elsewhere.
    fn structure(
        &mut self,
        opened: &OpenCheckpoint,
        stage: Stage,
        organ: Organ,
        shown: &[(u32, BoxPx)],
    ) -> Result<Vec<Option<Reply>>, CascadeError> {
        let target = target_name(organ);
        let mut is_visible = vec![true; shown.len()];
        if self.options.min_presence > 0.0 {
            let question = presence_question(organ);
            let part = format!("looking for the {target}");
            let replies = self.ask(&part, opened, Stage::TumorYesNo, &question, shown)?;
            for (is_visible, reply) in is_visible.iter_mut().zip(replies) {
                let certain = reply.yes.map(|yes| f64::from(u8::from(yes)));
                let probability = reply.yes_probability.or(certain).unwrap_or(0.0);
                *is_visible = probability >= self.options.min_presence;
            }
        }
        let visible: Vec<(u32, BoxPx)> =
            shown.iter().zip(&is_visible).filter(|(_, is_visible)| **is_visible).map(|(s, _)| *s).collect();
        let part = format!("placing the {target}");
        let question = question(opened, stage, target);
        let mut replies = self.ask(&part, opened, stage, &question, &visible)?.into_iter();
        Ok(is_visible.into_iter().map(|is_visible| if is_visible { replies.next() } else { None }).collect())
    }
}

/// Whether a structure is to be seen, as the small base has learned it, which knows two kidneys where the
/// stages' questions know one.
#[must_use]
pub fn presence_question(organ: Organ) -> String {
    let target = if organ == Organ::Kidney { "right kidney" } else { target_name(organ) };
    format!("[vqa] Based on the image, respond to this question with yes or no: is the {target} visible?")
}

/// The region that a stage is shown of a slice with this pancreas.
fn frame_of(opened: &OpenCheckpoint, pancreas: vlm_prompt::PixelBox, size_px: [u32; 2]) -> BoxPx {
    match &opened.region {
        Some(region) => region_around(Some(pancreas), size_px, region.margin),
        None => BoxPx::whole(size_px),
    }
}
