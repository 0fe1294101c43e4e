//! Several sources as one endless stream of batches.

use serde::{Deserialize, Serialize};
use vlm_prompt::InstructionSeed;

use crate::draws::{Purpose, permutation, stream, unit};
use crate::error::setting;
use crate::{SampleSource, TrainError, TrainingItem};

/// How sources are mixed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MixMode {
    /// Every sample's source is drawn: a batch holds all kinds, and no sample of a pass is left out.
    #[default]
    Sample,
    /// As published: one source is drawn for a whole batch, and what is left of a pass that does
    /// not fill a batch is dropped (SPEC 4.2).
    Batch,
}

/// A source and how often it is drawn.
pub struct MixtureEntry {
    /// The samples.
    pub source: Box<dyn SampleSource>,
    /// Its share before all shares are divided by their sum. If the first source has none, all are
    /// drawn alike (SPEC 4.2); a later one without counts 1.
    pub ratio: Option<f64>,
}

impl MixtureEntry {
    /// A source drawn like all others.
    pub fn new(source: impl SampleSource + 'static) -> Self {
        Self { source: Box::new(source), ratio: None }
    }

    /// A source with a share.
    pub fn with_ratio(source: impl SampleSource + 'static, ratio: f64) -> Self {
        Self { source: Box::new(source), ratio: Some(ratio) }
    }
}

impl std::fmt::Debug for MixtureEntry {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("MixtureEntry")
            .field("source", &self.source.name())
            .field("n_samples", &self.source.len())
            .field("ratio", &self.ratio)
            .finish()
    }
}

/// How far a mixture was read; with the seed it decides everything that follows.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MixturePosition {
    /// Draws of a source made so far.
    pub n_draws: u64,
    /// Place in each source.
    pub sources: Vec<SourcePosition>,
}

/// How far a source was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SourcePosition {
    /// Passes finished.
    pub pass: u64,
    /// Samples taken of this pass.
    pub n_taken: u64,
}

/// Which part of every batch a process takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RankOf {
    /// This process, from 0.
    pub rank: usize,
    /// All processes.
    pub world_size: usize,
}

impl Default for RankOf {
    /// One process alone.
    fn default() -> Self {
        Self { rank: 0, world_size: 1 }
    }
}

/// A sample of a batch: which, and what its own random choices are keyed by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SampleDraw {
    /// Place of the source in the mixture.
    pub source_idx: usize,
    /// Seed, pass and place in the source.
    pub draw: InstructionSeed,
}

/// An endless stream of batches: sources start again, in another order, whenever they end.
#[derive(Debug)]
pub struct Mixture {
    entries: Vec<MixtureEntry>,
    /// Running sums of the shares.
    bounds: Vec<f64>,
    mode: MixMode,
    seed: u64,
    batch_size: usize,
    ranks: RankOf,
    position: MixturePosition,
    /// The order of the pass that each source is in.
    orders: Vec<Option<(u64, Vec<usize>)>>,
}

impl Mixture {
    /// A mixture at its beginning. `batch_size` counts the samples of all ranks together; each
    /// rank takes its own part of every batch.
    ///
    /// # Errors
    /// [`TrainError::Setting`] for no source, an empty one, one of a name twice, shares that are
    /// not all finite and 0 or more with a sum above 0, a batch that ranks cannot share evenly, or,
    /// in [`MixMode::Batch`], a source that does not fill a batch.
    pub fn new(
        entries: Vec<MixtureEntry>,
        mode: MixMode,
        seed: u64,
        batch_size: usize,
        ranks: RankOf,
    ) -> Result<Self, TrainError> {
        if entries.is_empty() {
            return Err(setting("sources", 0, "expected at least one"));
        }
        if ranks.world_size == 0 || ranks.rank >= ranks.world_size {
            let value = format!("{} of {}", ranks.rank, ranks.world_size);
            return Err(setting("rank", value, "expected a rank below the number of ranks"));
        }
        if batch_size == 0 || !batch_size.is_multiple_of(ranks.world_size) {
            return Err(setting("batch_size", batch_size, "expected a multiple of the ranks, above 0"));
        }
        let is_uniform = entries.first().is_none_or(|entry| entry.ratio.is_none());
        let mut bounds = Vec::with_capacity(entries.len());
        let mut total = 0.0;
        for (place, entry) in entries.iter().enumerate() {
            let name = entry.source.name();
            if entry.source.is_empty() {
                return Err(setting("sources", name, "the source has no sample"));
            }
            if entries[..place].iter().any(|other| other.source.name() == name) {
                return Err(setting("sources", name, "two sources have this name"));
            }
            if mode == MixMode::Batch && entry.source.len() < batch_size {
                return Err(setting("sources", name, "the source has fewer samples than one batch"));
            }
            let ratio = if is_uniform { 1.0 } else { entry.ratio.unwrap_or(1.0) };
            crate::error::check_not_negative("ratio", ratio)?;
            total += ratio;
            bounds.push(total);
        }
        if !(total.is_finite() && total > 0.0) {
            return Err(setting("ratio", total, "expected shares with a sum above 0"));
        }
        let position =
            MixturePosition { n_draws: 0, sources: vec![SourcePosition::default(); entries.len()] };
        let orders = vec![None; entries.len()];
        Ok(Self { entries, bounds, mode, seed, batch_size, ranks, position, orders })
    }

