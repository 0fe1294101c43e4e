//! Seconds of a sum of gradients over the ranks of an MPI job, the quickest and the median of ten.
//!
//! ```text
//! cargo build --release -p mpi-ranks --features mpi --example sum_time
//! mpirun -n 4 target/release/examples/sum_time 56627200
//! ```
#![expect(clippy::print_stdout, reason = "an example tells what it measured")]

use std::time::{Duration, Instant};

use mpi_ranks::{MpiRanks, RankSettings};
use vlm_train::GradientSync;

const REPETITIONS: usize = 10;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let n: usize = std::env::args().nth(1).ok_or("how many values?")?.parse()?;
    let settings = RankSettings { timeout: Duration::from_secs(60), lost_code: 75 };
    let mut ranks = MpiRanks::start(&settings, |_| {})?;
    let mut values = vec![1.0_f32; n];
    let mut seconds = Vec::new();
    for _ in 0..REPETITIONS {
        values.fill(1.0);
        // All begin together.
        ranks.sum(&mut [0.0])?;
        let started = Instant::now();
        ranks.sum_row(&mut values)?;
        seconds.push(started.elapsed().as_secs_f64());
    }
    seconds.sort_by(f64::total_cmp);
    let of = ranks.ranks();
    let is_right = values.iter().all(|value| (f64::from(*value) - to_f64(of.world_size)).abs() < 1e-9);
    if of.rank == 0 {
        let (quickest, median) = (seconds[0], seconds[REPETITIONS / 2]);
        println!(
            "{n} values, {} ranks: {quickest:.4} s, median {median:.4} s, right: {is_right}",
            of.world_size
        );
    }
    ranks.leave();
    Ok(())
}

fn to_f64(n_ranks: usize) -> f64 {
    u32::try_from(n_ranks).map_or(f64::INFINITY, f64::from)
}
