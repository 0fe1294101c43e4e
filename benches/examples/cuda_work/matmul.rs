//! What the device can do at best.

use std::time::Instant;

use anyhow::Result;
use burn::tensor::{Distribution, Tensor};
use serde_json::json;

use crate::options::Options;
use crate::print;

/// Products in a row before the clock is read.
const N_PRODUCTS: u32 = 10;

/// Square matrices of the frozen weights' type, at several sizes.
pub(crate) fn top(options: &Options) -> Result<()> {
    let device = options.open_device()?;
    let dtype = options.precision().frozen_dtype();
    let sizes: &[usize] = if options.is_cuda() { &[4096, 8192, 16_384] } else { &[512, 1024] };
    for &size in sizes {
        #[expect(clippy::cast_precision_loss, reason = "sizes are small")]
        let edge = size as f64;
        let random =
            |std| Tensor::<2>::random([size, size], Distribution::Normal(0.0, std), (&device, dtype));
        // A chain, none of which may be left out; the second factor keeps its numbers' size.
        let (first, factor) = (random(1.0), random(edge.sqrt().recip()));
        device.sync()?;
        let mut best = 0.0_f64;
        for round in 0..4 {
            let start = Instant::now();
            let product = (0..N_PRODUCTS).fold(first.clone(), |x, _| x.matmul(factor.clone()));
            device.sync()?;
            let seconds = start.elapsed().as_secs_f64();
            drop(product);
            // The first round compiles and tunes.
            if round > 0 {
                best = best.max(2.0 * edge.powi(3) * f64::from(N_PRODUCTS) / seconds / 1e12);
            }
        }
        print(&json!({"size": size, "tflops": best}))?;
    }
    Ok(())
}