    /// The sources.
    #[must_use]
    pub fn entries(&self) -> &[MixtureEntry] {
        &self.entries
    }

    /// How far it was read.
    #[must_use]
    pub fn position(&self) -> &MixturePosition {
        &self.position
    }

    /// Goes on from a position of a mixture of the same sources.
    ///
    /// # Errors
    /// [`TrainError::Setting`] if the position cannot be one of this mixture.
    pub fn seek(&mut self, position: MixturePosition) -> Result<(), TrainError> {
        let fits = position.sources.len() == self.entries.len()
            && position
                .sources
                .iter()
                .zip(&self.entries)
                .all(|(place, entry)| place.n_taken <= entry.source.len() as u64);
        if !fits {
            return Err(setting(
                "mixture position",
                format!("{position:?}"),
                "expected a place inside every source",
            ));
        }
        self.position = position;
        Ok(())
    }

    /// Draws the next batch and returns this rank's part of it.
    pub fn next_batch(&mut self) -> Vec<SampleDraw> {
        let batch: Vec<SampleDraw> = match self.mode {
            MixMode::Sample => (0..self.batch_size)
                .map(|_| {
                    let source_idx = self.draw_source();
                    self.take(source_idx, 1)
                })
                .collect(),
            MixMode::Batch => {
                let source_idx = self.draw_source();
                (0..self.batch_size)
                    .map(|place| self.take(source_idx, if place == 0 { self.batch_size } else { 1 }))
                    .collect()
            }
        };
        batch.into_iter().skip(self.ranks.rank).step_by(self.ranks.world_size).collect()
    }

    /// The sample of a draw.
    ///
    /// # Errors
    /// [`TrainError::Sample`], naming source and sample.
    ///
    /// # Panics
    /// If the draw is of another mixture.
    pub fn item(&self, draw: &SampleDraw) -> Result<TrainingItem, TrainError> {
        let source = &self.entries[draw.source_idx].source;
        let index = usize::try_from(draw.draw.index).unwrap_or(usize::MAX);
        source.item(index, draw.draw).map_err(|error| TrainError::Sample {
            name: source.name().to_owned(),
            index: draw.draw.index,
            source: error,
        })
    }

    fn draw_source(&mut self) -> usize {
        let mut rng = stream(self.seed, Purpose::Mix, [self.position.n_draws, 0]);
        // One source takes a draw too, as published, so that a source added later shifts nothing.
        self.position.n_draws += 1;
        let total = self.bounds.last().copied().unwrap_or(1.0);
        let at = unit(&mut rng) * total;
        self.bounds.partition_point(|bound| *bound <= at).min(self.bounds.len() - 1)
    }

