//! What ranks are started with, and what can go wrong then.

use std::time::Duration;

/// How ranks watch each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RankSettings {
    /// A rank that is silent for so long is lost.
    pub timeout: Duration,
    /// The exit code of the job then, as `MPI_Abort` is given it.
    pub lost_code: i32,
}

/// Shortest timeout: a busy machine must not look like a lost one.
const SHORTEST: Duration = Duration::from_secs(2);
/// Longest timeout.
const LONGEST: Duration = Duration::from_secs(24 * 3600);
/// Longest time between two beats.
const SLOWEST_BEAT: Duration = Duration::from_secs(2);
/// Beats that fit into a timeout, at least.
const BEATS: u32 = 5;

impl RankSettings {
    /// # Errors
    /// [`RanksError::Timeout`] outside of 2 seconds to a day.
    pub fn check(&self) -> Result<(), RanksError> {
        if (SHORTEST..=LONGEST).contains(&self.timeout) {
            return Ok(());
        }
        Err(RanksError::Timeout { seconds: self.timeout.as_secs() })
    }

    /// Time between two beats.
    #[must_use]
    pub fn period(&self) -> Duration {
        (self.timeout / BEATS).min(SLOWEST_BEAT)
    }
}

/// A rank that fell silent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LostRank {
    /// The rank.
    pub rank: usize,
    /// The rank that noticed.
    pub noticed_by: usize,
    /// How long it was silent.
    pub silence: Duration,
}

impl std::fmt::Display for LostRank {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let seconds = self.silence.as_secs();
        write!(
            formatter,
            "rank {} is lost: rank {} heard nothing of it for {seconds} s",
            self.rank, self.noticed_by
        )
    }
}

/// Ranks that cannot be started.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RanksError {
    /// A timeout that cannot tell a lost rank from a busy one, or never ends.
    #[error("a rank timeout of `{seconds}` seconds: expected 2 to 86400")]
    Timeout {
        /// As asked for.
        seconds: u64,
    },
    /// MPI was started in this process before.
    #[error("MPI was started in this process already")]
    Started,
    /// The MPI library does not let several threads call it.
    #[error("this MPI allows `{provided}` threads, `Multiple` are needed: build it with thread support")]
    Threads {
        /// What it allows.
        provided: String,
    },
    /// The thread that beats cannot be started.
    #[error("cannot start the thread that watches the ranks")]
    Thread {
        /// What the system said.
        source: std::io::Error,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timeout_holds_several_beats() {
        for (seconds, period_ms) in
            [(2, Some(400)), (20, Some(2000)), (600, Some(2000)), (1, None), (90_000, None)]
        {
            let settings = RankSettings { timeout: Duration::from_secs(seconds), lost_code: 1 };
            assert_eq!(settings.check().is_ok(), period_ms.is_some(), "{seconds}");
            if let Some(period_ms) = period_ms {
                assert_eq!(settings.period(), Duration::from_millis(period_ms));
            }
        }
    }
}
