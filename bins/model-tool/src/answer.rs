//! `generate`: one answer about one or several images.

use std::ops::ControlFlow;

use bin_support::{EXIT_OK, EXIT_STOPPED};
use vlm_infer::{AnswerMode, ImageSource, Question, RESEARCH_NOTE, Responder, Response, TextEvent};
use vlm_model::{GenerationOptions, Sampling, StopReason};

use crate::args::{GenerateArgs, GroundedArg};

pub(crate) fn run(args: &GenerateArgs) -> anyhow::Result<u8> {
    bin_support::stop_flag(None);
    let device = args.device.device.open()?;
    let bar = bin_support::byte_bar("reading");
    let responder = Responder::open(&args.checkpoint, &device, args.device.precision, &mut |done, total| {
        bar.set_length(total);
        bar.set_position(done);
    })?;
    bar.finish_and_clear();
    let question = Question {
        history: Vec::new(),
        images: args.image.iter().cloned().map(ImageSource::File).collect(),
        text: args.prompt.clone(),
        mode: mode(args),
    };
    let mut failure = Ok(());
    let response = responder.respond(&question, &mut |event| {
        if bin_support::was_stopped() {
            return ControlFlow::Break(());
        }
        if args.stream && failure.is_ok() {
            failure = match event {
                TextEvent::Append(text) => bin_support::piece(text),
                // What was printed is not the answer; it starts again on a new line.
                TextEvent::Replace(text) => bin_support::piece(&format!("\n{text}")),
            };
        }
        if failure.is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    })?;
    failure?;
    if args.json {
        bin_support::json(&response)?;
    } else {
        print_text(args, &response)?;
    }
    let stopped = response.stop_reason == Some(StopReason::Cancelled);
    Ok(if stopped { EXIT_STOPPED } else { EXIT_OK })
}

fn mode(args: &GenerateArgs) -> AnswerMode {
    match args.grounded {
        Some(GroundedArg::Box) => AnswerMode::GroundedBox,
        Some(GroundedArg::YesNo) => AnswerMode::GroundedYesNo,
        None => {
            let options = match args.temperature {
                Some(temperature) => GenerationOptions::demo(temperature, args.seed),
                None => GenerationOptions { sampling: Sampling::Greedy, ..GenerationOptions::default() },
            };
            AnswerMode::Free(GenerationOptions { max_new_tokens: args.max_new_tokens, ..options })
        }
    }
}

fn print_text(args: &GenerateArgs, response: &Response) -> anyhow::Result<()> {
    if args.stream {
        bin_support::data("")?;
    } else {
        bin_support::data(&response.text)?;
    }
    if let Some(b) = &response.box_px {
        bin_support::note(&format!(
            "box, px: x {:.1} to {:.1}, y {:.1} to {:.1}",
            b.x_min, b.x_max, b.y_min, b.y_max
        ));
    }
    if let Some(probability) = response.probability {
        bin_support::note(&format!("probability among well-formed answers: {probability:.4}"));
    }
    bin_support::note(&format!(
        "{} prompt positions, {} new tokens, {} model steps, {:.2} s; {RESEARCH_NOTE}",
        response.n_prompt_tokens, response.n_new_tokens, response.n_model_steps, response.timings.total_s
    ));
    Ok(())
}
