//! `train` as one of several processes.

use std::time::Duration;

use anyhow::{Context, Error, Result};
use bin_support::{EXIT_ERROR, EXIT_LOST_RANK, EXIT_STOPPED, note, report_error};
use cascade::{CascadeError, Stage};
use mpi_ranks::{MpiRanks, RankSettings};
use vlm_model::DeviceChoice;
use vlm_train::GradientSync;

use crate::args::TrainArgs;
use crate::train::train;

/// How long a rank that failed waits for the others to fail too, before it ends the job.
const PATIENCE: Duration = Duration::from_secs(5);

/// Trains as one of the ranks that a launcher started, and ends them together.
pub(crate) fn train_as_rank(stage: Stage, args: &TrainArgs) -> Result<u8> {
    let settings = RankSettings {
        timeout: Duration::from_secs(args.rank_timeout),
        lost_code: i32::from(EXIT_LOST_RANK),
    };
    let mut ranks = MpiRanks::start(&settings, |lost| {
        note(&format!("error: {lost}\n  the job ends; go on from the last checkpoint with `--resume`"));
    })
    .context("cannot start as a rank")?;
    let rank = ranks.ranks().rank;
    let device = device_of(args.device.device, ranks.local_rank());
    let error = match train(stage, args, device, &mut ranks) {
        Ok(code) => {
            ranks.leave();
            return Ok(code);
        }
        Err(error) => error,
    };
    let code = exit_code(&error);
    if rank == 0 {
        report_error(&error);
    }
    // What all ranks found wrong, or were all asked to stop for, the first has told. Otherwise the others still
    // work, and wait for this one: they are ended.
    if let Err(ranks) = ranks.leave_within(PATIENCE) {
        if rank != 0 {
            report_error(&error.context(format!("rank {rank} failed")));
        }
        ranks.abort(i32::from(code));
    }
    Ok(code)
}

fn exit_code(error: &Error) -> u8 {
    let stopped = error.chain().any(|cause| matches!(cause.downcast_ref(), Some(CascadeError::Stopped)));
    if stopped { EXIT_STOPPED } else { EXIT_ERROR }
}

/// The device of a rank: ranks of a machine count on from the device that is named, unless the launcher shows each
/// rank one device alone.
fn device_of(asked: DeviceChoice, local_rank: usize) -> DeviceChoice {
    let shown = std::env::var("CUDA_VISIBLE_DEVICES").ok();
    let own = |first: usize| DeviceChoice::Cuda(device_index(first, local_rank, shown.as_deref()));
    match asked {
        // The CPU where there is no such device.
        DeviceChoice::Auto => Some(own(0)).filter(|device| device.open().is_ok()).unwrap_or(asked),
        DeviceChoice::Cpu => asked,
        DeviceChoice::Cuda(first) => own(first),
    }
}

fn device_index(first: usize, local_rank: usize, shown: Option<&str>) -> usize {
    match shown {
        Some(shown) if !shown.is_empty() && !shown.contains(',') => first,
        _ => first + local_rank,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranks_of_a_machine_have_a_device_each() {
        for (first, local_rank, shown, expected) in [
            (0, 0, None, 0),
            (0, 3, None, 3),
            (2, 1, Some("0,1,2,3"), 3),
            // bound by the launcher: each sees its own as the first
            (0, 3, Some("3"), 0),
            (0, 1, Some(""), 1),
        ] {
            assert_eq!(device_index(first, local_rank, shown), expected, "{first} {local_rank} {shown:?}");
        }
        assert_eq!(device_of(DeviceChoice::Cpu, 3), DeviceChoice::Cpu);
    }

    #[test]
    fn a_stop_has_its_own_code() {
        let stopped = Error::new(CascadeError::Stopped).context("pancreas_box was not trained");
        assert_eq!(exit_code(&stopped), EXIT_STOPPED);
        assert_eq!(exit_code(&Error::msg("no")), EXIT_ERROR);
    }
}
