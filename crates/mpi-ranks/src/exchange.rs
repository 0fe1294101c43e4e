//! Sums over ranks with the same bits on all of them.
//!
//! MPI's own all-reduce may add in any order, one that follows the number of ranks, the size of the
//! row and the network: equal on all ranks, as the standard asks, but not from one cluster to another,
//! and in f32. Here a row is cut into as many parts as there are ranks; every rank is sent its part
//! by all others (an all-to-all), adds them up in the order of ranks in f64, rounds once, and hands the sums
//! out (an all-gather). A rank sends and receives 2 (N - 1) / N of the row, as in a ring.

/// What a sum needs of the network; equal lengths on all ranks.
pub(crate) trait Exchange {
    fn n_ranks(&self) -> usize;

    /// Sends part `r` of `send` to rank `r`; `received` gets the parts of all ranks, in their order.
    fn all_to_all(&mut self, send: &[f32], received: &mut [f32]);

    /// Sends `own` to all; `all` gets those of all ranks, in their order.
    fn all_gather(&mut self, own: &[f32], all: &mut [f32]);

    /// The same for f64.
    fn all_gather_f64(&mut self, own: &[f64], all: &mut [f64]);
}

/// Values that are exchanged at once: all of the published adapters and projector, whose exchange then waits for the
/// network once, and far below the 2^31 - 1 elements that an MPI call may count. What is received takes 256 MiB at most.
const BLOCK: usize = 64 << 20;
/// Values that are added up at once: they stay in the processor's cache.
const TILE: usize = 2048;

/// Memory of the sums of rows, kept from one to the next: fresh pages would cost as much as the sum.
#[derive(Debug, Default)]
pub(crate) struct RowBuffers {
    padded: Vec<f32>,
    received: Vec<f32>,
    sums: Vec<f32>,
}

/// Replaces each value by its sum over all ranks.
#[cfg(feature = "mpi")]
pub(crate) fn sum_row(exchange: &mut impl Exchange, buffers: &mut RowBuffers, values: &mut [f32]) {
    sum_blocks(exchange, buffers, values, BLOCK);
}

fn sum_blocks(exchange: &mut impl Exchange, buffers: &mut RowBuffers, values: &mut [f32], block: usize) {
    let n_ranks = exchange.n_ranks();
    let RowBuffers { padded, received, sums } = buffers;
    for block in values.chunks_mut(block) {
        let of_rank = block.len().div_ceil(n_ranks);
        received.resize(of_rank * n_ranks, 0.0);
        sums.resize(of_rank, 0.0);
        if block.len() == received.len() {
            exchange.all_to_all(block, received);
            add_up(received, sums);
            exchange.all_gather(sums, block);
        } else {
            padded.clear();
            padded.extend_from_slice(block);
            padded.resize(received.len(), 0.0);
            exchange.all_to_all(padded, received);
            add_up(received, sums);
            exchange.all_gather(sums, received);
            block.copy_from_slice(&received[..block.len()]);
        }
    }
}

/// Adds the rows of all ranks up in their order, in f64, and rounds once.
fn add_up(rows: &[f32], sums: &mut [f32]) {
    let n = sums.len();
    let mut tile = [0.0_f64; TILE];
    for (place, sums) in sums.chunks_mut(TILE).enumerate() {
        let tile = &mut tile[..sums.len()];
        tile.fill(0.0);
        for row in rows.chunks_exact(n) {
            let part = &row[place * TILE..][..tile.len()];
            tile.iter_mut().zip(part).for_each(|(sum, value)| *sum += f64::from(*value));
        }
        #[expect(clippy::cast_possible_truncation, reason = "gradients are f32")]
        sums.iter_mut().zip(tile).for_each(|(sum, exact)| *sum = *exact as f32);
    }
}

