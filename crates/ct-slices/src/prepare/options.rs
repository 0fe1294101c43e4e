//! How a run is carried out; nothing here changes its bytes.

use std::fmt;
use std::str::FromStr;
use std::sync::atomic::AtomicBool;

use ct_volume::Limits;

/// One of `count` equal shares of the volumes.
///
/// Volume number `v` (from 0, in the order of the records) belongs to the shard with
/// `v % count == index % count`, so that both ways of counting shards, 0 to n-1 and 1 to n, cover
/// every volume once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shard {
    index: usize,
    count: usize,
}

impl Shard {
    /// True if the volume with this number is in the shard.
    #[must_use]
    pub fn holds(self, volume: usize) -> bool {
        volume % self.count == self.number()
    }

    /// Its number from 0, also where shards were counted from 1.
    #[must_use]
    pub fn number(self) -> usize {
        self.index % self.count
    }

    /// Shards of the run.
    #[must_use]
    pub fn count(self) -> usize {
        self.count
    }
}

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.index, self.count)
    }
}

/// Text that is not `i/n` with `0 <= i <= n` and `n >= 1`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a shard: write i/n, with i from 0 to n-1 or from 1 to n")]
pub struct ParseShardError(String);

impl FromStr for Shard {
    type Err = ParseShardError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parse = || {
            let (index, count) = text.split_once('/')?;
            let shard = Self { index: index.parse().ok()?, count: count.parse().ok()? };
            (shard.count >= 1 && shard.index <= shard.count).then_some(shard)
        };
        parse().ok_or_else(|| ParseShardError(text.to_owned()))
    }
}

/// What happens during a run, for a progress display.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Progress<'a> {
    /// So many volumes will be worked on.
    Started {
        /// Volumes of this run or shard.
        n_volumes: usize,
    },
    /// A volume is complete.
    VolumeDone {
        /// Its name.
        stem: &'a str,
        /// Slices in it.
        n_slices: usize,
        /// Images written.
        n_images: usize,
        /// True if it was complete before.
        resumed: bool,
    },
    /// A step over all volumes begins.
    Step(&'static str),
}

/// How to carry out a run.
pub struct RunOptions<'a> {
    /// Volumes worked on at once.
    pub threads: usize,
    /// The share of the volumes to do; all of them, and the final steps, if none.
    pub shard: Option<Shard>,
    /// Go on with what an earlier run left. A folder holds one run, or one shard of one.
    pub resume: bool,
    /// Audit the result and write `audit.json` and `audit.txt`.
    pub audit: bool,
    /// Bounds checked before memory is taken.
    pub limits: Limits,
    /// Set to stop after the slices at hand.
    pub cancel: &'a AtomicBool,
    /// Called from worker threads.
    pub progress: &'a (dyn Fn(Progress<'_>) + Sync),
}

impl fmt::Debug for RunOptions<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RunOptions")
            .field("threads", &self.threads)
            .field("shard", &self.shard)
            .field("resume", &self.resume)
            .field("audit", &self.audit)
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ways_of_counting_shards_cover_each_volume_once() {
        for range in [0..4, 1..5] {
            let shards: Vec<Shard> = range.map(|i| format!("{i}/4").parse().unwrap()).collect();
            for volume in 0..10 {
                assert_eq!(shards.iter().filter(|s| s.holds(volume)).count(), 1);
            }
        }
        for bad in ["", "1", "5/4", "-1/4", "1/0", "a/b", "1/4/2"] {
            assert!(bad.parse::<Shard>().is_err(), "{bad}");
        }
    }
}
