//! The command line.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use burn::tensor::Device;
use vlm_model::{BlockCheckpointing, DeviceChoice, Precision};

/// What every piece of work may be told.
#[derive(Debug)]
pub(crate) struct Options {
    pub(crate) device: DeviceChoice,
    precision: Option<Precision>,
    pub(crate) scale: usize,
    weights: Option<PathBuf>,
    out: Option<PathBuf>,
    pub(crate) batch: usize,
    pub(crate) checkpointing: BlockCheckpointing,
    /// Whether vision features were computed before: the tower is not even loaded.
    pub(crate) features: bool,
    pub(crate) tokens: usize,
    pub(crate) steps: usize,
    pub(crate) seconds: f64,
}

impl Options {
    pub(crate) fn parse(mut args: impl Iterator<Item = String>) -> Result<Self> {
        let mut options = Self {
            device: DeviceChoice::Cpu,
            precision: None,
            scale: 1,
            weights: None,
            out: None,
            batch: 16,
            checkpointing: BlockCheckpointing::Off,
            features: false,
            tokens: 128,
            steps: 10,
            seconds: 30.0,
        };
        while let Some(name) = args.next() {
            let value = args.next().with_context(|| format!("`{name}` needs a value"))?;
            match name.as_str() {
                "--device" => options.device = value.parse()?,
                "--precision" => options.precision = Some(value.parse()?),
                "--scale" => options.scale = value.parse()?,
                "--weights" => options.weights = Some(value.into()),
                "--out" => options.out = Some(value.into()),
                "--batch" => options.batch = value.parse()?,
                "--checkpointing" if is_on(&value)? => options.checkpointing = BlockCheckpointing::On,
                "--checkpointing" => options.checkpointing = BlockCheckpointing::Off,
                "--features" => options.features = is_on(&value)?,
                "--tokens" => options.tokens = value.parse()?,
                "--steps" => options.steps = value.parse()?,
                "--seconds" => options.seconds = value.parse()?,
                _ => bail!("no option is named `{name}`"),
            }
        }
        Ok(options)
    }

    pub(crate) fn open_device(&self) -> Result<Device> {
        Ok(self.device.open()?)
    }

    pub(crate) fn is_cuda(&self) -> bool {
        matches!(self.device, DeviceChoice::Cuda(_))
    }

    /// As told, else bf16 on CUDA and f32 on the CPU.
    pub(crate) fn precision(&self) -> Precision {
        let usual = if self.is_cuda() { Precision::Bf16 } else { Precision::F32 };
        self.precision.unwrap_or(usual)
    }

    pub(crate) fn weights(&self) -> Result<&Path> {
        self.weights.as_deref().context("expected `--weights FOLDER`")
    }

    pub(crate) fn out(&self) -> Result<&Path> {
        self.out.as_deref().context("expected `--out FOLDER`")
    }
}

fn is_on(value: &str) -> Result<bool> {
    match value {
        "on" => Ok(true),
        "off" => Ok(false),
        _ => bail!("expected `on` or `off`, got `{value}`"),
    }
}

/// Whether another repetition is to be made, after `warm` that are not counted.
#[derive(Debug)]
pub(crate) struct Repetitions {
    warm: usize,
    steps: usize,
    time: Duration,
    done: usize,
    warm_since: Option<Instant>,
}

impl Repetitions {
    pub(crate) fn new(options: &Options, warm: usize) -> Self {
        let time = Duration::from_secs_f64(options.seconds);
        Self { warm, steps: options.steps, time, done: 0, warm_since: None }
    }

    /// The number of the next repetition, and whether it is one to warm up.
    pub(crate) fn next(&mut self) -> Option<(usize, bool)> {
        let index = self.done;
        self.done += 1;
        if index < self.warm {
            return Some((index, true));
        }
        let since = *self.warm_since.get_or_insert_with(Instant::now);
        // Three counted ones are made however long they take.
        let counted = index - self.warm;
        let goes_on = counted < self.steps && (counted < 3 || since.elapsed() < self.time);
        goes_on.then_some((index, false))
    }
}
