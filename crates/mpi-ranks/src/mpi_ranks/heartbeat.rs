//! Ranks that watch each other in a ring: each beats to the next and listens to the one before.
//!
//! The beats go over a communicator of their own and a thread of their own, so that they go on while
//! the work computes or waits. They tell that a process runs and can be reached, not that its work
//! gets on.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::thread::{JoinHandle, sleep};
use std::time::{Duration, Instant};

use mpi::request::{Request, StaticScope};
use mpi::topology::SimpleCommunicator;
use mpi::traits::{Communicator, Destination, Source};

use crate::silence::Silence;
use crate::{LostRank, RankSettings, RanksError};

/// Time between two looks.
const LOOK: Duration = Duration::from_millis(100);
const BEAT: i32 = 1;
const GOODBYE: i32 = 2;
/// What is sent: nothing is to be known but that it came.
static MESSAGE: u8 = 0;

/// The thread that beats.
#[derive(Debug)]
pub(super) struct Heartbeat {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

impl Heartbeat {
    /// Starts beating; all ranks do so together.
    pub(super) fn start(
        settings: RankSettings,
        on_lost: impl FnOnce(LostRank) + Send + 'static,
    ) -> Result<Self, RanksError> {
        let stop = Arc::new(AtomicBool::new(false));
        let asked = Arc::clone(&stop);
        let (ready, is_ready) = mpsc::channel();
        let work = move || {
            // Made here, for communicators stay on their thread; nobody else uses the world meanwhile.
            let ring = SimpleCommunicator::world().duplicate();
            // It only fails where the other end has gone, and then nobody waits.
            let _ = ready.send(());
            if let Some(lost) = beat(&ring, &settings, &asked) {
                on_lost(lost);
                ring.abort(settings.lost_code);
            }
        };
        let thread = std::thread::Builder::new().name("rank heartbeat".to_owned()).spawn(work);
        let thread = thread.map_err(|source| RanksError::Thread { source })?;
        // An error is the thread's panic, which the end finds.
        let _ = is_ready.recv();
        Ok(Self { stop, thread })
    }

    /// Says goodbye, once all ranks have met; returns when the neighbors have too.
    pub(super) fn stop(self) {
        self.stop.store(true, Ordering::Relaxed);
        // A panic there would have been a lost rank to the neighbor.
        let _ = self.thread.join();
    }
}

/// Beats and listens until both neighbors have said goodbye, or one is lost.
fn beat(ring: &SimpleCommunicator, settings: &RankSettings, stop: &AtomicBool) -> Option<LostRank> {
    let (rank, n_ranks) = (ring.rank(), ring.size());
    if n_ranks <= 1 {
        return None;
    }
    let next = ring.process_at_rank((rank + 1) % n_ranks);
    let before = ring.process_at_rank((rank + n_ranks - 1) % n_ranks);
    let index = |rank: i32| usize::try_from(rank).unwrap_or_default();
    let mut silence = Silence::new(settings.timeout);
    let mut sending: Option<Request<'static, u8, StaticScope>> = None;
    let mut sent = None;
    let (mut has_left, mut has_heard_leave) = (false, false);
    let mut last_look = Instant::now();
    loop {
        // A beat that does not get out must not keep this thread from listening.
        sending = sending.and_then(|request| request.test().err());
        let is_due = sent.is_none_or(|at: Instant| at.elapsed() >= settings.period());
        let leaves = stop.load(Ordering::Relaxed);
        if sending.is_none() && !has_left && (leaves || is_due) {
            let tag = if leaves { GOODBYE } else { BEAT };
            sending = Some(next.immediate_send_with_tag(StaticScope, &MESSAGE, tag));
            sent = Some(Instant::now());
            has_left = leaves;
        }
        let mut was_heard = false;
        while before.immediate_probe().is_some() {
            let (_, status) = before.receive::<u8>();
            was_heard = true;
            has_heard_leave |= status.tag() == GOODBYE;
        }
        let elapsed = last_look.elapsed();
        last_look = Instant::now();
        if let Some(silence) = silence.look(was_heard || has_heard_leave, elapsed) {
            if let Some(request) = sending {
                // It never completed, and the job ends.
                std::mem::forget(request);
            }
            return Some(LostRank { rank: index(before.rank()), noticed_by: index(rank), silence });
        }
        if has_left && has_heard_leave && sending.is_none() {
            return None;
        }
        sleep(LOOK);
    }
}
