//! The ranks.

mod heartbeat;

use std::thread::sleep;
use std::time::{Duration, Instant};

use mpi::Threading;
use mpi::environment::Universe;
use mpi::topology::SimpleCommunicator;
use mpi::traits::{Communicator, CommunicatorCollectives};
use vlm_train::{GradientSync, RankOf, TrainError};

use crate::exchange::{Exchange, RowBuffers, sum_few, sum_row};
use crate::{LostRank, RankSettings, RanksError};
use heartbeat::Heartbeat;

/// Time between two looks at who has come to the end.
const LOOK: Duration = Duration::from_millis(20);
/// Given to `MPI_Abort` where a rank panics.
const PANIC_CODE: i32 = 101;

/// This process as a rank of an MPI job.
///
/// It must end with [`leave`](Self::leave), [`leave_within`](Self::leave_within) or
/// [`abort`](Self::abort). Dropped otherwise, by a panic for one, it ends the whole job, for the other
/// ranks would wait for ever.
pub struct MpiRanks {
    parts: Option<Box<Parts>>,
    ranks: RankOf,
    local_rank: usize,
}

/// Dropped in this order: MPI ends last.
struct Parts {
    heartbeat: Heartbeat,
    /// Sums of the work.
    sums: Sums,
    row: RowBuffers,
    /// The end of the job, apart from sums that others may still wait in.
    leaving: SimpleCommunicator,
    _universe: Universe,
}

impl std::fmt::Debug for MpiRanks {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("MpiRanks")
            .field("ranks", &self.ranks)
            .field("local_rank", &self.local_rank)
            .finish_non_exhaustive()
    }
}

impl MpiRanks {
    /// Starts MPI and the thread that watches a neighbor. All ranks start together. `on_lost` is told,
    /// on that thread, right before the job is ended with [`RankSettings::lost_code`].
    ///
    /// # Errors
    /// [`RanksError`]; the process may go on as one that has no ranks only where all others get the
    /// same error.
    pub fn start(
        settings: &RankSettings,
        on_lost: impl FnOnce(LostRank) + Send + 'static,
    ) -> Result<Self, RanksError> {
        settings.check()?;
        let (universe, provided) =
            mpi::initialize_with_threading(Threading::Multiple).ok_or(RanksError::Started)?;
        if provided < Threading::Multiple {
            return Err(RanksError::Threads { provided: format!("{provided:?}") });
        }
        let world = universe.world();
        let index = |rank: i32| usize::try_from(rank).unwrap_or_default();
        let ranks = RankOf { rank: index(world.rank()), world_size: index(world.size()) };
        let local_rank = index(world.split_shared(0).rank());
        let sums = Sums(world.duplicate());
        let leaving = world.duplicate();
        let heartbeat = Heartbeat::start(*settings, on_lost)?;
        let row = RowBuffers::default();
        let parts = Parts { heartbeat, sums, row, leaving, _universe: universe };
        Ok(Self { parts: Some(Box::new(parts)), ranks, local_rank })
    }

    /// The place of this rank among those of its machine.
    #[must_use]
    pub fn local_rank(&self) -> usize {
        self.local_rank
    }

    /// Waits until all ranks leave, then ends MPI. It waits without using a core.
    pub fn leave(mut self) {
        if let Some(parts) = self.parts.take() {
            parts.meet(None);
            parts.heartbeat.stop();
        }
    }

    /// The same, for so long at most.
    ///
    /// # Errors
    /// These ranks again where another one did not come. The only thing left to do is [`abort`](Self::abort).
    pub fn leave_within(mut self, longest: Duration) -> Result<(), Self> {
        if self.parts.as_ref().is_some_and(|parts| !parts.meet(Some(longest))) {
            return Err(self);
        }
        if let Some(parts) = self.parts.take() {
            parts.heartbeat.stop();
        }
        Ok(())
    }

    /// Ends all ranks at once, with this exit code.
    pub fn abort(&self, code: i32) -> ! {
        SimpleCommunicator::world().abort(code)
    }

    fn parts(&mut self) -> Result<&mut Parts, TrainError> {
        self.parts.as_deref_mut().ok_or_else(|| TrainError::Sync { source: "the ranks have left".into() })
    }
}

impl Drop for MpiRanks {
    fn drop(&mut self) {
        if self.parts.is_some() {
            self.abort(PANIC_CODE);
        }
    }
}

impl Parts {
    /// Whether all ranks came here in time.
    fn meet(&self, longest: Option<Duration>) -> bool {
        let started = Instant::now();
        let mut meeting = self.leaving.immediate_barrier();
        loop {
            match meeting.test() {
                Ok(_) => return true,
                Err(unfinished) => meeting = unfinished,
            }
            if longest.is_some_and(|longest| started.elapsed() >= longest) {
                // MPI keeps the meeting open; the job is ended next.
                std::mem::forget(meeting);
                return false;
            }
            sleep(LOOK);
        }
    }
}

impl GradientSync for MpiRanks {
    fn ranks(&self) -> RankOf {
        self.ranks
    }

    fn sum(&mut self, values: &mut [f64]) -> Result<(), TrainError> {
        sum_few(&mut self.parts()?.sums, values);
        Ok(())
    }

    fn sum_row(&mut self, values: &mut [f32]) -> Result<(), TrainError> {
        let parts = self.parts()?;
        sum_row(&mut parts.sums, &mut parts.row, values);
        Ok(())
    }
}

/// Exchanges of the work.
struct Sums(SimpleCommunicator);

impl Exchange for Sums {
    fn n_ranks(&self) -> usize {
        usize::try_from(self.0.size()).unwrap_or(1)
    }

    fn all_to_all(&mut self, send: &[f32], received: &mut [f32]) {
        self.0.all_to_all_into(send, received);
    }

    fn all_gather(&mut self, own: &[f32], all: &mut [f32]) {
        self.0.all_gather_into(own, all);
    }

    fn all_gather_f64(&mut self, own: &[f64], all: &mut [f64]) {
        self.0.all_gather_into(own, all);
    }
}
