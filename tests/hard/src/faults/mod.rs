//! Faults under running programs: what they lose and what they leave behind.
//!
//! Small jobs of the real programs run under a preloaded shim (`tests/hard/shim/faults.c`) that counts the calls which
//! change files below the job's folder and breaks one of them. After every fault nothing under a final name may be
//! half, and the job, run again, must end with the bytes of a run that nothing happened to.

mod check;
mod clocks;
mod disks;
mod errors;
mod jobs;
mod kills;
mod locks;
mod regressions;
mod shim;
mod trial;

use std::path::PathBuf;

use anyhow::Result;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

use crate::table::Row;
use jobs::Job;
use shim::Shim;

/// What `hard faults` is asked.
#[derive(Clone, Debug, clap::Args)]
pub struct FaultOptions {
    /// The folder of the programs [default: where this program lies]
    #[arg(long, value_name = "FOLDER")]
    pub programs: Option<PathBuf>,
    /// Kills of each job; with six jobs, 50 are 300
    #[arg(long, default_value_t = 50)]
    pub kills: usize,
    /// Faults of each job [default: every call once, in ways that take turns, and every way at every kind of call]
    #[arg(long, value_name = "N", conflicts_with = "every_way")]
    pub faults: Option<usize>,
    /// Every call fails in every way: about three times as long
    #[arg(long)]
    pub every_way: bool,
    /// The seed of every draw
    #[arg(long, default_value_t = 1)]
    pub fault_seed: u64,
    /// This job alone: prepare, merge, train, checkpoint, convert or predict
    #[arg(long, value_name = "JOB")]
    pub job: Option<String>,
}

impl Default for FaultOptions {
    fn default() -> Self {
        Self { programs: None, kills: 50, faults: None, every_way: false, fault_seed: 1, job: None }
    }
}

/// Tries every fault.
///
/// # Errors
/// If a program to be tried cannot be run at all, or no C compiler builds the shim.
pub fn run(options: &FaultOptions) -> Result<Vec<Row>> {
    let work = tempfile::Builder::new().prefix("hard-faults-").tempdir()?;
    let shim = Shim::build(work.path())?;
    let mut rows = Vec::new();
    let all = jobs::jobs(&options.programs()?, &work.path().join("inputs"))?;
    let wanted = all.iter().filter(|job| options.job.as_ref().is_none_or(|name| name == job.name));
    for job in wanted {
        bin_support::note(&format!("faults under {}", job.name));
        let bench = trial::Bench::new(job, &shim, &work.path().join("trial"))?;
        // Draws of one job do not depend on which others run.
        let random = || ChaCha8Rng::seed_from_u64(options.fault_seed);
        rows.push(kills::kills(&bench, options.kills, &mut random())?);
        let extent = match (options.every_way, options.faults) {
            (true, _) => errors::Extent::EveryWay,
            (false, Some(most)) => errors::Extent::Some(most),
            (false, None) => errors::Extent::EveryCall,
        };
        rows.push(errors::errors(&bench, extent, &mut random())?);
        rows.push(disks::full_disks(&bench, options.faults)?);
        rows.push(clocks::clocks(&bench)?);
        rows.extend(locks::second_process(&bench, &mut random())?);
        rows.extend(regressions::regressions(&bench)?);
    }
    Ok(rows)
}

impl FaultOptions {
    /// Where the programs are: beside this one, or above it where it is a test.
    fn programs(&self) -> Result<PathBuf> {
        let folder = match &self.programs {
            Some(folder) => folder.clone(),
            None => {
                let mut folder = std::env::current_exe()?;
                folder.pop();
                if folder.ends_with("deps") {
                    folder.pop();
                }
                folder
            }
        };
        for program in Job::PROGRAMS {
            let path = folder.join(program);
            anyhow::ensure!(
                path.is_file(),
                "no `{}`: build the workspace first (`cargo build --workspace`)",
                path.display()
            );
        }
        Ok(folder)
    }
}