/// Replaces each of a few values by its sum over all ranks, in their order.
pub(crate) fn sum_few(exchange: &mut impl Exchange, values: &mut [f64]) {
    let n = values.len();
    let mut all = vec![0.0; n * exchange.n_ranks()];
    exchange.all_gather_f64(values, &mut all);
    for (place, value) in values.iter_mut().enumerate() {
        *value = all[place..].iter().step_by(n).sum();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Barrier, Mutex};

    use super::*;

    /// Ranks that are threads, exchanging through a table.
    struct Threads {
        rank: usize,
        n_ranks: usize,
        barrier: Arc<Barrier>,
        table: Arc<Mutex<Vec<Vec<f64>>>>,
        /// Values that this rank sent to others.
        n_sent: usize,
    }

    impl Threads {
        fn exchange(&mut self, own: Vec<f64>) -> Vec<Vec<f64>> {
            self.table.lock().unwrap()[self.rank] = own;
            self.barrier.wait();
            let all = self.table.lock().unwrap().clone();
            self.barrier.wait();
            all
        }
    }

    fn to_f32(value: f64) -> f32 {
        #[expect(clippy::cast_possible_truncation, reason = "they were f32 before")]
        let value = value as f32;
        value
    }

    impl Exchange for Threads {
        fn n_ranks(&self) -> usize {
            self.n_ranks
        }

        fn all_to_all(&mut self, send: &[f32], received: &mut [f32]) {
            let all = self.exchange(send.iter().map(|value| f64::from(*value)).collect());
            let of_rank = send.len() / self.n_ranks;
            self.n_sent += send.len() - of_rank;
            let own = all.iter().flat_map(|row| row[self.rank * of_rank..][..of_rank].iter());
            received.iter_mut().zip(own).for_each(|(to, from)| *to = to_f32(*from));
        }

        fn all_gather(&mut self, own: &[f32], all: &mut [f32]) {
            self.n_sent += own.len() * (self.n_ranks - 1);
            let rows = self.exchange(own.iter().map(|value| f64::from(*value)).collect());
            all.iter_mut().zip(rows.iter().flatten()).for_each(|(to, from)| *to = to_f32(*from));
        }

        fn all_gather_f64(&mut self, own: &[f64], all: &mut [f64]) {
            let rows = self.exchange(own.to_vec());
            all.iter_mut().zip(rows.iter().flatten()).for_each(|(to, from)| *to = *from);
        }
    }

    fn ranks<T: Send>(n_ranks: usize, work: impl Fn(Threads) -> T + Sync) -> Vec<T> {
        let barrier = Arc::new(Barrier::new(n_ranks));
        let table = Arc::new(Mutex::new(vec![Vec::new(); n_ranks]));
        std::thread::scope(|scope| {
            let started: Vec<_> = (0..n_ranks)
                .map(|rank| {
                    let threads =
                        Threads { rank, n_ranks, barrier: barrier.clone(), table: table.clone(), n_sent: 0 };
                    let work = &work;
                    scope.spawn(move || work(threads))
                })
                .collect();
            started.into_iter().map(|thread| thread.join().unwrap()).collect()
        })
    }

    /// Values of which a sum in f32 depends on the order.
    fn value(rank: usize, place: usize) -> f32 {
        let of = u16::try_from((rank * 7919 + place * 104_729) % 65_521).unwrap();
        let scale = if (rank + place).is_multiple_of(3) { 1e6 } else { 1e-3 };
        (f32::from(of) - 30_000.0) * scale
    }

    #[test]
    fn sums_are_rounded_once_and_the_same_bits_on_all() {
        for (n_ranks, n, size) in [
            (1, 5, 64),
            (2, 1, 64),
            (2, 1000, 64),
            (3, 1000, 64),
            (4, 1001, 64),
            (5, 3, 64),
            (4, 0, 64),
            (2, 9000, BLOCK),
        ] {
            let rows = ranks(n_ranks, |mut threads| {
                let rank = threads.rank;
                let mut values: Vec<f32> = (0..n).map(|place| value(rank, place)).collect();
                let mut buffers = RowBuffers::default();
                // Another sum before leaves nothing behind.
                sum_blocks(&mut threads, &mut buffers, &mut [1.0; 70], size);
                threads.n_sent = 0;
                sum_blocks(&mut threads, &mut buffers, &mut values, size);
                (values, threads.n_sent)
            });
            let expected: Vec<f32> = (0..n)
                .map(|place| to_f32((0..n_ranks).map(|rank| f64::from(value(rank, place))).sum()))
                .collect();
            for (row, n_sent) in &rows {
                assert_eq!(row, &expected, "{n} values of {n_ranks} ranks");
                // 2 (N - 1) / N of the row, and what fills the last part of each block
                let ring = 2 * (n_ranks - 1) * n / n_ranks;
                let n_blocks = n.div_ceil(size);
                assert!(
                    (ring..=ring + 2 * n_ranks * (n_blocks + 1)).contains(n_sent),
                    "{n_sent}, ring {ring}"
                );
            }
        }
    }

    #[test]
    fn a_few_numbers_are_added_in_the_order_of_ranks() {
        let rows = ranks(3, |mut threads| {
            let big = [1e300, -1e300, 1.0][threads.rank];
            let mut values = [big, 1.0];
            sum_few(&mut threads, &mut values);
            sum_few(&mut threads, &mut []);
            values
        });
        assert_eq!(rows, [[1.0, 3.0]; 3]);
    }
}
