//! `generate`: one answer about one or several images.

use std::ops::ControlFlow;

use vlm_infer::{AnswerMode, ImageSource, Question, RESEARCH_NOTE, Responder, Response, TextEvent};
use vlm_model::{GenerationOptions, Sampling, StopReason};

use crate::args::{GenerateArgs, GroundedArg};
use crate::{EXIT_OK, EXIT_STOPPED, output};

pub(crate) fn run(args: &GenerateArgs) -> anyhow::Result<u8> {
    output::catch_stop();
    let device = args.device.device.open()?;
    let bar = output::byte_bar("reading");
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
        if output::was_stopped() {
            return ControlFlow::Break(());
        }
        if args.stream && failure.is_ok() {
            failure = match event {
                TextEvent::Append(text) => output::piece(text),
                // What was printed is not the answer; it starts again on a new line.
                TextEvent::Replace(text) => output::piece(&format!("\n{text}")),
            };
        }
        if failure.is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    })?;
    failure?;
    if args.json {
        output::json(&response)?;
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
        output::data("")?;
    } else {
        output::data(&response.text)?;
    }
    if let Some(b) = &response.box_px {
        output::note(&format!(
            "box, px: x {:.1} to {:.1}, y {:.1} to {:.1}",
            b.x_min, b.x_max, b.y_min, b.y_max
        ));
    }
    if let Some(probability) = response.probability {
        output::note(&format!("probability among well-formed answers: {probability:.4}"));
    }
    output::note(&format!(
        "{} prompt positions, {} new tokens, {} model steps, {:.2} s; {RESEARCH_NOTE}",
        response.n_prompt_tokens, response.n_new_tokens, response.n_model_steps, response.timings.total_s
    ));
    Ok(())
}
