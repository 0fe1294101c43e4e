//! `--dry-run`.

use anyhow::{Context, Result};
use bin_support::{EXIT_OK, note};
use cascade::{RunPlan, plan_run};

use crate::args::RunArgs;
use crate::run::config;

pub(crate) fn run(args: &RunArgs) -> Result<u8> {
    let config = config(args)?;
    let device = args.device.open()?;
    let plan = plan_run(&config, &device, args.flops)
        .with_context(|| format!("the run `{}` cannot be planned", config.name))?;
    if args.json {
        bin_support::json(&plan)?;
    } else {
        lines(&plan).iter().try_for_each(|line| bin_support::data(line))?;
    }
    plan.problems.iter().for_each(|problem| note(&format!("problem: {problem}")));
    note(&plan.note);
    Ok(EXIT_OK)
}

fn lines(plan: &RunPlan) -> Vec<String> {
    let parameters = &plan.parameters;
    let mut lines = vec![format!("{}: nothing is trained", plan.name), "parameters".to_owned()];
    let counts = [
        ("vision tower", parameters.vision_tower),
        ("norm after it", parameters.ln_vision),
        ("projector", parameters.projector),
        ("language model", parameters.language_model),
        ("LoRA", parameters.lora),
        ("LoRA and projector", parameters.trainable),
        ("total", parameters.total),
    ];
    lines.extend(counts.map(|(name, n)| format!("  {name:<20}{:>15}", grouped(n))));
    for stage in &plan.stages {
        let n = |n: Option<usize>| n.map_or_else(|| "?".to_owned(), |n| n.to_string());
        lines.push(format!(
            "{}: {} steps of {}, {} samples drawn; training {}, validation {}, test {}; about {}",
            stage.stage,
            grouped(stage.steps),
            stage.batch_size,
            grouped(stage.samples_drawn),
            n(stage.n_train),
            n(stage.n_validation),
            n(stage.n_test),
            duration(stage.estimated_s)
        ));
    }
    let memory = &plan.memory;
    lines.push(format!(
        "memory, an estimate: {} (weights {}, optimizer {}, activations {}, features {})",
        bytes(memory.total_bytes),
        bytes(memory.weights_bytes),
        bytes(memory.optimizer_bytes),
        bytes(memory.activation_bytes),
        bytes(memory.feature_bytes)
    ));
    lines.push(format!("disk without data, an estimate: {}", bytes(plan.disk_bytes)));
    lines.push(format!(
        "time, an estimate: {} at {:.3e} operations a second ({})",
        duration(plan.estimated_s),
        plan.flops_per_s,
        if plan.is_measured { "measured here by a small matrix product" } else { "as given" }
    ));
    lines
}

/// Digits in threes.
fn grouped(n: u64) -> String {
    let digits = n.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[expect(clippy::cast_precision_loss, reason = "three digits are shown")]
fn bytes(n: u64) -> String {
    let mib = n as f64 / f64::from(1 << 20);
    if mib < 1024.0 { format!("{mib:.1} MiB") } else { format!("{:.1} GiB", mib / 1024.0) }
}

fn duration(seconds: f64) -> String {
    match seconds {
        s if s < 120.0 => format!("{s:.0} s"),
        s if s < 7200.0 => format!("{:.0} min", s / 60.0),
        s if s < 172_800.0 => format!("{:.1} h", s / 3600.0),
        s => format!("{:.1} days", s / 86_400.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_for_people() {
        let rows = [(0, "0"), (999, "999"), (1000, "1,000"), (7_782_021_504, "7,782,021,504")];
        for (n, expected) in rows {
            assert_eq!(grouped(n), expected);
        }
        assert_eq!((bytes(3 << 19).as_str(), bytes(3 << 29).as_str()), ("1.5 MiB", "1.5 GiB"));
        let rows = [(5.0, "5 s"), (600.0, "10 min"), (9000.0, "2.5 h"), (864_000.0, "10.0 days")];
        for (seconds, expected) in rows {
            assert_eq!(duration(seconds), expected);
        }
    }
}
