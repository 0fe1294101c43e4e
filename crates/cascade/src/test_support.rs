//! What unit tests share.

use vlm_infer::PromptSettings;
use vlm_metrics::TargetEdges;
use vlm_prompt::{BoxFormat, InstructionPool};

use crate::config::{BoxFrom, Decoding, PromptConfig};
use crate::data::{AnswerStyle, StageSample, Truth};
use crate::stage::YesNoQuestion;

pub(crate) fn prompt() -> PromptConfig {
    PromptConfig {
        settings: PromptSettings::consistent(BoxFormat::Percent100),
        instructions: InstructionPool::Code,
        style: AnswerStyle { format: BoxFormat::Percent100, edges: TargetEdges::Covered },
        decoding: Decoding::Grounded,
        prune: 1e-4,
        box_from: BoxFrom::Mean,
        yes_no_question: YesNoQuestion::Trained,
        yes_no_views: 1,
        yes_no_scaling: None,
    }
}

pub(crate) fn slice(image: u32, patient: &str, target: &'static str, truth: Truth) -> StageSample {
    StageSample {
        image,
        name: format!("slices/{image}.png"),
        dataset: "MSD".to_owned(),
        patient: patient.to_owned(),
        volume: patient.to_owned(),
        slice_index: image,
        size_px: [512, 512],
        region: None,
        spacing_mm: Some([0.7, 0.7]),
        target,
        truth,
        lesion_mm: None,
        box_ratio: Some(0.9),
    }
}
