//! The cascade's checkpoints behind the chat's seam.

mod asked;
mod expert;
mod exports;
mod final_text;
mod hand_out;
mod picture;
mod study_run;
mod wanted;

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result};
use burn::tensor::Device;
use cascade::{Stage, StudyModels};
use chat_api::{
    ChatAnswer, ChatModel, ChatRequest, ModelCard, ModelError, OnRunEvent, OnText, RunOptions, RunStep,
    StudyInput,
};
use vlm_model::Precision;

use crate::checkpoints::Checkpoints;
use expert::Expert;
use study_run::{RunSettings, StudyRun};

/// An answer to one of the stages' questions has at most 20 tokens; what is said beside is little more.
const STAGE_ANSWER_TOKENS: usize = 128;
const OPEN_ANSWER_TOKENS: usize = 512;
/// Images of a conversation; a stage looks at one of them.
const MAX_IMAGES: usize = 8;

/// Checkpoints that answer.
#[derive(Debug)]
pub(crate) struct CascadeModel {
    experts: Experts,
    settings: RunSettings,
}

/// Who answers what.
#[derive(Debug)]
enum Experts {
    /// A checkpoint a stage; questions are asked in the words that the stage was trained with.
    Stages(BTreeMap<Stage, Expert>),
    /// One that is asked as the user asks.
    One(Box<Expert>),
}

impl CascadeModel {
    /// Reads the weights.
    pub(crate) fn open(checkpoints: Checkpoints, precision: Precision, device: Device) -> Result<Self> {
        let experts = checkpoints.with_folders(|folders| {
            let open = |folder: &Path| {
                Expert::open(folder, &device, precision)
                    .with_context(|| format!("cannot open checkpoint `{}`", folder.display()))
            };
            let StudyModels { pancreas_box, tumor_yes_no, tumor_box, organs } = folders;
            if let Checkpoints::One(_) = &checkpoints {
                return Ok(Experts::One(Box::new(open(pancreas_box)?)));
            }
            let mut experts = BTreeMap::from([(Stage::PancreasBox, open(pancreas_box)?)]);
            for (stage, folder) in
                [(Stage::TumorYesNo, tumor_yes_no), (Stage::TumorBox, tumor_box), (Stage::Organs, organs)]
            {
                if let Some(folder) = folder {
                    experts.insert(stage, open(folder)?);
                }
            }
            Ok(Experts::Stages(experts))
        })?;
        Ok(Self { experts, settings: RunSettings { checkpoints, precision, device } })
    }
}

impl ChatModel for CascadeModel {
    type Run = StudyRun;

    fn card(&self) -> ModelCard {
        let mut card = match (&self.experts, &self.settings.checkpoints) {
            (Experts::One(expert), _) => {
                let mut card = ModelCard::new("minigpt-pancreas", "One checkpoint, asked as you ask.");
                card.max_answer_tokens = OPEN_ANSWER_TOKENS;
                card.box_format = expert.box_format();
                card
            }
            (Experts::Stages(experts), checkpoints) => {
                let mut card = match checkpoints {
                    Checkpoints::Embedded => ModelCard::new(
                        "minigpt-pancreas-nano",
                        "Small checkpoints that have seen synthetic patients alone: to try the program out.",
                    ),
                    _ => ModelCard::new("minigpt-pancreas-run", "The stages of a run of the cascade."),
                };
                card.max_answer_tokens = STAGE_ANSWER_TOKENS;
                if let Some(expert) = experts.get(&Stage::PancreasBox) {
                    card.box_format = expert.box_format();
                }
                if experts.contains_key(&Stage::TumorBox) {
                    card.structures.push("pancreatic tumor".to_owned());
                }
                if experts.contains_key(&Stage::Organs) {
                    card.structures.extend(["liver", "right kidney", "spleen"].map(str::to_owned));
                }
                card
            }
        };
        card.max_images = MAX_IMAGES;
        card.runs_studies = true;
        card
    }

    fn answer(
        &mut self,
        batch: &[&ChatRequest],
        on_text: &mut OnText<'_>,
    ) -> Vec<Result<ChatAnswer, ModelError>> {
        let answer = |(row, request): (usize, &&ChatRequest)| {
            let mut emit = |text: &str| -> ControlFlow<()> { on_text(row, text) };
            match &self.experts {
                Experts::One(expert) => asked::answer_openly(expert, request, &mut emit),
                Experts::Stages(experts) => asked::answer_by_stage(experts, request, &mut emit),
            }
        };
        batch.iter().enumerate().map(answer).collect()
    }

    fn start_run(&mut self, study: &Arc<StudyInput>, options: &RunOptions) -> Result<StudyRun, ModelError> {
        StudyRun::start(&self.settings, study, *options)
    }

    fn advance_run(
        &mut self,
        run: &mut StudyRun,
        on_event: &mut OnRunEvent<'_>,
    ) -> Result<RunStep, ModelError> {
        run.advance(on_event)
    }
}
