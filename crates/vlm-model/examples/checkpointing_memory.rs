//! Peak memory and time of one training step with activations kept and with blocks recomputed.
//!
//! ```text
//! cargo run --release -p vlm-model --example checkpointing_memory -- 12 576 310 4
//! ```
//! Arguments: blocks, width, positions, batch. The head's weights are random, LoRA r 16 on queries and values.

use std::time::Instant;

use burn::tensor::{Device, Distribution, Tensor};
use peak_alloc::PeakAlloc;
use vlm_model::{
    AttentionMask, BlockCheckpointing, IGNORED_LABEL, Labels, LlamaConfig, LoraConfig, MiniGpt,
    MiniGptConfig, Precision, Trainable,
};

#[global_allocator]
static ALLOCATOR: PeakAlloc = PeakAlloc;

#[expect(clippy::print_stdout, reason = "an example for people")]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    let numbers: Vec<usize> = std::env::args().skip(1).map(|text| text.parse()).collect::<Result<_, _>>()?;
    let [n_layers, width, n_positions, batch] = numbers[..].try_into().unwrap_or([12, 576, 310, 4]);
    let config = MiniGptConfig {
        llama: LlamaConfig {
            hidden_size: width,
            intermediate_size: width * 8 / 3,
            n_layers,
            n_heads: width / 64,
            n_kv_heads: width / 64,
            head_dim: 64,
            tied_head: false,
            ..LlamaConfig::nano()
        },
        lora: Some(LoraConfig { rank: 16, ..LoraConfig::default() }),
        ..MiniGptConfig::nano()
    };
    let device = Device::flex();
    let model =
        MiniGpt::empty(&config, Precision::F32, &device)?.with_trainable(Trainable::AdaptersAndProjector);
    device.seed(1);
    let mask = AttentionMask::full(batch, n_positions);
    let answer = n_positions - 16;
    let label = |position| if position < answer { IGNORED_LABEL } else { 7 };
    let labels = Labels::new(vec![(0..n_positions).map(label).collect(); batch]);
    for checkpointing in [BlockCheckpointing::Off, BlockCheckpointing::On] {
        let mut best = f64::INFINITY;
        let mut peak_mb = 0.0_f32;
        for _ in 0..3 {
            let embeddings =
                Tensor::<3>::random([batch, n_positions, width], Distribution::Normal(0.0, 1.0), &device);
            let before = ALLOCATOR.current_usage_as_mb();
            ALLOCATOR.reset_peak_usage();
            let start = Instant::now();
            let step = model.loss_and_gradients(embeddings, &mask, &labels, checkpointing, 1)?;
            best = best.min(start.elapsed().as_secs_f64());
            peak_mb = ALLOCATOR.peak_usage_as_mb() - before;
            drop(step);
        }
        println!(
            "{n_layers} blocks of {width}, {batch} x {n_positions} positions, checkpointing {checkpointing:?}: \
             peak {peak_mb:.0} MB above the model, {best:.2} s a step"
        );
    }
    Ok(())
}