    /// The next sample of a source, from a new pass if fewer than `n_needed` are left of this one.
    fn take(&mut self, source_idx: usize, n_needed: usize) -> SampleDraw {
        let n = self.entries[source_idx].source.len();
        let place = &mut self.position.sources[source_idx];
        if place.n_taken.saturating_add(n_needed as u64) > n as u64 {
            *place = SourcePosition { pass: place.pass + 1, n_taken: 0 };
        }
        let (pass, taken) = (place.pass, usize::try_from(place.n_taken).unwrap_or(usize::MAX));
        place.n_taken += 1;
        let order = match &mut self.orders[source_idx] {
            Some((of_pass, order)) if *of_pass == pass => order,
            other => {
                let rng = stream(self.seed, Purpose::Shuffle, [source_idx as u64, pass]);
                &mut other.insert((pass, permutation(n, rng))).1
            }
        };
        let draw = InstructionSeed { seed: self.seed, epoch: pass, index: order[taken] as u64 };
        SampleDraw { source_idx, draw }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::{FixedSource, ImageId};

    fn source(name: &str, n: u64) -> FixedSource {
        FixedSource::new(name, (0..n).map(|i| TrainingItem::single(ImageId(i), "q", "a")).collect())
    }

    fn mixture(mode: MixMode, batch_size: usize, ranks: RankOf) -> Mixture {
        let entries = vec![
            MixtureEntry::with_ratio(source("a", 10), 3.0),
            MixtureEntry::with_ratio(source("b", 7), 1.0),
        ];
        Mixture::new(entries, mode, 42, batch_size, ranks).unwrap()
    }

    #[test]
    fn published_batches_are_of_one_source_and_drop_what_does_not_fill_one() {
        let mut mixture = mixture(MixMode::Batch, 4, RankOf::default());
        let mut n_a = 0;
        let mut seen: Vec<Vec<SampleDraw>> = vec![Vec::new(); 2];
        for _ in 0..4000 {
            let batch = mixture.next_batch();
            assert!(batch.iter().all(|one| one.source_idx == batch[0].source_idx), "SPEC 4.2: homogeneous");
            assert!(batch.iter().all(|one| one.draw.epoch == batch[0].draw.epoch), "no batch of two passes");
            n_a += usize::from(batch[0].source_idx == 0);
            seen[batch[0].source_idx].extend(batch);
        }
        // 3/4 of 4000, five standard deviations
        assert!(n_a.abs_diff(3000) < 137, "{n_a}");
        for (draws, per_pass) in seen.iter().zip([8, 4]) {
            for (pass, chunk) in draws.chunks_exact(per_pass).enumerate() {
                assert!(chunk.iter().all(|one| one.draw.epoch == pass as u64));
                let different: BTreeSet<u64> = chunk.iter().map(|one| one.draw.index).collect();
                assert_eq!(different.len(), per_pass, "nothing twice in a pass");
            }
        }
    }

    #[test]
    fn mixed_batches_use_every_sample_of_a_pass() {
        let mut mixture = mixture(MixMode::Sample, 4, RankOf::default());
        let draws: Vec<SampleDraw> = (0..2000).flat_map(|_| mixture.next_batch()).collect();
        assert!(draws.chunks(4).any(|batch| batch.iter().any(|one| one.source_idx != batch[0].source_idx)));
        for (source_idx, n) in [(0, 10), (1, 7)] {
            let of_source: Vec<u64> =
                draws.iter().filter(|one| one.source_idx == source_idx).map(|one| one.draw.index).collect();
            for pass in of_source.chunks_exact(n) {
                assert_eq!(pass.iter().collect::<BTreeSet<_>>().len(), n);
            }
            assert_ne!(of_source[..n], of_source[n..2 * n], "another order");
        }
    }

    #[test]
    fn a_position_continues_the_stream() {
        for mode in [MixMode::Sample, MixMode::Batch] {
            let mut whole = mixture(mode, 4, RankOf::default());
            let all: Vec<_> = (0..40).map(|_| whole.next_batch()).collect();
            for stop in [0, 1, 7, 23] {
                let mut first = mixture(mode, 4, RankOf::default());
                (0..stop).for_each(|_| drop(first.next_batch()));
                let text = serde_json::to_string(first.position()).unwrap();
                let mut second = mixture(mode, 4, RankOf::default());
                second.seek(serde_json::from_str(&text).unwrap()).unwrap();
                let rest: Vec<_> = (stop..40).map(|_| second.next_batch()).collect();
                assert_eq!(rest, all[stop..], "{mode:?} from {stop}");
            }
        }
        let mut other = mixture(MixMode::Sample, 4, RankOf::default());
        assert!(other.seek(MixturePosition::default()).is_err(), "of another number of sources");
    }

    #[test]
    fn ranks_share_the_same_batch() {
        for mode in [MixMode::Sample, MixMode::Batch] {
            let mut alone = mixture(mode, 4, RankOf::default());
            let mut ranks = [0, 1].map(|rank| mixture(mode, 4, RankOf { rank, world_size: 2 }));
            for _ in 0..20 {
                let [even, odd] = ranks.each_mut().map(Mixture::next_batch);
                let together: Vec<_> = even.into_iter().zip(odd).flat_map(|(a, b)| [a, b]).collect();
                assert_eq!(together, alone.next_batch());
            }
        }
    }

    #[test]
    fn impossible_mixtures_are_refused() {
        let check = |entries, mode, batch_size, ranks, what: &str| {
            let error = Mixture::new(entries, mode, 1, batch_size, ranks).unwrap_err().to_string();
            assert!(error.contains(what), "{error}");
        };
        let one = || vec![MixtureEntry::new(source("a", 3))];
        let alone = RankOf::default();
        check(vec![], MixMode::Sample, 1, alone, "at least one");
        check(vec![MixtureEntry::new(source("a", 0))], MixMode::Sample, 1, alone, "no sample");
        check([one(), one()].into_iter().flatten().collect(), MixMode::Sample, 1, alone, "this name");
        check(one(), MixMode::Batch, 4, alone, "fewer samples");
        check(one(), MixMode::Sample, 0, alone, "batch_size");
        check(one(), MixMode::Sample, 3, RankOf { rank: 0, world_size: 2 }, "batch_size");
        check(one(), MixMode::Sample, 2, RankOf { rank: 2, world_size: 2 }, "rank");
        check(vec![MixtureEntry::with_ratio(source("a", 3), 0.0)], MixMode::Sample, 1, alone, "sum above 0");
        check(vec![MixtureEntry::with_ratio(source("a", 3), f64::NAN)], MixMode::Sample, 1, alone, "ratio");
    }

    #[test]
    fn without_a_share_of_the_first_all_are_alike() {
        let entries =
            vec![MixtureEntry::new(source("a", 9)), MixtureEntry::with_ratio(source("b", 9), 1000.0)];
        let mut mixture = Mixture::new(entries, MixMode::Sample, 5, 1, RankOf::default()).unwrap();
        let n_a = (0..4000).filter(|_| mixture.next_batch()[0].source_idx == 0).count();
        assert!(n_a.abs_diff(2000) < 159, "SPEC 4.2: uniform, {n_a}");
    }
}
