//! `pretrain`.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result};
use bin_support::{EXIT_OK, item_bar, note};
use cascade::RESEARCH_NOTE;
use indicatif::ProgressBar;
use nano_pretrain::{PretrainEvent, PretrainRecipe, Structure, TowerScores, pretrain};
use vlm_model::MiniGptConfig;

use crate::args::PretrainArgs;

const STOP_MESSAGE: &str = "stopping after the step at hand; nothing is written …";
/// Reports of a loss between two lines.
const REPORTS_A_LINE: u64 = 20;

pub(crate) fn run(args: &PretrainArgs) -> Result<u8> {
    let recipe = args.recipe.as_deref().map_or_else(|| Ok(PretrainRecipe::default()), read_recipe)?;
    anyhow::ensure!(!args.out.exists(), "`{}` exists already", args.out.display());
    let stop = bin_support::stop_flag(Some(STOP_MESSAGE));
    let device = args.device.open()?;
    let bar = item_bar("steps");
    let mut n_reports = 0;
    let mut on_event = |event| show(&bar, &mut n_reports, &event);
    let (config, start) = (MiniGptConfig::nano(), args.start.as_deref());
    let scores = pretrain(&config, &recipe, start, &args.out, &device, stop, &mut on_event);
    bar.finish_and_clear();
    let scores = scores.context("the base was not made")?;
    if args.json {
        let by_structure =
            scores.as_ref().map(|s| names().zip(s.box_iou.clone()).collect::<BTreeMap<_, _>>());
        bin_support::json(&serde_json::json!({
            "note": RESEARCH_NOTE,
            "checkpoint": args.out,
            "held_out_box_iou": by_structure,
        }))?;
    }
    if let Some(scores) = scores {
        note(&format!("box IoU on other patients: {}", in_words(&scores)));
    }
    note(&format!("checkpoint: {}", args.out.display()));
    note(RESEARCH_NOTE);
    Ok(EXIT_OK)
}

fn read_recipe(path: &Path) -> Result<PretrainRecipe> {
    let text = fs_err::read_to_string(path)?;
    toml::from_str(&text).with_context(|| format!("`{}` is not a recipe", path.display()))
}

fn show(bar: &ProgressBar, n_reports: &mut u64, event: &PretrainEvent) {
    let mut step = |phase: &str, step: u64, n_steps: u64, loss: f32| {
        bar.set_length(n_steps);
        bar.set_position(step);
        bar.set_message(format!("{phase}, loss {loss:.4}"));
        if bar.is_hidden() && (*n_reports).is_multiple_of(REPORTS_A_LINE) {
            note(&format!("{phase}: step {step}/{n_steps} loss {loss:.4}"));
        }
        *n_reports += 1;
    };
    match event {
        PretrainEvent::Phantoms { n_slices, n_held_out } => {
            bar.suspend(|| note(&format!("{n_slices} slices to learn from, {n_held_out} to be scored on")));
        }
        PretrainEvent::TowerStep { step: at, n_steps, loss, .. } => step("vision", *at, *n_steps, *loss),
        PretrainEvent::LanguageStep { step: at, n_steps, loss } => step("language", *at, *n_steps, *loss),
        PretrainEvent::TowerScores { step, scores } => {
            bar.suspend(|| note(&format!("vision: step {step}: box IoU {}", in_words(scores))));
        }
        _ => {}
    }
}

fn names() -> impl Iterator<Item = &'static str> {
    Structure::ALL.iter().map(|structure| structure.name)
}

fn in_words(scores: &TowerScores) -> String {
    let words: Vec<String> =
        names().zip(&scores.box_iou).map(|(name, iou)| format!("{name} {iou:.3}")).collect();
    words.join(", ")
}
